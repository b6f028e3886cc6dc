import { setTimeout as delay } from 'node:timers/promises';
import { isBlobError } from '../blob/errors.ts';
import { isReadable, requestRehydration } from '../blob/rehydrate.ts';
import type { BlobState } from '../blob/state.ts';
import { crc64Hex } from '../checksum/crc64.ts';
import type { LocatedCopy } from '../copies/search-copy.ts';
import { holdsRecorded, ownRecord } from '../identity/copy-of.ts';
import {
  type CopyRecord,
  formatFileRecord,
  isBinding,
  RECORD_XATTR,
  takesDirectoryLayout,
} from '../identity/file-record.ts';
import { ERRNO, errnoName, errnoText } from '../lustre/errno.ts';
import { isReleased } from '../lustre/hsm-state.ts';
import { ActionError } from './action-error.ts';
import type { Archive, CopytoolContext } from './context.ts';
import { locateCopy } from './copy-locator.ts';
import { type FileView, viewFile } from './file-view.ts';
import type { Outcome } from './outcome.ts';
import type { Task } from './task.ts';

/** How often a copy is looked for again after it vanished or changed under the download. */
const MAX_RELOCATIONS = 8;
/** How often content whose checksum is wrong is read again: a device on the way may have changed it. */
const MAX_REREADS = 2;
/** Milliseconds between two looks at a blob that is on its way back from the Archive tier; they double up to the last. */
const REHYDRATION_FIRST_POLL_MS = 1_000;
const REHYDRATION_POLL_MS = 60_000;

/**
 * Gives a released file its content back: exactly what its record names, or an error. Steps and what holds between
 * them are in docs/internals/archive-protocol.md.
 */
export async function restore(task: Task, archive: Archive, context: CopytoolContext): Promise<Outcome> {
  const { fid } = task.action;
  const { fs, step } = context;
  await step('restore.taken');
  const before = await viewFile(fs.files, fid);
  task.paths = before.paths;
  task.size = before.size;
  if (!isReleased(before.hsm)) {
    // Lustre would swap in whatever has been written: nothing must be written to a file that has its data.
    throw new ActionError('not-released', ERRNO.EALREADY, 'the file has its data already');
  }
  // One that was imported without stripes of its own has those of a file without data: its directory knows better.
  const layout = takesDirectoryLayout(ownRecord(before)) ? 'default' : 'keep';
  const { dfid, layoutErrno } = await task.begin({ layout });
  if (layoutErrno !== undefined) {
    context.stats.layoutsLost += 1;
    context.log.warn("file is restored with its directory's default layout, not with its own", {
      fid,
      errno: errnoName(layoutErrno),
      reason: errnoText(layoutErrno),
    });
  }
  await step('restore.begun');
  const done = await fill(fs.dataPath(dfid), task, archive, context);
  await step('restore.copied');
  await verify(done, task, context);
  await step('restore.verified');
  // Before the end, while the file is still released: afterwards an archive could write a later record.
  await renewRecord(done, context);
  await task.report();
  await task.succeed(done.copy.blob.length);
  await step('restore.ended');
  return { bytes: done.copy.blob.length, recognised: done.copy.by };
}

interface Restored {
  readonly file: FileView;
  readonly copy: LocatedCopy;
  /** Of the bytes that were written, 16 hex digits. */
  readonly crc64: string;
}

/** Finds the copy and writes it out; from the beginning again when it was moved or replaced meanwhile. */
async function fill(path: string, task: Task, archive: Archive, context: CopytoolContext): Promise<Restored> {
  let rereads = 0;
  for (let round = 1; ; round++) {
    const found = await locate(task, archive, context);
    task.blob = found.copy.blob.name;
    await context.step('restore.located');
    const blob = await awake(found.copy.blob, task, archive, context);
    try {
      const crc64 = await download({ path, again: round > 1 }, blob, task, archive, context);
      const said = blob.identity?.crc64;
      if (said !== undefined && said !== crc64 && rereads++ < MAX_REREADS) {
        context.log.warn('what was read of the copy has another checksum than it says, reading it again', {
          fid: task.action.fid,
          blob: blob.name,
          read: crc64,
          said,
        });
        task.moved = 0n;
        continue;
      }
      return { ...found, copy: { ...found.copy, blob }, crc64 };
    } catch (error) {
      if (round - rereads >= MAX_RELOCATIONS || !isBlobError(error, 'NOT_FOUND', 'CONDITION', 'ARCHIVED')) throw error;
      context.log.info('copy moved or changed during its restore, looking again', {
        fid: task.action.fid,
        blob: blob.name,
        err: error,
      });
      task.moved = 0n;
    }
  }
}

function locate(
  task: Task,
  archive: Archive,
  context: CopytoolContext,
): Promise<{ file: FileView; copy: LocatedCopy }> {
  const { fid } = task.action;
  const { store } = archive;
  return locateCopy(() => viewFile(context.fs.files, fid), { store, prefix: store.prefix }, context.fsUuid, {
    timeout: context.config.locateTimeout,
    signal: task.signal,
    pause: (wait) => task.pause(wait),
    onMiss: (misses) => context.log.warn('copy not found yet', { fid, misses }),
  });
}

async function download(
  into: { readonly path: string; readonly again: boolean },
  blob: BlobState,
  task: Task,
  archive: Archive,
  context: CopytoolContext,
): Promise<string> {
  const { bytes, crc64 } = await context.transfers.download({
    ...into,
    archive: archive.config.id,
    name: blob.name,
    etag: blob.etag,
    length: blob.length,
    signal: task.signal,
    onBytes: (count) => task.add(count),
    // A chmod gives the blob another ETag: as long as it is the same version, a large restore goes on.
    onEtagChanged: async () => {
      const now = await archive.store.head(blob.name, { signal: task.signal });
      return now !== undefined && sameVersion(blob, now) ? now.etag : undefined;
    },
  });
  if (bytes !== blob.length)
    throw new ActionError('short', ERRNO.EIO, `${bytes} of ${blob.length} bytes of the copy were read`);
  return crc64Hex(crc64);
}

function sameVersion(a: BlobState, b: BlobState): boolean {
  const [left, right] = [a.identity, b.identity];
  if (left?.generation === undefined || right?.generation === undefined) return false;
  return (
    left.fs === right.fs &&
    left.fid === right.fid &&
    left.generation.uuid === right.generation.uuid &&
    left.generation.seq === right.generation.seq &&
    left.size === right.size &&
    left.crc64 === right.crc64 &&
    a.length === b.length
  );
}

/**
 * Waits for a blob of the Archive tier to come back, if the configuration asks for that. The heartbeat goes on, and the
 * slot is left to others meanwhile.
 */
async function awake(blob: BlobState, task: Task, archive: Archive, context: CopytoolContext): Promise<BlobState> {
  const { store } = archive;
  if ((await requestRehydration(store, blob, task.signal)) === 'readable') return blob;
  context.log.info('copy is on its way back from the Archive tier, which takes hours', {
    fid: task.action.fid,
    blob: blob.name,
  });
  return await task.pause(() => readable(blob, task, archive, context.config.rehydrateTimeout));
}

/** @param timeout milliseconds */
async function readable(blob: BlobState, task: Task, { store }: Archive, timeout: number): Promise<BlobState> {
  const end = performance.now() + timeout;
  for (let wait = REHYDRATION_FIRST_POLL_MS; ; wait = Math.min(2 * wait, REHYDRATION_POLL_MS)) {
    const left = end - performance.now();
    if (left <= 0) {
      throw new ActionError(
        'rehydration',
        ERRNO.ENODATA,
        `the copy has not come back from the Archive tier within copytool.rehydrate_timeout: ${JSON.stringify(blob.name)}; read the file again later`,
      );
    }
    await delay(Math.min(wait, left), undefined, { signal: task.signal }).catch(() => task.signal.throwIfAborted());
    const now = await store.head(blob.name, { signal: task.signal });
    // Moved or replaced: the caller looks again, and recognises it anew.
    if (now === undefined || !sameVersion(blob, now)) return blob;
    if (isReadable(now)) return now;
  }
}

/** Nobody but us checks a restore: Lustre takes whatever was written. */
async function verify({ file, copy, crc64 }: Restored, task: Task, context: CopytoolContext): Promise<void> {
  const { blob } = copy;
  const now = await viewFile(context.fs.files, task.action.fid);
  if (now.size !== blob.length) {
    throw new ActionError('length', ERRNO.EIO, `the copy has ${blob.length} bytes, the file has ${now.size}`);
  }
  const said = blob.identity?.crc64;
  if (said !== undefined && said !== crc64) {
    throw new ActionError('checksum', ERRNO.EIO, `the copy's content has the checksum ${crc64}, it says ${said}`);
  }
  const record = ownRecord(file);
  const recorded =
    record !== undefined && !isBinding(record) && blob.identity !== undefined && holdsRecorded(record, blob.identity);
  if (recorded && record.crc64 !== crc64) {
    throw new ActionError(
      'checksum',
      ERRNO.EIO,
      `the copy's content has the checksum ${crc64}, the file's record says ${record.crc64}`,
    );
  }
}

/** A file whose copy was recognised without a record, or against an outdated one, gets a record again. */
async function renewRecord({ file, copy }: Restored, context: CopytoolContext): Promise<void> {
  const { identity, name } = copy.blob;
  const record = ownRecord(file);
  if (identity?.generation === undefined || identity.size === undefined || identity.crc64 === undefined) return;
  const isCurrent = record !== undefined && (isBinding(record) || holdsRecorded(record, identity));
  if (isCurrent) return;
  if (copy.by === 'fallback') context.stats.fallbacks += 1;
  const { generation, size, crc64 } = identity;
  const renewed: CopyRecord = { fid: file.fid, generation, size, crc64, at: name };
  try {
    await context.fs.files.setXattr(file.fid, RECORD_XATTR, formatFileRecord(renewed));
    context.log.info('record of the copy written anew', { fid: file.fid, blob: name, by: copy.by });
  } catch (error) {
    context.log.warn('record of the copy could not be written', { fid: file.fid, blob: name, err: error });
  }
}
