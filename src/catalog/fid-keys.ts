import type { Fid } from '../identity/fid.ts';
import type { Database, Query } from './database.ts';

/** Objects that share a range: what Lustre gives to one client as a sequence (LUSTRE_METADATA_SEQ_MAX_WIDTH). */
const RANGE = 0x20000;
/** Ranges remembered; more than any batch touches. */
const REMEMBERED = 100_000;

/**
 * FIDs as integers: `range * 2^17 + (object id mod 2^17)`, where a range is a row of `fid_ranges` that stands for a
 * sequence, a version and the object id's high bits. An integer is SQLite's natural key: against 16 bytes it halves the
 * CPU of an insert and the size of a row, and files that were created together lie together. The number of ranges that
 * fit is 2^36; on an ordinary file system there is one for every 131,072 files of a client.
 */
export class FidKeys {
  readonly #find: Query;
  readonly #add: Query;
  readonly #read: Query;
  readonly #ranges = new Map<string, number>();
  readonly #names = new Map<number, { readonly head: string; readonly part: number; readonly tail: string }>();

  constructor(database: Database) {
    this.#find = database.prepare('SELECT id FROM fid_ranges WHERE seq = ? AND version = ? AND part = ?');
    this.#add = database.prepare('INSERT INTO fid_ranges (seq, version, part) VALUES (?, ?, ?) RETURNING id');
    this.#read = database.prepare('SELECT seq, version, part FROM fid_ranges WHERE id = ?');
  }

  /** The key of a FID; undefined when no FID of its range was ever stored. */
  find(fid: Fid): number | undefined {
    return this.#keyOf(fid, false);
  }

  /** The key of a FID, for storing it. Only in a write transaction; `forget` when that is rolled back. */
  store(fid: Fid): number {
    return this.#keyOf(fid, true) as number;
  }

  /** The FID of a stored key. */
  fid(key: number): Fid {
    const id = Math.floor(key / RANGE);
    let range = this.#names.get(id);
    if (range === undefined) {
      const row = this.#read.get(id);
      if (row === undefined) throw new RangeError(`no range of FIDs has the key ${key}`);
      range = { head: row[0] as string, part: row[2] as number, tail: row[1] as string };
      if (this.#names.size >= REMEMBERED) this.#names.clear();
      this.#names.set(id, range);
    }
    const object = range.part * RANGE + (key % RANGE);
    return `${range.head}:0x${object.toString(16)}:${range.tail}` as Fid;
  }

  /** What was learned in a transaction that is rolled back does not hold. */
  forget(): void {
    this.#ranges.clear();
    this.#names.clear();
  }

  #keyOf(fid: Fid, store: boolean): number | undefined {
    const first = fid.indexOf(':');
    const second = fid.indexOf(':', first + 1);
    const object = Number.parseInt(fid.slice(first + 1, second), 16);
    const part = Math.floor(object / RANGE);
    const seq = fid.slice(0, first);
    const version = fid.slice(second + 1);
    const name = `${seq}:${version}:${part}`;
    let id = this.#ranges.get(name);
    if (id === undefined) {
      const row = this.#find.get(seq, version, part) ?? (store ? this.#add.get(seq, version, part) : undefined);
      if (row === undefined) return undefined;
      id = row[0] as number;
      if (this.#ranges.size >= REMEMBERED) this.#ranges.clear();
      this.#ranges.set(name, id);
    }
    return id * RANGE + (object % RANGE);
  }
}
