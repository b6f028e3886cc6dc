import type { Catalog } from '../../catalog/catalog.ts';
import type { ChangelogReader } from '../../lustre/changelog-reader.ts';
import { OperatorError } from '../../service/errors.ts';
import type { Log } from '../../service/log.ts';
import { howToRegister } from './mdts.ts';

export interface PositionOptions {
  readonly mdt: string;
  readonly user: string;
  readonly catalog: Catalog;
  /** Opens the changelog; without an index, at the oldest record. */
  readonly open: (start: number | undefined) => Promise<ChangelogReader>;
  readonly log: Log;
}

export interface Position {
  readonly reader: ChangelogReader;
  /** The last record that is in the catalog; undefined: none, and the first may have any index. */
  readonly applied: number | undefined;
}

/**
 * Opens an MDT's changelog where the catalog is. Where that is not known, or records may be missing, the newest index is
 * noted, and a scan demanded, before anything is read or cleared: whatever happens from then on has a record behind it.
 * @throws OperatorError CHANGELOG_USER_GONE when nobody can clear under this name, NO_CHANGELOG
 */
export async function openAtPosition(options: PositionOptions): Promise<Position> {
  const { mdt, user, catalog, log, open } = options;
  const cursor = (await catalog.cursors()).find((one) => one.mdt === mdt);
  if (cursor === undefined) return await beginAt(options, 'this is the first start with this catalog');
  // Nobody wrote records for us between the end of the one and the beginning of the other.
  if (cursor.user !== undefined && cursor.user !== user)
    return await beginAt(options, `the changelog user is ${user} now, it was ${cursor.user}`);
  const { applied } = cursor;
  if (applied === undefined) return { reader: await open(undefined), applied };
  const reader = await open(applied + 1).catch((error: unknown) => {
    if (!isCode(error, 'CHANGELOG_RESET')) throw error;
    log.error('changelog began anew, everything is scanned again', { mdt, err: error });
    return undefined;
  });
  if (reader === undefined) return await beginAt(options, 'its changelog began anew');
  if (applied === 0) return { reader, applied };
  try {
    await reader.clear(applied);
    return { reader, applied };
  } catch (error) {
    await reader.close();
    if (!isCode(error, 'CHANGELOG_USER_GONE') && !isCode(error, 'CHANGELOG_RESET')) throw error;
    // Cleared beyond the catalog, which came from a backup? Then the newest record can be cleared; else the user is gone.
    return await beginAt(options, 'records were cleared that the catalog does not have', error);
  }
}

/** The error of a changelog user that is gone, with what to do. */
export function userGone(mdt: string, user: string, cause: unknown): OperatorError {
  return new OperatorError(`${mdt} has no changelog user ${user}, or somebody else clears records as ${user}.`, {
    code: 'CHANGELOG_USER_GONE',
    hint: `\`lctl get_param mdd.${mdt}.changelog_users\` on the server lists the users. ${howToRegister(mdt)} Set \`follow.changelog_user\`, and start again: everything is scanned then.`,
    cause,
  });
}

async function beginAt(options: PositionOptions, why: string, cause?: unknown): Promise<Position> {
  const { mdt, user, catalog, log, open } = options;
  const probe = await open(undefined);
  let last: number;
  try {
    last = await probe.lastIndex();
  } finally {
    await probe.close();
  }
  const known = (await catalog.cursors()).find((one) => one.mdt === mdt)?.applied;
  if (cause !== undefined && last <= (known ?? 0)) throw userGone(mdt, user, cause);
  // Without records, the next one has an index that nobody can tell.
  const applied = last === 0 && known === undefined ? undefined : last;
  const reader = await open(last === 0 ? undefined : last + 1);
  try {
    const at = applied === undefined ? {} : { applied };
    await catalog.apply({ cursors: [{ mdt, user, rescan: `${mdt}: ${why}`, ...at }] });
    log.info('changelog is read from here', { mdt, user, after: last, reason: why });
    if (last > 0) await reader.clear(last);
  } catch (error) {
    await reader.close();
    throw isCode(error, 'CHANGELOG_USER_GONE') ? userGone(mdt, user, error) : error;
  }
  return { reader, applied };
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof OperatorError && error.code === code;
}
