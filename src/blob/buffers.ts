import { type Direction, type Head, KINDS, MemoryAccount, type PlaceState } from './memory-account.ts';

/** A buffer on loan. `release` gives it back, once. */
export interface Loan {
  readonly buffer: Buffer;
  release(): void;
}

/** The memory of one file on the way. */
export interface FileMemory {
  /** A buffer of `size` bytes, as soon as it may be. Rejects with the signal's reason. Content is not cleared. */
  acquire(size: number, signal?: AbortSignal): Promise<Loan>;
}

interface File {
  readonly direction: Direction;
  /** Loans that are out. */
  loans: number;
}

interface Waiting {
  readonly file: File;
  readonly size: number;
  readonly ticket: number;
  readonly grant: (buffer: Buffer) => void;
}

const NOBODY: readonly undefined[] = KINDS.map(() => undefined);

/**
 * The memory for data on the way of one thread: its place in a {@link MemoryAccount}, which says what is granted when.
 * Buffers are used again.
 */
export class BufferPool {
  readonly #account: MemoryAccount;
  readonly #place: number;
  readonly #out: Record<Direction, number> = { archive: 0, restore: 0 };
  /** In the order of their tickets. */
  readonly #waiting: Waiting[] = [];
  readonly #idle = new Map<number, Buffer[]>();
  #idleBytes = 0;

  /** @param memory bytes in use at most; or the account of all threads, with the thread's place */
  constructor(memory: number | { readonly account: MemoryAccount; readonly place: number }) {
    const { account, place } =
      typeof memory === 'number' ? { account: MemoryAccount.create({ budget: memory }, 1), place: 0 } : memory;
    this.#account = account;
    this.#place = place;
    if (account.places > 1) void account.listen(place, () => this.#pump());
  }

  /** Bytes on loan now, in this thread. */
  get bytesInFlight(): number {
    return this.#out.archive + this.#out.restore;
  }

  /** Bytes of buffers that wait to be used again, in this thread. */
  get bytesIdle(): number {
    return this.#idleBytes;
  }

  /** For the blocks of one file: the first one has precedence over the further ones of others. */
  forFile(direction: Direction): FileMemory {
    const file: File = { direction, loans: 0 };
    return { acquire: (size, signal) => this.#acquire(file, size, signal) };
  }

  /** As for a file that needs one buffer. */
  acquire(size: number, signal?: AbortSignal): Promise<Loan> {
    return this.forFile('archive').acquire(size, signal);
  }

  async #acquire(file: File, size: number, signal: AbortSignal | undefined): Promise<Loan> {
    signal?.throwIfAborted();
    const buffer = await this.#wait(file, size, signal);
    let released = false;
    return {
      buffer,
      release: () => {
        if (released) return;
        released = true;
        file.loans -= 1;
        this.#out[file.direction] -= size;
        this.#keep(buffer);
        this.#pump();
      },
    };
  }

  #wait(file: File, size: number, signal: AbortSignal | undefined): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const waiting: Waiting = {
        file,
        size,
        ticket: this.#account.ticket(),
        grant: (buffer) => {
          signal?.removeEventListener('abort', giveUp);
          resolve(buffer);
        },
      };
      const giveUp = () => {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
        reject(signal?.reason);
        this.#pump();
      };
      signal?.addEventListener('abort', giveUp, { once: true });
      this.#waiting.push(waiting);
      this.#pump();
    });
  }

  /** Takes what is granted here, and has others look where it is their turn. */
  #pump(): void {
    for (;;) {
      const heads = this.#heads();
      const turn = this.#account.update(this.#place, this.#state(heads));
      if (turn === undefined) return;
      const mine = turn.place === this.#place;
      if (turn.missing > 0) {
        if (this.#drop(turn.missing)) continue;
        for (const place of this.#account.withIdle()) if (place !== this.#place) this.#account.wake(place);
        return;
      }
      if (!mine) {
        this.#account.wake(turn.place);
        return;
      }
      this.#grant(heads[turn.kind] as Waiting);
    }
  }

  #grant(waiting: Waiting): void {
    const { file, size } = waiting;
    this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
    file.loans += 1;
    this.#out[file.direction] += size;
    const idle = this.#idle.get(size)?.pop();
    if (idle !== undefined) this.#idleBytes -= size;
    waiting.grant(idle ?? Buffer.allocUnsafeSlow(size));
  }

  #state(heads: readonly (Waiting | undefined)[]): PlaceState {
    const head = (waiting: Waiting | undefined): Head | undefined =>
      waiting && { ticket: waiting.ticket, size: waiting.size, reuse: (this.#idle.get(waiting.size)?.length ?? 0) > 0 };
    return { out: this.#out, idle: this.#idleBytes, heads: heads.map(head) };
  }

  /** The first that waits, of each kind. */
  #heads(): readonly (Waiting | undefined)[] {
    if (this.#waiting.length === 0) return NOBODY;
    const heads = new Array<Waiting | undefined>(KINDS.length).fill(undefined);
    const begun = new Set<File>();
    for (const waiting of this.#waiting) {
      const { file } = waiting;
      const more = file.loans > 0 || begun.has(file);
      begun.add(file);
      const kind = KINDS.indexOf(more ? `${file.direction}-more` : file.direction);
      heads[kind] ??= waiting;
    }
    return heads;
  }

  /** Keeps a buffer that may be needed again. Whether there is room for it is seen when somebody needs the room. */
  #keep(buffer: Buffer): void {
    if (buffer.length === 0) return;
    const same = this.#idle.get(buffer.length) ?? [];
    same.push(buffer);
    // The last used sizes last: those before them go first.
    this.#idle.delete(buffer.length);
    this.#idle.set(buffer.length, same);
    this.#idleBytes += buffer.length;
  }

  /** Lets go of idle buffers, so many bytes at least if there are as many. @returns whether there were any */
  #drop(bytes: number): boolean {
    let left = bytes;
    for (const [size, buffers] of this.#idle) {
      while (left > 0 && buffers.pop() !== undefined) {
        left -= size;
        this.#idleBytes -= size;
      }
      if (buffers.length === 0) this.#idle.delete(size);
      if (left <= 0) break;
    }
    return left < bytes;
  }
}
