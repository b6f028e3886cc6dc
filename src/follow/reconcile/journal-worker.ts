import { isBlobError, isOutage } from '../../blob/errors.ts';
import type { JournalEntry, JournalOutcome } from '../../catalog/types.ts';
import { forEachBounded } from '../../service/bounded.ts';
import { OperatorError } from '../../service/errors.ts';
import type { ReconcileContext } from './context.ts';
import { ReconcileError } from './errors.ts';
import { Reconciler } from './reconciler.ts';

export interface WorkerOptions {
  /** Files at work at the same time. */
  readonly concurrency: number;
  /** After so many failures a file is left alone until somebody asks for it; default 10. */
  readonly maxTries?: number;
  /** First wait after a failure, milliseconds; doubled each time, up to an hour. Default one second. */
  readonly firstWait?: number;
}

export interface Worked {
  readonly done: number;
  readonly failed: number;
  /** Put off: something passing was in the way. */
  readonly later: number;
}

const PAGE = 500;
const LONGEST_WAIT_MS = 3_600_000;
const SOON_MS = 100;

/**
 * Works off what is due in the journal now, longest due first; what fails waits, and blocks nothing else. Rejects with
 * the signal's reason, and when the file system is another one; nothing that was at work then is taken for done.
 */
export async function workOff(context: ReconcileContext, options: WorkerOptions): Promise<Worked> {
  const reconciler = new Reconciler(context);
  const worked = { done: 0, failed: 0, later: 0 };
  const work = async (row: JournalEntry) => {
    const outcome = await outcomeOf(reconciler, row, context, options);
    if (outcome.outcome === 'progress') return;
    worked[outcome.outcome] += 1;
    await context.catalog.apply({ outcomes: [outcome] });
  };
  await forEachBounded(due(context), work, { concurrency: options.concurrency, signal: context.signal });
  return worked;
}

/** Every row that is due when this begins, once. */
async function* due({ catalog }: ReconcileContext): AsyncGenerator<JournalEntry> {
  const now = Date.now();
  for (let after: JournalEntry | undefined; ; ) {
    const page = await catalog.journalDue(now, PAGE, after);
    yield* page;
    after = page[page.length - 1];
    if (after === undefined || page.length < PAGE) return;
  }
}

async function outcomeOf(
  reconciler: Reconciler,
  row: JournalEntry,
  { log, signal }: ReconcileContext,
  { maxTries = 10, firstWait = 1_000 }: WorkerOptions,
): Promise<JournalOutcome> {
  const { fid, stamp } = row;
  try {
    await reconciler.reconcile(row);
    return { fid, stamp, outcome: 'done' };
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof OperatorError) throw error;
    if (isPassing(error)) {
      // Not all at the same time: two may have been in each other's way.
      const notBefore = Date.now() + Math.round(SOON_MS * (1 + Math.random()));
      return { fid, stamp, outcome: 'later', notBefore };
    }
    const message = error instanceof Error ? error.message : String(error);
    const isFinal = error instanceof ReconcileError && error.again === 'never';
    const quarantine = isFinal || row.tries + 1 >= maxTries;
    const notBefore = Date.now() + Math.min(LONGEST_WAIT_MS, firstWait * 2 ** Math.min(row.tries, 30));
    const fields = { fid, tries: row.tries + 1, err: error };
    if (quarantine) log.error('file given up for now', fields);
    else log.warn('file could not be put right in the container', fields);
    return { fid, stamp, outcome: 'failed', error: message, notBefore, quarantine };
  }
}

/** Nothing is wrong with this file. */
function isPassing(error: unknown): boolean {
  if (error instanceof ReconcileError) return error.again === 'soon';
  return isBlobError(error) && (isOutage(error) || error.code === 'PENDING_COPY');
}
