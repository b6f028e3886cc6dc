import type { Fid } from '../../identity/fid.ts';

const FIRST_WAIT_MS = 60_000;
const LONGEST_WAIT_MS = 3_600_000;
/** Of more, the ones that failed longest ago are forgotten, and so tried again earlier. */
const MOST = 100_000;

/**
 * What can't be done just now is tried ever more seldom: a blob under a lease or an immutability policy, in a container
 * that is not configured any more. In memory alone: another process tries all of it once.
 */
export class PutOff {
  readonly #now: () => number;
  readonly #failed = new Map<Fid, { readonly times: number; readonly notBefore: number }>();

  /** @param now milliseconds of a clock that is not set */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  waits(fid: Fid): boolean {
    return this.#now() < (this.#failed.get(fid)?.notBefore ?? Number.NEGATIVE_INFINITY);
  }

  failed(fid: Fid): void {
    const times = this.#failed.get(fid)?.times ?? 0;
    const wait = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(times, 30));
    this.#failed.delete(fid);
    this.#failed.set(fid, { times: times + 1, notBefore: this.#now() + wait });
    const [oldest] = this.#failed.keys();
    if (this.#failed.size > MOST && oldest !== undefined) this.#failed.delete(oldest);
  }

  over(fid: Fid): void {
    this.#failed.delete(fid);
  }
}
