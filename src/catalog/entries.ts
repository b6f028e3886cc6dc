import type { Fid } from '../identity/fid.ts';
import { FILE, typeCode, typeOf, wide, wideColumn } from './codes.ts';
import type { Database, Query, Row, Value } from './database.ts';
import type { FidKeys } from './fid-keys.ts';
import type { Entry, EntryPut, KnownEntry, Stamp } from './types.ts';
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

/** Where each of them is. */
export const AT = Object.fromEntries(COLUMNS.map((column, index) => [column, index])) as Record<
  (typeof COLUMNS)[number],
  number
>;

/** What `KnownEntry` is read from, of the table or its alias. */
export const entryColumns = (table: string): string[] => [
  ...COLUMNS.map((column) => `${table}.${column}`).map((column) =>
    /\.(size|blocks)$/.test(column) ? wideColumn(column) : column,
  ),
  `${table}.seen`,
];

/** As SQL, of the table or alias `e`: files that an archive may be asked for. */
export const ARCHIVABLE_ENTRY = `e.type = ${FILE} AND e.hsm & 100 = 0 AND e.hsm & 10 <> 8`;
/** The same of files that may be released. */
export const RELEASABLE_ENTRY = `e.type = ${FILE} AND e.hsm & 94 = 8 AND e.size <> 0 AND e.osts <> ''`;

/** Released, lost or flagged never_archive: not to be archived; nor what is archived without being dirty. */
const ARCHIVE_MASK = 0x04 | 0x20 | 0x40;
const CLEAN_MASK = 0x02 | 0x08;
const CLEAN_STATE = 0x08;
/** Released, dirty, lost or flagged never_release: not to be released; of the rest, those that are archived may. */
const RELEASE_MASK = 0x02 | 0x04 | 0x08 | 0x10 | 0x40;
const RELEASE_STATE = 0x08;

export type PutOutcome = 'added' | 'changed' | 'same' | 'skipped';

/**
 * The entries and what is kept beside them: which files may be archived, and released from which OST, and the sums by
 * kind. Only here are these four tables written, always together, from the row before and the row after.
 */
export class Entries {
  readonly #keys: FidKeys;
  readonly #select: Query;
  readonly #has: Query;
  readonly #insert: Query;
  readonly #update: Query;
  readonly #touch: Query;
  readonly #delete: Query;
  readonly #addArchivable: Query;
  readonly #dropArchivable: Query;
  readonly #addReleasable: Query;
  readonly #dropReleasable: Query;
  readonly #usage: UsageDeltas;

  constructor(database: Database, keys: FidKeys) {
    this.#keys = keys;
    this.#select = database.prepare(`SELECT ${entryColumns('entries').join(', ')} FROM entries WHERE fid = ?`);
    this.#has = database.prepare('SELECT 1 FROM entries WHERE fid = ?');
    this.#insert = database.prepare(
      `INSERT INTO entries (${COLUMNS.join(', ')}, seen, fid) VALUES (${COLUMNS.map(() => '?').join(', ')}, ?, ?)`,
    );
    this.#update = database.prepare(
      `UPDATE entries SET ${COLUMNS.map((column) => `${column} = ?`).join(', ')}, seen = ? WHERE fid = ?`,
    );
    this.#touch = database.prepare('UPDATE entries SET seen = ? WHERE fid = ?');
    this.#delete = database.prepare('DELETE FROM entries WHERE fid = ?');
    this.#addArchivable = database.prepare(
      'INSERT INTO archivable (mtime, fid, size, uid, gid, project) VALUES (?, ?, ?, ?, ?, ?)',
    );
    this.#dropArchivable = database.prepare('DELETE FROM archivable WHERE mtime = ? AND fid = ?');
    this.#addReleasable = database.prepare(
      'INSERT INTO releasable (ost, used, fid, size, uid, gid, project, first) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
    );
    this.#dropReleasable = database.prepare('DELETE FROM releasable WHERE ost = ? AND used = ? AND fid = ?');
    this.#usage = new UsageDeltas(database);
  }

  /** Puts an entry; in a write transaction that ends with `finish`. */
  put(key: number, { entry, unlessSeenAfter, unlessGone }: EntryPut, stamp: Stamp): PutOutcome {
    const after = rowOf(entry);
    const before = this.#select.get(key);
    if (before === undefined) {
      if (unlessGone === true) return 'skipped';
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
    return this.#has.get(key) !== undefined;
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
    this.#accountArchivable(archivableOf(before), archivableOf(after), key);
    this.#accountReleasable(releasableOf(before), releasableOf(after), key);
  }

  #accountArchivable(had: Archivable | undefined, has: Archivable | undefined, key: number): void {
    if (sameValues(had, has)) return;
    if (had !== undefined) this.#dropArchivable.run(had[0], key);
    if (has === undefined) return;
    const [mtime, ...rest] = has;
    this.#addArchivable.run(mtime, key, ...rest);
  }

  #accountReleasable(had: Releasable | undefined, has: Releasable | undefined, key: number): void {
    if (sameValues(had, has)) return;
    if (had !== undefined) for (const ost of ostsOf(had[0])) this.#dropReleasable.run(ost, had[1], key);
    if (has === undefined) return;
    const [osts, used, ...rest] = has;
    for (const [at, ost] of ostsOf(osts).entries()) this.#addReleasable.run(ost, used, key, ...rest, at === 0 ? 1 : 0);
  }
}

/** When it was last modified, and what else policies choose by. */
type Archivable = readonly [mtime: number, ...rest: Value[]];
/** The OSTs that its release would free, when it was last used, and what else policies choose by. */
type Releasable = readonly [osts: string, used: number, ...rest: Value[]];

function archivableOf(row: Row | undefined): Archivable | undefined {
  if (row === undefined || row[AT.type] !== FILE) return undefined;
  const hsm = row[AT.hsm] as number;
  if ((hsm & ARCHIVE_MASK) !== 0 || (hsm & CLEAN_MASK) === CLEAN_STATE) return undefined;
  return [row[AT.mtime] as number, ...chosenBy(row)];
}

function releasableOf(row: Row | undefined): Releasable | undefined {
  if (row === undefined || row[AT.type] !== FILE) return undefined;
  if (((row[AT.hsm] as number) & RELEASE_MASK) !== RELEASE_STATE) return undefined;
  if (wide(row[AT.size]) === 0n || row[AT.osts] === '') return undefined;
  const used = Math.max(row[AT.atime] as number, row[AT.mtime] as number);
  return [row[AT.osts] as string, used, ...chosenBy(row)];
}

const chosenBy = (row: Row): Value[] => [
  wide(row[AT.size]),
  ...([row[AT.uid], row[AT.gid], row[AT.project]] as Value[]),
];

function sameValues(one: Row | undefined, other: Row | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  return one.every((value, at) => value === other[at]);
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

export const ostsOf = (text: string): number[] => (text === '' ? [] : text.split(',').map(Number));
