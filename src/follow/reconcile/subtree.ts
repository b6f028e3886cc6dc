import type { JournalEntry } from '../../catalog/types.ts';
import type { Fid } from '../../identity/fid.ts';
import { REASON } from '../reasons.ts';
import type { ReconcileContext } from './context.ts';

/**
 * A directory moved: everything below it is put into the journal, as the catalog has it, page by page. Each page is in
 * the journal together with how far it got, so that a killed process goes on from there.
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
    await catalog.apply({
      journal: page.map(({ fid }) => ({ fid, reasons: REASON.NAMES, since: row.since })),
      ...(last === undefined
        ? {}
        : { outcomes: [{ fid: directory, stamp: row.stamp, outcome: 'progress' as const, progress: last.path }] }),
    });
  }
}
