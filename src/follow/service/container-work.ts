import { isBlobError, isOutage } from '../../blob/errors.ts';
import { pause } from '../../service/bell.ts';
import type { Log } from '../../service/log.ts';
import { type Leases, leaseLost } from './leases.ts';
import type { FollowStats } from './stats.ts';

const RETAKE_MS = 5_000;

export interface UnderLeases {
  /** Those that are held at the beginning. */
  readonly leases: Leases;
  readonly take: () => Promise<Leases>;
  /** Those that are held now; undefined while there are none. */
  readonly onLeases: (leases: Leases | undefined) => void;
  readonly stats: FollowStats;
  readonly log: Log;
}

/**
 * Does `work` as long as the leases are ours. When they ran out because the containers could not be reached, it is ended,
 * and begins anew when they can be and nobody else has taken them. @param signal ends it at once
 * @throws OperatorError LEASE_LOST, FOLLOWER_RUNNING when they are another's
 */
export async function underLeases(
  o: UnderLeases,
  signal: AbortSignal,
  stop: AbortSignal,
  work: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  let { leases } = o;
  for (;;) {
    const { lost } = leases;
    try {
      await work(AbortSignal.any([signal, lost]));
    } catch (error) {
      if (!lost.aborted || signal.aborted) throw error;
    }
    const { loss } = leases;
    if (loss === undefined || stop.aborted || signal.aborted) return;
    o.stats.leaseLosses += 1;
    if (!loss.late) throw leaseLost(loss);
    o.log.warn('lease ran out; until it is held again nothing is done in the container, records are taken in', {
      reason: loss.message,
    });
    o.onLeases(undefined);
    await leases.release();
    const again = await retake(o, stop);
    if (again === undefined) return;
    leases = again;
    o.onLeases(leases);
    o.log.info('lease is held again');
  }
}

/** @returns undefined when it was stopped meanwhile */
async function retake({ take }: UnderLeases, stop: AbortSignal): Promise<Leases | undefined> {
  while (!stop.aborted) {
    try {
      return await take();
    } catch (error) {
      if (!isBlobError(error) || !isOutage(error)) throw error;
      await pause(RETAKE_MS, stop);
    }
  }
  return undefined;
}
