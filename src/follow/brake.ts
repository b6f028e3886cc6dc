import type { Catalog } from '../catalog/catalog.ts';
import { HSM } from '../lustre/hsm-state.ts';

export interface BrakeLimits {
  /** Of all that is in the container, percent. */
  readonly maxDeleteShare: number;
  /** So many are never too many. */
  readonly maxDeleteFree: number;
  /** Milliseconds. */
  readonly window: number;
}

/** What the brake goes by; documented in docs/follower.md. */
export interface BrakeFigures {
  readonly engaged: boolean;
  /** The dead that wait, and what was removed within the window. */
  readonly pending: number;
  readonly removed: number;
  /** What there was in the container, the dead included. */
  readonly of: number;
  readonly limit: number;
  /** ISO 8601: everything that was dead then may be removed, whatever the limit. */
  readonly releasedAt?: string;
}

interface Release {
  /** Milliseconds since 1970. */
  readonly at: number;
  /** Of these many, no account is taken any more. */
  readonly forgiven: number;
}

const CHECKPOINT = 'brake';

/**
 * Holds removals up when too many files die within a window of time, whoever removes them and however often it is
 * restarted: an `rm -rf` of everything, or a fault of ours, must not empty the container before somebody has looked.
 * Engaged until an operator releases it, or raises the limit. What counts are things that have something in the
 * container: files with a copy, directories, symlinks.
 */
export async function lookAtBrake(catalog: Catalog, limits: BrakeLimits, now = Date.now()): Promise<BrakeFigures> {
  const release = (await catalog.checkpoint(CHECKPOINT))?.state as Release | undefined;
  const since = Math.max(now - limits.window, release?.at ?? 0);
  const { count: pending } = await catalog.deaths(release === undefined ? 0 : Math.floor(release.at / 1000) + 1);
  const buried = (await catalog.burials(Math.floor(since / 1000))).count;
  const removed = Math.max(0, buried - (release !== undefined && since === release.at ? release.forgiven : 0));
  const living = (await catalog.usage())
    .filter(({ type, hsm }) => type === 'dir' || type === 'symlink' || (type === 'file' && (hsm & HSM.EXISTS) !== 0))
    .reduce((sum, { count }) => sum + Number(count), 0);
  const of = living + pending + removed;
  const limit = Math.max(limits.maxDeleteFree, Math.floor((of * limits.maxDeleteShare) / 100));
  const engaged = limits.maxDeleteShare < 100 && pending + removed > limit;
  return {
    ...{ engaged, pending, removed, of, limit },
    ...(release === undefined ? {} : { releasedAt: new Date(release.at).toISOString() }),
  };
}

/** Whether the copy of one that died then (seconds) may be removed. */
export function mayRemoveNow(brake: BrakeFigures, diedAt: number): boolean {
  return !brake.engaged || (brake.releasedAt !== undefined && diedAt * 1000 <= Date.parse(brake.releasedAt));
}

/** Everything that is dead by now may be removed. @returns how many that are */
export async function releaseBrake(catalog: Catalog, now = Date.now()): Promise<number> {
  const { count } = await catalog.deaths(0);
  const state: Release = { at: now, forgiven: count };
  await catalog.apply({ checkpoints: [{ name: CHECKPOINT, state }] });
  return count;
}
