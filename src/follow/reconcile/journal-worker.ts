import type { JournalEntry, JournalOutcome } from '../../catalog/types.ts';
import { type Fid, ROOT_FID } from '../../identity/fid.ts';
import { forEachBounded } from '../../service/bounded.ts';
import { ErrnoError, OperatorError } from '../../service/errors.ts';
import type { ReconcileContext } from './context.ts';
import { passesIn, ReconcileError } from './errors.ts';
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
/** An outage that keeps everything waiting is told of so often, not for each file. */
const TOLD_EVERY_MS = 60_000;
/** Nothing is told to wait for longer, but for what is to settle: then the clock was ahead, and has been set back since. */
const MOST_AHEAD_MS = 3 * LONGEST_WAIT_MS;

/**
 * Works off what is due in the journal now, longest due first; what fails waits, and blocks nothing else. Rejects with
 * the signal's reason, and when the file system is another one; nothing that was at work then is taken for done.
 */
export async function workOff(context: ReconcileContext, options: WorkerOptions): Promise<Worked> {
  const reconciler = new Reconciler(context);
  const outage = outageTeller(context);
  const worked = { done: 0, failed: 0, later: 0 };
  const work = async (row: JournalEntry) => {
    const outcome = await outcomeOf(reconciler, row, context, { ...options, outage });
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

export interface SteadyWorkerOptions extends WorkerOptions {
  /** Ends the taking of rows; what is at work is finished. */
  readonly stop: AbortSignal;
  /** Whether nothing new is to be begun just now. */
  readonly isPaused?: () => boolean;
  /** How long rows may be told to wait to settle, milliseconds. */
  readonly settle?: () => number;
  /** Which rows are worked on before their time. */
  readonly isDue?: (row: JournalEntry) => boolean;
  /**
   * Nothing more may be worked on now. Resolves when there may be something again: rung by whoever puts rows and after
   * each piece of work, or at that time (milliseconds since 1970; undefined: no row waits for a time).
   */
  readonly idle: (until: number | undefined) => Promise<void>;
  readonly onBegin?: () => void;
  /** @param outcome undefined: what came of it could not be noted */
  readonly onEnd?: (outcome: JournalOutcome | undefined) => void;
}

/**
 * Works off the journal as `workOff` does, on and on: a piece of work that takes hours keeps nothing else from its turn.
 * Resolves when it was stopped and what was at work is done.
 */
export async function workOn(context: ReconcileContext, options: SteadyWorkerOptions): Promise<void> {
  const reconciler = new Reconciler(context);
  const outage = outageTeller(context);
  const atWork = new Set<Fid>();
  const work = async (row: JournalEntry) => {
    let noted: JournalOutcome | undefined;
    options.onBegin?.();
    try {
      const outcome = await outcomeOf(reconciler, row, context, { ...options, outage });
      await context.catalog.apply({ outcomes: [outcome] });
      noted = outcome;
    } finally {
      atWork.delete(row.fid);
      options.onEnd?.(noted);
    }
  };
  const source = rows(context, options, atWork);
  await forEachBounded(source, work, { concurrency: options.concurrency, signal: context.signal });
}

async function* rows(
  { catalog, signal }: ReconcileContext,
  { stop, idle, isDue, isPaused, settle }: SteadyWorkerOptions,
  atWork: Set<Fid>,
): AsyncGenerator<JournalEntry> {
  const ended = () => stop.aborted || signal.aborted;
  while (!ended()) {
    let any = false;
    let next: number | undefined;
    const ahead = { notBefore: Date.now() + MOST_AHEAD_MS + (settle?.() ?? 0), fid: ROOT_FID };
    for (const row of await catalog.journalDue(Number.MAX_SAFE_INTEGER, PAGE, ahead)) {
      if (ended()) return;
      if (isPaused?.() === true || atWork.has(row.fid)) continue;
      any = true;
      atWork.add(row.fid);
      yield row;
    }
    for (let after: JournalEntry | undefined; ; ) {
      const page: JournalEntry[] = await catalog.journalDue(Number.MAX_SAFE_INTEGER, PAGE, after);
      const now = Date.now();
      for (const row of page) {
        if (ended()) return;
        if (isPaused?.() === true) break;
        if (atWork.has(row.fid)) continue;
        if (!(row.notBefore <= now || isDue?.(row) === true)) {
          next ??= row.notBefore;
          continue;
        }
        any = true;
        atWork.add(row.fid);
        yield row;
      }
      after = page[page.length - 1];
      // In the order of their times: what comes after the first that must wait must wait, too, unless somebody is impatient.
      if (after === undefined || page.length < PAGE || (next !== undefined && isDue === undefined)) break;
      if (isPaused?.() === true) break;
    }
    if (!any) await idle(next);
  }
}

async function outcomeOf(
  reconciler: Reconciler,
  row: JournalEntry,
  { log, signal }: ReconcileContext,
  { maxTries = 10, firstWait = 1_000, outage }: WorkerOptions & { readonly outage: (fid: Fid, error: unknown) => void },
): Promise<JournalOutcome> {
  const { fid, stamp } = row;
  try {
    await reconciler.reconcile(row);
    return { fid, stamp, outcome: 'done' };
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof OperatorError) throw error;
    const wait = passesIn(error);
    if (wait !== undefined) {
      outage(fid, error);
      // Not all at the same time: two may have been in each other's way.
      const notBefore = Date.now() + Math.round(wait * (1 + Math.random()));
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

/** Tells of what keeps Lustre, or the audit log, from being written or asked; the storage service's outages are told elsewhere. */
function outageTeller({ log }: Pick<ReconcileContext, 'log'>): (fid: Fid, error: unknown) => void {
  let told = Number.NEGATIVE_INFINITY;
  return (fid, error) => {
    if (!(error instanceof ErrnoError) || performance.now() - told < TOLD_EVERY_MS) return;
    told = performance.now();
    log.warn('files wait for what is out of order to pass', { fid, err: error });
  };
}
