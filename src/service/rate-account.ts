/** Where the numbers of an account lie in its memory. */
const RATE = 0;
const TIME = 1;
const CREDIT = 2;
/** Of each lane: bytes paid for, and bytes let in or promised. Both only grow. */
const PAID = 3;
const HEAD = 5;

/** Numbers (64-bit floats) that an account needs. */
export const ACCOUNT_NUMBERS = 7;

/** Up to this many bytes a take goes into the lane for small ones. */
const SMALL_BYTES = 1024 * 1024;
/** What may be saved up while nothing is taken, as time: it makes up for timers that are late. */
const SAVED_MS = 100;

/** A place in a lane: the take may go on when everything before it has been paid for. */
export interface Place {
  readonly lane: 0 | 1;
  readonly start: number;
  readonly bytes: number;
}

/**
 * The books of a rate limit, in memory that threads may share; every call must be alone at them. Two lanes, each first
 * come, first served: small takes don't wait behind a queue of large ones, as either lane has half of the rate while both
 * want something, and all of it otherwise. A take goes on when those before it in its lane are paid for, and is paid for
 * afterwards: so a block of any size gets through any rate, and in the long run exactly the rate is let in.
 * Times are in milliseconds of any monotonic clock that the threads have in common.
 */
export class RateAccount {
  readonly #numbers: Float64Array;

  constructor(numbers: Float64Array) {
    this.#numbers = numbers;
  }

  /** Bytes per second; 0 for no limit. */
  get rate(): number {
    return this.#get(RATE);
  }

  /** Everything up to now is paid at the old rate, everything after it at the new one. Without a limit nobody owes. */
  setRate(rate: number, now: number): void {
    this.pay(now);
    this.#numbers[RATE] = rate;
    this.#numbers[CREDIT] = 0;
    if (rate === 0) for (const lane of [0, 1]) this.#numbers[PAID + lane] = this.#get(HEAD + lane);
  }

  /** Lets time go by without paying anything for it. */
  skip(now: number): void {
    this.#numbers[TIME] = Math.max(this.#get(TIME), now);
  }

  /** Pays for what has been let in, with what the time since the last call gives. */
  pay(now: number): void {
    const rate = this.rate;
    const elapsed = Math.max(0, now - this.#get(TIME));
    this.skip(now);
    const credit = this.#get(CREDIT) + (rate * elapsed) / 1000;
    const [small, large] = [this.#owed(0), this.#owed(1)];
    const forSmall = Math.min(small, Math.max(credit / 2, credit - large));
    const forLarge = Math.min(large, credit - forSmall);
    this.#settle(0, small, forSmall);
    this.#settle(1, large, forLarge);
    this.#numbers[CREDIT] = Math.min(credit - forSmall - forLarge, (rate * SAVED_MS) / 1000);
  }

  /** Takes up the last place of a lane. */
  queue(bytes: number): Place {
    const lane = bytes <= SMALL_BYTES ? 0 : 1;
    const start = this.#get(HEAD + lane);
    this.#numbers[HEAD + lane] = start + bytes;
    return { lane, start, bytes };
  }

  /** Gives back what a place was promised: those behind it go on the sooner. */
  leave({ lane, start, bytes }: Place): void {
    if (this.#get(HEAD + lane) === start + bytes) {
      this.#numbers[HEAD + lane] = start;
      this.#numbers[PAID + lane] = Math.min(this.#get(PAID + lane), start);
    } else this.#numbers[PAID + lane] = Math.min(this.#get(PAID + lane) + bytes, this.#get(HEAD + lane));
  }

  /** Milliseconds until the place may go on, as far as can be known now; 0 when it may. */
  wait({ lane, start }: Place): number {
    const missing = start - this.#get(PAID + lane);
    if (missing <= 0) return 0;
    const others = this.#owed(1 - lane);
    return ((missing + Math.min(missing, others)) * 1000) / this.rate;
  }

  /** Bytes let in or promised, and not paid for. */
  get owed(): number {
    return this.#owed(0) + this.#owed(1);
  }

  #get(index: number): number {
    return this.#numbers[index] ?? 0;
  }

  #owed(lane: number): number {
    return this.#get(HEAD + lane) - this.#get(PAID + lane);
  }

  /** All of a debt is paid by making both numbers the same: nothing is left over by rounding. */
  #settle(lane: number, owed: number, paid: number): void {
    this.#numbers[PAID + lane] = paid >= owed ? this.#get(HEAD + lane) : this.#get(PAID + lane) + paid;
  }
}
