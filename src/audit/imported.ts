import { pathOf } from '../blob/naming.ts';
import { READ_DEFAULTS, readBlob } from '../blob/reading.ts';
import type { BlobState } from '../blob/state.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { KnownBinding, KnownBlob } from '../catalog/types.ts';
import { isBound } from '../copies/bound.ts';
import type { BlobKind } from '../identity/blob-identity.ts';
import type { Fid } from '../identity/fid.ts';

interface Row {
  readonly fid: Fid;
  readonly blob: KnownBlob;
}

/** What others' blobs are to files of ours. */
export interface Imported {
  /** They are the copies and markers that these were imported from, as they were. */
  readonly rows: readonly Row[];
  /** Files whose blob is another one now. */
  readonly changed: readonly KnownBinding[];
}

/** Looks among others' blobs for those that something was imported from. */
export async function importedAmong(
  catalog: Catalog,
  { archive, prefix }: { readonly archive: number; readonly prefix: string },
  blobs: readonly BlobState[],
  verifiedAt: number,
): Promise<Imported> {
  const rows: Row[] = [];
  const changed: KnownBinding[] = [];
  const bindings = await catalog.boundAt(
    archive,
    blobs.map(({ name }) => name),
  );
  for (const blob of blobs) {
    const { name, length: size, etag } = blob;
    for (const binding of bindings.get(name) ?? []) {
      if (!isBound(binding, blob)) changed.push(binding);
      else rows.push({ fid: binding.fid, blob: { archive, name, kind: kindOf(blob, prefix), size, etag, verifiedAt } });
    }
  }
  const unbound = blobs.filter(({ name }) => !bindings.has(name));
  return { rows: [...rows, ...(await markersAmong(catalog, archive, prefix, unbound, verifiedAt))], changed };
}

/** What somebody else's blob stands for: a directory or symlink is bound to its marker, too. */
function kindOf(blob: BlobState, prefix: string): BlobKind {
  const read = readBlob(blob, { prefix, defaults: READ_DEFAULTS });
  return read.kind === 'refused' || read.kind === 'reserved' ? 'file' : read.kind;
}

/** A directory or symlink that others' marker stands for: the catalog has the ETag of the one that it was imported from. */
async function markersAmong(
  catalog: Catalog,
  archive: number,
  prefix: string,
  blobs: readonly BlobState[],
  verifiedAt: number,
): Promise<Row[]> {
  const at = new Map<Fid, BlobState>();
  for (const blob of blobs) {
    const path = pathOf(blob.name, prefix);
    const fid = path === undefined ? undefined : await catalog.lookup(path);
    if (fid !== undefined) at.set(fid, blob);
  }
  const rows: Row[] = [];
  for (const [fid, known] of await catalog.known([...at.keys()])) {
    const { name, etag } = at.get(fid) as BlobState;
    const row = known.blobs.find((one) => one.archive === archive && one.name === name && isMarkerOf(one, etag));
    if (row !== undefined) rows.push({ fid, blob: { ...row, verifiedAt } });
  }
  return rows;
}

/** Whether a blob that others wrote is still the marker that the catalog has. */
export function isMarkerOf({ kind, etag }: KnownBlob, now: string): boolean {
  return kind !== 'file' && etag !== undefined && unquoted(etag) === unquoted(now);
}

const unquoted = (etag: string) => etag.replaceAll('"', '');
