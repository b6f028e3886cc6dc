import { setTimeout as delay } from 'node:timers/promises';
import type { Fid } from '../identity/fid.ts';
import { errnoName, isGone } from '../lustre/errno.ts';
import { ErrnoError } from '../service/errors.ts';
import type { Outcome, RequestFile, Verb, Why } from './types.ts';
import { MISS_GRACE_MS, type States, standing, whyMissed } from './verbs.ts';

export interface WatchOptions {
  readonly verb: Verb;
  /** States by FID, in the same order; an ErrnoError for a file that can't be looked at. Rejects when the helper is gone. */
  readonly look: (fids: readonly Fid[]) => Promise<readonly (States | ErrnoError)[]>;
  /** Told once for every file that was added. */
  readonly onEnd: (file: RequestFile, outcome: Outcome, why?: Why) => void;
  /** Told after every round. */
  readonly onRound: (movingBytes: bigint) => void;
  /** Told once, when nothing of what is watched has started for `stallAfter` milliseconds (30,000 by default). */
  readonly onStall?: (since: number) => void;
  readonly stallAfter?: number | undefined;
  /** Milliseconds between two rounds; shorter at first, up to five times as long while nothing changes. */
  readonly pollInterval: number;
  /** Files watched at a time: `room` waits above it. */
  readonly window: number;
  /** Milliseconds until those that are not at their end are given up as `pending`. */
  readonly timeout?: number | undefined;
  /** How files end that are not at their end when it is over; default `pending`. */
  readonly leftAs?: 'pending' | 'asked' | undefined;
  readonly signal?: AbortSignal | undefined;
}

interface Watched {
  readonly file: RequestFile;
  /** Among those that take turns: in which of the rounds it is looked at. */
  readonly turn: number;
  /** Its action was at work when it was last looked at, and had moved so many bytes. */
  running: boolean;
  moved: bigint;
  /** Consecutive rounds with nothing under way and the goal not reached, and when the first was. */
  misses: number;
  missedSince: number;
}

/** Within the grace period a file is looked at so often at least before it is called failed. */
const MISSES = 3;
/** A file that can't be looked at may be behind a server that recovers. */
const ERROR_GRACE_MS = 60_000;
const FIRST_DELAY_MS = 100;
/**
 * Every look costs the MDT two requests, and most of what waits only waits. Looked at in every round is what is at work
 * or was missing, and the oldest, since the coordinator begins with them: so many, or twice what ended in the last
 * round. The others take turns, one round in so many.
 */
const OLDEST = 200;
const TURNS = 8;
const STALL_MS = 30_000;

/**
 * Watches files that were asked for to their end, by reading their states in bulk: done, failed (nothing under way any
 * more, and not in the state that was asked for), or vanished.
 */
export class Watch {
  readonly #options: WatchOptions;
  readonly #files = new Map<Fid, Watched>();
  readonly #deadline: number;
  readonly #loop: Promise<void>;
  readonly #left = new AbortController();
  readonly #awake: AbortSignal;
  #failure: { readonly error: unknown } | undefined;
  #round = 0;
  #added = 0;
  /** In the last round. */
  #ended = 0;
  #complete = false;
  #over = false;
  #changed: PromiseWithResolvers<void> = Promise.withResolvers();
  /** Since when something waits and nothing was seen at work or at its end; told of once. */
  #idleSince: number | undefined;
  #moved = false;
  #stallTold = false;

  constructor(options: WatchOptions) {
    this.#options = options;
    const { signal } = options;
    this.#awake = signal === undefined ? this.#left.signal : AbortSignal.any([signal, this.#left.signal]);
    this.#deadline = options.timeout === undefined ? Number.POSITIVE_INFINITY : Date.now() + options.timeout;
    this.#loop = this.#rounds().catch((error: unknown) => {
      this.#failure = { error };
      this.#stop();
    });
  }

  /** Files were watched, and none was seen at work or at its end. */
  get stalled(): boolean {
    return this.#idleSince !== undefined && !this.#moved;
  }

  /** Files that were asked for just now. */
  add(file: RequestFile): void {
    if (this.#over) {
      this.#options.onEnd(file, this.#leftAs);
      return;
    }
    this.#idleSince ??= Date.now();
    const turn = this.#added++ % TURNS;
    this.#files.set(file.fid, { file, turn, running: false, moved: 0n, misses: 0, missedSince: 0 });
    this.#wake();
  }

  /** Waits until fewer files are watched than the window has places. Throws when they can't be watched any more. */
  async room(): Promise<void> {
    while (!this.#over && this.#files.size >= this.#options.window) await this.#changed.promise;
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** No more will be added: waits for the end of all. */
  async finish(): Promise<void> {
    this.#complete = true;
    this.#wake();
    await this.#loop;
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** No more will be added, and nobody waits: those that are not at their end are left to Lustre. */
  async leave(): Promise<void> {
    this.#stop();
    this.#left.abort();
    await this.#loop;
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  get #leftAs(): 'pending' | 'asked' {
    return this.#options.leftAs ?? 'pending';
  }

  async #rounds(): Promise<void> {
    let pause = Math.min(FIRST_DELAY_MS, this.#options.pollInterval);
    while (!this.#isOver()) {
      if (this.#files.size === 0) {
        if (this.#complete) return;
        await this.#changed.promise;
        continue;
      }
      await this.#sleep(pause);
      await this.#lookAround();
      const { pollInterval } = this.#options;
      const limit = this.#ended > 0 ? pollInterval : pollInterval * 5;
      pause = Math.min(pause * 2, limit);
    }
    this.#stop();
  }

  #isOver(): boolean {
    return this.#over || this.#options.signal?.aborted === true || Date.now() >= this.#deadline;
  }

  async #sleep(pause: number): Promise<void> {
    const until = Math.max(0, Math.min(pause, this.#deadline - Date.now()));
    await delay(until, undefined, { signal: this.#awake }).catch(() => {});
  }

  async #lookAround(): Promise<void> {
    const some = this.#nextOnes();
    this.#round += 1;
    this.#ended = 0;
    const states = await this.#options.look(some.map(({ file }) => file.fid));
    for (const [index, one] of some.entries()) {
      const state = states[index];
      // It was left while it was looked at.
      if (this.#files.get(one.file.fid) !== one) continue;
      if (state instanceof ErrnoError) this.#lookFailed(one, state);
      else if (state !== undefined) this.#judge(one, state);
    }
    let moving = 0n;
    for (const { moved } of this.#files.values()) moving += moved;
    this.#options.onRound(moving);
    this.#tellStall();
    this.#wake();
  }

  #nextOnes(): Watched[] {
    const oldest = Math.max(OLDEST, this.#ended * 2);
    const turn = this.#round % TURNS;
    return [...this.#files.values()].filter(
      (one, index) => index < oldest || one.running || one.misses > 0 || one.turn === turn,
    );
  }

  #tellStall(): void {
    if (this.#moved || this.#stallTold || this.#idleSince === undefined) return;
    const since = Date.now() - this.#idleSince;
    if (since < (this.#options.stallAfter ?? STALL_MS)) return;
    this.#stallTold = true;
    this.#options.onStall?.(since);
  }

  #judge(one: Watched, state: States): void {
    const { verb } = this.#options;
    const at = standing(verb, state);
    one.running = at === 'under_way' && state.action.state === 'running';
    one.moved = at === 'under_way' ? state.action.done : 0n;
    if (one.running) this.#moved = true;
    if (at === 'reached') this.#end(one, 'done');
    else if (at === 'under_way') one.misses = 0;
    else if (this.#missed(one, MISS_GRACE_MS)) this.#end(one, 'failed', whyMissed(verb, state));
  }

  #lookFailed(one: Watched, error: ErrnoError): void {
    if (isGone(error.errno)) this.#end(one, 'vanished');
    else if (this.#missed(one, ERROR_GRACE_MS)) {
      this.#end(one, 'failed', { code: errnoName(error.errno), text: `can't be looked at any more: ${error.message}` });
    }
  }

  #missed(one: Watched, grace: number): boolean {
    one.misses += 1;
    if (one.misses === 1) one.missedSince = Date.now();
    return one.misses >= MISSES && Date.now() - one.missedSince >= grace;
  }

  #end(one: Watched, outcome: Outcome, why?: Why): void {
    this.#files.delete(one.file.fid);
    this.#ended += 1;
    if (outcome !== this.#leftAs) this.#moved = true;
    this.#options.onEnd(one.file, outcome, why);
  }

  #stop(): void {
    this.#over = true;
    for (const one of [...this.#files.values()]) this.#end(one, this.#leftAs);
    this.#wake();
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}
