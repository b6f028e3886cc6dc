import type { BlobStore } from '../blob/store.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { sweepEntries } from './sweep-entries.ts';
import { listArchive } from './sweep-list.ts';
import { openSession, type SweepPosition, type SweepSession } from './sweep-session.ts';
import type { SweepFinding, SweepOutcome, SweepPhase, SweepProgress, SweepSummary } from './sweep-types.ts';
import { sweepUnverified } from './sweep-unverified.ts';

export interface SweepOptions {
  /** Of the file system that the containers belong to. */
  readonly catalog: Catalog;
  readonly fsUuid: string;
  /** By archive id. */
  readonly archives: ReadonlyMap<number, BlobStore>;
  /** Requests at the same time. */
  readonly parallel: number;
  /** Blobs in a page of the listing, at most 5,000. */
  readonly pageSize?: number;
  /** Begin anew, whatever was stopped before. */
  readonly restart?: boolean;
  readonly onProgress?: (progress: () => SweepProgress) => void;
  readonly onFinding?: (finding: SweepFinding) => void;
  /** Stops it between two pages; the catalog knows where. */
  readonly signal: AbortSignal;
}

/** What the phases of a sweep work with. */
export interface SweepContext extends SweepOptions {
  readonly session: SweepSession;
  readonly finding: (finding: SweepFinding) => void;
  readonly tell: () => void;
  /** Keeps where the sweep is, if that was some time ago. */
  readonly keep: (position: () => SweepPosition) => Promise<void>;
}

/** A killed sweep does so much again, at most. */
const KEEP_EVERY_MS = 5_000;

/**
 * Holds the containers' listing against the catalog, and puts every file of which something is not as it should be into the
 * journal; blobs of ours whose file the catalog does not know are remembered, and their FIDs marked to be looked at. It
 * changes nothing in the container, and deletes nothing: the follower looks at each file anew. Whatever ends it (a signal,
 * an error, a kill), the next one goes on where it was.
 *
 * The caller sees to it that there is one sweep at a time, and that the containers are this file system's; follower,
 * copytools and scans may be at work beside it. What changes meanwhile may be reported, and is then found to be right.
 */
export async function runSweep(options: SweepOptions): Promise<SweepSummary> {
  const { catalog, archives } = options;
  const of = [...archives].map(([id, store]) => `${id}=${store.endpoint} ${store.container}/${store.prefix}`).join(' ');
  const session = await openSession(catalog, of, options.restart ?? false);
  const run = await catalog.beginRun('sweep', [...archives.values()].map((store) => store.container).join(' '), {
    resumed: session.resumed,
  });
  try {
    const summary = await sweep(options, session);
    await catalog.endRun(run, summary.outcome, detailOf(summary));
    return summary;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    await catalog.endRun(run, 'failed', { error: message }).catch(() => undefined);
    throw error;
  }
}

async function sweep(options: SweepOptions, session: SweepSession): Promise<SweepSummary> {
  const clock = performance.now();
  const { tally, started, resumed } = session;
  let phase: SweepPhase = session.position.phase;
  let kept = clock;
  const elapsed = () => performance.now() - clock;
  const context: SweepContext = {
    ...options,
    session,
    finding: (finding) => {
      tally.finding(finding.code);
      options.onFinding?.(finding);
    },
    tell: () => options.onProgress?.(() => ({ ...tally.counts(), phase, elapsed: elapsed() })),
    keep: async (position) => {
      if (performance.now() - kept < KEEP_EVERY_MS) return;
      kept = performance.now();
      await session.save(position());
    },
  };
  const outcome = await (async (): Promise<SweepOutcome> => {
    if (phase === 'list' && !(await listAll(context))) return 'stopped';
    for (const [next, work] of [
      ['blobs', sweepUnverified],
      ['entries', sweepEntries],
    ] as const) {
      if (phase === 'entries' && next === 'blobs') continue;
      phase = next;
      await session.save({ phase, listed: [...options.archives.keys()] });
      await work(context);
      if (options.signal.aborted) return 'stopped';
    }
    await session.close();
    return 'complete';
  })();
  return { ...tally.counts(), outcome, resumed, started, elapsed: elapsed() };
}

/** @returns whether all was listed */
async function listAll(context: SweepContext): Promise<boolean> {
  const { archives, session, signal } = context;
  const listed = new Set(session.position.listed);
  let ranges = session.position.ranges;
  for (const [archive, store] of archives) {
    if (listed.has(archive)) continue;
    const left = await listArchive(context, { archive, store, listed: [...listed], ranges });
    if (left.length > 0 || signal.aborted) {
      await session.save({ phase: 'list', listed: [...listed], ranges: left });
      return false;
    }
    ranges = undefined;
    listed.add(archive);
    await session.save({ phase: 'list', listed: [...listed] });
  }
  return true;
}

/** As a run of the catalog keeps it: plain JSON. */
function detailOf({ outcome: _, ...summary }: SweepSummary): Readonly<Record<string, unknown>> {
  const text = JSON.stringify(summary, (_key, value: unknown) => (typeof value === 'bigint' ? Number(value) : value));
  return JSON.parse(text) as Record<string, unknown>;
}
