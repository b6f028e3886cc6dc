import type { Database, Query, Row } from './database.ts';
import type { FidKeys } from './fid-keys.ts';
import type { Link, Mark, Stamp } from './types.ts';

/** Files to be looked at in Lustre: the backlog between the changelog and the catalog. */
export class Marks {
  readonly #keys: FidKeys;
  readonly #put: Query;
  readonly #done: Query;
  readonly #next: Query;
  readonly #stats: Query;
  readonly #last: Query;

  constructor(database: Database, keys: FidKeys) {
    this.#keys = keys;
    this.#put = database.prepare(
      `INSERT INTO marks (fid, hints, since, stamp, parent, name) VALUES (?, ?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET hints = hints | excluded.hints, since = min(since, excluded.since), stamp = excluded.stamp,
         parent = coalesce(excluded.parent, parent), name = coalesce(excluded.name, name)`,
    );
    this.#done = database.prepare('DELETE FROM marks WHERE fid = ? AND stamp <= ?');
    this.#next = database.prepare(
      'SELECT fid, hints, since, stamp, parent, name FROM marks WHERE fid > ? ORDER BY fid LIMIT ?',
    );
    this.#stats = database.prepare('SELECT count(*), min(since) FROM marks');
    this.#last = database.prepare('SELECT parent, name FROM marks WHERE fid = ?');
  }

  put(fid: number, hints: number, since: number, stamp: Stamp, last?: Link): void {
    const parent = last === undefined ? null : this.#keys.store(last.parent);
    this.#put.run(fid, hints, since, stamp, parent, last?.name ?? null);
  }

  done(fid: number, stamp: Stamp): void {
    this.#done.run(fid, stamp);
  }

  /**
   * Some marks, in the order of keys from after the given one: whoever goes round and round by this gets to every mark,
   * and reads neighbours together.
   */
  next(after: number, limit: number): Mark[] {
    return this.#next.all(after, limit).map((row) => ({
      fid: this.#keys.fid(row[0] as number),
      hints: row[1] as number,
      since: row[2] as number,
      stamp: row[3] as number,
      ...this.#lastIn(row[4], row[5]),
    }));
  }

  /** The last name that something which is marked is said to have lost. */
  lastOf(fid: number): Link | undefined {
    const row = this.#last.get(fid);
    return row === undefined ? undefined : this.#lastIn(row[0], row[1]).last;
  }

  #lastIn(parent: Row[number] | undefined, name: Row[number] | undefined): { last?: Link } {
    if (typeof parent !== 'number' || name === null) return {};
    return { last: { parent: this.#keys.fid(parent), name: Buffer.from(name as Uint8Array) } };
  }

  stats(): { count: number; oldest?: number } {
    const row = this.#stats.get() as Row;
    return { count: row[0] as number, ...(row[1] === null ? {} : { oldest: row[1] as number }) };
  }
}
