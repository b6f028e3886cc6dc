import { isBlobError } from '../blob/errors.ts';
import type { BlobState } from '../blob/state.ts';
import { candidateNames } from '../copies/search-copy.ts';
import { isCopyOf, ownRecord } from '../identity/copy-of.ts';
import type { Fid } from '../identity/fid.ts';
import { isBinding } from '../identity/file-record.ts';
import { formatGeneration } from '../identity/generation.ts';
import { ERRNO } from '../lustre/errno.ts';
import { HSM, isArchived, isClean, isReleased } from '../lustre/hsm-state.ts';
import { ActionError, endingOf, hasErrno } from './action-error.ts';
import type { Archive, CopytoolContext } from './context.ts';
import { mustBeOurs, whereIs } from './fate.ts';
import { type FileView, viewFile } from './file-view.ts';
import type { Outcome } from './outcome.ts';
import { RemovalHold } from './removal-hold.ts';
import type { Task } from './task.ts';

/** Deletions are tried again so often when the blob changes under them. */
const MAX_TRIES = 5;

/**
 * Removes a file's copy from the container: of a living file only after Lustre has agreed that its data is not only
 * there, of a dead one only where the blob is provably its own. Steps are in docs/internals/archive-protocol.md.
 */
export async function remove(task: Task, targets: readonly Archive[], context: CopytoolContext): Promise<Outcome> {
  await context.step('remove.taken');
  const file = await lookAt(task.action.fid, context);
  task.paths = file?.paths ?? [];
  await task.begin();
  const blob =
    file === undefined ? await removeOfDead(task, targets, context) : await removeHeld(file, task, targets, context);
  task.blob = blob;
  return blob === undefined ? { bytes: 0n, note: 'no copy found' } : { bytes: 0n };
}

/** Removes a living file's copy while nobody can release it: until after the end, which takes the file's flags off. */
async function removeHeld(
  file: FileView,
  task: Task,
  targets: readonly Archive[],
  context: CopytoolContext,
): Promise<string | undefined> {
  // That of a clean file was archived by an action that has ended; of another one it may be ending right now.
  const settled = isClean(file.hsm);
  if (isReleased(file.hsm)) throw onlyData();
  const hold = await RemovalHold.take(file.fid, task.action.cookie, context);
  try {
    const blob = await removeOfLiving(file, task, targets, hold, context);
    await task.report();
    await mustHaveStayedUnarchived(file.fid, blob, context);
    await task.succeed(0n);
    await context.step('remove.ended');
    await hold.letGo(settled && !hold.adopted);
    return blob;
  } catch (error) {
    // One that is adopted goes on with the mark.
    if (task.stale) throw error;
    if (hold.deleted) await endFirst(task, error, context);
    await hold.letGo(!hold.deleted);
    throw error;
  }
}

/** With its end under way, an archive beside it could not be told from the removal itself. Not sent again: no other shall begin before the hold is off. */
async function endFirst(task: Task, error: unknown, context: CopytoolContext): Promise<void> {
  const failure = task.signal.aborted ? task.signal.reason : error;
  try {
    await task.fail(endingOf(failure).errno, false);
  } catch (problem) {
    context.log.debug('action could not be ended', { fid: task.action.fid, err: problem });
  }
}

async function lookAt(fid: Fid, context: CopytoolContext): Promise<FileView | undefined> {
  try {
    return await viewFile(context.fs.files, fid);
  } catch (error) {
    if (hasErrno(error, ERRNO.ENOENT)) return undefined;
    throw error;
  }
}

async function removeOfLiving(
  file: FileView,
  task: Task,
  targets: readonly Archive[],
  hold: RemovalHold,
  context: CopytoolContext,
): Promise<string | undefined> {
  const { fid } = task.action;
  await unarchive(file, context);
  await context.step('remove.unarchived');
  const deleted: string[] = [];
  for (const target of targets) {
    for (const { name } of candidateNames(file, target.store.prefix)) {
      if (await deleteProven(name, task, target, context, `hsm_remove of ${fid}`, hold)) deleted.push(name);
    }
  }
  if (deleted.length > 0) return deleted[0];
  const record = ownRecord(file);
  if (record !== undefined && isBinding(record)) {
    throw new ActionError(
      'not-ours',
      ERRNO.EPERM,
      'the file was imported, and its copy was written by others: it is not ours to delete',
    );
  }
  const looked = targets.flatMap((target) => candidateNames(file, target.store.prefix)).map(({ name }) => name);
  context.log.warn('no copy found to remove', { fid, looked });
  return undefined;
}

/**
 * Takes the ARCHIVED flag off and sets NORELEASE, in one change: from then on Lustre refuses a release, also after an
 * archive on another machine, so that the copy can't become the only one. Lustre itself refuses this for a released file.
 */
async function unarchive(file: FileView, context: CopytoolContext): Promise<void> {
  try {
    await context.fs.files.setHsm(file.fid, { set: HSM.NORELEASE, clear: HSM.ARCHIVED | leftDirty(file) });
  } catch (error) {
    const now = await viewFile(context.fs.files, file.fid);
    if (isReleased(now.hsm)) throw onlyData();
    throw error;
  }
}

/** Dirty without anything in the archive: Lustre takes no change of flags together with it. */
const leftDirty = ({ hsm }: FileView) => ((hsm.states & HSM.EXISTS) === 0 ? HSM.DIRTY : 0);

const onlyData = () =>
  new ActionError('released', ERRNO.EBUSY, 'the file is released: the copy is its only data; restore it first');

/** A dead file has no path: only the request's own data can say where its copy was, and the blob must prove it. */
async function removeOfDead(task: Task, targets: readonly Archive[], context: CopytoolContext): Promise<string> {
  const blob = await deleteOfDead(task, targets, context);
  await task.report();
  await task.succeed(0n);
  await context.step('remove.ended');
  return blob;
}

async function deleteOfDead(task: Task, targets: readonly Archive[], context: CopytoolContext): Promise<string> {
  const { fid, data } = task.action;
  const hint = data.toString('utf8');
  await mustBeDead(fid, context);
  for (const target of hint === '' ? [] : targets) {
    if (await deleteProven(hint, task, target, context, `hsm_remove of ${fid}, which is gone`)) return hint;
  }
  const where = hint === '' ? 'the request does not say where its copy is' : `${JSON.stringify(hint)} is not its copy`;
  throw new ActionError(
    'dead',
    ERRNO.ENOENT,
    `the file is gone, and ${where}: removed files are cleaned up by the follower`,
  );
}

async function mustBeDead(fid: Fid, context: CopytoolContext): Promise<void> {
  const { alive } = await whereIs(context.fs, context.fsUuid, fid);
  if (alive)
    throw new ActionError('alive', ERRNO.EAGAIN, 'the file was not found at first, and is there now', { again: true });
}

/** Deletes the blob at this name under its ETag, if it is that file's own copy. @param hold of a living file */
async function deleteProven(
  name: string,
  task: Task,
  target: Archive,
  context: CopytoolContext,
  reason: string,
  hold?: RemovalHold,
): Promise<boolean> {
  const { fid } = task.action;
  const { store } = target;
  for (let round = 1; ; round++) {
    const blob = await store.head(name, { signal: task.signal });
    if (blob === undefined || !isCopyOfFid(blob, fid, context.fsUuid)) return false;
    await context.step('remove.located');
    await context.audit.record({
      action: 'delete',
      archive: target.config.id,
      blob: name,
      etag: blob.etag,
      fs: blob.identity?.fs,
      fid,
      generation: blob.identity?.generation === undefined ? undefined : formatGeneration(blob.identity.generation),
      reason,
    });
    // Whatever was looked at so far, the moment before the deletion decides.
    if (hold === undefined) await mustBeDead(fid, context);
    else if (!(await mayGo(blob, fid, name, context))) return false;
    await task.report();
    hold?.mustBeFresh();
    try {
      if (hold !== undefined) hold.deleted = true;
      await store.delete(name, { ifMatch: blob.etag, signal: task.signal });
      await context.step('remove.deleted');
      return true;
    } catch (error) {
      if (round >= MAX_TRIES || !isBlobError(error, 'CONDITION')) throw error;
    }
  }
}

/**
 * Whether a living file's blob is the one that its record names, which was read after the blob was looked at. Another
 * machine may have archived, and even released, the file since ARCHIVED was taken off; or be about to: what it has
 * committed and not recorded yet is not ours to delete. An older version that is left somewhere is left to the sweep.
 * @throws ActionError EBUSY
 */
async function mayGo(blob: BlobState, fid: Fid, name: string, context: CopytoolContext): Promise<boolean> {
  await mustBeOurs(context.fs, context.fsUuid);
  const now = await viewFile(context.fs.files, fid);
  if (isReleased(now.hsm) || isArchived(now.hsm)) throw archivedAgain();
  const record = ownRecord(now);
  const there = blob.identity?.generation;
  if (record !== undefined && isBinding(record)) return isCopyOf(now, blob, context.fsUuid);
  if (record !== undefined && record.generation.uuid === there?.uuid) return true;
  if (record !== undefined && there !== undefined && there.seq < record.generation.seq) return false;
  throw new ActionError(
    'other-version',
    ERRNO.EBUSY,
    `${JSON.stringify(name)} holds another version than the file's record names, and may just be being archived; archive the file, then remove its copy`,
  );
}

/**
 * The last look before the end, which takes the file's flags off. An archive of another machine that has ended
 * meanwhile has lost its copy if ours was the later one: marked dirty, it is made again.
 */
async function mustHaveStayedUnarchived(
  fid: Fid,
  deleted: string | undefined,
  context: CopytoolContext,
): Promise<void> {
  const now = await lookAt(fid, context);
  if (now === undefined || !(isReleased(now.hsm) || isArchived(now.hsm))) return;
  if (deleted !== undefined && !isReleased(now.hsm)) {
    await context.fs.files.setHsm(fid, { set: HSM.EXISTS | HSM.DIRTY });
    context.stats.markedDirty += 1;
  }
  throw archivedAgain();
}

function archivedAgain(): ActionError {
  return new ActionError('archived-again', ERRNO.EBUSY, 'the file was archived again during the removal of its copy');
}

function isCopyOfFid(blob: BlobState, fid: Fid, fsUuid: string): boolean {
  const { identity } = blob;
  return identity?.fs === fsUuid && identity.fid === fid && identity.kind === 'file';
}
