import type { BlobMetadata } from '../../blob/metadata.ts';
import { metadataOf } from '../../blob/metadata.ts';
import { READ_DEFAULTS, readBlob } from '../../blob/reading.ts';
import type { BlobState } from '../../blob/state.ts';
import { encodeXattrs, readXattrs } from '../../blob/xattrs.ts';
import { IMPORT_CHECKPOINT, type KnownBlob } from '../../catalog/types.ts';
import type { BlobIdentity } from '../../identity/blob-identity.ts';
import { ownRecord } from '../../identity/copy-of.ts';
import { type BindingRecord, formatBinding, isBinding } from '../../identity/file-record.ts';
import { nextGeneration } from '../../identity/generation.ts';
import type { Place, ReconcileContext } from './context.ts';
import { ReconcileError } from './errors.ts';
import type { View } from './look.ts';

/** While an import is at work, what it has made may be looked at before it has said so. */
const IMPORTING_MS = 15_000;

/** The record of a file that was imported and not archived since. */
export function bindingOf(view: View): BindingRecord | undefined {
  const record = ownRecord(view);
  return record !== undefined && isBinding(record) ? record : undefined;
}

/**
 * Where an imported file's copy belongs: where it is, until the file has another name than it was imported under.
 * @param name the name that its path has
 */
export function homeOf(view: View, name: string, blob: BlobState): string {
  const record = bindingOf(view);
  return record !== undefined && name === (record.named ?? record.at) ? blob.name : name;
}

/** Whether the file is as the import made it: then there is nothing to say to the container. */
export function isAsImported(view: View, name: string, blob: BlobState): boolean {
  const record = bindingOf(view);
  const given = record?.given;
  if (record === undefined || given === undefined || name !== (record.named ?? record.at)) return false;
  const { uid, gid, mode, mtime } = view.stat;
  const same = uid === given.uid && gid === given.gid && mode === given.mode && seconds(mtime) === given.mtime;
  return same && saysXattrs(blob, view);
}

/**
 * Makes a blob that somebody else wrote, and that a file was imported from, the file's own copy: under the ETag of what was
 * recognised, with `lfsazsync_from` saying what it was. A restore accepts it before and after.
 */
export async function stampCopy(
  context: ReconcileContext,
  place: Place,
  view: View,
  blob: BlobState,
): Promise<BlobState> {
  const record = bindingOf(view) as BindingRecord;
  const { crc64, generation } = blob.identity ?? {};
  const identity: BlobIdentity = {
    ...{ fs: context.fsUuid, fid: view.fid, kind: 'file', generation: nextGeneration(generation), size: blob.length },
    ...(crc64 === undefined ? {} : { crc64 }),
    from: formatBinding(record.bind),
  };
  return stamp(context, place, blob, identity, metadataOf({ identity, attributes: view.stat }));
}

/** Whether a marker that somebody else wrote is the one that this object was imported from. */
export function isImportedMarker(there: BlobState, place: Place, known: readonly KnownBlob[]): boolean {
  const one = known.find(({ archive, name }) => archive === place.archive && name === there.name);
  return one?.etag !== undefined && one.kind !== 'file' && one.etag === there.etag;
}

/** Whether it says of the object what is so. */
export function saysSo(there: BlobState, { stat }: Pick<View, 'stat'>, prefix: string): boolean {
  const read = readBlob(there, { prefix, defaults: READ_DEFAULTS });
  if (read.kind === 'refused' || read.kind === 'reserved') return false;
  const { uid, gid, mode, mtime } = read.attributes;
  const sameMode = stat.type === 'symlink' || mode === stat.mode;
  const same = uid === stat.uid && gid === stat.gid && sameMode && seconds(mtime) === seconds(stat.mtime);
  return same && saysXattrs(there, { stat });
}

/** Whether it has the users' extended attributes of the object, where these are kept. */
function saysXattrs({ metadata }: BlobState, { stat: { type, userXattrs } }: Pick<View, 'stat'>): boolean {
  if (userXattrs === undefined || type === 'symlink') return true;
  return readXattrs(metadata) === encodeXattrs(userXattrs).text;
}

/** The same for a marker: it becomes one of ours. */
export async function stampMarker(
  context: ReconcileContext,
  place: Place,
  blob: BlobState,
  identity: BlobIdentity,
  metadata: BlobMetadata,
): Promise<BlobState> {
  return stamp(context, place, blob, { ...identity, from: `etag:${blob.etag}` }, metadata);
}

async function stamp(
  context: ReconcileContext,
  { store, archive }: Place,
  blob: BlobState,
  identity: BlobIdentity,
  metadata: BlobMetadata,
): Promise<BlobState> {
  const { signal, log } = context;
  signal.throwIfAborted();
  const stamped = await store.setMetadata(blob.name, metadata, { ifMatch: blob.etag, signal });
  log.info('imported blob is ours now', { fid: identity.fid, archive, blob: blob.name, from: identity.from });
  await context.step('imported.stamped');
  return { ...blob, etag: stamped.etag, metadata: stamped.metadata, identity };
}

/** @throws ReconcileError while an import is at work: what is in the way may be what it imports */
export async function mustNotBeImporting({ catalog }: ReconcileContext, name: string): Promise<void> {
  if ((await catalog.checkpoint(IMPORT_CHECKPOINT)) === undefined) return;
  throw new ReconcileError('busy', 'soon', `${JSON.stringify(name)} may be about to be imported`, IMPORTING_MS);
}

const seconds = (time: bigint): number =>
  Number((time - (((time % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n)) / 1_000_000_000n);
