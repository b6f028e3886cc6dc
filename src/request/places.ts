/**
 * Places for files that were asked for and are not at their end. First come, first served: a large batch is not passed
 * by small ones for ever.
 */
export class Places {
  readonly #most: number;
  #taken = 0;
  readonly #waiting: { readonly count: number; readonly go: () => void }[] = [];

  constructor(most: number) {
    this.#most = most;
  }

  /** How many have places now. */
  get taken(): number {
    return this.#taken;
  }

  /**
   * Takes places for so many, when there are enough; a batch that is larger than all of them waits until nobody has one.
   * Rejects with the signal's reason; then it has none.
   */
  async take(count: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    if (this.#waiting.length === 0 && this.#fits(count)) {
      this.#taken += count;
      return;
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter = { count, go: resolve };
    this.#waiting.push(waiter);
    const giveUp = () => {
      this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
      reject(signal?.reason);
      this.#next();
    };
    signal?.addEventListener('abort', giveUp, { once: true });
    await promise.finally(() => signal?.removeEventListener('abort', giveUp));
  }

  /** Gives a place back. */
  give(): void {
    this.#taken -= 1;
    this.#next();
  }

  #next(): void {
    for (let first = this.#waiting[0]; first !== undefined && this.#fits(first.count); first = this.#waiting[0]) {
      this.#waiting.shift();
      this.#taken += first.count;
      first.go();
    }
  }

  #fits(count: number): boolean {
    return this.#taken === 0 || this.#taken + count <= this.#most;
  }
}
