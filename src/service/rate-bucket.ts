import { ACCOUNT_NUMBERS, type Place, RateAccount } from './rate-account.ts';
import { exclusively } from './shared-lock.ts';

/** 32-bit words of the shared memory; after them, at 8-byte borders, the total and the account's numbers. */
const LOCK = 0;
/** Counts changes of rate and hold; those who wait for a change wait on it. */
const VERSION = 1;
const LIMITED = 2;
const HELD = 3;
const WAITING = 4;
const WORDS = 6;
const TOTAL_AT = WORDS * 4;
const NUMBERS_AT = TOTAL_AT + 8;
const BYTES = NUMBERS_AT + ACCOUNT_NUMBERS * 8;

/** The longest sleep between two looks at the account: others may have left their places. */
const LONGEST_SLEEP_MS = 1_000;

/** What time it is and how time goes by; tests have their own. Milliseconds. */
export interface BucketClock {
  now(): number;
  /** Calls `then` once, at the earliest after so many milliseconds; the result gives it up. */
  after(milliseconds: number, then: () => void): () => void;
}

/** CLOCK_MONOTONIC, which all threads of a process read alike. */
const SYSTEM_CLOCK: BucketClock = {
  now: () => Number(process.hrtime.bigint()) / 1e6,
  after: (milliseconds, then) => {
    const timer = setTimeout(then, milliseconds);
    return () => clearTimeout(timer);
  },
};

/** What a bucket is doing, for status and metrics. */
export interface BucketFigures {
  /** Bytes per second; absent without a limit. */
  readonly rate?: number;
  readonly held: boolean;
  /** Takes that wait, in all threads. */
  readonly waiting: number;
  /** Bytes let in since the bucket was made, limited or not. */
  readonly total: bigint;
}

/**
 * A bandwidth limit for all threads of a process, changeable while it is waited for. Every thread makes a bucket of its
 * own from the same {@link shared} memory: `new RateBucket(bucket.shared)`.
 *
 * - In the long run exactly the rate is let in; bursts are one block of any size and a tenth of a second.
 * - Takes of up to 1 MiB don't wait behind a queue of larger ones: see RateAccount.
 * - A new rate and a hold take effect at once, for those who wait as well.
 * - Waiting costs a timer, no processor time; without a limit, `take` is two loads and an addition.
 */
export class RateBucket {
  readonly shared: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #total: BigInt64Array;
  readonly #account: RateAccount;
  readonly #clock: BucketClock;
  /** Those of this thread that wait, by what wakes them. */
  readonly #sleepers = new Set<() => void>();
  #watching = false;

  /** @param shared the memory of another thread's bucket; without it a new one without a limit */
  constructor(shared: SharedArrayBuffer = new SharedArrayBuffer(BYTES), clock: BucketClock = SYSTEM_CLOCK) {
    this.shared = shared;
    this.#words = new Int32Array(shared, 0, WORDS);
    this.#total = new BigInt64Array(shared, TOTAL_AT, 1);
    this.#account = new RateAccount(new Float64Array(shared, NUMBERS_AT, ACCOUNT_NUMBERS));
    this.#clock = clock;
  }

  /**
   * Resolves when so many bytes may be moved. Call it right before they are.
   * Rejects with the signal's reason; the bytes then count for nothing.
   * @returns whether it was held meanwhile
   */
  async take(bytes: number, signal?: AbortSignal): Promise<boolean> {
    signal?.throwIfAborted();
    const held = !this.#isOpen() && (await this.#waitFor(bytes, signal));
    Atomics.add(this.#total, 0, BigInt(bytes));
    return held;
  }

  /**
   * @param rate bytes per second, at least 1; undefined for no limit
   * @throws RangeError for anything else
   */
  setRate(rate: number | undefined): void {
    if (rate !== undefined && !(rate >= 1 && rate <= Number.MAX_SAFE_INTEGER))
      throw new RangeError(`a rate of ${rate} bytes per second`);
    const now = this.#clock.now();
    this.#change(() => {
      this.#account.setRate(rate ?? 0, now);
      Atomics.store(this.#words, LIMITED, rate === undefined ? 0 : 1);
    });
  }

  /** Lets nothing in until it is called with false. What waits keeps its place, and nothing is saved up meanwhile. */
  setHeld(held: boolean): void {
    const now = this.#clock.now();
    this.#change(() => {
      this.#pay(now);
      Atomics.store(this.#words, HELD, held ? 1 : 0);
    });
  }

  figures(): BucketFigures {
    const rate = exclusively(this.#words, LOCK, () => this.#account.rate);
    return {
      ...(rate === 0 ? {} : { rate }),
      held: Atomics.load(this.#words, HELD) === 1,
      waiting: Atomics.load(this.#words, WAITING),
      total: Atomics.load(this.#total, 0),
    };
  }

  #isOpen(): boolean {
    return Atomics.load(this.#words, LIMITED) === 0 && Atomics.load(this.#words, HELD) === 0;
  }

  async #waitFor(bytes: number, signal: AbortSignal | undefined): Promise<boolean> {
    let place: Place | undefined;
    let wasHeld = false;
    Atomics.add(this.#words, WAITING, 1);
    try {
      for (;;) {
        signal?.throwIfAborted();
        const version = Atomics.load(this.#words, VERSION);
        if (this.#isOpen()) return wasHeld;
        const now = this.#clock.now();
        const wait = exclusively(this.#words, LOCK, () => {
          if (Atomics.load(this.#words, LIMITED) === 0) return 0;
          place ??= this.#account.queue(bytes);
          this.#pay(now);
          return this.#account.wait(place);
        });
        const held = Atomics.load(this.#words, HELD) === 1;
        if (!held && wait === 0) return wasHeld;
        wasHeld ||= held;
        await this.#sleep(version, held ? undefined : Math.min(Math.ceil(wait), LONGEST_SLEEP_MS), signal);
      }
    } catch (error) {
      const left = place;
      if (left !== undefined) exclusively(this.#words, LOCK, () => this.#account.leave(left));
      throw error;
    } finally {
      Atomics.sub(this.#words, WAITING, 1);
    }
  }

  #pay(now: number): void {
    if (Atomics.load(this.#words, HELD) === 1) this.#account.skip(now);
    else this.#account.pay(now);
  }

  #change(work: () => void): void {
    exclusively(this.#words, LOCK, work);
    Atomics.add(this.#words, VERSION, 1);
    Atomics.notify(this.#words, VERSION);
  }

  /** Until the time is up, or rate or hold are no longer those of `version`. */
  #sleep(version: number, milliseconds: number | undefined, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const wake = () => {
        cancel?.();
        this.#sleepers.delete(wake);
        signal?.removeEventListener('abort', wake);
        if (signal?.aborted) reject(signal.reason);
        else resolve();
      };
      const cancel = milliseconds === undefined ? undefined : this.#clock.after(milliseconds, wake);
      this.#sleepers.add(wake);
      signal?.addEventListener('abort', wake, { once: true });
      if (Atomics.load(this.#words, VERSION) !== version) wake();
      else void this.#watch(version);
    });
  }

  /** One wait for a change is enough for all sleepers of a thread; it can't be given up, so it is used again. */
  async #watch(version: number): Promise<void> {
    if (this.#watching) return;
    this.#watching = true;
    const change = Atomics.waitAsync(this.#words, VERSION, version);
    if (change.async) await change.value;
    this.#watching = false;
    for (const wake of [...this.#sleepers]) wake();
  }
}

/**
 * Waits for one bucket after the other: a limit of its own, then those that are shared with others.
 * @returns whether one of them was held meanwhile
 */
export async function takeAll(buckets: readonly RateBucket[], bytes: number, signal?: AbortSignal): Promise<boolean> {
  let held = false;
  for (const bucket of buckets) held = (await bucket.take(bytes, signal)) || held;
  return held;
}
