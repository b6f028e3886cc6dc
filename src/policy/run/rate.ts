import type { RunLimits } from '../policies.ts';
import type { Clock } from './clock.ts';

/**
 * How many files and bytes may be asked for: a bucket that is filled up at the beginning of each period, so many files
 * and bytes at most. A file that is larger than a whole period's bytes goes when a period has just begun, alone.
 */
export class RateLimit {
  readonly #limits: RunLimits & { readonly periodMs: number };
  readonly #clock: Clock;
  #began = Number.NEGATIVE_INFINITY;
  #files = 0;
  #bytes = 0;

  constructor(limits: RunLimits & { readonly periodMs: number }, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
  }

  /** Takes room for a file, if there is some in this period. */
  tryTake(bytes: number): boolean {
    const { files = Number.POSITIVE_INFINITY, bytes: mostBytes = Number.POSITIVE_INFINITY } = this.#limits;
    this.#turn();
    const fits = this.#files + 1 <= files && this.#bytes + bytes <= mostBytes;
    if (!fits && this.#files > 0) return false;
    this.#files += 1;
    this.#bytes += bytes;
    return true;
  }

  /** Waits for the next period. */
  async next(signal?: AbortSignal): Promise<void> {
    const wait = this.#began + this.#limits.periodMs - this.#clock.now();
    if (wait > 0) await this.#clock.sleep(wait, signal);
  }

  #turn(): void {
    const now = this.#clock.now();
    if (now - this.#began < this.#limits.periodMs && now >= this.#began) return;
    this.#began = now;
    this.#files = 0;
    this.#bytes = 0;
  }
}
