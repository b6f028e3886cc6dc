/** A buffer on loan. `release` gives it back, once. */
export interface Loan {
  readonly buffer: Buffer;
  release(): void;
}

interface Waiting {
  readonly size: number;
  readonly grant: () => void;
}

/**
 * The memory for data on the way, shared by all files: so many bytes in flight at most, first come, first served. One
 * request larger than the whole budget is granted when nothing else is out, so that nothing waits for ever. Buffers
 * are used again.
 */
export class BufferPool {
  readonly #budget: number;
  #out = 0;
  readonly #queue: Waiting[] = [];
  readonly #idle = new Map<number, Buffer[]>();
  #idleBytes = 0;

  /** @param budget bytes in flight at most */
  constructor(budget: number) {
    if (!(budget > 0)) throw new RangeError(`a budget of ${budget} bytes`);
    this.#budget = budget;
  }

  /** Bytes on loan now. */
  get bytesInFlight(): number {
    return this.#out;
  }

  /** A buffer of `size` bytes, as soon as the budget allows. Rejects with the signal's reason. Content is not cleared. */
  async acquire(size: number, signal?: AbortSignal): Promise<Loan> {
    signal?.throwIfAborted();
    if (this.#queue.length > 0 || !this.#fits(size)) await this.#wait(size, signal);
    else this.#out += size;
    let released = false;
    const buffer = this.#take(size);
    return {
      buffer,
      release: () => {
        if (released) return;
        released = true;
        this.#keep(buffer);
        this.#out -= size;
        this.#grantNext();
      },
    };
  }

  #fits(size: number): boolean {
    return this.#out === 0 || this.#out + size <= this.#budget;
  }

  #wait(size: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiting: Waiting = {
        size,
        grant: () => {
          signal?.removeEventListener('abort', giveUp);
          resolve();
        },
      };
      const giveUp = () => {
        this.#queue.splice(this.#queue.indexOf(waiting), 1);
        reject(signal?.reason);
        this.#grantNext();
      };
      signal?.addEventListener('abort', giveUp, { once: true });
      this.#queue.push(waiting);
    });
  }

  #grantNext(): void {
    for (let next = this.#queue[0]; next !== undefined && this.#fits(next.size); next = this.#queue[0]) {
      this.#queue.shift();
      this.#out += next.size;
      next.grant();
    }
  }

  #take(size: number): Buffer {
    const found = this.#idle.get(size)?.pop();
    if (found === undefined) return Buffer.allocUnsafeSlow(size);
    this.#idleBytes -= size;
    return found;
  }

  /** Idle buffers never add up to more than the budget; the oldest sizes make room. */
  #keep(buffer: Buffer): void {
    const size = buffer.length;
    for (const [other, buffers] of this.#idle) {
      while (this.#idleBytes + size > this.#budget && buffers.pop() !== undefined) this.#idleBytes -= other;
      if (buffers.length === 0) this.#idle.delete(other);
    }
    if (this.#idleBytes + size > this.#budget) return;
    const same = this.#idle.get(size) ?? [];
    same.push(buffer);
    this.#idle.set(size, same);
    this.#idleBytes += size;
  }
}
