import type { Fid } from '../identity/fid.ts';
import { BugError, ErrnoError, OperatorError } from '../service/errors.ts';
import { bytesOfName, type WireName } from './bytes.ts';
import type { ChangelogRecord } from './changelog-record.ts';
import { ERRNO } from './errno.ts';
import { type HelperEvent, type HelperOptions, HelperProcess } from './helper.ts';

export interface ChangelogOptions extends Omit<HelperOptions, 'mode' | 'args' | 'eventBuffer'> {
  /** `lustrefs-MDT0000`. */
  readonly mdt: string;
  /** The changelog user, as Lustre names it (`cl1`); without one nothing can be cleared. */
  readonly user?: string;
  /** The first index to read; by default the oldest record there is. */
  readonly start?: number;
  /** Milliseconds from the end of the records to the next look; 500 by default, twice that while nothing comes. */
  readonly interval?: number;
}

export type ChangelogEvent =
  /** In the order of their indexes; where one is missing between two, records were lost. */
  | { readonly kind: 'records'; readonly records: readonly ChangelogRecord[] }
  /** All that was written before this opening has been told; `next` is the index to come. */
  | { readonly kind: 'end'; readonly next: number }
  /** A record that can't be read: what it said is not known. */
  | { readonly kind: 'malformed'; readonly index: number; readonly type: number; readonly message: string }
  /** The MDT does not answer; the helper opens the changelog again, at `next`, until it works. */
  | { readonly kind: 'lost'; readonly errno: number; readonly next: number }
  | { readonly kind: 'reopened'; readonly next: number };

/** Lines of up to 1,000 records or 256 KiB that wait for a slow reader; then the helper waits. */
const LINES_HELD = 4;

/**
 * One MDT's changelog, read by the helper (docs/internals/helper-protocol.md): events for one reader, who takes its time,
 * and the clearing of what is durably done. When the helper dies, the events end with an error.
 */
export class ChangelogReader implements AsyncIterable<ChangelogEvent> {
  readonly mdt: string;
  readonly #helper: HelperProcess;
  readonly #user: string | undefined;

  private constructor(helper: HelperProcess, options: ChangelogOptions) {
    this.#helper = helper;
    this.mdt = options.mdt;
    this.#user = options.user;
  }

  /**
   * Rejects with an OperatorError: `NO_CHANGELOG` when the client knows no such MDT, `CHANGELOG_RESET` when the records
   * before `start` never were (another file system in the same place, or one that was restored from a backup).
   */
  static async start(options: ChangelogOptions): Promise<ChangelogReader> {
    const args = ['--mdt', options.mdt];
    if (options.user !== undefined) args.push('--user', options.user);
    if (options.start !== undefined) args.push('--start', String(options.start));
    if (options.interval !== undefined) args.push('--interval', String(options.interval));
    const helper = await HelperProcess.start({ ...options, mode: 'changelog', args, eventBuffer: LINES_HELD });
    const reader = new ChangelogReader(helper, options);
    if (options.start !== undefined && options.start > 1) await reader.#checkReached(options.start - 1);
    return reader;
  }

  /** The process id of the helper, for status and for tests that kill it. */
  get pid(): number {
    return this.#helper.pid;
  }

  async *[Symbol.asyncIterator](): AsyncIterator<ChangelogEvent, undefined> {
    for await (const event of this.#helper.events) {
      const known = eventOf(event);
      if (known !== undefined) yield known;
    }
    return undefined;
  }

  /** The index of the newest record, 0 if there is none. A few requests to the MDT; a client has no better way. */
  async lastIndex(): Promise<number> {
    return (await this.#helper.request<{ index: number }>('last_index', {})).index;
  }

  /**
   * Tells Lustre that this user needs no records up to and including this index. Call it when what they caused is
   * durable. It must be an index that was told (or lies before `start`), and is never 0: that would clear everything.
   *
   * Rejects with an OperatorError `CHANGELOG_USER_GONE` (the user is not there, or was cleared beyond it by somebody
   * else: records may be lost) or `CHANGELOG_RESET`, with an ErrnoError when the MDT does not answer.
   */
  async clear(index: number): Promise<void> {
    if (!Number.isSafeInteger(index) || index < 1) throw new BugError(`clearing the changelog up to ${index}`);
    try {
      await this.#helper.request('clear', { index });
    } catch (error) {
      if (error instanceof ErrnoError && error.errno === ERRNO.ENOENT) throw this.#userGone(error);
      if (error instanceof ErrnoError && error.errno === ERRNO.ERANGE) throw this.#reset(index, error);
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#helper.close();
  }

  async #checkReached(index: number): Promise<void> {
    try {
      if ((await this.lastIndex()) < index) throw this.#reset(index);
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  #userGone(cause: unknown): OperatorError {
    return new OperatorError(
      `${this.mdt} has no changelog user ${this.#user}, or somebody else clears records as ${this.#user}.`,
      {
        code: 'CHANGELOG_USER_GONE',
        hint: `On the metadata server, \`lctl get_param mdd.${this.mdt}.changelog_users\` lists the users; \`lctl --device ${this.mdt} changelog_register\` makes one. Each program needs its own.`,
        cause,
      },
    );
  }

  #reset(index: number, cause?: unknown): OperatorError {
    return new OperatorError(`${this.mdt} has no record ${index}, which was read before: its changelog began anew.`, {
      code: 'CHANGELOG_RESET',
      hint: 'Is it the same file system? If it was restored from a backup or made anew, the catalog must be made anew, too.',
      cause,
    });
  }
}

/** A record as it is on the wire. */
type Row = readonly [
  index: number,
  type: number,
  flags: number,
  time: number,
  fid: Fid | null,
  parent: Fid | null,
  name: WireName,
  uid: number | null,
  gid: number | null,
  sourceOrXattr?: Fid | string | null,
  sourceParent?: Fid | null,
  sourceName?: WireName,
];

function eventOf(event: HelperEvent): ChangelogEvent | undefined {
  switch (event.t) {
    case 'records':
      return { kind: 'records', records: (event['list'] as readonly Row[]).map(recordOf) };
    case 'end':
    case 'reopened':
      return { kind: event.t, next: Number(event['next']) };
    case 'lost':
      return { kind: 'lost', errno: -Number(event['rc']), next: Number(event['next']) };
    case 'malformed':
      return {
        kind: 'malformed',
        index: Number(event['index']),
        type: Number(event['type']),
        message: String(event['message']),
      };
    default:
      return undefined;
  }
}

/** One shape for all, made without loops: this runs for every record. */
function recordOf(row: Row): ChangelogRecord {
  const renamed = row.length === 12;
  return {
    index: row[0],
    type: row[1],
    flags: row[2],
    time: row[3],
    fid: row[4],
    parent: row[5],
    name: bytesOfName(row[6]),
    uid: row[7],
    gid: row[8],
    sourceFid: renamed ? (row[9] as Fid | null) : null,
    sourceParent: renamed ? (row[10] ?? null) : null,
    sourceName: renamed ? bytesOfName(row[11] ?? null) : null,
    xattr: row.length === 10 ? (row[9] as string) : null,
  };
}
