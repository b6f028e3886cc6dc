import type { Fid } from '../../identity/fid.ts';
import type { ByRestore } from '../reconcile/by-restore.ts';

/** Of a restore that has not come in so long it is not known any more whether it was asked for. */
const FORGET_MS = 3_600_000;

/** Restores for renamed files: no more at the same time than the file system has room for. */
export class Restores implements ByRestore {
  readonly #request: (fid: Fid) => Promise<void>;
  readonly #most: () => number;
  /** By performance.now(), when they were asked for; the longest ago first. */
  readonly #asked = new Map<Fid, number>();

  constructor(request: (fid: Fid) => Promise<void>, most: () => number) {
    this.#request = request;
    this.#most = most;
  }

  async restore({ fid }: { readonly fid: Fid }): Promise<boolean> {
    const now = performance.now();
    for (const [one, at] of this.#asked) {
      if (now - at < FORGET_MS) break;
      this.#asked.delete(one);
    }
    if (this.#asked.has(fid)) return true;
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

  restored({ fid }: { readonly fid: Fid }): void {
    this.#asked.delete(fid);
  }
}
