import { lockSweep } from '../../audit/start-sweep.ts';
import { runSweep } from '../../audit/sweep.ts';
import type { SweepSummary } from '../../audit/sweep-types.ts';
import type { BlobStore } from '../../blob/store.ts';
import type { Catalog } from '../../catalog/catalog.ts';
import type { Config } from '../../config/types.ts';
import { type Bell, pause } from '../../service/bell.ts';
import { OperatorError } from '../../service/errors.ts';
import type { Log } from '../../service/log.ts';

const WANTED = 'follow.sweep';
const LOCKED_WAIT_MS = 60_000;
/** A sweep that was wanted, and could not be done, is tried again after this. */
const AGAIN_MS = 600_000;
const RUNS_LOOKED_AT = 20;

export interface SweepingOptions {
  readonly catalog: Catalog;
  readonly fsUuid: string;
  readonly stores: ReadonlyMap<number, BlobStore>;
  readonly config: Pick<Config, 'stateDir'>;
  readonly settings: () => Config['sweep'];
  readonly version: string;
  readonly log: Log;
  /** Rung when one is wanted. */
  readonly bell: Bell;
  readonly onSwept: () => void;
  readonly stop: AbortSignal;
}

/** Before records that went missing are made up for by a scan: what happened to the container meanwhile is to be found, too. */
export async function wantSweep(catalog: Catalog): Promise<void> {
  if ((await catalog.checkpoint(WANTED)) === undefined)
    await catalog.apply({ checkpoints: [{ name: WANTED, state: {} }] });
}

/** Whether one is wanted now: not before everything is scanned. */
export async function isSweepWanted(catalog: Catalog): Promise<boolean> {
  if ((await catalog.checkpoint(WANTED)) === undefined) return false;
  return (await catalog.cursors()).every(({ rescan }) => rescan === undefined);
}

/** Sweeps the containers at intervals, and after scans that had to make up for missing records, until it is stopped. */
export async function sweepOn(o: SweepingOptions): Promise<void> {
  while (!o.stop.aborted) {
    const wait = (await isSweepWanted(o.catalog)) ? 0 : await untilDue(o);
    if (wait > 0) await o.bell.wait(wait, o.stop);
    else {
      const outcome = await sweepNow(o);
      if (outcome !== 'complete') await pause(outcome === 'locked' ? LOCKED_WAIT_MS : AGAIN_MS, o.stop);
    }
  }
}

/** One sweep, or the rest of one that was stopped. */
export async function sweepNow(o: SweepingOptions): Promise<SweepSummary['outcome'] | 'locked'> {
  const { catalog, fsUuid, stores, config, settings, version, log, stop } = o;
  const path = [...stores.values()].map(({ container }) => container).join(' ');
  const lock = await lockSweep({ directory: config.stateDir, version, path, log }).catch((error: unknown) => {
    if (error instanceof OperatorError && error.code === 'SWEEP_RUNNING') return undefined;
    throw error;
  });
  if (lock === undefined) return 'locked';
  try {
    const { parallel } = settings();
    const summary = await runSweep({ catalog, fsUuid, archives: stores, parallel, signal: stop });
    const { outcome, listed, findings, journaled, marked, elapsed } = summary;
    log.info('containers were swept', {
      ...{ outcome, blobs: listed.count, findings, journaled, marked, ms: Math.round(elapsed) },
    });
    if (outcome === 'complete') await catalog.apply({ checkpointsGone: [WANTED] });
    o.onSwept();
    return outcome;
  } finally {
    await lock.release();
  }
}

/** When the last whole sweep was, milliseconds since 1970, whoever did it. */
export async function lastSweep(catalog: Catalog): Promise<{ at: number; outcome: string } | undefined> {
  const runs = await catalog.runs('sweep', RUNS_LOOKED_AT);
  const last = runs.find(({ outcome, ended }) => outcome === 'complete' && ended !== undefined);
  return last === undefined ? undefined : { at: last.ended as number, outcome: 'complete' };
}

/**
 * Without any, the interval begins with the first scan, which has one of its own; also with one that never comes to its
 * end, because there is something that can't be read.
 */
async function untilDue({ catalog, settings }: SweepingOptions): Promise<number> {
  const { interval } = settings();
  if (interval === 'never') return Number.POSITIVE_INFINITY;
  const wanted = (await catalog.checkpoint(WANTED))?.at;
  const now = Date.now();
  const last = (await lastSweep(catalog))?.at ?? (await catalog.lastScan()) ?? wanted ?? now;
  // One of the future is of a clock that has been set back since.
  return last > now + interval ? 0 : last + interval - now;
}
