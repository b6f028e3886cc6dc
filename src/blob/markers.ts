import type { BlobIdentity, BlobKind } from '../identity/blob-identity.ts';
import type { Fid } from '../identity/fid.ts';
import { isBlobError } from './errors.ts';
import { metadataOf, type ObjectAttributes } from './metadata.ts';
import type { BlobState } from './state.ts';
import type { BlobStore, WriteCondition, Written } from './store.ts';

/** A directory, symlink or further hard link to be shown in the container. */
export interface Marker {
  readonly fs: string;
  readonly fid: Fid;
  readonly attributes: ObjectAttributes;
}

export interface MarkerOptions {
  readonly condition: WriteCondition;
  readonly signal?: AbortSignal | undefined;
}

/** Writes a directory's marker: an empty blob with `hdi_isfolder`. */
export function putDirectoryMarker(
  store: BlobStore,
  name: string,
  marker: Marker,
  options: MarkerOptions,
): Promise<Written> {
  const metadata = metadataOf({ identity: identityOf(marker, 'dir'), attributes: marker.attributes });
  return store.put(name, Buffer.alloc(0), { ...options, metadata });
}

/** Writes a symlink: its target is the body. */
export function putSymlink(
  store: BlobStore,
  name: string,
  marker: Marker & { readonly target: Buffer },
  options: MarkerOptions,
): Promise<Written> {
  const { attributes, target } = marker;
  const metadata = metadataOf({ identity: identityOf(marker, 'symlink'), attributes, target });
  return store.put(name, target, { ...options, metadata });
}

/** Writes the marker of a further hard link: an empty blob that names the one with the content. */
export function putLinkMarker(
  store: BlobStore,
  name: string,
  marker: Marker & { readonly linkTo: string },
  options: MarkerOptions,
): Promise<Written> {
  const { attributes, linkTo } = marker;
  const metadata = metadataOf({ identity: identityOf(marker, 'link'), attributes, linkTo });
  return store.put(name, Buffer.alloc(0), { ...options, metadata });
}

/**
 * Makes sure that a marker of this identity is there: writes it where nothing is. Resolves with what was found there
 * instead, or undefined when it was written; the caller decides what becomes of it.
 */
export async function ensureMarker(
  store: BlobStore,
  name: string,
  write: (options: MarkerOptions) => Promise<Written>,
  signal?: AbortSignal,
): Promise<BlobState | undefined> {
  for (;;) {
    try {
      await write({ condition: { ifNoneMatch: '*' }, signal });
      return undefined;
    } catch (error) {
      if (!isBlobError(error, 'CONDITION')) throw error;
      const found = await store.head(name, { signal });
      if (found !== undefined) return found;
    }
  }
}

/**
 * Deletes a marker if it is that of this object: UUID, FID and kind are checked, and the version that was checked is
 * the one that is deleted. `gone` when there was none, `other` when something else has the name or it changed meanwhile.
 */
export async function deleteMarker(
  store: BlobStore,
  name: string,
  expected: { readonly fs: string; readonly fid: Fid; readonly kind: Exclude<BlobKind, 'file'> },
  signal?: AbortSignal,
): Promise<'deleted' | 'gone' | 'other'> {
  const state = await store.head(name, { signal });
  if (state === undefined) return 'gone';
  const { identity } = state;
  if (identity?.fs !== expected.fs || identity.fid !== expected.fid || identity.kind !== expected.kind) return 'other';
  try {
    return (await store.delete(name, { ifMatch: state.etag, signal })) ? 'deleted' : 'gone';
  } catch (error) {
    if (isBlobError(error, 'CONDITION')) return 'other';
    throw error;
  }
}

function identityOf({ fs, fid }: Marker, kind: BlobKind): BlobIdentity {
  return { fs, fid, kind };
}
