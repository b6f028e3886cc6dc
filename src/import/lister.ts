import { isReservedName } from '../blob/naming.ts';
import type { BlobState } from '../blob/state.ts';
import type { ImportChanges, ImportRange } from '../catalog/types.ts';
import { type Ledger, rangeKey } from './ledger.ts';
import { namesOf, Splitter } from './split.ts';

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
  /** Gets a page of a range, from its token on. What lies behind the range's end may be on it, too. @param most names on the page */
  readonly list: (range: ImportRange, most?: number) => Promise<Page>;
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

/** Pages of a range between two divisions of it. */
const PAGES_BETWEEN = 2;

/**
 * Lists what the ledger has left, in parallel: level by level until there are enough ranges, then each with everything below
 * it, in the order of names. A range whose pages go on while somebody has nothing to do is divided. A page counts as listed
 * when what it has is made; the next one is fetched meanwhile.
 */
export async function listAll(options: ListerOptions): Promise<void> {
  const { concurrency, list } = options;
  const ranges = new Ranges(options.ledger, concurrency);
  const splitter = new Splitter(list);
  const worker = async (): Promise<void> => {
    for (;;) {
      options.signal.throwIfAborted();
      const range = await ranges.next();
      if (range === undefined) return;
      try {
        await listRange(options, range, ranges, splitter);
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

async function listRange(
  options: ListerOptions,
  { place, start, flat, end: stop, token: from }: ImportRange,
  ranges: Ranges,
  splitter: Splitter,
): Promise<void> {
  const { ledger, list, take, signal, concurrency } = options;
  let range: ImportRange = { place, start, flat, end: stop };
  let shared = 0;
  let beyond: string | undefined;
  /** Pages to be listed before it is divided: of what is nearly over, nobody is to make ever smaller parts. */
  let patience = start === undefined ? 0 : PAGES_BETWEEN;
  let next: Promise<Page> | undefined = list({ ...range, token: from });
  while (next !== undefined) {
    const page: Page = await next;
    signal.throwIfAborted();
    const { blobs, directories, token } = within(page, range.end, beyond);
    next = token === undefined ? undefined : list({ ...range, token });
    // Its failure is met when its turn comes.
    next?.catch(() => undefined);
    patience -= 1;
    const mayDivide = token !== undefined && ranges.idle > 0 && patience < 0 && splitter.able;
    const last = mayDivide ? namesOf(page).at(-1) : undefined;
    const division = last === undefined ? undefined : await splitter.divide(range, last, shared, ranges.idle);
    const parts = (division?.at ?? []).map(({ start }, index, all) => ({
      ...{ place, flat, start, end: all[index + 1]?.start ?? range.end },
    }));
    if (division?.at[0] !== undefined) {
      range = { ...range, end: division.at[0].start };
      beyond = division.at[0].first;
      patience = PAGES_BETWEEN;
    }
    shared = division?.shared ?? shared;
    const found = directories.filter(
      (below) => !isReservedName(below.slice(0, -1), options.prefix) && options.wanted(below),
    );
    const whole = found.length > 0 && (await ledger.rangeCount()) + found.length >= RANGES_EACH * concurrency;
    await take(blobs, {
      ranges: [
        ...found.map((below) => ({ place: below, flat: whole })),
        ...parts,
        ...(token === undefined ? [] : [{ ...range, token }]),
      ],
      rangesDone: token === undefined ? [{ place, start }] : [],
    });
    if (found.length + parts.length > 0) ranges.grown();
  }
}

/**
 * What of a page is before the end of its range. Whatever comes before the name that the next one is known to begin with is this
 * one's, even if the next one was not given it.
 */
function within({ blobs, directories, next: token }: Page, end: string | undefined, beyond: string | undefined) {
  if (end === undefined) return { blobs, directories, token };
  const at = beyond === undefined ? -1 : blobs.findIndex(({ name }) => name === beyond);
  const before = at === -1 ? blobs.filter(({ name }) => name < end) : blobs.slice(0, at);
  const below = directories.filter((directory) => directory < end);
  const isOver = before.length + below.length < blobs.length + directories.length;
  return { blobs: before, directories: below, token: isOver ? undefined : token };
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
      const free = left.find((range) => !this.#held.has(rangeKey(range)));
      if (free !== undefined) {
        this.#held.add(rangeKey(free));
        return free;
      }
      if (changes !== this.#changes) continue;
      if (this.#held.size === 0) return undefined;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** How many have nothing to list. */
  get idle(): number {
    return this.#waiting.length;
  }

  release(range: ImportRange): void {
    this.#held.delete(rangeKey(range));
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
