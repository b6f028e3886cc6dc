import type { Catalog } from '../catalog/catalog.ts';
import type { BatchResult, MarkPut, Stamp } from '../catalog/types.ts';
import type { Fid } from '../identity/fid.ts';
import { ERRNO } from '../lustre/errno.ts';
import type { ScanBatch } from '../lustre/scanner.ts';
import { type Before, batchOf, type Decision, decideScanned, type Timing } from './decide.ts';
import { type Fresh, freshOfScan } from './fresh.ts';
import { noteHolding } from './refresh.ts';

/**
 * Puts what a scan saw into the catalog, and what follows from it into the journal. Files of which it did not see enough
 * are marked, to be looked at one by one. Which directories are left to walk is kept, too (`catalog.unwalked`).
 * @param begun what `catalog.beginScan` said before the first of them was read
 */
export async function scanIn(
  catalog: Catalog,
  { entries, directories }: Pick<ScanBatch, 'entries' | 'directories'>,
  begun: Stamp,
  timing: Timing,
): Promise<BatchResult> {
  const fresh: Fresh[] = [];
  const marks: MarkPut[] = [];
  for (const entry of entries) {
    const seen = freshOfScan(entry);
    if (seen === undefined) marks.push(markOf(entry.fid, timing));
    else fresh.push(seen);
  }
  const met = entries.filter((entry) => entry.type === 'dir').map((entry) => entry.fid);
  // One that could not be read to its end is left; one that is gone is not.
  const walked = directories.filter(({ errno }) => errno === 0 || errno === ERRNO.ENOENT).map(({ fid }) => fid);
  return catalog.apply({ ...(await batchOfFresh(catalog, fresh, begun, timing)), marks, met, walked });
}

/** The part of `scanIn` that does not depend on how the scan tells it. */
export async function batchOfFresh(
  catalog: Catalog,
  fresh: readonly Fresh[],
  begun: Stamp,
  timing: Timing,
): Promise<ReturnType<typeof batchOf>> {
  const known: Map<Fid, Before> = await catalog.known(fresh.map((one) => one.entry.fid));
  await noteHolding(catalog, fresh, known);
  const decisions = new Map<Fid, Decision>();
  // A file with several names is met under each of them.
  for (const one of fresh) {
    const { fid } = one.entry;
    if (!decisions.has(fid)) decisions.set(fid, decideScanned(one, known.get(fid), begun, timing));
  }
  return batchOf(decisions, []);
}

/**
 * After a scan of everything: what nobody has seen since it began may be gone, or was missed in a race, and is looked
 * at by its FID. Not being met proves nothing. @returns how many
 */
export async function markUnseen(catalog: Catalog, begun: Stamp, timing: Timing): Promise<number> {
  let count = 0;
  for await (const fids of catalog.unseen(begun)) {
    await catalog.apply({ marks: fids.map((fid) => markOf(fid, timing)) });
    count += fids.length;
  }
  return count;
}

const markOf = (fid: Fid, timing: Timing): MarkPut => ({ fid, hints: 0, since: Math.floor(timing.now / 1000) });
