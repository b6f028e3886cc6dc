/** The spans over which rates are told, in seconds. */
export const RATE_SPANS = { '10s': 10, '1m': 60, '5m': 300 } as const;

export type RateSpan = keyof typeof RATE_SPANS;

/** What a value grew by in a second, over each span; over the time since the start while that is shorter. */
export type Rates = Readonly<Record<RateSpan, number>>;

const LONGEST_MS = RATE_SPANS['5m'] * 1000;

interface Sample<K extends string> {
  readonly at: number;
  readonly values: Readonly<Record<K, number>>;
}

/** Rates of counters that are looked at once a second: counting itself costs nothing. */
export class Rater<K extends string> {
  readonly #read: () => Readonly<Record<K, number>>;
  readonly #samples: Sample<K>[] = [];

  /** @param read the counters as they are now */
  constructor(read: () => Readonly<Record<K, number>>) {
    this.#read = read;
  }

  /** @param now milliseconds, of any clock that does not go back */
  sample(now: number): void {
    this.#samples.push({ at: now, values: this.#read() });
    // One that is older than the longest span stays, to measure from.
    while ((this.#samples[1]?.at ?? now) <= now - LONGEST_MS) this.#samples.shift();
  }

  rates(now: number): Readonly<Record<K, Rates>> {
    const values = this.#read();
    const over = (key: K, seconds: number): number => {
      const from = this.#samples.findLast(({ at }) => at <= now - seconds * 1000) ?? this.#samples[0];
      if (from === undefined || from.at >= now) return 0;
      return ((values[key] - from.values[key]) * 1000) / (now - from.at);
    };
    const keys = Object.keys(values) as K[];
    return Object.fromEntries(
      keys.map((key): [K, Rates] => [
        key,
        {
          '10s': over(key, RATE_SPANS['10s']),
          '1m': over(key, RATE_SPANS['1m']),
          '5m': over(key, RATE_SPANS['5m']),
        },
      ]),
    ) as Record<K, Rates>;
  }
}
