import { copyBlob } from '../../blob/copy.ts';
import { isBlobError } from '../../blob/errors.ts';
import { mergeMetadata, metadataOf, metadataPatch } from '../../blob/metadata.ts';
import { stagingName } from '../../blob/naming.ts';
import { isReadable } from '../../blob/rehydrate.ts';
import type { BlobState } from '../../blob/state.ts';
import type { WriteCondition } from '../../blob/store.ts';
import type { KnownBlob } from '../../catalog/types.ts';
import { candidateNames, recogniseCopy, searchCopy } from '../../copies/search-copy.ts';
import type { BlobIdentity } from '../../identity/blob-identity.ts';
import { ownRecord } from '../../identity/copy-of.ts';
import { LOCATION_XATTR } from '../../identity/file-record.ts';
import { formatGeneration } from '../../identity/generation.ts';
import { type MoveRow, moveByRestore } from './by-restore.ts';
import type { Place, ReconcileContext } from './context.ts';
import { claimName } from './destination.ts';
import { type Again, ReconcileError } from './errors.ts';
import { homeOf, isAsImported, stampCopy } from './imported.ts';
import { lookAt, type View } from './look.ts';
import { changes, remember } from './markers.ts';
import { deleteOld } from './old-blobs.ts';

/**
 * Makes the copy of a file stand at `name`, with the file's owner, group, mode and time, and nowhere else: found where
 * it is, copied within the service, proven, said to the file (`trusted.lfsazsync_at`), and only then deleted where it
 * was. An imported file's copy that others wrote stays where it is.
 */
export async function placeCopy(
  context: ReconcileContext,
  place: Place,
  view: View,
  name: string,
  known: readonly KnownBlob[],
  row?: MoveRow,
): Promise<void> {
  const { store } = place;
  const hints = known.filter((blob) => blob.archive === place.archive).map((blob) => blob.name);
  const { copy, misses } = await searchCopy(
    view,
    { store, prefix: store.prefix },
    context.fsUuid,
    context.signal,
    hints,
  );
  if (copy === undefined) {
    const looked = misses.map((miss) => `${JSON.stringify(miss.name)}: ${miss.found}`).join('; ');
    throw new ReconcileError('copy-missing', 'later', `the copy of ${view.fid} is not found: ${looked}`);
  }
  const imported = copy.by === 'binding';
  if (imported && isAsImported(view, name, copy.blob)) return;
  const blob = imported ? await retryable(() => stampCopy(context, place, view, copy.blob)) : copy.blob;
  const { identity } = blob;
  if (identity === undefined) return;
  const home = homeOf(view, name, blob);
  const metadata = mergeMetadata(blob.metadata, metadataPatch({ identity, attributes: view.stat }));
  if (blob.name === home) await refresh(context, place, view, blob, identity);
  else if (context.byRestore !== undefined) {
    // Or the next archive would be put beside it again.
    if (blob.name === stagingName(store.prefix, view.fid)) await makeRoom(context, place, view, blob, home);
    return moveByRestore(context, context.byRestore, view, row);
  } else await moveCopy(context, place, view, blob, home, metadata);
  await tell(context, view, home);
  await removeOthers(context, place, view, home, hints);
}

/** Takes a copy out of the way of another file's: to its place in our own namespace, where it is found, too. */
export async function stageCopy(context: ReconcileContext, place: Place, view: View, blob: BlobState): Promise<void> {
  const name = stagingName(place.store.prefix, view.fid);
  await moveCopy(context, place, view, blob, name, blob.metadata);
  await tell(context, view, name);
  const kinds = ['file'] as const;
  await deleteOld(context, place, blob.name, { fid: view.fid, kinds }, `moved to ${name}`, {
    mayGo: (old) => mustReplace(context, place, view, name, old),
  });
}

async function refresh(
  context: ReconcileContext,
  place: Place,
  view: View,
  blob: BlobState,
  identity: BlobIdentity,
): Promise<void> {
  const patch = changes(blob.metadata, metadataOf({ identity, attributes: view.stat }), view.stat);
  if (patch !== undefined) {
    await retryable(() => place.store.setMetadata(blob.name, patch, { ifMatch: blob.etag, signal: context.signal }));
  }
  await remember(context, view, knownCopy(place, blob.name, identity));
}

async function moveCopy(
  context: ReconcileContext,
  place: Place,
  view: View,
  source: BlobState,
  name: string,
  metadata: BlobState['metadata'],
): Promise<void> {
  const identity = source.identity as BlobIdentity;
  const condition = await claimName(context, place, name, { fid: view.fid, generation: identity.generation });
  await context.step('copy.decided');
  if (!('name' in condition)) {
    await remember(context, view, knownCopy(place, name, identity));
    context.signal.throwIfAborted();
    const copy = (under: WriteCondition) =>
      retryable(
        () => copyBlob(place.store, source, name, { condition: under, metadata, signal: context.signal }),
        // What is in the way there may be a dead file's, which goes by itself.
        isReadable(source) ? 'later' : 'never',
      );
    try {
      await copy(condition);
    } catch (error) {
      const isRefused = error instanceof ReconcileError && error.code === 'archive-tier';
      if (!isRefused || !isReadable(source) || !(await makeRoom(context, place, view, source, name))) throw error;
      await copy({ ifNoneMatch: '*' });
    }
    await context.step('copy.copied');
  }
  context.log.info('copy moved', { fid: view.fid, archive: place.archive, from: source.name, blob: name });
}

/**
 * Nothing can be written over a blob in the Archive tier. Where it is an older version of the file whose copy `source` is,
 * it is deleted: what it was kept for is done, as the later one is proven.
 * @returns whether there is room now that there was not
 */
async function makeRoom(
  context: ReconcileContext,
  place: Place,
  view: View,
  source: BlobState,
  name: string,
): Promise<boolean> {
  const there = await place.store.head(name, { signal: context.signal });
  const { fs, fid } = there?.identity ?? {};
  if (there === undefined || isReadable(there) || fs !== context.fsUuid || fid !== view.fid) return false;
  const expected = { fid: view.fid, kinds: ['file'] as const };
  const reason = `a later version is at ${JSON.stringify(source.name)}, and nothing can be written over one in the Archive tier`;
  return await deleteOld(context, place, name, expected, reason, {
    mayGo: (old) => mustReplace(context, place, view, source.name, old),
    isKnown: false,
  });
}

/** Says on the file where its copy is: so it is found when the file is renamed once more before anybody comes by here. */
async function tell(context: ReconcileContext, view: View, name: string): Promise<void> {
  if (view.location === name || ownRecord(view)?.at === name) return;
  await context.fs.files.setXattr(view.fid, LOCATION_XATTR, Buffer.from(name));
  await context.step('copy.hinted');
}

/** Deletes what the copy at `name` replaces: where it was, and older versions that were left somewhere. */
async function removeOthers(
  context: ReconcileContext,
  place: Place,
  view: View,
  name: string,
  hints: readonly string[],
): Promise<void> {
  const known = new Set(hints);
  for (const candidate of candidateNames(view, place.store.prefix, hints)) {
    if (candidate.name === name) continue;
    // At other links there are markers, unless something was left half done: looked at only where something may be.
    if (candidate.current && !known.has(candidate.name) && view.location !== candidate.name) {
      const there = await place.store.head(candidate.name, { signal: context.signal });
      if (there?.identity?.kind !== 'file') continue;
    }
    const expected = { fid: view.fid, kinds: ['file'] as const };
    await deleteOld(context, place, candidate.name, expected, `its copy is at ${JSON.stringify(name)}`, {
      mayGo: (old) => mustReplace(context, place, view, name, old),
      isKnown: known.has(candidate.name),
    });
  }
}

/**
 * Sees to it that the blob at `name` stands for the file in the place of `old`: looked at anew, by the file's record of
 * now, as a restore would. Later versions are never given up for earlier ones.
 * @throws ReconcileError when it does not: the old one stays, and the file is looked at again
 */
async function mustReplace(
  context: ReconcileContext,
  { store }: Place,
  { fid }: View,
  name: string,
  old: BlobState,
): Promise<true> {
  const [view, copy] = await Promise.all([lookAt(context, fid), store.head(name, { signal: context.signal })]);
  const stays = (why: string) =>
    new ReconcileError('busy', 'later', `${JSON.stringify(old.name)} stays: at ${JSON.stringify(name)} ${why}`);
  if (view === 'dead') throw new ReconcileError('busy', 'soon', `${fid} died meanwhile`);
  if (copy === undefined) throw stays('there is nothing any more');
  const current = candidateNames(view, store.prefix).some((one) => one.current && one.name === name);
  const verdict = recogniseCopy(view, copy, context.fsUuid, current);
  if (!verdict.copy) throw stays(`there is no copy of the file: ${verdict.reason}`);
  const [now, before] = [copy.identity?.generation, old.identity?.generation];
  if (now === undefined) throw stays('there is a copy without a generation');
  if (before !== undefined && before.uuid !== now.uuid && before.seq >= now.seq)
    throw stays('there is no later version');
  return true;
}

function knownCopy({ archive }: Place, name: string, { generation, size, crc64 }: BlobIdentity): KnownBlob {
  const written = generation === undefined ? undefined : formatGeneration(generation);
  return { archive, name, kind: 'file', generation: written, size, crc64 };
}

/**
 * What lost a race is to be looked at again, at once; a copy in the Archive tier when it was brought back, as sweeps see.
 * @param archived when it is not the copy itself that is there
 */
async function retryable<T>(work: () => Promise<T>, archived: Again = 'never'): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (isBlobError(error, 'CONDITION', 'SOURCE_CONDITION', 'NOT_FOUND', 'PENDING_COPY'))
      throw new ReconcileError('busy', 'soon', `it changed meanwhile: ${error.message}`);
    if (isBlobError(error, 'ARCHIVED')) throw new ReconcileError('archive-tier', archived, error.message);
    throw error;
  }
}
