import { exclusively } from '../service/shared-lock.ts';

/** What the memory is for. */
export type Direction = 'archive' | 'restore';

/** Kinds of requests, the urgent ones first: the only block of a file, and what it wants besides. */
export const KINDS = ['archive', 'restore', 'archive-more', 'restore-more'] as const;
const MORE = 2;

/** A request that waits, the first of its kind at its place. */
export interface Head {
  readonly ticket: number;
  readonly size: number;
  /** Whether an idle buffer of its place will do. */
  readonly reuse: boolean;
}

/** What one place has, in bytes, and what it waits for, by {@link KINDS}. Nobody else changes it. */
export interface PlaceState {
  readonly out: Readonly<Record<Direction, number>>;
  readonly idle: number;
  readonly heads: readonly (Head | undefined)[];
}

/** Who is next, and how many idle bytes have to go before. */
export interface Turn {
  readonly place: number;
  readonly kind: number;
  readonly missing: number;
}

const BUDGET = 0;
const ARCHIVE_MOST = 1;
const TICKETS = 2;
const HEADER = 3;
/** Of a place: bytes out of both directions, idle bytes, then ticket, size and reuse of each kind. */
const OUT_ARCHIVE = 0;
const OUT_RESTORE = 1;
const IDLE = 2;
const HEADS = 3;
const PLACE = HEADS + 3 * KINDS.length;
const LOCK = 0;
const WAKE = 1;

export interface MemoryLimits {
  /** Bytes in use at most, in all places together. */
  readonly budget: number;
  /** Bytes that archives have of it at most: the rest is for restores alone. */
  readonly archive?: number;
}

/**
 * Who has how much of one budget of memory, in memory that all threads share. Each thread has a place.
 *
 * - First come, first served, over all places; what archives may not have does not keep restores waiting.
 * - Half of the budget is for files that have no block yet: a file whose blocks are not given back, since its storage
 *   target hangs, leaves the others their way through.
 * - Idle buffers count. They make room when others need it.
 * - A request for more than there is is granted when nothing else is out.
 */
export class MemoryAccount {
  readonly shared: SharedArrayBuffer;
  readonly places: number;
  readonly #words: Int32Array;
  readonly #numbers: Float64Array;

  /** A new account. @throws RangeError for a budget that is none */
  static create({ budget, archive = budget }: MemoryLimits, places: number): MemoryAccount {
    if (!(budget > 0)) throw new RangeError(`a budget of ${budget} bytes`);
    const shared = new SharedArrayBuffer((HEADER + places * PLACE) * 8 + (WAKE + places) * 4);
    const account = new MemoryAccount(shared);
    account.#numbers[BUDGET] = budget;
    account.#numbers[ARCHIVE_MOST] = archive;
    return account;
  }

  /** @param shared of an account that was created, here or in another thread */
  constructor(shared: SharedArrayBuffer) {
    this.shared = shared;
    this.places = Math.floor((shared.byteLength - HEADER * 8 - WAKE * 4) / (PLACE * 8 + 4));
    const numbers = HEADER + this.places * PLACE;
    this.#numbers = new Float64Array(shared, 0, numbers);
    this.#words = new Int32Array(shared, numbers * 8, WAKE + this.places);
  }

  /** A place in the order of all requests. */
  ticket(): number {
    return exclusively(this.#words, LOCK, () => {
      const ticket = this.#at(TICKETS) + 1;
      this.#numbers[TICKETS] = ticket;
      return ticket;
    });
  }

  /**
   * Says how it is at a place, and who is next. A turn of that place without missing bytes is taken: it has been
   * counted as out when this returns.
   */
  update(place: number, state: PlaceState): Turn | undefined {
    return exclusively(this.#words, LOCK, () => {
      this.#write(place, state);
      const turn = this.#next();
      if (turn?.place === place && turn.missing === 0) this.#take(turn);
      return turn;
    });
  }

  /** The thread is gone, with all that it had. */
  clear(place: number): void {
    exclusively(this.#words, LOCK, () => {
      const from = HEADER + place * PLACE;
      this.#numbers.fill(0, from, from + PLACE);
    });
    for (let other = 0; other < this.places; other++) this.wake(other);
  }

  /** Places that have idle buffers. */
  withIdle(): number[] {
    const places: number[] = [];
    for (let place = 0; place < this.places; place++) if (this.#of(place, IDLE) > 0) places.push(place);
    return places;
  }

  /** Has a place look again. */
  wake(place: number): void {
    Atomics.add(this.#words, WAKE + place, 1);
    Atomics.notify(this.#words, WAKE + place);
  }

  /** Calls `look` now and whenever the place was woken, for ever. Does not keep the process from ending. */
  async listen(place: number, look: () => void): Promise<never> {
    for (;;) {
      const seen = Atomics.load(this.#words, WAKE + place);
      look();
      const woken = Atomics.waitAsync(this.#words, WAKE + place, seen);
      if (woken.async) await woken.value;
    }
  }

  #write(place: number, { out, idle, heads }: PlaceState): void {
    const from = HEADER + place * PLACE;
    this.#numbers[from + OUT_ARCHIVE] = out.archive;
    this.#numbers[from + OUT_RESTORE] = out.restore;
    this.#numbers[from + IDLE] = idle;
    for (let kind = 0; kind < KINDS.length; kind++) {
      const head = heads[kind];
      this.#numbers[from + HEADS + 3 * kind] = head?.ticket ?? 0;
      this.#numbers[from + HEADS + 3 * kind + 1] = head?.size ?? 0;
      this.#numbers[from + HEADS + 3 * kind + 2] = head?.reuse ? 1 : 0;
    }
  }

  #next(): Turn | undefined {
    let [archives, restores, idle] = [0, 0, 0];
    for (let place = 0; place < this.places; place++) {
      archives += this.#of(place, OUT_ARCHIVE);
      restores += this.#of(place, OUT_RESTORE);
      idle += this.#of(place, IDLE);
    }
    const budget = this.#at(BUDGET);
    const out = archives + restores;
    let archivesWait = false;
    for (const more of [false, true]) {
      const limit = more ? budget / 2 : budget;
      let archive = this.#earliest(more ? MORE : 0);
      const restore = this.#earliest(more ? MORE + 1 : 1);
      if (archivesWait) archive = undefined;
      while (archive !== undefined || restore !== undefined) {
        const archiveFirst = archive !== undefined && (restore === undefined || archive.ticket < restore.ticket);
        const first = (archiveFirst ? archive : restore) as Earliest;
        if (archiveFirst && archives > 0 && archives + first.size > this.#at(ARCHIVE_MOST)) {
          archivesWait = true;
          archive = undefined;
          continue;
        }
        if (out > 0 && out + first.size > limit) return undefined;
        const others = first.reuse ? idle - first.size : idle;
        const missing = Math.min(others, Math.max(0, out + others + first.size - budget));
        return { place: first.place, kind: first.kind, missing };
      }
    }
    return undefined;
  }

  #earliest(kind: number): Earliest | undefined {
    let found: Earliest | undefined;
    for (let place = 0; place < this.places; place++) {
      const ticket = this.#of(place, HEADS + 3 * kind);
      if (ticket === 0 || (found !== undefined && found.ticket < ticket)) continue;
      const size = this.#of(place, HEADS + 3 * kind + 1);
      found = { place, kind, ticket, size, reuse: this.#of(place, HEADS + 3 * kind + 2) === 1 };
    }
    return found;
  }

  #take({ place, kind }: Turn): void {
    const from = HEADER + place * PLACE;
    const size = this.#of(place, HEADS + 3 * kind + 1);
    const out = from + (kind % 2 === 0 ? OUT_ARCHIVE : OUT_RESTORE);
    this.#numbers[out] = this.#at(out) + size;
    if (this.#of(place, HEADS + 3 * kind + 2) === 1) this.#numbers[from + IDLE] = this.#at(from + IDLE) - size;
    this.#numbers[from + HEADS + 3 * kind] = 0;
  }

  #of(place: number, what: number): number {
    return this.#at(HEADER + place * PLACE + what);
  }

  #at(index: number): number {
    return this.#numbers[index] as number;
  }
}

interface Earliest extends Head {
  readonly place: number;
  readonly kind: number;
}
