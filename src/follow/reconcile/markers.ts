import { isBlobError } from '../../blob/errors.ts';
import { putDirectoryMarker, putLinkMarker, putSymlink } from '../../blob/markers.ts';
import { type BlobMetadata, metadataOf, type ObjectAttributes } from '../../blob/metadata.ts';
import { isReadable } from '../../blob/rehydrate.ts';
import { XATTR_KEY } from '../../blob/xattrs.ts';
import type { KnownBlob } from '../../catalog/types.ts';
import type { Place, ReconcileContext } from './context.ts';
import { claimName } from './destination.ts';
import { ReconcileError } from './errors.ts';
import { isImportedMarker, mustNotBeImporting, saysSo, stampMarker } from './imported.ts';
import type { View } from './look.ts';
import { deleteOld } from './old-blobs.ts';

/** A marker that an object is to have. */
export type WantedMarker =
  | { readonly kind: 'dir' | 'symlink'; readonly name: string }
  | { readonly kind: 'link'; readonly name: string; readonly linkTo: string };

/** Makes the markers of an object these, and no others: those that are there are refreshed, others that are known go. */
export async function placeMarkers(
  context: ReconcileContext,
  place: Place,
  view: View,
  wanted: readonly WantedMarker[],
  known: readonly KnownBlob[],
): Promise<void> {
  for (const marker of wanted) await placeMarker(context, place, view, marker, known);
  const names = new Set(wanted.map(({ name }) => name));
  const kinds = ['dir', 'symlink', 'link'] as const;
  for (const { archive, name, kind } of known) {
    if (archive !== place.archive || kind === 'file' || names.has(name)) continue;
    await adopt(context, place, view, name, kind, known);
    await deleteOld(context, place, name, { fid: view.fid, kinds }, 'it is not there any more');
  }
}

/** A marker of this object that others wrote becomes ours, before it goes: only ours do. */
async function adopt(
  context: ReconcileContext,
  place: Place,
  view: View,
  name: string,
  kind: KnownBlob['kind'],
  known: readonly KnownBlob[],
): Promise<void> {
  if (!known.some((one) => one.name === name && one.etag !== undefined)) return;
  const there = await place.store.head(name, { signal: context.signal });
  if (there === undefined || there.identity?.fs === context.fsUuid || !isImportedMarker(there, place, known)) return;
  const identity = { fs: context.fsUuid, fid: view.fid, kind };
  await stampMarker(context, place, there, identity, metadataOf({ identity, attributes: view.stat }));
}

async function placeMarker(
  context: ReconcileContext,
  place: Place,
  view: View,
  marker: WantedMarker,
  known: readonly KnownBlob[],
): Promise<void> {
  const { store, archive } = place;
  const { signal, fsUuid } = context;
  const { fid } = view;
  const { name, kind } = marker;
  const metadata = metadataOf({
    ...{ identity: { fs: fsUuid, fid, kind }, attributes: view.stat },
    ...(kind === 'symlink' && view.stat.target !== undefined ? { target: view.stat.target } : {}),
    ...(kind === 'link' ? { linkTo: marker.linkTo } : {}),
  });
  try {
    const there = await store.head(name, { signal });
    const { identity } = there ?? {};
    if (there !== undefined && identity?.fs !== fsUuid) {
      if (isImportedMarker(there, place, known)) {
        if (saysSo(there, view, store.prefix)) return;
        await stampMarker(context, place, there, { fs: fsUuid, fid, kind }, metadata);
        await remember(context, view, { archive, name, kind });
        return;
      }
      await mustNotBeImporting(context, name);
    }
    await remember(context, view, { archive, name, kind });
    const length = kind === 'symlink' ? (view.stat.target?.length ?? 0) : 0;
    const isIts = identity?.fs === fsUuid && identity.fid === fid && identity.kind === kind;
    // One of another length was written by somebody else, or by half.
    if (there !== undefined && isIts && there.length === BigInt(length)) {
      const patch = changes(there.metadata, metadata, view.stat);
      if (patch === undefined) return;
      if (isReadable(there)) {
        await store.setMetadata(name, patch, { ifMatch: there.etag, signal });
        return;
      }
    }
    // In the Archive tier nothing can be changed or written over; all that it says is known.
    if (there !== undefined && isIts && !isReadable(there)) {
      const own = { fid, kinds: [kind] };
      await deleteOld(context, place, name, own, 'it is in the Archive tier, and written anew', { isKnown: false });
    }
    const condition = await claimName(context, place, name, { fid });
    if ('name' in condition) return;
    signal.throwIfAborted();
    const options = { condition, signal };
    const object = { fs: fsUuid, fid, attributes: view.stat };
    if (kind === 'dir') await putDirectoryMarker(store, name, object, options);
    else if (kind === 'link') await putLinkMarker(store, name, { ...object, linkTo: marker.linkTo }, options);
    else await putSymlink(store, name, { ...object, target: view.stat.target ?? Buffer.alloc(0) }, options);
    await context.step('marker.written');
  } catch (error) {
    if (!isBlobError(error, 'CONDITION')) throw error;
    throw new ReconcileError('busy', 'soon', `${JSON.stringify(name)} changed while its marker was written`);
  }
}

/** Before something is written, the catalog knows the name: what a killed process wrote is found again. */
export async function remember(context: ReconcileContext, { fid }: Pick<View, 'fid'>, blob: KnownBlob): Promise<void> {
  await context.catalog.apply({ blobs: [{ fid, blob }] });
  await context.step(blob.kind === 'file' ? 'copy.remembered' : 'marker.remembered');
}

/**
 * What is to be set and removed for a blob's metadata to say what it should, keys of others apart; undefined: nothing.
 * Keys of ours that are not wanted any more go.
 */
export function changes(
  there: Readonly<BlobMetadata>,
  wanted: Readonly<BlobMetadata>,
  { userXattrs }: Pick<ObjectAttributes, 'userXattrs'>,
): Record<string, string | undefined> | undefined {
  const now = new Map(Object.entries(there).map(([key, value]) => [key.toLowerCase(), value]));
  const patch: Record<string, string | undefined> = {};
  for (const [key, value] of Object.entries(wanted)) if (now.get(key.toLowerCase()) !== value) patch[key] = value;
  for (const key of now.keys()) {
    // What is not kept is not looked at: what was said of it once stays.
    if (key === XATTR_KEY && userXattrs === undefined) continue;
    if (OWN_KEYS.test(key) && wanted[key] === undefined) patch[key] = undefined;
  }
  return Object.keys(patch).length === 0 ? undefined : patch;
}

/** Keys that metadataOf writes; others' are not ours to remove. */
const OWN_KEYS = /^(?:owner|group|permissions|modtime|symlink|is_symlink|ftype|hdi_isfolder|lfsazsync_.*)$/;
