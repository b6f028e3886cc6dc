import type { BlobState } from '../blob/state.ts';
import type { BlobStore } from '../blob/store.ts';
import type { KnownBlob } from '../catalog/types.ts';
import type { BlobIdentity } from '../identity/blob-identity.ts';
import { formatGeneration } from '../identity/generation.ts';

/** What the catalog keeps of a blob of ours. */
export function knownBlobOf(blob: BlobState & { readonly identity: BlobIdentity }, archive: number): KnownBlob {
  const { name, identity, length, etag, lastModified } = blob;
  const { kind, generation, size, crc64 } = identity;
  if (kind !== 'file') return { archive, name, kind, etag };
  return {
    ...{ archive, name, kind, etag },
    generation: generation === undefined ? undefined : formatGeneration(generation),
    ...{ size: size ?? length, crc64, archivedAt: Math.floor(lastModified.getTime() / 1000) },
  };
}

/** Beginnings of names, below an archive's prefix, that are another archive's in the same container. */
export function otherArchivesInside(
  archives: ReadonlyMap<number, BlobStore>,
  archive: number,
  store: BlobStore,
): string[] {
  const own = store.prefix === '' ? '' : `${store.prefix}/`;
  return [...archives]
    .filter(([id, other]) => id !== archive && other.container === store.container && other.endpoint === store.endpoint)
    .map(([, { prefix }]) => `${prefix}/`)
    .filter((prefix) => prefix !== '/' && prefix !== own && prefix.startsWith(own));
}
