import { ALWAYS, type Expression } from '../expression/ast.ts';
import { truthOf, wholeSeconds } from '../expression/evaluate.ts';
import type { PolicySubject } from '../expression/subject.ts';
import { needsOf } from '../expression/walk.ts';
import { wideColumn } from './codes.ts';
import type { Database, Query, Row, Value } from './database.ts';
import { ENTRY_COLUMNS, knownEntryOf, RELEASABLE } from './entries.ts';
import type { FidKeys } from './fid-keys.ts';
import type { Links } from './links.ts';
import { ARCHIVABLE } from './pages.ts';
import type { Selection } from './selection.ts';
import type { KnownEntry } from './types.ts';
import { agesIn, type Where, whereOf } from './where.ts';

export interface SelectorSizes {
  /** Rows that are gone through in one read: a few milliseconds, however few of them are chosen. */
  readonly stride: number;
  /** Where there is no index in the order that is asked for: what is kept in memory while everything is gone through. */
  readonly kept: number;
  /** Entries that are given at once of those. */
  readonly given: number;
}

const SIZES: SelectorSizes = { stride: 4000, kept: 100_000, given: 1000 };

/** Runs one short read. */
type Read = <T>(work: () => T) => Promise<T>;

type Position = readonly [value: number, key: number];
const BEFORE_ALL: Position = [Number.MIN_SAFE_INTEGER, 0];

/** A walk through a scope in the order of an index. */
interface IndexWalk {
  /** Bounds of the index's value. */
  readonly from: number;
  readonly to: number;
  readonly descending: boolean;
  /** FROM and WHERE of the walk, with `value` and `key` as the index's columns; the values of its parameters. */
  readonly table: string;
  readonly where: string;
  readonly values: readonly Value[];
  readonly value: string;
  readonly key: string;
}

/** One choice of entries, page by page, in bounded memory. */
export class Selector {
  readonly #database: Database;
  readonly #keys: FidKeys;
  readonly #links: Links;
  readonly #read: Read;
  readonly #selection: Selection;
  readonly #expression: Expression;
  readonly #where: Where;
  readonly #needsPaths: boolean;
  readonly #sizes: SelectorSizes;

  constructor(database: Database, keys: FidKeys, links: Links, read: Read, selection: Selection, sizes = SIZES) {
    this.#sizes = sizes;
    this.#database = database;
    this.#keys = keys;
    this.#links = links;
    this.#read = read;
    this.#selection = selection;
    this.#expression = selection.where ?? ALWAYS;
    this.#where = whereOf(this.#expression, selection.now);
    this.#needsPaths = needsOf(this.#expression).paths;
  }

  async *pages(): AsyncGenerator<KnownEntry[]> {
    let left = this.#selection.limit ?? Number.POSITIVE_INFINITY;
    for await (const page of this.#ordered()) {
      if (left <= page.length) {
        if (left > 0) yield page.slice(0, left);
        return;
      }
      left -= page.length;
      yield page;
    }
  }

  async *#ordered(): AsyncGenerator<KnownEntry[]> {
    const { scope, order = 'none', ost } = this.#selection;
    if (scope === 'archivable' && (order === 'last_mod' || order === 'none')) yield* this.#walk(this.#archivable());
    else if (scope === 'releasable' && ost !== undefined && (order === 'last_access' || order === 'none'))
      yield* this.#walk(this.#releasable(ost));
    else if (scope === 'releasable' && ost === undefined && order === 'last_access') yield* this.#merged();
    else if (order === 'none') yield* this.#unordered();
    else yield* this.#sorted(order);
  }

  #archivable(): IndexWalk {
    return {
      ...this.#bounds('last_mod'),
      table: 'entries e INDEXED BY entries_archivable',
      where: ARCHIVABLE.replace(/\b(type|hsm)\b/g, 'e.$1'),
      values: [],
      value: 'e.mtime',
      key: 'e.fid',
    };
  }

  #releasable(ost: number): IndexWalk {
    return {
      ...this.#bounds('last_access'),
      table: 'releasable r JOIN entries e ON e.fid = r.fid',
      where: 'r.ost = ?',
      values: [ost],
      value: 'r.used',
      key: 'r.fid',
    };
  }

  #bounds(field: 'last_mod' | 'last_access'): Pick<IndexWalk, 'from' | 'to' | 'descending'> {
    const { now, descending = false } = this.#selection;
    const { least, most } = agesIn(this.#expression, field);
    const seconds = wholeSeconds(now);
    const bounded = (time: number) => Math.min(Number.MAX_SAFE_INTEGER, Math.max(Number.MIN_SAFE_INTEGER, time));
    return { from: bounded(seconds - most), to: bounded(seconds - least), descending };
  }

  async *#walk(walk: IndexWalk, stride = this.#sizes.stride): AsyncGenerator<KnownEntry[]> {
    const { given } = this.#sizes;
    for await (const rows of this.#strides(walk, `${ENTRY_COLUMNS}, e.fid, ${walk.value}`, stride)) {
      // Paths of a whole stride would take long.
      for (let at = 0; at < rows.length; at += given) {
        const entries = rows.slice(at, at + given).map((row) => this.#entryOf(row, row.at(-2) as number));
        const page = await this.#chosen(entries);
        if (page.length > 0) yield page;
      }
    }
  }

  /** The rows of a walk that meet the condition, stride by stride. */
  async *#strides(walk: IndexWalk, columns: string, stride = this.#sizes.stride): AsyncGenerator<Row[]> {
    if (walk.from > walk.to) return;
    const [after, upTo, direction] = walk.descending ? (['<', '>=', 'DESC'] as const) : (['>', '<=', 'ASC'] as const);
    const order = `ORDER BY ${walk.value} ${direction}, ${walk.key} ${direction}`;
    const position = `(${walk.value}, ${walk.key})`;
    const bounds = `${walk.where} AND ${walk.value} BETWEEN ? AND ? AND ${position} ${after} (?, ?)`;
    // Without the join: the key is in the index.
    const bare = walk.table.replace(/ JOIN .*/, '');
    const end = this.#database.prepare(
      `SELECT ${walk.value}, ${walk.key} FROM ${bare} WHERE ${bounds} ${order} LIMIT 1 OFFSET ${stride - 1}`,
    );
    const rows = this.#database.prepare(
      `SELECT ${columns} FROM ${walk.table} WHERE ${bounds} AND ${position} ${upTo} (?, ?) AND ${this.#where.sql} ${order}`,
    );
    let at: Position = walk.descending ? [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER] : BEFORE_ALL;
    for (;;) {
      const from: readonly Value[] = [...walk.values, walk.from, walk.to, ...at];
      const { page, next } = await this.#read(() => {
        const found = end.get(...from) as Position | undefined;
        const last: Position =
          found ?? (walk.descending ? BEFORE_ALL : [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER]);
        return { page: rows.all(...from, ...last, ...this.#where.values), next: found };
      });
      if (page.length > 0) yield page;
      if (next === undefined) return;
      at = next;
    }
  }

  /** All OSTs at once, longest unused first; a file on several of them comes once. */
  async *#merged(): AsyncGenerator<KnownEntry[]> {
    const osts = await this.#osts();
    // Each holds a stride: together they hold no more than one walk does.
    const stride = Math.max(2, Math.ceil(this.#sizes.stride / Math.max(1, osts.length)));
    const walks = await Promise.all(osts.map((ost) => Cursor.open(this.#single(ost, stride))));
    const sign = this.#selection.descending === true ? -1 : 1;
    let page: KnownEntry[] = [];
    for (;;) {
      let first: Cursor | undefined;
      for (const walk of walks) {
        if (walk.current !== undefined && (first?.current === undefined || sign * walk.compare(first) < 0))
          first = walk;
      }
      const entry = first?.current?.entry;
      if (first === undefined || entry === undefined) break;
      await first.advance();
      // On another OST it was given already, or will be: its lowest counts.
      if (entry.osts[0] !== undefined && first.ost !== entry.osts[0]) continue;
      page.push(entry);
      if (page.length === this.#sizes.given) {
        yield page;
        page = [];
      }
    }
    if (page.length > 0) yield page;
  }

  #single(ost: number, stride: number): { ost: number; pages: AsyncGenerator<KnownEntry[]> } {
    return { ost, pages: this.#walk(this.#releasable(ost), stride) };
  }

  #osts(): Promise<number[]> {
    return this.#read(() => {
      const next = this.#database.prepare('SELECT min(ost) FROM releasable WHERE ost > ?');
      const osts: number[] = [];
      for (let ost = -1; ; osts.push(ost)) {
        const found = next.get(ost)?.[0];
        if (typeof found !== 'number') return osts;
        ost = found;
      }
    });
  }

  async *#unordered(): AsyncGenerator<KnownEntry[]> {
    for (const walk of await this.#allOfScope()) {
      for await (const page of this.#walk(walk.walk)) {
        const given = walk.ost === undefined ? page : page.filter(({ osts }) => osts[0] === walk.ost);
        if (given.length > 0) yield given;
      }
    }
  }

  /** Walks that together meet everything in the scope; with an OST, only what has it as its lowest counts. */
  async #allOfScope(): Promise<{ walk: IndexWalk; ost?: number }[]> {
    const { scope, ost } = this.#selection;
    if (scope === 'archivable') return [{ walk: this.#archivable() }];
    if (scope === 'releasable') {
      if (ost !== undefined) return [{ walk: this.#releasable(ost) }];
      return (await this.#osts()).map((one) => ({ walk: this.#releasable(one), ost: one }));
    }
    const bounds = { from: 0, to: Number.MAX_SAFE_INTEGER, descending: false };
    return [{ walk: { ...bounds, table: 'entries e', where: '1', values: [], value: 'e.fid', key: 'e.fid' } }];
  }

  /**
   * An order without an index: everything is gone through, the first so many are kept and given, then it is gone through
   * again for those after them. A run that asks for a part of them needs one round; memory stays the same for any number.
   */
  async *#sorted(order: 'last_mod' | 'last_access' | 'last_change' | 'size'): AsyncGenerator<KnownEntry[]> {
    const sign = this.#selection.descending === true ? -1 : 1;
    const row = this.#database.prepare(
      `SELECT ${ENTRY_COLUMNS} FROM entries e WHERE e.fid = ? AND ${this.#where.sql} AND ${this.#scopeSql()}`,
    );
    for (let after: Position | undefined; ; ) {
      const first = new FirstOnes(this.#sizes.kept, after);
      for (const { walk, ost } of await this.#allOfScope()) {
        const columns = `${SORT_COLUMNS[order]}, e.fid, e.osts`;
        for await (const rows of this.#strides(walk, columns)) {
          for (const [value, key, osts] of rows) {
            if (ost !== undefined && Number.parseInt(osts as string, 10) !== ost) continue;
            first.add(sign * Number(value), key as number);
          }
        }
      }
      const found = first.inOrder();
      const { given } = this.#sizes;
      for (let at = 0; at < found.length; at += given) {
        const page = await this.#chosen(await this.#read(() => this.#reread(row, found.slice(at, at + given))));
        if (page.length > 0) yield page;
      }
      if (!first.full) return;
      after = found[found.length - 1];
    }
  }

  #reread(query: Query, positions: readonly Position[]): KnownEntry[] {
    return positions.flatMap(([, key]) => {
      const row = query.get(key, ...this.#where.values);
      return row === undefined ? [] : [this.#entryOf(row, key)];
    });
  }

  #scopeSql(): string {
    const { scope } = this.#selection;
    if (scope === 'all') return '1';
    return scope === 'releasable' ? RELEASABLE : ARCHIVABLE.replace(/\b(type|hsm)\b/g, 'e.$1');
  }

  #entryOf(row: Row, key: number): KnownEntry {
    return knownEntryOf(this.#keys.fid(key), row);
  }

  /** Those of which the condition is not false by all that the catalog knows. */
  async #chosen(entries: KnownEntry[]): Promise<KnownEntry[]> {
    if (this.#where.exact || entries.length === 0) return entries;
    const { now } = this.#selection;
    const paths = this.#needsPaths ? await this.#pathsOf(entries) : undefined;
    return entries.filter((entry) => {
      const subject: PolicySubject = paths === undefined ? entry : { ...entry, paths: paths.get(entry) };
      return truthOf(this.#expression, subject, now) !== false;
    });
  }

  #pathsOf(entries: readonly KnownEntry[]): Promise<Map<KnownEntry, Buffer[]>> {
    return this.#read(() => {
      const walker = this.#links.walker();
      return new Map(
        entries.map((entry) => {
          const results = walker.pathsOf(this.#keys.find(entry.fid) ?? 0);
          // One that can't be told makes all that is said of its paths uncertain.
          return [
            entry,
            results.every((result) => result.ok) ? results.flatMap((result) => (result.ok ? [result.path] : [])) : [],
          ];
        }),
      );
    });
  }
}

const SORT_COLUMNS = {
  last_mod: 'e.mtime',
  last_access: 'max(e.atime, e.mtime)',
  last_change: 'e.ctime',
  size: wideColumn('e.size'),
} as const;

/** The entry at which a walk is. */
class Cursor {
  current: { readonly entry: KnownEntry; readonly used: number } | undefined;
  readonly ost: number;
  readonly #pages: AsyncGenerator<KnownEntry[]>;
  #page: KnownEntry[] = [];
  #at = 0;

  private constructor(ost: number, pages: AsyncGenerator<KnownEntry[]>) {
    this.ost = ost;
    this.#pages = pages;
  }

  static async open({ ost, pages }: { ost: number; pages: AsyncGenerator<KnownEntry[]> }): Promise<Cursor> {
    const cursor = new Cursor(ost, pages);
    await cursor.advance();
    return cursor;
  }

  async advance(): Promise<void> {
    if (this.#at === this.#page.length) {
      const next = await this.#pages.next();
      this.#page = next.done === true ? [] : next.value;
      this.#at = 0;
    }
    const entry = this.#page[this.#at++];
    this.current = entry && { entry, used: Math.max(entry.atime, entry.mtime) };
  }

  compare(other: Cursor): number {
    return (this.current?.used ?? 0) - (other.current?.used ?? 0);
  }
}

/** The first so many of all that are added, in the order of (value, key), after a position. */
class FirstOnes {
  full = false;
  readonly #most: number;
  readonly #after: Position | undefined;
  #kept: Position[] = [];
  #unsorted = 0;
  #last: Position | undefined;

  constructor(most: number, after: Position | undefined) {
    this.#most = most;
    this.#after = after;
  }

  add(value: number, key: number): void {
    if (this.#after !== undefined && !isBefore(this.#after, value, key)) return;
    if (this.#last !== undefined && isBefore(this.#last, value, key)) return;
    this.#kept.push([value, key]);
    this.#unsorted += 1;
    // What is sorted already stays so: each time, a small part is sorted and merged in.
    if (this.#unsorted >= Math.max(1, this.#most / 8)) this.#cut();
  }

  inOrder(): readonly Position[] {
    this.#cut();
    return this.#kept;
  }

  #cut(): void {
    this.#unsorted = 0;
    this.#kept.sort(([a, b], [c, d]) => a - c || b - d);
    if (this.#kept.length <= this.#most) return;
    this.full = true;
    this.#kept.length = this.#most;
    this.#last = this.#kept[this.#most - 1];
  }
}

const isBefore = (position: Position, value: number, key: number): boolean =>
  position[0] < value || (position[0] === value && position[1] < key);
