import type { Catalog } from '../../catalog/catalog.ts';
import type { Fid } from '../../identity/fid.ts';
import { type Bell, pause } from '../../service/bell.ts';
import type { Timing } from '../decide.ts';
import { type FileSource, refresh } from '../refresh.ts';
import type { FollowStats } from './stats.ts';
import type { FollowStep } from './steps.ts';

/** Files that are looked at in one go. */
const AT_ONCE = 1_000;
/** Other processes put marks, too. */
const LOOK_EVERY_MS = 30_000;
/** Marks that come while their file is looked at are not chased without a breath. */
const BREATH_MS = 20;

export interface LookingOptions {
  readonly catalog: Catalog;
  readonly source: FileSource;
  readonly timing: () => Timing;
  /** Rung when there are marks. */
  readonly bell: Bell;
  /** Something was looked at: there may be work in the journal, or dead. */
  readonly onLooked: () => void;
  readonly onIdle: () => void;
  readonly step: (step: FollowStep) => Promise<void>;
  readonly stats: FollowStats;
  readonly stop: AbortSignal;
}

/** Looks at all that is marked, round and round, until it is stopped. */
export async function lookOn(o: LookingOptions): Promise<void> {
  const { catalog, source, timing, stats, stop } = o;
  let after: Fid | undefined;
  while (!stop.aborted) {
    const done = await refresh(catalog, source, { after, limit: AT_ONCE, timing });
    const isRoundOver = done.next === undefined;
    stats.looked += done.looked;
    stats.changed += done.added + done.changed;
    stats.died += done.died;
    if (done.looked > 0) {
      await o.step('marks.refreshed');
      o.onLooked();
      if (isRoundOver) await pause(BREATH_MS, stop);
    } else if (after === undefined) {
      o.onIdle();
      await o.bell.wait(LOOK_EVERY_MS, stop);
    }
    after = done.next;
  }
}
