import { kindOf } from './codes.ts';
import type { Database, Query } from './database.ts';
import type { FidKeys } from './fid-keys.ts';
import { PAGE } from './pages.ts';
import type { ImportChanges, ImportDirectory, ImportedBlob, ImportedName, ImportLink, ImportRange } from './types.ts';

/** Where the import under way is, and what it has brought. */
export class Imports {
  readonly #keys: FidKeys;
  readonly #database: Database;
  readonly #statements = new Map<string, Query>();

  constructor(database: Database, keys: FidKeys) {
    this.#database = database;
    this.#keys = keys;
  }

  /** In a write transaction. @param now seconds since 1970 */
  apply(changes: ImportChanges, now: number): void {
    if (changes.restart === true) {
      this.#sql('DELETE FROM import_work').run();
      this.#sql('DELETE FROM import_links').run();
    }
    for (const { place, start = '', end, flat, token } of changes.ranges ?? []) {
      this.#sql(
        `INSERT INTO import_work (place, start, stop, flat, token) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET flat = excluded.flat, stop = excluded.stop, token = excluded.token`,
      ).run(place, start, end ?? null, flat ? 1 : 0, token ?? null);
    }
    for (const { place, start = '' } of changes.rangesDone ?? [])
      this.#sql('DELETE FROM import_work WHERE place = ? AND start = ?').run(place, start);
    for (const { name, path, target, etag } of changes.links ?? []) {
      this.#sql('INSERT OR REPLACE INTO import_links (name, path, target, etag) VALUES (?, ?, ?, ?)').run(
        name,
        path,
        target ?? null,
        etag,
      );
    }
    for (const name of changes.linksDone ?? []) this.#sql('DELETE FROM import_links WHERE name = ?').run(name);
    for (const { fid, mode, uid, gid, mtime } of changes.directories ?? []) {
      this.#sql('INSERT OR REPLACE INTO import_directories (fid, mode, uid, gid, mtime) VALUES (?, ?, ?, ?, ?)').run(
        this.#keys.store(fid),
        mode,
        uid,
        gid,
        mtime,
      );
    }
    for (const fid of changes.directoriesDone ?? []) {
      this.#sql('DELETE FROM import_directories WHERE fid = ?').run(this.#keys.store(fid));
    }
    for (const { fid, archive, name } of changes.seen ?? []) {
      this.#sql('UPDATE blobs SET verified = ? WHERE fid = ? AND archive = ? AND name = ?').run(
        now,
        this.#keys.store(fid),
        archive,
        name,
      );
    }
  }

  ranges(limit: number): ImportRange[] {
    return this.#sql('SELECT place, start, stop, flat, token FROM import_work ORDER BY place, start LIMIT ?')
      .all(limit)
      .map(([place, start, end, flat, token]) => ({
        place: place as string,
        flat: flat === 1,
        ...(start === '' ? {} : { start: start as string }),
        ...(end === null ? {} : { end: end as string }),
        ...(token === null ? {} : { token: token as string }),
      }));
  }

  rangeCount(): number {
    return this.#sql('SELECT count(*) FROM import_work').get()?.[0] as number;
  }

  links(after: string): ImportLink[] {
    return this.#sql(`SELECT name, path, target, etag FROM import_links WHERE name > ? ORDER BY name LIMIT ${PAGE}`)
      .all(after)
      .map(([name, path, target, etag]) => ({
        name: name as string,
        path: Buffer.from(path as Uint8Array),
        target: (target ?? undefined) as string | undefined,
        etag: etag as string,
      }));
  }

  directories(after: number): { key: number; directory: ImportDirectory }[] {
    return this.#sql(
      `SELECT fid, mode, uid, gid, mtime FROM import_directories WHERE fid > ? ORDER BY fid LIMIT ${PAGE}`,
    )
      .all(after)
      .map(([key, mode, uid, gid, mtime]) => ({
        key: key as number,
        directory: {
          fid: this.#keys.fid(key as number),
          mode: mode as number,
          uid: uid as number,
          gid: gid as number,
          mtime: mtime as number,
        },
      }));
  }

  /** The living thing that stands for a blob of this name. */
  blobAt(archive: number, name: string): ImportedBlob | undefined {
    const row = this.#sql(
      `SELECT b.fid, b.kind, b.etag, g.bind FROM blobs b JOIN entries e ON e.fid = b.fid
       LEFT JOIN bindings g ON g.fid = b.fid WHERE b.archive = ? AND b.name = ? ORDER BY b.etag IS NULL LIMIT 1`,
    ).get(archive, name);
    if (row === undefined) return this.#boundTo(archive, name);
    const [fid, kind, etag, bind] = row;
    return {
      fid: this.#keys.fid(fid as number),
      kind: kindOf(kind as number),
      ...(etag === null ? {} : { etag: etag as string }),
      ...(bind === null ? {} : { bind: bind as string }),
    };
  }

  count(archive: number): number {
    return this.#sql('SELECT count(*) FROM bindings WHERE archive = ?').get(archive)?.[0] as number;
  }

  /** A living file that says itself that it was imported from it: of a catalog that was lost, or of an import on another machine. */
  #boundTo(archive: number, name: string): ImportedBlob | undefined {
    const row = this.#sql(
      `SELECT g.fid, g.bind FROM bindings g JOIN entries e ON e.fid = g.fid WHERE g.archive = ? AND g.name = ? LIMIT 1`,
    ).get(archive, name);
    if (row === undefined) return undefined;
    const [fid, bind] = row;
    return { fid: this.#keys.fid(fid as number), kind: 'file', bind: bind as string };
  }

  /** Imported things whose blobs have these beginnings of names and were not seen since then (seconds). */
  gone(archive: number, place: string, since: number, after: string): ImportedName[] {
    return this.#sql(
      `SELECT b.name, b.fid, b.name = g.name FROM blobs b JOIN bindings g ON g.fid = b.fid AND g.archive = b.archive
       WHERE b.archive = ? AND b.name > ? AND b.name >= ? AND substr(b.name, 1, length(?)) = ?
         AND b.etag IS NOT NULL AND (b.verified IS NULL OR b.verified < ?) ORDER BY b.name LIMIT ${PAGE}`,
    )
      .all(archive, after, place, place, place, since)
      .map(([name, fid, bound]) => ({
        name: name as string,
        fid: this.#keys.fid(fid as number),
        bound: bound === 1,
      }));
  }

  #sql(text: string): Query {
    let query = this.#statements.get(text);
    if (query === undefined) {
      query = this.#database.prepare(text);
      this.#statements.set(text, query);
    }
    return query;
  }
}
