/** Keeps the largest of any number of things. */
export class LargestFirst<T> {
  readonly #most: number;
  readonly #sizeOf: (item: T) => bigint;
  #kept: { readonly item: T; readonly size: bigint }[] = [];
  /** What is not larger need not be kept. */
  #least: bigint | undefined;

  /** @param most how many are kept; 0: none */
  constructor(most: number, sizeOf: (item: T) => bigint) {
    this.#most = most;
    this.#sizeOf = sizeOf;
  }

  add(item: T): void {
    const size = this.#sizeOf(item);
    if (this.#most === 0 || (this.#least !== undefined && size <= this.#least)) return;
    this.#kept.push({ item, size });
    // Sorted seldom: twice as many as are asked for are kept meanwhile.
    if (this.#kept.length >= 2 * this.#most) this.#shrink();
  }

  /** The largest, largest first; of the same size, those that came first. */
  inOrder(): T[] {
    this.#shrink();
    return this.#kept.map(({ item }) => item);
  }

  #shrink(): void {
    this.#kept.sort((a, b) => (a.size < b.size ? 1 : a.size > b.size ? -1 : 0));
    this.#kept = this.#kept.slice(0, this.#most);
    this.#least = this.#kept.length === this.#most ? this.#kept.at(-1)?.size : undefined;
  }
}
