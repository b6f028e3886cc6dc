import type { KnownBlob } from '../catalog/types.ts';
import { type ImportedFrom, isBound } from '../copies/bound.ts';
import type { Fid } from '../identity/fid.ts';
import { forEachBounded } from '../service/bounded.ts';
import { isMarkerOf } from './imported.ts';
import type { SweepContext } from './sweep.ts';
import { journal } from './sweep-journal.ts';

/**
 * Blobs that the catalog knows and the listing did not have: each is asked for once more, since it may have come after its
 * page was listed. What is not there is for the follower: it looks the file up anew, or forgets the blob.
 */
export async function sweepUnverified(context: SweepContext): Promise<void> {
  const { catalog, session, parallel, signal, archives } = context;
  const { tally } = session;
  for await (const page of catalog.unverified(session.since)) {
    if (signal.aborted) return;
    const missing: { fid: Fid; blob: KnownBlob }[] = [];
    const there: { fid: Fid; blob: KnownBlob }[] = [];
    const verifiedAt = Math.max(Math.floor(Date.now() / 1000), session.since);
    const look = async ({ fid, blob }: { fid: Fid; blob: KnownBlob }) => {
      const store = archives.get(blob.archive);
      if (store === undefined) return tally.count('unconfigured');
      const found = await store.head(blob.name, { signal });
      const { identity } = found ?? {};
      const isIts = identity?.fs === context.fsUuid && identity.fid === fid;
      const isImported =
        !isIts &&
        found !== undefined &&
        (isMarkerOf(blob, found.etag) || (await isBoundBlob(context, fid, blob, found)));
      if (isIts || isImported) there.push({ fid, blob: { ...blob, etag: found?.etag, verifiedAt } });
      else missing.push({ fid, blob });
    };
    try {
      await forEachBounded(page, look, { concurrency: parallel, signal });
    } catch (error) {
      if (signal.aborted) return;
      throw error;
    }
    await settle(context, missing, there);
    context.tell();
  }
}

async function settle(
  context: SweepContext,
  missing: readonly { fid: Fid; blob: KnownBlob }[],
  there: readonly { fid: Fid; blob: KnownBlob }[],
): Promise<void> {
  const { catalog, session } = context;
  const living = await catalog.present([...new Set(missing.map(({ fid }) => fid))]);
  const fids = new Set<Fid>();
  const marks = new Set<Fid>();
  for (const { fid, blob } of missing) {
    if (living.has(fid)) {
      fids.add(fid);
      context.finding({ code: 'missing', fid, archive: blob.archive, name: blob.name });
    } else if ((await catalog.tombstone(fid)) === undefined) marks.add(fid);
  }
  await journal(context, fids, marks, there, session.tally);
}

async function isBoundBlob(
  { catalog }: SweepContext,
  fid: Fid,
  blob: KnownBlob,
  found: ImportedFrom,
): Promise<boolean> {
  const bindings = (await catalog.boundAt(blob.archive, [blob.name])).get(blob.name) ?? [];
  return bindings.some((binding) => binding.fid === fid && isBound(binding, found));
}
