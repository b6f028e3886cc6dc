import type { Fid } from '../identity/fid.ts';
import type { DirectorySize } from './catalog.ts';
import { typeCode } from './codes.ts';
import type { Database, Query, Row } from './database.ts';
import { entryColumns, knownEntryOf } from './entries.ts';
import type { FidKeys } from './fid-keys.ts';
import type { KnownEntry, Stamp } from './types.ts';

/** A page, and from where the next one goes on; undefined: it was the last. */
export interface Page<Item, Position> {
  readonly items: Item[];
  readonly next: Position | undefined;
}

/** Rows of a page that are read at once: a few milliseconds. */
export const PAGE = 1000;
/** Of pages that give FIDs only. */
const WIDE_PAGE = 20_000;

/** Long walks over the entries, page by page. */
export class EntryPages {
  readonly #keys: FidKeys;
  readonly #all: Query;
  readonly #seen: Query;
  readonly #withoutBlob: Query;
  readonly #parents: Query;
  readonly #directorySizes: Query;

  constructor(database: Database, keys: FidKeys) {
    this.#keys = keys;
    const columns = `${entryColumns('entries').join(', ')}, fid`;
    this.#all = database.prepare(`SELECT ${columns} FROM entries WHERE fid > ? ORDER BY fid LIMIT ${PAGE}`);
    this.#seen = database.prepare(`SELECT fid, seen FROM entries WHERE fid > ? ORDER BY fid LIMIT ${WIDE_PAGE}`);
    this.#withoutBlob = database.prepare(
      `SELECT ${columns}, NOT EXISTS (SELECT 1 FROM blobs WHERE blobs.fid = entries.fid) FROM entries
       WHERE fid > ? ORDER BY fid LIMIT ${PAGE}`,
    );
    // Directories are found by jumping from one to the next, whatever they hold; then each is added up.
    this.#parents = database.prepare('SELECT parent FROM links WHERE parent > ? ORDER BY parent LIMIT 1');
    this.#directorySizes = database.prepareWide(
      `SELECT count(*), coalesce(sum(CASE WHEN e.type = ${typeCode('file')} THEN e.size END), 0)
       FROM links l LEFT JOIN entries e ON e.fid = l.child WHERE l.parent = ?`,
    );
  }

  all(after: number): Page<KnownEntry, number> {
    const rows = this.#all.all(after);
    const at = (row: (typeof rows)[number]) => row.at(-1) as number;
    return {
      items: rows.map((row) => knownEntryOf(this.#keys.fid(at(row)), row)),
      next: rows.length < PAGE ? undefined : at(rows[rows.length - 1] as (typeof rows)[number]),
    };
  }

  withoutBlob(after: number): Page<KnownEntry, number> {
    const rows = this.#withoutBlob.all(after);
    const key = (row: (typeof rows)[number]) => row.at(-2) as number;
    const last = rows[rows.length - 1];
    return {
      items: rows.filter((row) => row.at(-1) === 1).map((row) => knownEntryOf(this.#keys.fid(key(row)), row)),
      next: last === undefined || rows.length < PAGE ? undefined : key(last),
    };
  }

  /** Some directories with what they hold: until so many names were counted. */
  directorySizes(after: number): Page<DirectorySize, number> {
    const items: DirectorySize[] = [];
    let next: number | undefined = after;
    for (let counted = 0; counted < WIDE_PAGE; ) {
      next = this.#parents.get(next as number)?.[0] as number | undefined;
      if (next === undefined) break;
      const [count, bytes] = this.#directorySizes.get(next) as Row;
      items.push({ directory: this.#keys.fid(next), entries: Number(count), bytes: BigInt(bytes as bigint | number) });
      counted += Number(count);
    }
    return { items, next };
  }

  unseen(since: Stamp, after: number): Page<Fid, number> {
    const rows = this.#seen.all(after);
    return {
      items: rows.filter((row) => (row[1] as number) <= since).map((row) => this.#keys.fid(row[0] as number)),
      next: rows.length < WIDE_PAGE ? undefined : (rows[rows.length - 1]?.[0] as number),
    };
  }
}
