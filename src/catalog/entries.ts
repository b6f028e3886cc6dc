import type { Fid } from '../identity/fid.ts';
import { FILE, typeCode, typeOf, wide, wideColumn } from './codes.ts';
import type { Database, Query, Row, Value } from './database.ts';
import type { FidKeys } from './fid-keys.ts';
import type { Entry, KnownEntry, Stamp } from './types.ts';
import { UsageDeltas } from './usage.ts';

/** The columns of `entries` in the order of the rows that are handled here; `fid` before, `seen` after them. */
const COLUMNS = [
  'type',
  'mode',
  'uid',
  'gid',
  'project',
  'size',
  'blocks',
  'nlink',
  'atime',
  'mtime',
  'ctime',
  'hsm',
  'archive',
  'osts',
  'pool',
] as const;

const AT = Object.fromEntries(COLUMNS.map((column, index) => [column, index])) as Record<
  (typeof COLUMNS)[number],
  number
>;

/** What `KnownEntry` is read from. */
export const ENTRY_COLUMNS = [
  ...COLUMNS.map((column) => (column === 'size' || column === 'blocks' ? wideColumn(column) : column)),
  'seen',
].join(', ');

/** The same of rows, as SQL, of the table `e`. */
export const RELEASABLE = `e.type = ${FILE} AND e.hsm & 94 = 8 AND e.size <> 0`;

/** Released, dirty, lost or flagged never_release: not to be released; of the rest, those that are archived may. */
const RELEASE_MASK = 0x02 | 0x04 | 0x08 | 0x10 | 0x40;
const RELEASE_STATE = 0x08;

export type PutOutcome = 'added' | 'changed' | 'same' | 'skipped';

/**
 * The entries and what is kept beside them: which files may be released from which OST, and the sums by kind. Only
 * here are these three tables written, always together, from the row before and the row after.
 */
export class Entries {
  readonly #keys: FidKeys;
  readonly #select: Query;
  readonly #insert: Query;
  readonly #update: Query;
  readonly #touch: Query;
  readonly #delete: Query;
  readonly #addReleasable: Query;
  readonly #dropReleasable: Query;
  readonly #usage: UsageDeltas;

  constructor(database: Database, keys: FidKeys) {
    this.#keys = keys;
    this.#select = database.prepare(`SELECT ${ENTRY_COLUMNS} FROM entries WHERE fid = ?`);
    this.#insert = database.prepare(
      `INSERT INTO entries (${COLUMNS.join(', ')}, seen, fid) VALUES (${COLUMNS.map(() => '?').join(', ')}, ?, ?)`,
    );
    this.#update = database.prepare(
      `UPDATE entries SET ${COLUMNS.map((column) => `${column} = ?`).join(', ')}, seen = ? WHERE fid = ?`,
    );
    this.#touch = database.prepare('UPDATE entries SET seen = ? WHERE fid = ?');
    this.#delete = database.prepare('DELETE FROM entries WHERE fid = ?');
    this.#addReleasable = database.prepare('INSERT INTO releasable (ost, used, fid) VALUES (?, ?, ?)');
    this.#dropReleasable = database.prepare('DELETE FROM releasable WHERE ost = ? AND used = ? AND fid = ?');
    this.#usage = new UsageDeltas(database);
  }

  /** Puts an entry; in a write transaction that ends with `finish`. */
  put(key: number, entry: Entry, stamp: Stamp, unlessSeenAfter: Stamp | undefined): PutOutcome {
    const after = rowOf(entry);
    const before = this.#select.get(key);
    if (before === undefined) {
      this.#insert.run(...(after as Value[]), stamp, key);
      this.#account(undefined, after, key);
      return 'added';
    }
    if (unlessSeenAfter !== undefined && (before[COLUMNS.length] as number) > unlessSeenAfter) return 'skipped';
    if (sameRow(before, after)) {
      this.#touch.run(stamp, key);
      return 'same';
    }
    this.#update.run(...(after as Value[]), stamp, key);
    this.#account(before, after, key);
    return 'changed';
  }

  /** Removes an entry. @returns as it was */
  remove(key: number): KnownEntry | undefined {
    const before = this.#select.get(key);
    if (before === undefined) return undefined;
    this.#delete.run(key);
    this.#account(before, undefined, key);
    return knownEntryOf(this.#keys.fid(key), before);
  }

  get(key: number): KnownEntry | undefined {
    const row = this.#select.get(key);
    return row === undefined ? undefined : knownEntryOf(this.#keys.fid(key), row);
  }

  has(key: number): boolean {
    return this.#select.get(key) !== undefined;
  }

  /** Writes the sums' changes of this transaction. */
  finish(): void {
    this.#usage.write();
  }

  /** The transaction is rolled back. */
  forget(): void {
    this.#usage.forget();
  }

  #account(before: Row | undefined, after: Row | undefined, key: number): void {
    if (before !== undefined) this.#usage.add(usageKey(before), -1n, wide(before[AT.size]), wide(before[AT.blocks]));
    if (after !== undefined) this.#usage.add(usageKey(after), 1n, wide(after[AT.size]), wide(after[AT.blocks]));
    const [used, osts] = releasableOf(before);
    const [usedNow, ostsNow] = releasableOf(after);
    if (used === usedNow && osts === ostsNow) return;
    for (const ost of ostsOf(osts)) this.#dropReleasable.run(ost, used, key);
    for (const ost of ostsOf(ostsNow)) this.#addReleasable.run(ost, usedNow, key);
  }
}

/** When it was last used, and the OSTs that its release would free; no OSTs when it can't be released. */
function releasableOf(row: Row | undefined): [used: number, osts: string] {
  if (row === undefined) return [0, ''];
  const fit =
    row[AT.type] === FILE &&
    ((row[AT.hsm] as number) & RELEASE_MASK) === RELEASE_STATE &&
    row[AT.size] !== 0 &&
    row[AT.size] !== 0n;
  return fit ? [Math.max(row[AT.atime] as number, row[AT.mtime] as number), row[AT.osts] as string] : [0, ''];
}

function usageKey(row: Row): string {
  return `${row[AT.type]},${row[AT.hsm]},${row[AT.archive]},${row[AT.uid]},${row[AT.gid]},${row[AT.project]}`;
}

function rowOf(entry: Entry): Row {
  return [
    typeCode(entry.type),
    entry.mode,
    entry.uid,
    entry.gid,
    entry.project,
    entry.size,
    entry.blocks,
    entry.nlink,
    entry.atime,
    entry.mtime,
    entry.ctime,
    entry.hsm,
    entry.archive,
    entry.osts.join(','),
    entry.pool,
  ];
}

/** Whether a row that was read says the same as one that is to be written. */
function sameRow(read: Row, written: Row): boolean {
  for (let at = 0; at < COLUMNS.length; at++) {
    const value = written[at];
    if (typeof value === 'bigint' ? wide(read[at]) !== value : read[at] !== value) return false;
  }
  return true;
}

export function knownEntryOf(fid: Fid, row: Row): KnownEntry {
  const number = (at: number) => row[at] as number;
  return {
    fid,
    type: typeOf(number(AT.type)),
    mode: number(AT.mode),
    uid: number(AT.uid),
    gid: number(AT.gid),
    project: number(AT.project),
    size: wide(row[AT.size]),
    blocks: wide(row[AT.blocks]),
    nlink: number(AT.nlink),
    atime: number(AT.atime),
    mtime: number(AT.mtime),
    ctime: number(AT.ctime),
    hsm: number(AT.hsm),
    archive: number(AT.archive),
    osts: ostsOf(row[AT.osts] as string),
    pool: row[AT.pool] as string,
    seen: number(COLUMNS.length),
  };
}

const ostsOf = (text: string): number[] => (text === '' ? [] : text.split(',').map(Number));
