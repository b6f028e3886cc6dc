import type { Catalog } from '../../catalog/catalog.ts';
import type { Scanner } from '../../lustre/scanner.ts';
import { lockScan } from '../../scan/lock.ts';
import { runScan, type ScanStep } from '../../scan/scan.ts';
import { EVERYTHING } from '../../scan/target.ts';
import type { ScanProgress, ScanSummary } from '../../scan/types.ts';
import { type Bell, pause } from '../../service/bell.ts';
import { OperatorError } from '../../service/errors.ts';
import type { Log } from '../../service/log.ts';
import type { Timing } from '../decide.ts';
import type { LustreSource } from '../lustre-source.ts';
import { wantSweep } from './sweeping.ts';

const LOCKED_WAIT_MS = 10_000;
/** What could not be read is tried again after this, or ten times what the scan took. */
const PARTIAL_WAIT_MS = 600_000;
const PROBLEMS_TOLD = 20;

export interface RescanOptions {
  readonly catalog: Catalog;
  readonly source: LustreSource;
  readonly startScanner: () => Promise<Pick<Scanner, 'walk' | 'close'>>;
  readonly timing: () => Timing;
  readonly mount: string;
  /** Of the scan's lock: the state directory. */
  readonly directory: string;
  readonly version: string;
  readonly log: Log;
  /** Rung when a scan may be demanded. */
  readonly bell: Bell;
  /** Told of a scan's beginning and end, and of its course. */
  readonly onScan: (state: ScanState) => void;
  readonly step: (step: ScanStep) => Promise<void>;
  readonly stop: AbortSignal;
}

export type ScanState =
  | { readonly running: true; readonly reason: string; readonly progress: (() => ScanProgress) | undefined }
  | { readonly running: false; readonly summary: ScanSummary | undefined };

/** Scans everything whenever records are missing, until it is stopped. The follower goes on beside it. */
export async function rescanOn(o: RescanOptions): Promise<void> {
  while (!o.stop.aborted) {
    const summary = await rescanIfDemanded(o);
    if (summary === 'not-demanded') await o.bell.wait(Number.POSITIVE_INFINITY, o.stop);
    else if (summary === 'locked') await pause(LOCKED_WAIT_MS, o.stop);
    else if (summary.outcome === 'partial') await o.bell.wait(Math.max(PARTIAL_WAIT_MS, 10 * summary.elapsed), o.stop);
  }
}

/** @returns what came of the scan; nobody demands one; or another one is at work */
export async function rescanIfDemanded(o: RescanOptions): Promise<ScanSummary | 'not-demanded' | 'locked'> {
  const { catalog, log, directory, version, source, timing, step, stop } = o;
  const demands = (await catalog.cursors()).flatMap(({ rescan }) => (rescan === undefined ? [] : [rescan]));
  const [first] = demands;
  if (first === undefined) return 'not-demanded';
  await wantSweep(catalog);
  const lock = await lockScan({ directory, version, path: o.mount, log }).catch((error: unknown) => {
    if (error instanceof OperatorError && error.code === 'SCAN_RUNNING') return undefined;
    throw error;
  });
  if (lock === undefined) return 'locked';
  let problems = 0;
  try {
    // One that was stopped, and began before the records went missing, would not do.
    const pending = await catalog.scanning();
    const restart = pending !== undefined && demands.some(({ stamp }) => stamp >= pending);
    const reason = demands.map((demand) => demand.reason).join('; ');
    log.warn('everything is scanned', { reason });
    o.onScan({ running: true, reason, progress: undefined });
    const summary = await runScan({
      ...{ catalog, target: EVERYTHING, restart, source, timing, step },
      startScanner: o.startScanner,
      checkFileSystem: () => source.checkFileSystem(),
      signal: stop,
      onProgress: (progress) => o.onScan({ running: true, reason, progress }),
      onProblem: ({ directory: fid, errno }) => {
        problems += 1;
        if (problems <= PROBLEMS_TOLD) log.warn('scan could not read something', { directory: fid, errno });
      },
    });
    const { outcome, total, added, changed, vanished, elapsed } = summary;
    log.info('scan is over', { outcome, entries: total, new: added, changed, vanished, ms: Math.round(elapsed) });
    o.onScan({ running: false, summary });
    return summary;
  } catch (error) {
    o.onScan({ running: false, summary: undefined });
    throw error;
  } finally {
    await lock.release();
  }
}
