import type { Catalog } from '../../catalog/catalog.ts';
import type { Config } from '../../config/types.ts';
import { type Bell, pause } from '../../service/bell.ts';
import type { Log } from '../../service/log.ts';
import { type BrakeFigures, lookAtBrake, mayRemoveNow } from '../brake.ts';
import type { ReconcileContext } from '../reconcile/context.ts';
import type { PutOff } from '../reconcile/put-off.ts';
import { type Reaped, reap } from '../reconcile/reap.ts';
import type { FollowStats } from './stats.ts';

/** The brake is looked at anew after so many removals, or so much time. */
const CHECK_AFTER = 100;
const CHECK_EVERY_MS = 1_000;
const AGAIN_MS = 60_000;
/** Other processes find dead, too, and ring no bell here: without any, it is looked so often. */
const EMPTY_EVERY_MS = 5_000;
/** Every pass looks at all tombstones: passes take no more than this share of the time. */
const SHARE = 5;

/** The brake as the running follower goes by it: looked at in time, told of in the log when it changes. */
export class Brake {
  readonly #catalog: Catalog;
  readonly #limits: () => Config['removal'];
  readonly #log: Log;
  #figures: BrakeFigures | undefined;
  #asked = 0;
  #at = 0;

  constructor(catalog: Catalog, limits: () => Config['removal'], log: Log) {
    this.#catalog = catalog;
    this.#limits = limits;
    this.#log = log;
  }

  async look(): Promise<BrakeFigures> {
    const before = this.#figures;
    this.#figures = await lookAtBrake(this.#catalog, this.#limits());
    this.#asked = 0;
    this.#at = performance.now();
    const { engaged, pending, removed, limit, of } = this.#figures;
    if (engaged && before?.engaged !== true) {
      this.#log.error('too many files died: removals are stopped', {
        ...{ pending, removed, limit, of },
        hint: 'If that is right, `lfsazsync changelog-follow ctl release-brake` lets them go on; so does a higher removal.max_delete_share. Copies stay until then.',
      });
    } else if (!engaged && before?.engaged === true) this.#log.info('removals go on', { pending, removed, limit });
    return this.#figures;
  }

  async allows(diedAt: number): Promise<boolean> {
    this.#asked += 1;
    const isOld = this.#asked > CHECK_AFTER || performance.now() - this.#at > CHECK_EVERY_MS;
    const figures = this.#figures === undefined || isOld ? await this.look() : this.#figures;
    return mayRemoveNow(figures, diedAt);
  }
}

export interface ReapingOptions {
  readonly context: ReconcileContext;
  readonly settings: () => Config['removal'];
  readonly concurrency: () => number;
  readonly brake: Brake;
  /** Rung when something died, or what is allowed has changed. */
  readonly bell: Bell;
  readonly isPaused: () => boolean;
  readonly stats: FollowStats;
  readonly putOff?: PutOff;
  readonly stop: AbortSignal;
}

/** Removes what is due of the dead, on and on. */
export async function reapOn(o: ReapingOptions): Promise<void> {
  const { context, bell, stop } = o;
  while (!stop.aborted) {
    const begun = performance.now();
    const { kept } = o.isPaused() ? { kept: 0 } : await reapOnce(o);
    const took = performance.now() - begun;
    await pause(Math.max(CHECK_EVERY_MS, took * SHARE), stop);
    const { oldest } = await context.catalog.deaths(0);
    if (oldest === undefined) await bell.wait(EMPTY_EVERY_MS, stop);
    else {
      const due = oldest * 1000 + o.settings().grace - Date.now();
      await bell.wait(kept > 0 || due <= 0 ? AGAIN_MS : due + CHECK_EVERY_MS, stop);
    }
  }
}

/** One pass over all of the dead. */
export async function reapOnce(o: Omit<ReapingOptions, 'bell' | 'isPaused'>): Promise<Reaped> {
  const { grace, by } = o.settings();
  await o.brake.look();
  const reaped = await reap(o.context, {
    grace: Math.ceil(grace / 1000),
    concurrency: o.concurrency(),
    stop: o.stop,
    ...(o.putOff === undefined ? {} : { putOff: o.putOff }),
    mayRemove: ({ diedAt }) => (by === 'follow' ? o.brake.allows(diedAt) : Promise.resolve(false)),
  });
  o.stats.buried += reaped.buried;
  return reaped;
}
