import type { Blobs } from './blobs.ts';
import { typeCode, typeOf, wide, wideColumn } from './codes.ts';
import type { Database, Query, Row } from './database.ts';
import type { FidKeys } from './fid-keys.ts';
import type { KnownEntry, Tombstone } from './types.ts';

/** Minutes for which deletions are counted: 31 days. */
const BURIALS_KEPT = 31 * 24 * 60;

const COLUMNS = `fid, type, path, ${wideColumn('size')}, mode, uid, gid, mtime, archive, died, seen`;

/** The dead whose blobs are to go after the grace period. Their blobs stay in `blobs` until they are deleted. */
export class Tombstones {
  readonly #keys: FidKeys;
  readonly #blobs: Blobs;
  readonly #put: Query;
  readonly #get: Query;
  readonly #delete: Query;
  readonly #due: Query;
  readonly #at: Query;
  readonly #count: Query;
  readonly #dig: Query;
  readonly #inGrave: Query;
  readonly #open: Query;
  readonly #any: Query;
  readonly #bury: Query;
  readonly #burials: Query;
  readonly #forgetBurials: Query;
  readonly #anyGrave: Query;
  readonly #path: Query;

  constructor(database: Database, keys: FidKeys, blobs: Blobs) {
    this.#keys = keys;
    this.#blobs = blobs;
    this.#put = database.prepare(
      `INSERT INTO tombstones (fid, type, path, size, mode, uid, gid, mtime, archive, died, seen)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET path = coalesce(path, excluded.path)`,
    );
    this.#get = database.prepare(`SELECT ${COLUMNS} FROM tombstones WHERE fid = ?`);
    this.#delete = database.prepare('DELETE FROM tombstones WHERE fid = ?');
    this.#due = database.prepare(
      `SELECT ${COLUMNS} FROM tombstones WHERE (died, fid) > (?, ?) AND died <= ? ORDER BY died, fid LIMIT ?`,
    );
    this.#at = database.prepare(
      `SELECT ${COLUMNS} FROM tombstones
       WHERE (died, fid) < (?, ?) AND (? OR path = ? OR path >= ? AND path < ?) ORDER BY died DESC, fid DESC LIMIT ?`,
    );
    this.#count = database.prepare('SELECT count(*), sum(size), min(died) FROM tombstones WHERE died >= ?');
    this.#dig = database.prepare('INSERT OR IGNORE INTO graves (fid) VALUES (?)');
    this.#inGrave = database.prepare('SELECT 1 FROM graves WHERE fid = ?');
    this.#open = database.prepare('DELETE FROM graves');
    this.#bury = database.prepare(
      `INSERT INTO burials (minute, count, bytes) VALUES (?, 1, ?)
       ON CONFLICT DO UPDATE SET count = count + 1, bytes = bytes + excluded.bytes`,
    );
    this.#burials = database.prepareWide('SELECT sum(count), sum(bytes) FROM burials WHERE minute >= ?');
    this.#forgetBurials = database.prepare('DELETE FROM burials WHERE minute < ?');
    this.#any = database.prepare('SELECT 1 FROM tombstones LIMIT 1');
    this.#anyGrave = database.prepare('SELECT 1 FROM graves LIMIT 1');
    this.#path = database.prepare('SELECT path FROM tombstones WHERE fid = ?');
  }

  any(): boolean {
    return this.#any.get() !== undefined;
  }

  anyGrave(): boolean {
    return this.#anyGrave.get() !== undefined;
  }

  /** While a scan is under way, every death is remembered: FIDs are never used again. */
  dig(fid: number): void {
    this.#dig.run(fid);
  }

  inGrave(fid: number): boolean {
    return this.#inGrave.get(fid) !== undefined;
  }

  openGraves(): void {
    this.#open.run();
  }

  /**
   * Of one that has a tombstone already, only the path is taken, if that was not known.
   * @param seen whether somebody had looked at it before it died
   */
  put(fid: number, entry: KnownEntry, path: Buffer | undefined, died: number, seen: boolean): void {
    const { type, size, mode, uid, gid, mtime, archive } = entry;
    this.#put.run(fid, typeCode(type), path ?? null, size, mode, uid, gid, mtime, archive, died, seen ? 1 : 0);
  }

  /** Where it was, if that is known. */
  pathOf(fid: number): Buffer | undefined {
    const path = this.#path.get(fid)?.[0];
    return path === undefined || path === null ? undefined : Buffer.from(path as Uint8Array);
  }

  get(fid: number): Tombstone | undefined {
    const row = this.#get.get(fid);
    return row === undefined ? undefined : this.#tombstoneOf(row);
  }

  delete(fid: number): void {
    this.#delete.run(fid);
  }

  /** Notes that its blobs are deleted, and forgets it. */
  bury(fid: number, nowMs: number): void {
    const stone = this.#get.get(fid);
    if (stone === undefined) return;
    this.#delete.run(fid);
    const minute = Math.floor(nowMs / 60_000);
    this.#bury.run(minute, wide(stone[3]));
    this.#forgetBurials.run(minute - BURIALS_KEPT);
  }

  /** How many were buried since then (seconds), and their bytes. */
  burials(since: number): { count: number; bytes: number } {
    const row = this.#burials.get(Math.floor(since / 60)) as Row;
    return { count: Number(row[0] ?? 0), bytes: Number(row[1] ?? 0) };
  }

  /** Those that died up to then, longest dead first, after the given one. */
  due(upTo: number, after: { died: number; fid: number } | undefined, limit: number): Tombstone[] {
    const from = after ?? { died: Number.MIN_SAFE_INTEGER, fid: 0 };
    return this.#due.all(from.died, from.fid, upTo, limit).map((row) => this.#tombstoneOf(row));
  }

  /** Those whose last name was this path, or below it (empty: all), latest dead first, before the given one. */
  at(path: Buffer, before: { died: number; fid: number } | undefined, limit: number): Tombstone[] {
    const from = before ?? { died: Number.MAX_SAFE_INTEGER, fid: 0 };
    // What begins with the path and a slash comes before the path and a zero, the byte after the slash.
    const [low, high] = [Buffer.concat([path, Buffer.from('/')]), Buffer.concat([path, Buffer.from('0')])];
    const all = path.length === 0 ? 1 : 0;
    return this.#at.all(from.died, from.fid, all, path, low, high, limit).map((row) => this.#tombstoneOf(row));
  }

  /** How many died since then, their bytes, and when the first of them did. */
  count(since: number): { count: number; bytes: number; oldest?: number } {
    const row = this.#count.get(since) as Row;
    const oldest = row[2] === null ? {} : { oldest: row[2] as number };
    return { count: row[0] as number, bytes: Number(row[1] ?? 0), ...oldest };
  }

  #tombstoneOf(row: Row): Tombstone {
    const key = row[0] as number;
    return {
      fid: this.#keys.fid(key),
      type: typeOf(row[1] as number),
      path: row[2] === null ? undefined : Buffer.from(row[2] as Uint8Array),
      size: wide(row[3]),
      mode: row[4] as number,
      uid: row[5] as number,
      gid: row[6] as number,
      mtime: row[7] as number,
      archive: row[8] as number,
      diedAt: row[9] as number,
      seen: row[10] === 1,
      blobs: this.#blobs.of(key),
    };
  }
}
