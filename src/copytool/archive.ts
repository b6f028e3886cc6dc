import { isBlobError } from '../blob/errors.ts';
import { stagingName } from '../blob/naming.ts';
import { isReadable } from '../blob/rehydrate.ts';
import type { BlobState } from '../blob/state.ts';
import type { Uploaded } from '../blob/upload.ts';
import { crc64Hex } from '../checksum/crc64.ts';
import type { NamedPath } from '../copies/names.ts';
import { holdsRecorded, isCopyOf, ownRecord } from '../identity/copy-of.ts';
import { type CopyRecord, formatFileRecord, isBinding, RECORD_XATTR } from '../identity/file-record.ts';
import { type Generation, nextGeneration } from '../identity/generation.ts';
import { ERRNO } from '../lustre/errno.ts';
import { isClean, isReleased } from '../lustre/hsm-state.ts';
import { ActionError, hasErrno } from './action-error.ts';
import { type Archived, afterArchive } from './after-archive.ts';
import { CommitGate, HigherSequence } from './commit-gate.ts';
import type { Archive, CopytoolContext } from './context.ts';
import { type FileView, viewFile } from './file-view.ts';
import { canonicalName } from './names.ts';
import type { Outcome } from './outcome.ts';
import type { Task } from './task.ts';

/** Uploads of one action, at most: each further one because another writer came in between. */
const MAX_UPLOADS = 5;
/** Up to here an upload is cheaper than another request before it. */
const SMALL = 1n << 20n;

/** An archive that has begun: the file as it was then, and where its copy belongs. */
interface Begun {
  readonly file: FileView;
  /** Taken by Lustre at the beginning, with clients' caches flushed. */
  readonly dataVersion: bigint;
  readonly link: NamedPath;
}

/**
 * Writes a file's content to where it belongs, if it does not change meanwhile. Steps and what holds between them are
 * in docs/internals/archive-protocol.md.
 */
export async function archive(task: Task, target: Archive, context: CopytoolContext): Promise<Outcome> {
  const { fs, step } = context;
  const { fid } = task.action;
  await step('archive.taken');
  refuseUnfit(await viewFile(fs.files, fid));
  const begun = await begin(task, target, context);
  const { file, link } = begun;
  const looked = file.size > SMALL || isClean(file.hsm);
  const there = looked ? await target.store.head(link.name, { signal: task.signal }) : undefined;
  if (isArchivedAlready(begun, there, context.fsUuid)) {
    await task.report();
    await task.succeed(file.size);
    return { bytes: 0n, note: 'already archived' };
  }
  if (isReleased(file.hsm)) {
    // EALREADY: any other error would mark a file dirty whose data is not here.
    throw new ActionError('released', ERRNO.EALREADY, 'the file is released: there is nothing to archive');
  }
  const { record, place } = await upload(task, target, context, begun, { looked, there });
  await step('archive.committed');
  // Cancelled or timed out meanwhile: the action is not ours any more, and neither is the record. The sweep finds the blob.
  await confirm(task, target, context, place);
  await step('archive.confirmed');
  const archived = { fid, link: place, record, dataVersion: begun.dataVersion };
  try {
    await fs.files.setXattr(fid, RECORD_XATTR, formatFileRecord(record));
    await step('archive.recorded');
    await end(task, record);
  } catch (error) {
    if (hasErrno(error, ERRNO.ENOENT)) await afterForgotten(archived, target, context);
    throw error;
  }
  await step('archive.ended');
  await afterArchive(archived, target, context);
  await step('archive.looked-again');
  return { bytes: file.size };
}

function refuseUnfit(file: FileView): void {
  if (isReleased(file.hsm) || file.layout?.pattern.includes('released') !== true) return;
  throw new ActionError(
    'half-made',
    ERRNO.ENODATA,
    'the file has a released layout but is not flagged released: a half-made import; import it again',
  );
}

/** Begins the action, then looks at the file: what is seen belongs to the data version, or is found out before the commit. */
async function begin(task: Task, target: Archive, context: CopytoolContext): Promise<Begun> {
  const { fs, fsUuid, step } = context;
  const { dataVersion } = await task.begin();
  if (dataVersion === undefined)
    throw new ActionError('no-data-version', ERRNO.EIO, 'Lustre gave no data version of the file');
  await step('archive.begun');
  const file = await viewFile(fs.files, task.action.fid);
  task.paths = file.paths;
  task.size = file.size;
  const { store } = target;
  const link = await canonicalName(file, { store, prefix: store.prefix }, fs, fsUuid, task.signal);
  task.blob = link.name;
  await step('archive.named');
  return { file, dataVersion, link };
}

/** Whether the file is clean, and what is at its place was seen to be its copy: nothing needs to be read then. */
function isArchivedAlready({ file, dataVersion }: Begun, there: BlobState | undefined, fsUuid: string): boolean {
  const record = ownRecord(file);
  if (there === undefined || record === undefined || !isClean(file.hsm)) return false;
  if (!isCopyOf(file, there, fsUuid) || there.length !== file.size) return false;
  if (isReleased(file.hsm)) return true;
  if (isBinding(record)) return false;
  return record.dataVersion === dataVersion && there.identity !== undefined && holdsRecorded(record, there.identity);
}

/**
 * Uploads and commits; once more where another writer came in between and the way is free nevertheless. Nothing can be
 * written over a blob in the Archive tier, so the new version is put into our own namespace, where it is found: the follower
 * deletes the old one and moves it home.
 * @returns the place that it was written to
 */
async function upload(
  task: Task,
  target: Archive,
  context: CopytoolContext,
  begun: Begun,
  { looked, there }: { looked: boolean; there: BlobState | undefined },
): Promise<{ record: CopyRecord; place: NamedPath }> {
  const { file, dataVersion, link } = begun;
  const own = ownRecord(file);
  let numbered = looked;
  let place = link;
  let previous: (Generation | undefined)[] = [
    own !== undefined && !isBinding(own) ? own.generation : undefined,
    generationIn(there, context.fsUuid),
  ];
  if (there !== undefined && !isReadable(there)) {
    place = await placeBeside(task, target, context, begun, there, previous, 'it is in the Archive tier');
    numbered = false;
  }
  for (let round = 1; ; round++) {
    const generation = nextGeneration(...previous);
    const gate = new CommitGate({ task, target, context, file, dataVersion, link: place, generation, numbered });
    if (round === 1 && there !== undefined && place === link) await gate.refuseEarly(there);
    try {
      const uploaded = await transfer(task, target, context, file, place, generation, gate);
      gate.committed();
      return { record: recordOf(file, place, generation, dataVersion, uploaded), place };
    } catch (error) {
      // In the Archive tier, or with uncommitted blocks in the way that nobody can take away for a week.
      const isShut = isBlobError(error, 'ARCHIVED', 'BLOCK_IDS') && place === link;
      const again = error instanceof HigherSequence || isBlobError(error, 'CONDITION', 'BLOCKS_GONE', 'BLOCK_IDS');
      if (!(again || isShut) || round >= MAX_UPLOADS) throw error;
      task.moved = 0n;
      if (error instanceof HigherSequence) {
        previous = [...previous, error.generation];
        numbered = true;
      }
      if (isShut) {
        const inTheWay = await target.store.head(link.name, { signal: task.signal });
        previous = [...previous, generationIn(inTheWay, context.fsUuid)];
        place = await placeBeside(task, target, context, begun, inTheWay, previous, error.message);
        numbered = false;
        continue;
      }
      context.log.info('destination changed during the upload, once more', {
        fid: file.fid,
        blob: place.name,
        round,
        err: error,
      });
    }
  }
}

/**
 * Where the new version goes while nothing can be written over what is at its place. Rejects where that may not be replaced
 * in any case.
 * @param previous the generations that the new one is above
 * @param why nothing can be written there
 */
async function placeBeside(
  task: Task,
  target: Archive,
  context: CopytoolContext,
  { file, dataVersion, link }: Begun,
  inTheWay: BlobState | undefined,
  previous: readonly (Generation | undefined)[],
  why: string,
): Promise<NamedPath> {
  const generation = nextGeneration(...previous);
  const gate = new CommitGate({ task, target, context, file, dataVersion, link, generation, numbered: true });
  if (inTheWay !== undefined) await gate.refuseEarly(inTheWay);
  const name = stagingName(target.store.prefix, file.fid);
  task.blob = name;
  const fields = { fid: file.fid, blob: link.name, staged: name, reason: why };
  context.log.info('nothing can be written at its place: the new version is put beside it', fields);
  return { path: link.path, name };
}

async function transfer(
  task: Task,
  target: Archive,
  context: CopytoolContext,
  file: FileView,
  link: NamedPath,
  generation: Generation,
  gate: CommitGate,
): Promise<Uploaded> {
  const tier = await context.tierOf(file);
  const uploading = context.transfers.upload({
    archive: target.config.id,
    name: link.name,
    path: context.fs.dataPath(file.fid),
    size: file.size,
    generation,
    tier,
    beforeCommit: (content) => gate.pass(content.bytes),
    signal: task.signal,
    onBytes: (count) => task.add(count),
  });
  const [uploaded] = await Promise.all([uploading, target.markers.ensureAbove(link.path, task.signal)]);
  return uploaded;
}

function recordOf(
  file: FileView,
  link: NamedPath,
  generation: Generation,
  dataVersion: bigint,
  uploaded: Uploaded,
): CopyRecord {
  return {
    fid: file.fid,
    generation,
    size: uploaded.bytes,
    crc64: crc64Hex(uploaded.crc64),
    dataVersion,
    at: link.name,
  };
}

async function confirm(task: Task, target: Archive, context: CopytoolContext, link: NamedPath): Promise<void> {
  try {
    await task.report();
  } catch (error) {
    context.needsLook({
      fid: task.action.fid,
      archive: target.config.id,
      reason: 'not-ours-any-more',
      blob: link.name,
    });
    throw error;
  }
}

async function end(task: Task, record: CopyRecord): Promise<void> {
  try {
    await task.succeed(record.size);
  } catch (error) {
    if (!hasErrno(error, ERRNO.EBUSY)) throw error;
    throw new ActionError('changed', ERRNO.EBUSY, 'the file changed at the end of its archive; it stays dirty', {
      cause: error,
    });
  }
}

/**
 * The file, or the action, was gone when its copy was already there. If the action had timed out, somebody else may
 * have archived the file since: a later record must not stay overwritten by ours.
 */
async function afterForgotten(archived: Archived, target: Archive, context: CopytoolContext): Promise<void> {
  const { fid, link, record } = archived;
  try {
    const identity = (await target.store.head(link.name))?.identity;
    const isLater =
      identity?.fs === context.fsUuid &&
      identity.fid === fid &&
      identity.kind === 'file' &&
      identity.generation !== undefined &&
      identity.generation.seq > record.generation.seq;
    const { generation, size, crc64 } = identity ?? {};
    if (isLater && generation !== undefined && size !== undefined && crc64 !== undefined) {
      const later: CopyRecord = { fid, generation, size, crc64, at: link.name };
      await context.fs.files.setXattr(fid, RECORD_XATTR, formatFileRecord(later));
      context.log.info('record given back to a later archive', { fid, blob: link.name, seq: generation.seq });
    }
  } catch (error) {
    if (!hasErrno(error, ERRNO.ENOENT))
      context.log.warn('record could not be compared with the copy', { fid, blob: link.name, err: error });
  }
  await afterArchive(archived, target, context);
}

/** The generation that a new one must be above; those of other file systems don't count. */
function generationIn(there: BlobState | undefined, fsUuid: string): Generation | undefined {
  return there?.identity?.fs === fsUuid ? there.identity.generation : undefined;
}
