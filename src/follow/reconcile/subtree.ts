import type { Catalog, Descendant } from '../../catalog/catalog.ts';
import type { JournalEntry, KnownEntry } from '../../catalog/types.ts';
import type { Fid } from '../../identity/fid.ts';
import { REASON } from '../reasons.ts';
import type { ReconcileContext } from './context.ts';

/**
 * A directory moved: everything below it that may have something in the container is put into the journal, as the catalog
 * has it, page by page. Each page is in the journal together with how far it got, so that a killed process goes on from there.
 */
export async function journalSubtree(
  context: ReconcileContext,
  directory: Fid,
  row: Pick<JournalEntry, 'stamp' | 'since' | 'progress'>,
): Promise<void> {
  const { catalog, signal } = context;
  for await (const page of catalog.subtree(directory, row.progress)) {
    signal.throwIfAborted();
    const last = page[page.length - 1];
    const moving = await withBlobs(catalog, page);
    await catalog.apply({
      journal: moving.map(({ fid }) => ({ fid, reasons: REASON.NAMES, since: row.since })),
      ...(last === undefined
        ? {}
        : { outcomes: [{ fid: directory, stamp: row.stamp, outcome: 'progress' as const, progress: last.path }] }),
    });
  }
}

/** Without files that were never archived, and things that never are: their names are in no container. */
async function withBlobs(catalog: Pick<Catalog, 'known'>, page: readonly Descendant[]): Promise<Descendant[]> {
  const bare = page.filter(({ entry }) => entry !== undefined && isBare(entry)).map(({ fid }) => fid);
  if (bare.length === 0) return [...page];
  const known = await catalog.known(bare);
  const left = new Set(bare.filter((fid) => (known.get(fid)?.blobs.length ?? 0) === 0));
  return page.filter(({ fid }) => !left.has(fid));
}

const isBare = ({ type, hsm }: KnownEntry) => (type === 'file' ? hsm === 0 : type !== 'dir' && type !== 'symlink');
