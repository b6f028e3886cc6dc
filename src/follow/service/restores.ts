import type { Fid } from '../../identity/fid.ts';
import type { ByRestore } from '../reconcile/by-restore.ts';

/** Of a restore that has not come in so long it is not known any more whether it was asked for. */
const FORGET_MS = 3_600_000;

/**
 * Restores for renamed files: no more at the same time than the file system has room for. Those of files that wait no
 * longer, since they died or were written, make room for others.
 */
export class Restores implements ByRestore {
  readonly #request: (fid: Fid) => Promise<void>;
  readonly #most: () => number;
  readonly #isWaiting: (fid: Fid) => Promise<boolean>;
  /** By performance.now(), when they were asked for; the longest ago first. */
  readonly #asked = new Map<Fid, number>();

  /** @param isWaiting whether the file still has a row in the journal, which asks for it again and again */
  constructor(request: (fid: Fid) => Promise<void>, most: () => number, isWaiting: (fid: Fid) => Promise<boolean>) {
    this.#request = request;
    this.#most = most;
    this.#isWaiting = isWaiting;
  }

  async restore({ fid }: { readonly fid: Fid }): Promise<boolean> {
    const now = performance.now();
    for (const [one, at] of this.#asked) {
      if (now - at < FORGET_MS) break;
      this.#asked.delete(one);
    }
    if (this.#asked.has(fid)) return true;
    if (this.#asked.size >= this.#most()) await this.#letGo();
    if (this.#asked.size >= this.#most()) return false;
    this.#asked.set(fid, now);
    try {
      await this.#request(fid);
      return true;
    } catch (error) {
      this.#asked.delete(fid);
      throw error;
    }
  }

  async #letGo(): Promise<void> {
    for (const fid of [...this.#asked.keys()]) if (!(await this.#isWaiting(fid))) this.#asked.delete(fid);
  }

  restored({ fid }: { readonly fid: Fid }): void {
    this.#asked.delete(fid);
  }
}
