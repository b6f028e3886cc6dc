import type { Fid } from '../../identity/fid.ts';
import { ReconcileError } from '../reconcile/errors.ts';

/** A file that is refused again and again is asked for ever more seldom. */
const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 3_600_000;
/** Files of which it is remembered how often they were asked for. */
const REMEMBERED = 10_000;

interface Asked {
  readonly times: number;
  /** By performance.now(). */
  readonly notBefore: number;
}

/** Asks for archives once more, not more often than makes sense. */
export class ArchiveAgain {
  readonly #request: (fid: Fid) => Promise<void>;
  readonly #asked = new Map<Fid, Asked>();

  constructor(request: (fid: Fid) => Promise<void>) {
    this.#request = request;
  }

  /**
   * Resolves when the coordinator has the request.
   * @throws ReconcileError `soon` while it was asked for a short time ago; what the request rejects with
   */
  async ask(fid: Fid): Promise<void> {
    const now = performance.now();
    const { times, notBefore } = this.#asked.get(fid) ?? { times: 0, notBefore: 0 };
    if (now < notBefore)
      throw new ReconcileError('asked', 'soon', `${fid} was asked for already`, Math.ceil(notBefore - now));
    const wait = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(times, 30));
    // Of those that were not asked for in a long time, nothing need be known.
    const forgotten = now - notBefore > LONGEST_WAIT_MS;
    this.#asked.delete(fid);
    this.#asked.set(fid, { times: forgotten ? 1 : times + 1, notBefore: now + wait });
    const [oldest] = this.#asked.keys();
    if (this.#asked.size > REMEMBERED && oldest !== undefined) this.#asked.delete(oldest);
    await this.#request(fid);
  }
}
