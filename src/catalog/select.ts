import { setImmediate as others } from 'node:timers/promises';
import { ALWAYS, type Expression } from '../expression/ast.ts';
import { truthOf } from '../expression/evaluate.ts';
import { needsOf } from '../expression/walk.ts';
import type { Fid } from '../identity/fid.ts';
import { wide, wideColumn } from './codes.ts';
import type { Database, Query, Row } from './database.ts';
import { ARCHIVABLE_ENTRY, AT, entryColumns, knownEntryOf, RELEASABLE_ENTRY } from './entries.ts';
import type { FidKeys } from './fid-keys.ts';
import { FirstOnes, type Position } from './first-ones.ts';
import { archivableWalk, type IndexWalk, releasableWalk, wholeWalk } from './index-walk.ts';
import type { Links, PathWalker } from './links.ts';
import { isWholeText, NAME_TEXT, type Place, type RowShape, RowSubject, rowShapeFor } from './row-subject.ts';
import type { Candidate, Selection } from './selection.ts';
import type { KnownEntry } from './types.ts';
import { ENTRY, type Where, whereOf } from './where.ts';

export interface SelectorSizes {
  /** Rows that are gone through in one read: a few milliseconds, however few of them are chosen. */
  readonly stride: number;
  /** Where there is no index in the order that is asked for: what is kept in memory while everything is gone through. */
  readonly kept: number;
  /** Entries that are given at once of those. */
  readonly given: number;
}

const SIZES: SelectorSizes = { stride: 4000, kept: 100_000, given: 1000 };

/** So long, milliseconds, and so many directories, are paths remembered: a directory that moves meanwhile is looked at where it was. */
const PATHS = { ms: 1_000, directories: 50_000 };

/** What a choice is made from. */
export interface SelectorSource {
  readonly database: Database;
  readonly keys: FidKeys;
  readonly links: Links;
  /** Runs one short read. */
  readonly read: <T>(work: () => T) => Promise<T>;
}

/** Entries of a choice, page by page, in bounded memory. */
export async function* selectedEntries(
  source: SelectorSource,
  selection: Selection,
  sizes = SIZES,
): AsyncGenerator<KnownEntry[]> {
  const found = new Selector(source, selection, sizes, 'entries').found();
  for await (const page of found) yield page.map(({ entry }) => entry as KnownEntry);
}

/** Files of a choice. Their entries are read only where the condition needs more of them than stands in the index. */
export async function* chosenFiles(
  source: SelectorSource,
  selection: Selection,
  sizes = SIZES,
): AsyncGenerator<Candidate[]> {
  const found = new Selector(source, selection, sizes, 'candidates').found();
  for await (const page of found) yield page.map(({ fid, size, place }) => ({ fid, size, place }));
}

/** A row that was found. */
interface Found {
  readonly place: number;
  readonly key: number;
  readonly fid: Fid;
  readonly size: bigint;
  /** Whether it counts here: a file on several OSTs counts on one. */
  readonly first: boolean;
  readonly entry: KnownEntry | undefined;
  /** What the condition looks at. */
  readonly row: Row;
  readonly places: readonly Place[];
}

interface StrideColumns {
  readonly columns: string;
  /** Some of them are the entry's; the names', a row for each. */
  readonly whole: boolean;
  readonly named?: boolean;
  /** Rows that are gone through in one read. */
  readonly stride: number;
}

/** One choice. */
class Selector {
  readonly #source: SelectorSource;
  readonly #selection: Selection;
  readonly #expression: Expression;
  /** By the entry. */
  readonly #where: Where;
  readonly #needsPaths: boolean;
  readonly #give: 'entries' | 'candidates';
  /** What is read of entries: all of them where they are asked for, else what the condition looks at where SQL does not decide. */
  readonly #shape: RowShape;
  readonly #sizes: SelectorSizes;
  #paths: { readonly walker: PathWalker; readonly since: number } | undefined;

  constructor(source: SelectorSource, selection: Selection, sizes: SelectorSizes, give: 'entries' | 'candidates') {
    this.#source = source;
    this.#selection = selection;
    this.#sizes = sizes;
    this.#expression = selection.where ?? ALWAYS;
    this.#where = whereOf(this.#expression, selection.now);
    this.#needsPaths = !this.#where.exact && needsOf(this.#expression).paths;
    this.#give = give;
    if (give === 'entries') this.#shape = { columns: entryColumns('e'), at: AT };
    else this.#shape = rowShapeFor(this.#where.exact ? ALWAYS : this.#expression);
  }

  async *found(): AsyncGenerator<Found[]> {
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

  async *#ordered(): AsyncGenerator<Found[]> {
    const { scope, order = 'none', ost } = this.#selection;
    if (scope === 'archivable' && (order === 'last_mod' || order === 'none')) yield* this.#walk(this.#archivable());
    else if (scope === 'releasable' && ost !== undefined && (order === 'last_access' || order === 'none'))
      yield* this.#walk(this.#releasable(ost));
    else if (scope === 'releasable' && ost === undefined && order === 'last_access') yield* this.#merged();
    else if (order === 'none') yield* this.#unordered();
    else yield* this.#sorted(order);
  }

  #archivable(): IndexWalk {
    return archivableWalk(this.#selection, this.#expression);
  }

  #releasable(ost: number): IndexWalk {
    return releasableWalk(ost, this.#selection, this.#expression);
  }

  async *#walk(walk: IndexWalk, stride = this.#sizes.stride): AsyncGenerator<Found[]> {
    const { given } = this.#sizes;
    const whole = this.#give === 'entries' || !this.#where.exact;
    const read = { columns: this.#columns(walk), whole, named: this.#needsPaths, stride };
    for await (const found of this.#strides(walk, read, (rows) => this.#foundIn(rows))) {
      // Paths of a whole stride would take long.
      for (let at = 0; at < found.length; at += given) {
        const page = await this.#chosen(found.slice(at, at + given));
        if (page.length > 0) yield page;
      }
    }
  }

  /**
   * The rows of a walk that meet the condition, stride by stride. What the index itself tells comes first: entries that it
   * leaves out need not be read.
   */
  async *#strides<Item>(
    walk: IndexWalk,
    { columns, whole, named = false, stride }: StrideColumns,
    make: (rows: readonly Row[]) => Item[],
  ): AsyncGenerator<Item[]> {
    const { database, read } = this.#source;
    const narrow = whereOf(this.#expression, this.#selection.now, walk.columns);
    // SQLite has no plan for what is never true.
    if (walk.from > walk.to || narrow.sql === '0') return;
    const wheres = narrow.exact ? [narrow] : [narrow, this.#where];
    const table = narrow.exact && !whole ? walk.index : `${walk.index} ${walk.join} ${named ? NAMES : ''}`;
    const [after, upTo, direction] = walk.descending ? (['<', '>=', 'DESC'] as const) : (['>', '<=', 'ASC'] as const);
    const order = `ORDER BY ${walk.value} ${direction}, ${walk.key} ${direction}`;
    // Nothing else may be said of the value: SQLite begins the walk at one bound, and would take that one for all strides.
    const [position, given] = walk.value === walk.key ? [walk.key, '?'] : [`(${walk.value}, ${walk.key})`, '(?, ?)'];
    const bounds = `${walk.where} AND ${position} ${after} ${given} AND ${position} ${upTo} ${given}`;
    const valuesOf = (at: Position): Position | readonly [number] => (walk.value === walk.key ? [at[1]] : at);
    const end = database.prepare(
      `SELECT ${walk.value}, ${walk.key} FROM ${walk.index} WHERE ${bounds} ${order} LIMIT 1 OFFSET ${stride - 1}`,
    );
    const rows = database.prepare(
      `SELECT ${columns} FROM ${table} WHERE ${bounds} AND ${wheres.map(({ sql }) => sql).join(' AND ')} ${order}`,
    );
    const values = wheres.flatMap((where) => where.values);
    const least: Position = [walk.from, BEFORE_KEYS];
    const most: Position = [walk.to, AFTER_KEYS];
    const last = walk.descending ? least : most;
    let at = walk.descending ? most : least;
    for (;;) {
      const { page, next } = await read(() => {
        const from = [...walk.values, ...valuesOf(at)];
        const next = end.get(...from, ...valuesOf(last)) as Position | undefined;
        return { page: make(rows.all(...from, ...valuesOf(next ?? last), ...values)), next };
      });
      if (page.length > 0) yield page;
      if (next === undefined) return;
      at = next;
      // Nobody takes a page as long as nothing is found.
      await others();
    }
  }

  /** All OSTs at once, longest unused first; a file on several of them comes once. */
  async *#merged(): AsyncGenerator<Found[]> {
    const osts = await this.#osts();
    // Each holds a stride: together they hold no more than one walk does.
    const stride = Math.max(2, Math.ceil(this.#sizes.stride / Math.max(1, osts.length)));
    const walks = await Promise.all(osts.map((ost) => Cursor.open(this.#walk(this.#releasable(ost), stride))));
    const sign = this.#selection.descending === true ? -1 : 1;
    let page: Found[] = [];
    for (;;) {
      let next: Cursor | undefined;
      for (const walk of walks) {
        if (walk.current !== undefined && (next?.current === undefined || sign * walk.compare(next) < 0)) next = walk;
      }
      const found = next?.current;
      if (next === undefined || found === undefined) break;
      await next.advance();
      if (!found.first) continue;
      page.push(found);
      if (page.length === this.#sizes.given) {
        yield page;
        page = [];
      }
    }
    if (page.length > 0) yield page;
  }

  #osts(): Promise<number[]> {
    const { database, read } = this.#source;
    return read(() => {
      const next = database.prepare('SELECT min(ost) FROM releasable WHERE ost > ?');
      const osts: number[] = [];
      for (let ost = -1; ; osts.push(ost)) {
        const found = next.get(ost)?.[0];
        if (typeof found !== 'number') return osts;
        ost = found;
      }
    });
  }

  async *#unordered(): AsyncGenerator<Found[]> {
    for (const { walk, once } of await this.#allOfScope()) {
      for await (const page of this.#walk(walk)) {
        const given = once ? page.filter(({ first }) => first) : page;
        if (given.length > 0) yield given;
      }
    }
  }

  /** Walks that together meet everything in the scope; `once`: of what several of them meet, only the first counts. */
  async #allOfScope(): Promise<{ walk: IndexWalk; once: boolean }[]> {
    const { scope, ost } = this.#selection;
    if (scope === 'archivable') return [{ walk: this.#archivable(), once: false }];
    if (scope === 'all') return [{ walk: wholeWalk, once: false }];
    if (ost !== undefined) return [{ walk: this.#releasable(ost), once: false }];
    return (await this.#osts()).map((one) => ({ walk: this.#releasable(one), once: true }));
  }

  /**
   * An order without an index: everything is gone through, the first so many are kept and given, then it is gone through
   * again for those after them. A run that asks for a part of them needs one round; memory stays the same for any number.
   */
  async *#sorted(order: 'last_mod' | 'last_access' | 'last_change' | 'size'): AsyncGenerator<Found[]> {
    const { database, read } = this.#source;
    const sign = this.#selection.descending === true ? -1 : 1;
    const row = database.prepare(
      `SELECT ${this.#columns(wholeWalk)} FROM entries e ${this.#needsPaths ? NAMES : ''}
       WHERE e.fid = ? AND ${this.#where.sql} AND ${SCOPES[this.#selection.scope]}`,
    );
    for (let after: Position | undefined; ; ) {
      const firstOnes = new FirstOnes(this.#sizes.kept, after);
      for (const { walk, once } of await this.#allOfScope()) {
        const columns = `${sortColumn(walk, order)}, ${walk.key}, ${walk.first}`;
        const whole = walk.columns[order] === undefined;
        const { stride } = this.#sizes;
        for await (const rows of this.#strides(walk, { columns, whole, stride }, (rows) => [...rows])) {
          for (const [value, key, first] of rows) {
            if (!once || first === 1) firstOnes.add(sign * Number(value), key as number);
          }
        }
      }
      const positions = firstOnes.inOrder();
      const { given } = this.#sizes;
      for (let at = 0; at < positions.length; at += given) {
        const page = await read(() => this.#reread(row, positions.slice(at, at + given), sign));
        const chosen = await this.#chosen(page);
        if (chosen.length > 0) yield chosen;
      }
      if (!firstOnes.full) return;
      after = positions[positions.length - 1];
    }
  }

  #reread(query: Query, positions: readonly Position[], sign: number): Found[] {
    return positions.flatMap(([value, key]) =>
      this.#foundIn(query.all(key, ...this.#where.values)).map((found) => ({ ...found, place: sign * value })),
    );
  }

  /** What `#foundIn` reads: of the entry, of the walk, and a name with its directory, a row for each. */
  #columns(walk: IndexWalk): string {
    const own = [walk.value, walk.key, wideColumn(walk.size), walk.first];
    return [...this.#shape.columns, ...own, ...(this.#needsPaths ? ['l.parent', NAME_TEXT] : [])].join(', ');
  }

  /** Rows of one file stand together. */
  #foundIn(rows: readonly Row[]): Found[] {
    const at = this.#shape.columns.length;
    const all: (Found & { readonly places: Place[] })[] = [];
    let last: (typeof all)[number] | undefined;
    for (const row of rows) {
      const key = row[at + 1] as number;
      if (last?.key !== key || !this.#needsPaths) {
        last = this.#foundOf(row, at, key);
        all.push(last);
      }
      if (this.#needsPaths && row[at + FOUND] !== null)
        last.places.push({ parent: row[at + FOUND] as number, name: row[at + FOUND + 1] as string });
    }
    return all;
  }

  /** In the order of directories and names: the first of several paths counts for its depth. */
  #placesOf({ key, places }: Found): readonly Place[] {
    const [first] = places;
    if (first === undefined || (places.length === 1 && isWholeText(first.name as string))) return places;
    return this.#source.links.of(key);
  }

  #foundOf(row: Row, at: number, key: number): Found & { readonly places: Place[] } {
    const fid = this.#source.keys.fid(key);
    const entry = this.#give === 'entries' ? knownEntryOf(fid, row) : undefined;
    const [place, size] = [row[at] as number, wide(row[at + 2])];
    return { place, key, fid, size, first: row[at + 3] === 1, entry, row, places: [] };
  }

  /** Those of which the condition is not false by all that the catalog knows. */
  async #chosen(page: Found[]): Promise<Found[]> {
    if (this.#where.exact || page.length === 0) return page;
    const { now } = this.#selection;
    return await this.#source.read(() => {
      const walker = this.#needsPaths ? this.#pathWalker() : undefined;
      const subject = new RowSubject(this.#shape, walker);
      return page.filter((found) => {
        subject.show(found.row, found.key, this.#placesOf(found));
        return truthOf(this.#expression, subject, now) !== false;
      });
    });
  }

  #pathWalker(): PathWalker {
    const now = performance.now();
    if (this.#paths === undefined || now - this.#paths.since > PATHS.ms || this.#paths.walker.size > PATHS.directories)
      this.#paths = { walker: this.#source.links.walker(), since: now };
    return this.#paths.walker;
  }
}

const BEFORE_KEYS = -1;
const AFTER_KEYS = Number.MAX_SAFE_INTEGER;

const SCOPES: Readonly<Record<Selection['scope'], string>> = {
  archivable: ARCHIVABLE_ENTRY,
  releasable: RELEASABLE_ENTRY,
  all: '1',
};

/** How many columns of its own a walk has, behind those of the entry. */
const FOUND = 4;

/** Brings in the names of the row `e` of `entries`. */
const NAMES = 'LEFT JOIN links l ON l.child = e.fid';

/** From the index, where it knows it. */
function sortColumn(walk: IndexWalk, order: 'last_mod' | 'last_access' | 'last_change' | 'size'): string {
  const column = walk.columns[order] ?? (ENTRY[order] as string);
  return order === 'size' ? wideColumn(column) : column;
}

/** Where a walk is. */
class Cursor {
  current: Found | undefined;
  readonly #pages: AsyncGenerator<Found[]>;
  #page: Found[] = [];
  #at = 0;

  private constructor(pages: AsyncGenerator<Found[]>) {
    this.#pages = pages;
  }

  static async open(pages: AsyncGenerator<Found[]>): Promise<Cursor> {
    const cursor = new Cursor(pages);
    await cursor.advance();
    return cursor;
  }

  async advance(): Promise<void> {
    if (this.#at === this.#page.length) {
      const next = await this.#pages.next();
      this.#page = next.done === true ? [] : next.value;
      this.#at = 0;
    }
    this.current = this.#page[this.#at++];
  }

  compare(other: Cursor): number {
    return (this.current?.place ?? 0) - (other.current?.place ?? 0);
  }
}
