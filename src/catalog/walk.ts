import type { Fid } from '../identity/fid.ts';
import type { Database, Query } from './database.ts';
import type { FidKeys } from './fid-keys.ts';
import { PAGE, type Page } from './pages.ts';

/** Where the scan under way is: the directories that it has met, and those that it has been through. */
export class Walk {
  readonly #keys: FidKeys;
  readonly #met: Query;
  readonly #done: Query;
  readonly #left: Query;
  readonly #clear: Query;

  constructor(database: Database, keys: FidKeys) {
    this.#keys = keys;
    // In parallel a directory may be done before it is told as an entry.
    this.#met = database.prepare('INSERT OR IGNORE INTO walk (fid, done) VALUES (?, 0)');
    this.#done = database.prepare('INSERT INTO walk (fid, done) VALUES (?, 1) ON CONFLICT DO UPDATE SET done = 1');
    this.#left = database.prepare(`SELECT fid FROM walk WHERE fid > ? AND done = 0 ORDER BY fid LIMIT ${PAGE}`);
    this.#clear = database.prepare('DELETE FROM walk');
  }

  met(fid: number): void {
    this.#met.run(fid);
  }

  done(fid: number): void {
    this.#done.run(fid);
  }

  left(after: number): Page<Fid, number> {
    const keys = this.#left.all(after).map((row) => row[0] as number);
    return {
      items: keys.map((key) => this.#keys.fid(key)),
      next: keys.length < PAGE ? undefined : keys[keys.length - 1],
    };
  }

  clear(): void {
    this.#clear.run();
  }
}
