import type { Catalog } from '../../catalog/catalog.ts';
import type { JournalEntry } from '../../catalog/types.ts';
import type { ScanSummary } from '../../scan/types.ts';
import { pause } from '../../service/bell.ts';
import { OperatorError } from '../../service/errors.ts';
import { REASON } from '../reasons.ts';
import type { Course, Follower } from './follower.ts';
import { together } from './loops.ts';
import { reapOnce } from './reaping.ts';
import { rescanIfDemanded } from './rescans.ts';
import { isSweepWanted, sweepNow } from './sweeping.ts';

const POLL_MS = 30;
/** What comes again within this time is waited for; what failed waits longer, and is left. */
const SOON_MS = 2_000;
/** Files are put off again and again, and nothing is done: the containers can't be reached, or the like. */
const NO_PROGRESS_MS = 60_000;
const PAGE = 500;

/** What a run that catches up leaves behind. */
export interface Left {
  /** Failed, and tried again later. */
  readonly failed: number;
  /** Given up for now. */
  readonly quarantined: number;
  /** Waits for something else than us: a file without a name that is held open, a restore. */
  readonly waiting: number;
  /** Dead whose grace period is over and that could not be removed, or may not be. */
  readonly kept: number;
  /** The scan that was needed could not read everything. */
  readonly scan: ScanSummary['outcome'] | 'locked' | 'not-needed';
}

/**
 * Catches up: what is in the changelogs when it begins, what is marked and in the journal, the dead whose grace is over;
 * what waits only to settle is not waited for. What fails is tried once.
 */
export async function catchUp(follower: Follower, course: Course): Promise<Left> {
  const taken = new AbortController();
  const done = new AbortController();
  const stopTaking = AbortSignal.any([course.stop, taken.signal]);
  const stop = AbortSignal.any([course.stop, done.signal]);
  let scan: Left['scan'] = 'not-needed';
  let kept = 0;
  await together(course.now, [
    ...follower.intakes.map((intake) => (signal: AbortSignal) => intake.run(AbortSignal.any([stopTaking, signal]))),
    (signal) => follower.look(AbortSignal.any([stop, signal])),
    (signal) =>
      follower.inContainers({ ...course, stop }, signal, (context) => [
        () => follower.journal(context, { stop, isDue: isOnlySettling }),
      ]),
    async (signal) => {
      scan = await scanned(follower, AbortSignal.any([course.stop, signal]));
      await atEnds(follower, AbortSignal.any([course.stop, signal]));
      taken.abort();
      const stopped = AbortSignal.any([course.stop, signal]);
      await settled(follower, stopped);
      if (!stopped.aborted && (await isSweepWanted(follower.catalog))) {
        await sweepNow(follower.sweeps(stopped));
        await settled(follower, stopped);
      }
      done.abort();
    },
  ]);
  if (!course.stop.aborted && !course.now.aborted) kept = await reaped(follower, course);
  return { scan, kept, ...(await leftIn(follower.catalog)) };
}

const isOnlySettling = ({ tries, reasons }: JournalEntry) => tries === 0 && reasons === REASON.ATTRIBUTES;

async function scanned(follower: Follower, stop: AbortSignal): Promise<Left['scan']> {
  let outcome: Left['scan'] = 'not-needed';
  // Records that go missing while it scans ask for another one.
  for (let round = 0; round < 3 && !stop.aborted; round += 1) {
    await atEnds(follower, stop);
    const summary = await rescanIfDemanded(follower.rescans(stop));
    if (summary === 'not-demanded') return outcome;
    outcome = summary === 'locked' ? summary : summary.outcome;
    if (outcome !== 'complete') return outcome;
  }
  return outcome;
}

/** Everything that was in the changelogs at this moment is taken in. */
async function atEnds({ intakes }: Follower, stop: AbortSignal): Promise<void> {
  const before = intakes.map((intake) => intake.ends);
  // The one that comes next may be that of an opening from before.
  while (!stop.aborted && intakes.some((intake, index) => intake.ends < (before[index] ?? 0) + 2))
    await pause(POLL_MS, stop);
}

/** Nothing is marked, and nothing in the journal can be done any more now. */
async function settled(follower: Follower, stop: AbortSignal): Promise<void> {
  const { catalog, base } = follower;
  let last = { progress: -1, at: performance.now() };
  while (!stop.aborted) {
    const marks = await catalog.markStats();
    const isQuiet = marks.count === 0 && follower.looksIdle && follower.atWork === 0;
    if (isQuiet && !(await anyDue(catalog))) return;
    const { looked, reconciled, failed, givenUp } = base.stats;
    const progress = looked + reconciled + failed + givenUp;
    if (progress !== last.progress) last = { progress, at: performance.now() };
    else if (performance.now() - last.at > NO_PROGRESS_MS && base.stats.later > 0) throw stuck();
    await pause(POLL_MS, stop);
  }
}

async function anyDue(catalog: Catalog): Promise<boolean> {
  const now = Date.now();
  const rows = await catalog.journalDue(Number.MAX_SAFE_INTEGER, PAGE);
  return rows.some(
    (row) => row.notBefore <= now || (row.tries === 0 && row.notBefore <= now + SOON_MS) || isOnlySettling(row),
  );
}

async function reaped(follower: Follower, course: Course): Promise<number> {
  const { base, brake } = follower;
  const { settings, stats, log } = base;
  let kept = 0;
  await follower.inContainers(course, course.now, (context) => [
    async () => {
      const reaped = await reapOnce({
        ...{ context, brake, stats, stop: course.stop },
        settings: () => settings.removal,
        concurrency: () => settings.follow.concurrency,
      });
      kept = settings.removal.by === 'follow' ? reaped.kept : 0;
      log.debug('dead were looked at', { ...reaped });
    },
  ]);
  return kept;
}

async function leftIn(catalog: Catalog): Promise<Pick<Left, 'failed' | 'quarantined' | 'waiting'>> {
  let failed = 0;
  for (let after: JournalEntry | undefined; ; ) {
    const page: JournalEntry[] = await catalog.journalDue(Number.MAX_SAFE_INTEGER, PAGE, after);
    failed += page.filter(({ tries }) => tries > 0).length;
    after = page[page.length - 1];
    if (after === undefined || page.length < PAGE) break;
  }
  const { count, quarantined } = await catalog.journalStats();
  return { failed, quarantined, waiting: count - quarantined - failed };
}

function stuck(): OperatorError {
  return new OperatorError('Files are put off again and again, and nothing is done any more.', {
    code: 'NO_PROGRESS',
    exit: 'tryAgain',
    hint: 'The log says what is in the way (a container that can’t be reached, most likely). What is done is done: try again later.',
  });
}
