import { isReservedName } from '../blob/naming.ts';
import type { BlobState } from '../blob/state.ts';
import type { ImportChanges, ImportRange } from '../catalog/types.ts';
import type { Ledger } from './ledger.ts';

/** One request's worth of a listing. */
export interface Page {
  readonly blobs: readonly BlobState[];
  readonly directories: readonly string[];
  readonly next?: string | undefined;
}

export interface ListerOptions {
  readonly ledger: Ledger;
  /** The archive's. */
  readonly prefix: string;
  /** Gets a page of a range, from its token on. */
  readonly list: (range: ImportRange) => Promise<Page>;
  /** Whether what lies below a beginning of names (that ends in a slash) is wanted at all. */
  readonly wanted: (start: string) => boolean;
  /** Makes what the page has; `progress` has to become durable together with it. */
  readonly take: (blobs: readonly BlobState[], progress: ImportChanges) => Promise<void>;
  /** Ranges that are listed at the same time. */
  readonly concurrency: number;
  readonly signal: AbortSignal;
}

/** Ranges for each worker, from which on directories are listed whole: a request gives thousands of names, in however many directories. */
const RANGES_EACH = 8;

/**
 * Lists what the ledger has left, in parallel: level by level until there are enough ranges, then each with everything below
 * it, in the order of names. A page counts as listed when what it has is made; the next one is fetched meanwhile.
 */
export async function listAll(options: ListerOptions): Promise<void> {
  const { concurrency } = options;
  const ranges = new Ranges(options.ledger, concurrency);
  const worker = async (): Promise<void> => {
    for (;;) {
      options.signal.throwIfAborted();
      const range = await ranges.next();
      if (range === undefined) return;
      try {
        await listRange(options, range, () => ranges.grown());
      } finally {
        ranges.release(range);
      }
    }
  };
  const ended = await Promise.allSettled(
    Array.from({ length: concurrency }, () =>
      worker().catch((error: unknown) => {
        ranges.stop();
        throw error;
      }),
    ),
  );
  const failed = ended.find((one) => one.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

async function listRange(options: ListerOptions, range: ImportRange, grown: () => void): Promise<void> {
  const { ledger, list, take, signal, concurrency } = options;
  let next: Promise<Page> | undefined = list(range);
  while (next !== undefined) {
    const page: Page = await next;
    signal.throwIfAborted();
    const { next: token } = page;
    next = token === undefined ? undefined : list({ ...range, token });
    // Its failure is met when its turn comes.
    next?.catch(() => undefined);
    const found = page.directories.filter(
      (start) => !isReservedName(start.slice(0, -1), options.prefix) && options.wanted(start),
    );
    const flat = found.length > 0 && (await ledger.rangeCount()) + found.length >= RANGES_EACH * concurrency;
    await take(page.blobs, {
      ranges: [...found.map((place) => ({ place, flat })), ...(token === undefined ? [] : [{ ...range, token }])],
      rangesDone: token === undefined ? [range.place] : [],
    });
    if (found.length > 0) grown();
  }
}

/** Who lists which range; whoever finds none waits until there may be more. */
class Ranges {
  readonly #ledger: Ledger;
  readonly #workers: number;
  readonly #held = new Set<string>();
  #waiting: (() => void)[] = [];
  #changes = 0;
  #stopped = false;

  constructor(ledger: Ledger, workers: number) {
    this.#ledger = ledger;
    this.#workers = workers;
  }

  async next(): Promise<ImportRange | undefined> {
    for (;;) {
      if (this.#stopped) return undefined;
      const changes = this.#changes;
      // As many as may be held, and one more: if all these are held, there is no other.
      const left = await this.#ledger.ranges(this.#workers + 1);
      const free = left.find(({ place }) => !this.#held.has(place));
      if (free !== undefined) {
        this.#held.add(free.place);
        return free;
      }
      if (changes !== this.#changes) continue;
      if (this.#held.size === 0) return undefined;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  release({ place }: ImportRange): void {
    this.#held.delete(place);
    this.grown();
  }

  /** There are more ranges, or fewer who hold one. */
  grown(): void {
    this.#changes += 1;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }

  stop(): void {
    this.#stopped = true;
    this.grown();
  }
}
