import { wide, wideColumn } from './codes.ts';
import type { Database, Query } from './database.ts';
import type { FidKeys } from './fid-keys.ts';
import type { Asked } from './types.ts';

/** What policies have asked the coordinator for, until its end is seen: a client can't read the coordinator's list. */
export class AskedFiles {
  readonly #keys: FidKeys;
  readonly #put: Query;
  readonly #drop: Query;
  readonly #page: Query;

  constructor(database: Database, keys: FidKeys) {
    this.#keys = keys;
    this.#put = database.prepare(
      'INSERT OR REPLACE INTO asked (policy, fid, run, at_ms, size, mtime) VALUES (?, ?, ?, ?, ?, ?)',
    );
    this.#drop = database.prepare('DELETE FROM asked WHERE policy = ? AND fid = ?');
    this.#page = database.prepare(
      `SELECT fid, run, at_ms, ${wideColumn('size')}, mtime FROM asked WHERE policy = ? AND fid > ? ORDER BY fid LIMIT ?`,
    );
  }

  put(key: number, { policy, run, at, size, mtime }: Asked): void {
    this.#put.run(policy, key, run, at, size, mtime);
  }

  drop(key: number, policy: string): void {
    this.#drop.run(policy, key);
  }

  page(policy: string, after: number, limit: number): { key: number; asked: Asked }[] {
    return this.#page.all(policy, after, limit).map(([key, run, at, size, mtime]) => ({
      key: key as number,
      asked: {
        policy,
        fid: this.#keys.fid(key as number),
        run: run as number,
        at: at as number,
        size: wide(size),
        mtime: mtime as number,
      },
    }));
  }
}
