import type { BlobState } from '../blob/state.ts';
import type { BlobStore } from '../blob/store.ts';

/** A part of a container that is still to be listed: names that begin with this, from where a page ended. */
export interface ListRange {
  readonly startsWith: string;
  /** Everything below at once; else one level, whose directories become ranges of their own. */
  readonly flat?: boolean;
  readonly from?: string;
}

export interface ParallelListingOptions {
  /** What is to be listed, or what an earlier listing had left. */
  readonly ranges: readonly ListRange[];
  /** Requests at the same time. */
  readonly parallel: number;
  /** Blobs in a page, at most 5,000. */
  readonly pageSize: number;
  /**
   * Each page once; what it rejects with ends the listing. What it resolves with is called at the moment from which the page
   * is not in `left` any more.
   */
  readonly onPage: (blobs: readonly BlobState[]) => Promise<() => void>;
  /** After each page. */
  readonly onMoved?: () => Promise<void>;
  readonly signal: AbortSignal;
}

/** So many ranges for each request at the same time are enough to keep all busy: then directories are listed whole. */
const RANGES_EACH = 4;
/** Ranges that are kept; what is found beyond is listed at once by whoever found it. */
const MOST_RANGES = 2_000;

/**
 * Lists a container with several requests at the same time. A page tells only where the next one begins, so the work is
 * divided by directories: levels are listed until there are enough of them, then each is listed whole. At any moment
 * `left` says what is not done; every page is either in it or was given to `onPage`.
 */
export class ParallelListing {
  readonly #store: BlobStore;
  readonly #options: ParallelListingOptions;
  readonly #waiting: ListRange[];
  readonly #atWork = new Map<number, ListRange[]>();
  readonly #idle: (() => void)[] = [];
  #failure: { readonly error: unknown } | undefined;

  constructor(store: BlobStore, options: ParallelListingOptions) {
    this.#store = store;
    this.#options = options;
    this.#waiting = [...options.ranges];
  }

  /** What is still to be listed. */
  get left(): ListRange[] {
    return [...[...this.#atWork.values()].flat(), ...this.#waiting];
  }

  /** Resolves when all is listed, or the signal has stopped it between two pages. */
  async run(): Promise<void> {
    const { parallel } = this.#options;
    await Promise.all(Array.from({ length: parallel }, (_, worker) => this.#work(worker)));
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  get #ended(): boolean {
    return this.#failure !== undefined || this.#options.signal.aborted;
  }

  async #work(worker: number): Promise<void> {
    while (!this.#ended) {
      const range = this.#waiting.shift();
      if (range === undefined) {
        if (this.#atWork.size === 0) break;
        await new Promise<void>((resolve) => this.#idle.push(resolve));
        continue;
      }
      const own = [range];
      this.#atWork.set(worker, own);
      try {
        await this.#list(own);
      } catch (error) {
        if (!this.#options.signal.aborted) this.#failure ??= { error };
      }
      // What was stopped stays in `left`.
      if (!this.#ended) this.#atWork.delete(worker);
      this.#wake();
    }
    this.#wake();
  }

  /** The worker's own ranges, the last first, page by page: what it took, and what is too much to wait. */
  async #list(own: ListRange[]): Promise<void> {
    const { pageSize, onPage, onMoved, signal, parallel } = this.#options;
    for (let range = own.at(-1); range !== undefined && !this.#ended; range = own.at(-1)) {
      const { startsWith, from, flat = this.#waiting.length >= parallel * RANGES_EACH } = range;
      const page = await this.#store.listPage(flat ? 'flat' : 'level', {
        ...{ pageSize, signal, from },
        ...(startsWith === '' ? {} : { startsWith }),
      });
      const taken = await onPage(page.blobs);
      own.pop();
      if (page.next !== undefined) own.push({ startsWith, flat, from: page.next });
      for (const directory of page.directories) {
        if (this.#waiting.length < MOST_RANGES) this.#waiting.push({ startsWith: directory });
        else own.push({ startsWith: directory, flat: true });
      }
      taken();
      this.#wake();
      await onMoved?.();
    }
  }

  #wake(): void {
    for (const resolve of this.#idle.splice(0)) resolve();
  }
}
