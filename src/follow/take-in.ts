import type { Catalog } from '../catalog/catalog.ts';
import type { Fid } from '../identity/fid.ts';
import type { RecordBatch } from './record-batch.ts';

/**
 * Puts a batch of records into the catalog: its marks and the MDT's index in one transaction. When it resolves, the MDT
 * may be told to forget the records. @returns the files marked
 */
export async function takeIn(catalog: Catalog, batch: RecordBatch): Promise<number> {
  const changes = batch.changes(await worthALook(catalog, batch.passing()));
  if (changes.cursors === undefined) return 0;
  await catalog.apply(changes);
  return changes.marks?.length ?? 0;
}

/** Of files that came and went: those that the catalog has, and all while a scan is under way, which may have seen them. */
async function worthALook(catalog: Catalog, passing: readonly Fid[]): Promise<Set<Fid>> {
  if (passing.length === 0) return new Set();
  return (await catalog.scanning()) === undefined ? catalog.present(passing) : new Set(passing);
}
