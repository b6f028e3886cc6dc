/** Choices that are the same for the same seed (mulberry32). */
export class Random {
  readonly seed: number;
  #state: number;

  constructor(seed: number) {
    this.seed = seed;
    this.#state = seed | 0;
  }

  /** A whole number from 0 to `limit` - 1. */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  }

  pick<T>(choices: readonly T[]): T {
    const chosen = choices[this.below(choices.length)];
    if (chosen === undefined) throw new RangeError('nothing to choose from');
    return chosen;
  }

  /** Bytes that no other call gives, so that nothing but the right content compares equal. */
  bytes(length: number): Buffer {
    const words = Buffer.alloc(Math.ceil(length / 4) * 4);
    for (let at = 0; at < words.length; at += 4) words.writeUInt32LE(this.below(2 ** 32), at);
    return words.subarray(0, length);
  }

  /** A copy in another order. */
  shuffled<T>(values: readonly T[]): T[] {
    const left = [...values];
    const taken: T[] = [];
    while (left.length > 0) taken.push(...left.splice(this.below(left.length), 1));
    return taken;
  }
}

/** The seed that the environment asks for, else another one every time. */
export function seedOf(environment = process.env): number {
  const given = environment['LFSAZSYNC_TEST_SEED'];
  return given === undefined || given === '' ? Date.now() % 1_000_000 : Number(given);
}
