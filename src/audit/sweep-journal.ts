import type { Catalog } from '../catalog/catalog.ts';
import type { CatalogBatch } from '../catalog/types.ts';
import { REASON } from '../follow/reasons.ts';
import type { Fid } from '../identity/fid.ts';
import type { SweepTally } from './sweep-tally.ts';

/** Puts files into the journal and marks others, together with what was seen of their blobs; counts them. */
export async function journal(
  { catalog }: { readonly catalog: Catalog },
  fids: ReadonlySet<Fid>,
  marks: ReadonlySet<Fid>,
  blobs: NonNullable<CatalogBatch['blobs']>,
  tally: SweepTally,
): Promise<void> {
  const since = Math.floor(Date.now() / 1000);
  for (const fid of fids) if ((await catalog.journalEntry(fid)) !== undefined) tally.count('pending');
  tally.count('journaled', fids.size);
  tally.count('marked', marks.size);
  if (fids.size + marks.size + blobs.length === 0) return;
  await catalog.apply({
    blobs,
    journal: [...fids].map((fid) => ({ fid, reasons: REASON.SWEPT, since })),
    marks: [...marks].map((fid) => ({ fid, hints: 0, since })),
  });
}
