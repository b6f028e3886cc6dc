import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import type { Fid } from '../identity/fid.ts';
import { formatRemovalMark, parseRemovalMark, REMOVING_XATTR, type RemovalMark } from '../identity/removal-mark.ts';
import { ERRNO } from '../lustre/errno.ts';
import { HSM, type HsmState, isArchived, isBusy, isDirty, isReleased } from '../lustre/hsm-state.ts';
import { ActionError, hasErrno } from './action-error.ts';
import type { CopytoolContext } from './context.ts';

/** A mark that is older, or further in the future, is of a machine that never came back. */
const OLD_MS = 2 * 3600_000;
/** A removal deletes so long after its mark only: what is left until the mark is old is for clocks that differ. */
const DELETE_WITHIN_MS = 30 * 60_000;
/** Milliseconds between questions whether an archive is still under way. */
const WAITS_MS = [50, 100, 200];
const XATTR_CREATE = 1;
const XATTR_REPLACE = 2;

/**
 * Keeps a living file from being released while its copy is removed: NORELEASE, with a mark beside it that says whose it
 * is. Whatever is killed in between, the mark is found: by the removal when it is adopted, or by the file's next archive
 * or removal on any machine when it is old.
 */
export class RemovalHold {
  readonly #context: CopytoolContext;
  readonly #taken = performance.now();
  readonly mark: RemovalMark;
  /** Whether a blob was deleted, or may have been by the process that was killed. */
  deleted: boolean;
  /** Whether it was found on the file: another process has begun, and nothing is known of what it did. */
  readonly adopted: boolean;

  private constructor(mark: RemovalMark, adopted: boolean, context: CopytoolContext) {
    this.mark = mark;
    this.deleted = adopted;
    this.adopted = adopted;
    this.#context = context;
  }

  /** Marks the file. Rejects with EBUSY while another removal is at work on it. */
  static async take(fid: Fid, cookie: bigint, context: CopytoolContext): Promise<RemovalHold> {
    const { files } = context.fs;
    const now = await look(fid, context);
    const fresh = { fid, cookie, id: randomUUID(), who: hostname(), since: Date.now(), ended: false };
    const there = now.mark;
    if (there !== undefined && there.cookie !== cookie && !isOver(there)) throw beingRemoved(there);
    // Where there is a mark, NORELEASE may be its own.
    const mark = { ...fresh, kept: there?.kept ?? hasNoRelease(now.hsm) };
    try {
      await files.setXattr(fid, REMOVING_XATTR, formatRemovalMark(mark), now.marked ? XATTR_REPLACE : XATTR_CREATE);
    } catch (error) {
      // Sent again to another helper, it may have been done already.
      const other = hasErrno(error, ERRNO.EEXIST) ? (await look(fid, context)).mark : undefined;
      if (other === undefined && !hasErrno(error, ERRNO.ENODATA)) throw error;
      if (other?.id !== mark.id) throw beingRemoved(other);
    }
    // Two may have replaced an old one; and the flag may have been that of a hold that has just ended.
    const again = await look(fid, context);
    if (again.mark?.id !== mark.id) throw beingRemoved(again.mark);
    const kept = mark.kept && hasNoRelease(again.hsm);
    if (kept !== mark.kept)
      await files.setXattr(fid, REMOVING_XATTR, formatRemovalMark({ ...mark, kept }), XATTR_REPLACE);
    await context.step('remove.marked');
    return new RemovalHold({ ...mark, kept }, there !== undefined, context);
  }

  /** Rejects when so much time has passed that the mark may be taken for a dead machine's. */
  mustBeFresh(): void {
    if (performance.now() - this.#taken < DELETE_WITHIN_MS) return;
    throw new ActionError('held-too-long', ERRNO.EAGAIN, 'the removal took too long to delete anything: ask again', {
      again: true,
    });
  }

  /**
   * Lets the file be released again, after the removal has ended in Lustre. Never rejects: what is left is found by the mark.
   * @param settled whether no archive can be under way whose copy was deleted
   */
  async letGo(settled: boolean): Promise<void> {
    await letGo(this.mark, { deleted: this.deleted, settled }, this.#context);
  }
}

/** What an archive or removal that Lustre doesn't know any more may have left on its file. Never rejects. */
export async function letGoOfForgotten(fid: Fid, cookie: bigint, context: CopytoolContext): Promise<void> {
  const mark = await markOf(fid, context);
  if (mark === undefined || !(mark.cookie === cookie || isOver(mark))) return;
  await letGo(mark, { deleted: true, settled: false }, context);
}

/**
 * After an archive that has ended and looked for its copy: takes off what a removal has left to it, or what a machine
 * that never came back has left. Never rejects.
 * @param value of the file's mark
 */
export async function letGoAfterArchive(fid: Fid, value: Buffer, context: CopytoolContext): Promise<void> {
  const mark = parseRemovalMark(value, fid);
  if (mark === undefined || !isOver(mark)) return;
  await letGo(mark, { deleted: false, settled: false }, context);
}

async function letGo(
  mark: RemovalMark,
  { deleted, settled }: { deleted: boolean; settled: boolean },
  context: CopytoolContext,
): Promise<void> {
  const { fid } = mark;
  const { files } = context.fs;
  try {
    if ((await look(fid, context)).mark?.id !== mark.id) return;
    if (!settled) {
      // Said before it is asked: an archive that ends after the question reads it, one that has ended is not there.
      await files.setXattr(fid, REMOVING_XATTR, formatRemovalMark({ ...mark, ended: true }), XATTR_REPLACE);
      if (await isBeingArchived(fid, context)) {
        context.log.info('file is being archived: it may be released when that has ended', { fid });
        return;
      }
    }
    await context.step('remove.settled');
    const now = await look(fid, context);
    if (now.mark?.id !== mark.id) return;
    const lost = deleted && isArchived(now.hsm) && !isReleased(now.hsm);
    const set = lost ? HSM.EXISTS | HSM.DIRTY : 0;
    // Dirty without a copy is what the removal of a changed file's copy leaves, and no change of flags is taken with it.
    const leftDirty = isDirty(now.hsm) && (now.hsm.states & HSM.EXISTS) === 0 && !lost ? HSM.DIRTY : 0;
    const clear = mark.kept || !hasNoRelease(now.hsm) ? 0 : HSM.NORELEASE | leftDirty;
    if (set !== 0 || clear !== 0) await files.setHsm(fid, { set, clear });
    if (lost) context.stats.markedDirty += 1;
    await context.step('remove.freed');
    await files.removeXattr(fid, REMOVING_XATTR);
  } catch (error) {
    if (hasErrno(error, ERRNO.ENOENT) || hasErrno(error, ERRNO.ENODATA)) return;
    context.log.warn('file stays flagged never_release until it is archived again, or its copy removed', {
      fid,
      err: error,
    });
  }
}

async function markOf(fid: Fid, context: CopytoolContext): Promise<RemovalMark | undefined> {
  try {
    return (await look(fid, context)).mark;
  } catch (error) {
    if (!hasErrno(error, ERRNO.ENOENT)) context.log.warn('mark of a removal could not be read', { fid, err: error });
    return undefined;
  }
}

interface Look {
  readonly hsm: HsmState;
  readonly mark: RemovalMark | undefined;
  /** Whether there is a mark at all, another file's included. */
  readonly marked: boolean;
}

async function look(fid: Fid, context: CopytoolContext): Promise<Look> {
  const found = await context.fs.files.get({ fid }, { parts: ['hsm', 'xattrs'], xattrs: [REMOVING_XATTR] });
  if (found.hsm === undefined || found.xattrs === undefined)
    throw new ActionError('incomplete', ERRNO.EIO, `Lustre did not tell all of ${fid}`);
  const value = found.xattrs.get(REMOVING_XATTR);
  return {
    hsm: found.hsm,
    mark: value === undefined ? undefined : parseRemovalMark(value, fid),
    marked: value !== undefined,
  };
}

async function isBeingArchived(fid: Fid, context: CopytoolContext): Promise<boolean> {
  for (const wait of [...WAITS_MS, undefined]) {
    const { action } = await context.fs.files.get({ fid }, { parts: ['action'] });
    if (action !== undefined && !isBusy(action)) return false;
    if (wait !== undefined) await delay(wait);
  }
  return true;
}

const hasNoRelease = (hsm: HsmState) => (hsm.states & HSM.NORELEASE) !== 0;

/** Whether nobody deletes under it any more. */
const isOver = (mark: RemovalMark) => mark.ended || Math.abs(Date.now() - mark.since) > OLD_MS;

function beingRemoved(mark: RemovalMark | undefined): ActionError {
  const who = mark === undefined ? 'another removal' : `${mark.who}, since ${new Date(mark.since).toISOString()}`;
  return new ActionError('being-removed', ERRNO.EBUSY, `the file's copy is being removed already: by ${who}`, {
    again: true,
  });
}
