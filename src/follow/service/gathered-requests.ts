import type { Fid } from '../../identity/fid.ts';
import { ERRNO } from '../../lustre/errno.ts';
import { hsmRequest, type RequestAction } from '../../lustre/lfs.ts';
import { ErrnoError } from '../../service/errors.ts';
import type { Log } from '../../service/log.ts';

/** One call of `lfs` for all that come within this time, up to what a request holds. */
const GATHER_MS = 50;
const MOST = 50;

interface Waiting {
  readonly fid: Fid;
  readonly done: () => void;
  readonly failed: (error: unknown) => void;
}

export interface GatheredOptions {
  readonly action: RequestAction;
  /** Canonical. */
  readonly mount: string;
  readonly lfs: string;
  readonly signal: AbortSignal;
  readonly log: Log;
}

/** Asks the coordinator for one kind of action, for several files in one request: each call of `lfs` costs a process. */
export class GatheredRequests {
  readonly #o: GatheredOptions;
  #waiting: Waiting[] = [];

  constructor(options: GatheredOptions) {
    this.#o = options;
  }

  /** Resolves when the coordinator has the request. Rejects with an ErrnoError when it refuses this very file. */
  ask(fid: Fid): Promise<void> {
    return new Promise((done, failed) => {
      this.#waiting.push({ fid, done, failed });
      if (this.#waiting.length === 1) setTimeout(() => this.#send(), GATHER_MS);
      else if (this.#waiting.length >= MOST) this.#send();
    });
  }

  #send(): void {
    const batch = this.#waiting;
    this.#waiting = [];
    if (batch.length > 0) void this.#sendAll(batch);
  }

  async #sendAll(batch: readonly Waiting[]): Promise<void> {
    const { action, mount, lfs, signal, log } = this.#o;
    const fids = batch.map(({ fid }) => fid);
    try {
      await hsmRequest({ action, fids, mount, lfs, signal });
      log.debug('coordinator was asked', { action, files: fids.length, fids: fids.slice(0, 10) });
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
