import type { Config } from '../../config/types.ts';
import { NO_OPERATIONS, type Operations, sumOf } from './operations.ts';

export type Prices = Config['prices'];

/** Requests to the storage service, and bytes, in one access tier. */
export interface TierUse {
  readonly operations: Operations;
  /** Bytes. */
  readonly written: number;
  /** What it takes to read all of it back. */
  readonly recall: { readonly operations: Operations; readonly retrieved: number };
}

/** What a run would cost. Amounts are in `currency`, to a millionth; null where a price that it takes is not configured. */
export interface Estimate {
  readonly currency: string;
  readonly asOf?: string;
  /** Of the requests, and of writing. */
  readonly cost: number | null;
  /** Of an archive: what is written, stored for a month. */
  readonly month: number | null;
  /** Of a release: all of it read back once. */
  readonly recall: number | null;
  readonly tiers: Readonly<Record<string, TierUse>>;
  /** The settings that are missing. */
  readonly missing: readonly string[];
}

const NO_USE: TierUse = {
  operations: NO_OPERATIONS,
  written: 0,
  recall: { operations: NO_OPERATIONS, retrieved: 0 },
};

/** Counts by access tier what a run asks of the storage service. */
export class CostBook {
  readonly #tiers = new Map<string, TierUse>();

  add(tier: string, use: { operations?: Operations; written?: bigint; recall?: Operations; retrieved?: bigint }): void {
    const before = this.#tiers.get(tier) ?? NO_USE;
    const { operations = NO_OPERATIONS, written = 0n, recall = NO_OPERATIONS, retrieved = 0n } = use;
    this.#tiers.set(tier, {
      operations: sumOf(before.operations, operations),
      written: before.written + Number(written),
      recall: {
        operations: sumOf(before.recall.operations, recall),
        retrieved: before.recall.retrieved + Number(retrieved),
      },
    });
  }

  get operations(): Operations {
    return [...this.#tiers.values()].map(({ operations }) => operations).reduce(sumOf, NO_OPERATIONS);
  }

  estimate(prices: Prices): Estimate {
    const list = new PriceList(prices);
    const uses = [...this.#tiers];
    const cost = total(uses, (tier, { operations, written }) => [
      ...list.operations(tier, operations),
      list.gibibytes(tier, 'written', written),
    ]);
    const month = total(uses, (tier, { written }) => [list.gibibytes(tier, 'stored', written)]);
    const recall = total(uses, (tier, { recall }) => [
      ...list.operations(tier, recall.operations),
      list.gibibytes(tier, 'retrieved', recall.retrieved),
    ]);
    const { currency, asOf } = prices;
    return {
      currency,
      ...(asOf === undefined ? {} : { asOf }),
      ...{ cost, month, recall, tiers: Object.fromEntries(this.#tiers), missing: [...list.missing] },
    };
  }
}

/** Prices, and which of those that were needed are not there. */
class PriceList {
  readonly missing = new Set<string>();
  readonly #prices: Prices;

  constructor(prices: Prices) {
    this.#prices = prices;
  }

  operations(tier: string, { writes, reads, other }: Operations): (number | null)[] {
    return [
      this.#of(tier, 'writes', writes / 10_000),
      this.#of(tier, 'reads', reads / 10_000),
      this.#of(tier, 'other', other / 10_000),
    ];
  }

  gibibytes(tier: string, what: 'written' | 'retrieved' | 'stored', bytes: number): number | null {
    return this.#of(tier, what, bytes / 2 ** 30);
  }

  #of(tier: string, what: keyof Prices['tiers'][string], quantity: number): number | null {
    if (quantity === 0) return 0;
    const price = this.#prices.tiers[tier]?.[what];
    if (price !== undefined) return quantity * price;
    this.missing.add(`prices.tiers.${tier}.${what}`);
    return null;
  }
}

function total(
  uses: readonly (readonly [string, TierUse])[],
  partsOf: (tier: string, use: TierUse) => (number | null)[],
): number | null {
  let sum = 0;
  let known = true;
  for (const [tier, use] of uses) {
    for (const part of partsOf(tier, use)) {
      if (part === null) known = false;
      else sum += part;
    }
  }
  return known ? Math.round(sum * 1e6) / 1e6 : null;
}
