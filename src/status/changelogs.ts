import type { Cursor } from '../catalog/types.ts';
import type { FollowFigures } from '../follow/figures.ts';
import { readChangelogLag } from '../lustre/changelog-lag.ts';
import type { ProbeOptions } from '../lustre/mount-state.ts';
import { partOf } from './part.ts';
import type { ChangelogStatus, RecoveryPoint } from './types.ts';

/** As the running follower has them. */
export function changelogsOf({ mdts }: FollowFigures): ChangelogStatus[] {
  return mdts.map(({ mdt, user, applied, lag, rescan }) => ({
    ...{ mdt, user, applied, rescan },
    from: 'changelog-follow' as const,
    lag: { available: true, records: lag.records, seconds: lag.seconds },
  }));
}

/** Asks the MDTs themselves, where no follower does: those of the catalog and of the configuration. */
export async function askChangelogs(
  probe: ProbeOptions,
  cursors: readonly Cursor[],
  configured: readonly string[],
): Promise<ChangelogStatus[]> {
  const mdts = [...new Set([...configured, ...cursors.map(({ mdt }) => mdt)])].sort();
  return await Promise.all(
    mdts.map(async (mdt) => {
      const cursor = cursors.find((one) => one.mdt === mdt);
      const lag = await partOf(`the changelog of ${mdt}`, probe.patience, async () => {
        const { last, oldestUnread } = await readChangelogLag({ ...probe, mdt, applied: cursor?.applied });
        return {
          records: Math.max(0, last - (cursor?.applied ?? 0)),
          seconds: oldestUnread === undefined ? 0 : Math.max(0, Math.round((Date.now() - oldestUnread) / 1000)),
        };
      });
      return {
        mdt,
        user: cursor?.user ?? null,
        applied: cursor?.applied ?? null,
        from: 'mdt' as const,
        lag,
        rescan: cursor?.rescan?.reason ?? null,
      };
    }),
  );
}

/**
 * The oldest change that is not yet in the container: among those that wait in the catalog, and those in changelogs.
 * @param oldestChange of the catalog, seconds since 1970; `catalogKnown`: it could be read
 */
export function recoveryPointOf(
  oldestChange: number | undefined,
  catalogKnown: boolean,
  changelogs: readonly ChangelogStatus[],
  now: number,
): RecoveryPoint {
  const unread = changelogs.flatMap(({ lag }) =>
    lag.available && lag.seconds > 0 ? [Math.floor(now / 1000) - lag.seconds] : [],
  );
  const oldest = [...unread, ...(oldestChange === undefined ? [] : [oldestChange])].sort((a, b) => a - b)[0];
  return {
    since: oldest === undefined ? null : new Date(oldest * 1000).toISOString(),
    ageSeconds: oldest === undefined ? 0 : Math.max(0, Math.round(now / 1000 - oldest)),
    partial:
      !catalogKnown ||
      changelogs.length === 0 ||
      changelogs.some(({ lag, rescan }) => !lag.available || rescan !== null),
  };
}
