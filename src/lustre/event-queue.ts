/**
 * Events between one producer and one consumer. The producer is told when the queue is full (`push` gives false) and
 * when there is room again, so that it can stop reading its source.
 */
export class EventQueue<T> implements AsyncIterable<T> {
  readonly #limit: number;
  readonly #onRoom: () => void;
  #items: T[] = [];
  #head = 0;
  #waiting: { resolve(result: IteratorResult<T, undefined>): void; reject(error: unknown): void } | undefined;
  #end: { error?: unknown } | undefined;

  constructor(limit: number, onRoom: () => void) {
    this.#limit = limit;
    this.#onRoom = onRoom;
  }

  get size(): number {
    return this.#items.length - this.#head;
  }

  get full(): boolean {
    return this.size >= this.#limit;
  }

  /** Adds an event; false: the queue is full now, and the producer should pause until `onRoom`. */
  push(item: T): boolean {
    if (this.#end !== undefined) return true;
    if (this.#waiting !== undefined) {
      const { resolve } = this.#waiting;
      this.#waiting = undefined;
      resolve({ done: false, value: item });
      return true;
    }
    this.#items.push(item);
    return !this.full;
  }

  /** Ends the iteration after what is queued: plainly, or with an error. Only the first call counts. */
  end(error?: unknown): void {
    if (this.#end !== undefined) return;
    this.#end = error === undefined ? {} : { error };
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting === undefined) return;
    if (error === undefined) waiting.resolve({ done: true, value: undefined });
    else waiting.reject(error);
  }

  [Symbol.asyncIterator](): AsyncIterator<T, undefined> {
    return {
      next: () => this.#next(),
      return: () => Promise.resolve({ done: true, value: undefined }),
    };
  }

  #next(): Promise<IteratorResult<T, undefined>> {
    if (this.size > 0) {
      const value = this.#items[this.#head] as T;
      this.#head += 1;
      if (this.#head > 1024 || this.#head === this.#items.length) {
        this.#items = this.#items.slice(this.#head);
        this.#head = 0;
      }
      if (this.size === this.#limit - 1) this.#onRoom();
      return Promise.resolve({ done: false, value });
    }
    if (this.#end !== undefined) {
      if ('error' in this.#end) return Promise.reject(this.#end.error);
      return Promise.resolve({ done: true, value: undefined });
    }
    if (this.#waiting !== undefined) return Promise.reject(new Error('events have one reader'));
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
  }
}
