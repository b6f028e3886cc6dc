import type { Asked } from '../../catalog/types.ts';
import type { Fid } from '../../identity/fid.ts';
import { isGone } from '../../lustre/errno.ts';
import type { Why } from '../../request/types.ts';
import { MISS_GRACE_MS, type States, standing, whyMissed } from '../../request/verbs.ts';
import { ErrnoError, OperatorError } from '../../service/errors.ts';
import { formatDuration } from '../../service/units.ts';
import type { Clock } from './clock.ts';
import type { Amount } from './types.ts';

/** How a file that was asked for ended. `unknown`: nobody can tell whether it was ever asked for. */
export interface Ended {
  readonly asked: Asked;
  readonly as: 'done' | 'failed' | 'vanished' | 'unknown';
  readonly why?: Why;
}

export interface OutstandingOptions {
  /** Most files. */
  readonly limit: number;
  /** States by FID, in the same order. */
  readonly look: (fids: readonly Fid[]) => Promise<readonly (States | ErrnoError)[]>;
  /** Told of files that came to their end, some at once. */
  readonly onEnded: (ended: readonly Ended[]) => Promise<void>;
  /** Told while something is waited for. */
  readonly onWaiting?: (moving: bigint) => void;
  /** Milliseconds between two looks; up to five times as long while nothing changes. */
  readonly pollInterval: number;
  /** Milliseconds without any change after which waiting is given up. */
  readonly stallAfter: number;
  readonly clock: Clock;
}

interface Followed {
  readonly asked: Asked;
  /** Since when nothing is under way and the goal is not reached; undefined: something is. */
  missedSince: number | undefined;
  state: string;
}

/** What was asked for longer ago than this has long got to the coordinator's list. */
const SETTLED_MS = 10_000;
/** Files that are looked at in one round. */
const ROUND = 2_000;

/**
 * Archives that were asked for and have not ended: kept in the catalog, so that the next run knows of them, too. Keeps them
 * below a ceiling, so that restores and cancels never stand behind thousands of them in the coordinator's list.
 */
export class Outstanding {
  readonly #options: OutstandingOptions;
  readonly #files = new Map<Fid, Followed>();
  #bytes = 0n;
  #movedAt: number;

  constructor(options: OutstandingOptions) {
    this.#options = options;
    this.#movedAt = options.clock.now();
  }

  get amount(): Amount {
    return { files: this.#files.size, bytes: Number(this.#bytes) };
  }

  has(fid: Fid): boolean {
    return this.#files.has(fid);
  }

  get isFull(): boolean {
    return this.#files.size >= this.#options.limit;
  }

  /** A file that is about to be asked for, or already was. */
  add(asked: Asked): void {
    if (this.#files.has(asked.fid)) return;
    this.#files.set(asked.fid, { asked, missedSince: undefined, state: '' });
    this.#bytes += asked.size;
    this.#movedAt = this.#options.clock.now();
  }

  /** It was not asked for after all. */
  drop(fid: Fid): void {
    const followed = this.#files.get(fid);
    if (followed === undefined || !this.#files.delete(fid)) return;
    this.#bytes -= followed.asked.size;
  }

  /**
   * Looks once at what earlier runs have asked for. What has not ended is outstanding.
   * @param killed runs that were ended before they had told: whether they had asked is not known
   */
  async takeOver(rows: readonly Asked[], killed: ReadonlySet<number>): Promise<void> {
    for (const asked of rows) this.add(asked);
    const fids = rows.map(({ fid }) => fid);
    const states = await this.#options.look(fids);
    const now = this.#options.clock.now();
    const ended: Ended[] = [];
    for (const [index, asked] of rows.entries()) {
      const followed = this.#files.get(asked.fid);
      if (followed === undefined) continue;
      const end = this.#endOf(followed, states[index], (why) => {
        if (killed.has(asked.run)) return { asked, as: 'unknown' };
        return now - asked.at >= SETTLED_MS ? { asked, as: 'failed', why } : undefined;
      });
      if (end !== undefined) ended.push(end);
    }
    await this.#settle(ended);
  }

  /** Waits until there is room below the ceiling. @throws StallError when nothing moves any more; the signal's reason */
  async room(signal?: AbortSignal): Promise<void> {
    await this.#until(() => !this.isFull, signal);
  }

  /** Waits for the end of all. */
  async finish(signal?: AbortSignal): Promise<void> {
    await this.#until(() => this.#files.size === 0, signal);
  }

  async #until(reached: () => boolean, signal: AbortSignal | undefined): Promise<void> {
    const { clock, pollInterval, stallAfter } = this.#options;
    if (!reached()) this.#movedAt = clock.now();
    for (let pause = pollInterval; !reached(); ) {
      await clock.sleep(pause, signal);
      pause = (await this.#round()) ? pollInterval : Math.min(pause * 1.5, pollInterval * 5);
      if (clock.now() - this.#movedAt >= stallAfter && !reached()) throw new StallError(stallAfter);
    }
  }

  /** @returns whether anything moved */
  async #round(): Promise<boolean> {
    const { look, clock, onWaiting } = this.#options;
    const some = [...this.#files.values()].slice(0, ROUND);
    const states = await look(some.map(({ asked }) => asked.fid));
    const now = clock.now();
    const ended: Ended[] = [];
    let moved = false;
    let moving = 0n;
    for (const [index, followed] of some.entries()) {
      const state = states[index];
      const end = this.#endOf(followed, state, (why) => {
        followed.missedSince ??= now;
        return now - followed.missedSince >= MISS_GRACE_MS ? { asked: followed.asked, as: 'failed', why } : undefined;
      });
      if (end !== undefined) ended.push(end);
      else if (state !== undefined && !(state instanceof ErrnoError)) {
        moving += state.action.done;
        moved ||= changed(followed, state);
      }
      // The next round begins with those that this one has not looked at.
      if (end === undefined && this.#files.delete(followed.asked.fid)) this.#files.set(followed.asked.fid, followed);
    }
    await this.#settle(ended);
    if (ended.length > 0) moved = true;
    if (moved) this.#movedAt = now;
    onWaiting?.(moving);
    return moved;
  }

  #endOf(
    followed: Followed,
    state: States | ErrnoError | undefined,
    missed: (why: Why) => Ended | undefined,
  ): Ended | undefined {
    const { asked } = followed;
    if (state === undefined) return undefined;
    if (state instanceof ErrnoError) {
      // A server that recovers: it is looked at again.
      return isGone(state.errno) ? { asked, as: 'vanished' } : undefined;
    }
    const at = standing('archive', state);
    if (at === 'reached') return { asked, as: 'done' };
    if (at === 'missed') return missed(whyMissed('archive', state));
    followed.missedSince = undefined;
    return undefined;
  }

  async #settle(ended: readonly Ended[]): Promise<void> {
    if (ended.length === 0) return;
    for (const { asked } of ended) this.drop(asked.fid);
    await this.#options.onEnded(ended);
  }
}

function changed(followed: Followed, { action }: States): boolean {
  const state = `${action.action} ${action.state} ${action.done}`;
  const differs = followed.state !== '' && followed.state !== state;
  followed.state = state;
  return differs;
}

/** Nothing that was asked for moves. */
export class StallError extends OperatorError {
  constructor(after: number) {
    super(`Nothing of what was asked for has moved for ${formatDuration(after)}.`, {
      code: 'STALLED',
      hint: 'No copytool seems to serve the archive, or the coordinator is disabled, or its queue is held up. On an HSM client, `lfsazsync copytool` starts one; what was asked for waits in Lustre.',
      exit: 'tryAgain',
    });
  }
}
