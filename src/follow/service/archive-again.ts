import type { Fid } from '../../identity/fid.ts';
import { ERRNO } from '../../lustre/errno.ts';
import { hsmRequest } from '../../lustre/lfs.ts';
import { ErrnoError } from '../../service/errors.ts';
import type { Log } from '../../service/log.ts';
import { ReconcileError } from '../reconcile/errors.ts';

/** One call of `lfs` for all that come within this time, up to what a request holds. */
const GATHER_MS = 50;
const MOST = 50;
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

interface Waiting {
  readonly fid: Fid;
  readonly done: () => void;
  readonly failed: (error: unknown) => void;
}

/** Asks the coordinator for archives that it was asked for before, several in one request. */
export class ArchiveAgain {
  readonly #o: { mount: string; lfs: string; signal: AbortSignal; log: Log; onAsked: (count: number) => void };
  readonly #asked = new Map<Fid, Asked>();
  #waiting: Waiting[] = [];

  constructor(options: {
    /** Canonical. */
    mount: string;
    lfs: string;
    signal: AbortSignal;
    log: Log;
    onAsked: (count: number) => void;
  }) {
    this.#o = options;
  }

  /**
   * Resolves when the coordinator has the request, or the file needs none.
   * @throws ReconcileError `soon` while it was asked for a short time ago; ErrnoError when the coordinator refuses
   */
  async ask(fid: Fid): Promise<void> {
    this.#mayAsk(fid);
    await new Promise<void>((done, failed) => {
      this.#waiting.push({ fid, done, failed });
      if (this.#waiting.length === 1) setTimeout(() => this.#send(), GATHER_MS);
      else if (this.#waiting.length >= MOST) this.#send();
    });
  }

  #mayAsk(fid: Fid): void {
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
  }

  #send(): void {
    const batch = this.#waiting;
    this.#waiting = [];
    if (batch.length > 0) void this.#sendAll(batch);
  }

  async #sendAll(batch: readonly Waiting[]): Promise<void> {
    const { mount, lfs, signal, log, onAsked } = this.#o;
    try {
      await hsmRequest({ action: 'archive', fids: batch.map(({ fid }) => fid), mount, lfs, signal });
      onAsked(batch.length);
      log.info('archives are asked for again', { files: batch.length, fids: batch.slice(0, 10).map(({ fid }) => fid) });
      for (const { done } of batch) done();
    } catch (error) {
      // One that is gone, or needs nothing, has the whole request refused.
      const divides = error instanceof ErrnoError && error.errno !== ERRNO.EAGAIN;
      if (divides && batch.length > 1) {
        const middle = Math.ceil(batch.length / 2);
        await this.#sendAll(batch.slice(0, middle));
        await this.#sendAll(batch.slice(middle));
      } else for (const { failed } of batch) failed(error);
    }
  }
}
