import type { FollowFigures } from '../follow/figures.ts';
import { followSocket } from '../follow/service/socket.ts';
import { askService } from '../service/control/client.ts';

/** What is to be looked at in Lustre for longer than this, milliseconds, is not in the catalog. */
const BEHIND_MS = 10_000;
const PATIENCE_MS = 5_000;

export interface FollowedOptions {
  readonly runDir: string;
  /** As configured. */
  readonly mount: string;
  readonly fsUuid: string;
  /** The catalog's file. */
  readonly catalog: string;
}

/**
 * Whether a follower on this machine keeps this catalog up to date: all that happened in the file system until some seconds ago is in
 * it. Without one it may be of last year, for all that it says itself.
 */
export async function isKeptUpToDate({ runDir, mount, fsUuid, catalog }: FollowedOptions): Promise<boolean> {
  const target = { directory: runDir, name: followSocket(mount), service: 'changelog-follow', start: '' };
  const figures = (await askService(target, 'status', {}, { timeout: PATIENCE_MS }).catch(() => undefined)) as
    | FollowFigures
    | undefined;
  if (figures?.state !== 'following' || figures.lustre.uuid !== fsUuid || figures.catalog !== catalog) return false;
  const { mdts, scan, marks } = figures;
  if (scan.running || scan.reason !== null) return false;
  if (!mdts.every(({ lag, lostSince, rescan }) => lag.caughtUp && lostSince === null && rescan === null)) return false;
  return marks.oldest === null || Date.now() - Date.parse(marks.oldest) < BEHIND_MS;
}
