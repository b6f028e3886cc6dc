import type { Expression } from '../expression/ast.ts';
import type { PolicySubject } from '../expression/subject.ts';
import { comparisonsOf } from '../expression/walk.ts';
import { joinBytes } from '../lustre/join-bytes.ts';
import { typeOf, wideColumn } from './codes.ts';
import type { Row } from './database.ts';
import { ostsOf } from './entries.ts';
import type { PathWalker } from './links.ts';

/** Columns of an entry that conditions look at. */
const COLUMNS = [
  ...['type', 'mode', 'uid', 'gid', 'project', 'size', 'nlink', 'atime', 'mtime', 'ctime', 'hsm', 'archive'],
  ...['osts', 'pool'],
] as const;
type Column = (typeof COLUMNS)[number];

/** Where a file is: a directory, by key, and the name there. */
export interface Place {
  readonly parent: number;
  readonly name: string | Uint8Array;
}

/**
 * How names are read. Nearly all are UTF-8, and as text they cost half as much as bytes, which are an object outside the
 * heap for each. What is not UTF-8 is not itself as text, and is known by that.
 */
export const NAME_TEXT = 'CAST(l.name AS TEXT)';
export const isWholeText = (text: string): boolean => !text.includes('\ufffd');

const bytesOf = ({ name }: Place): Uint8Array => (typeof name === 'string' ? Buffer.from(name) : name);

/** What a row of a choice has of an entry: as much as the condition looks at. */
export interface RowShape {
  readonly columns: readonly string[];
  /** Where each of them is in the row; -1: nobody asks. */
  readonly at: Readonly<Record<Column, number>>;
}

export function rowShapeFor(expression: Expression): RowShape {
  const needed = columnsIn(expression);
  const chosen = COLUMNS.filter((column) => needed.has(column));
  return {
    columns: chosen.map((column) => (column === 'size' ? wideColumn('e.size') : `e.${column}`)),
    at: Object.fromEntries(COLUMNS.map((column) => [column, chosen.indexOf(column)])) as Record<Column, number>,
  };
}

function columnsIn(expression: Expression): ReadonlySet<string> {
  const columns = new Set<string>();
  for (const comparison of comparisonsOf(expression)) {
    switch (comparison.kind) {
      case 'type':
      case 'hsm':
        columns.add(comparison.kind);
        break;
      case 'number':
        columns.add(comparison.field === 'archive_id' ? 'archive' : comparison.field);
        break;
      case 'age':
        if (comparison.field === 'last_change') columns.add('ctime');
        else columns.add('mtime');
        if (comparison.field === 'last_access') columns.add('atime');
        break;
      case 'owner':
        columns.add(comparison.field === 'owner' ? 'uid' : 'gid');
        break;
      case 'ost':
        columns.add('osts');
        break;
      case 'glob':
        if (comparison.field === 'pool') columns.add('pool');
        break;
    }
  }
  return columns;
}

/**
 * Files as a condition sees them, one row after the other: it is shown a row, and asked before the next. No more is taken
 * from a row than the condition looks at. Paths are put together when they are asked for: what most conditions are
 * decided by is a name, or that a path begins otherwise.
 */
export class RowSubject implements PolicySubject {
  readonly #at: RowShape['at'];
  readonly #walker: PathWalker | undefined;
  #row: Row = [];
  #key = -1;
  #places: readonly Place[] = [];
  #paths: readonly Buffer[] | undefined;

  /** @param walker finds paths; undefined: they are not known, and not asked for */
  constructor({ at }: RowShape, walker: PathWalker | undefined) {
    this.#at = at;
    this.#walker = walker;
  }

  /** @param places where the file is, in the order of directories and names */
  show(row: Row, key: number, places: readonly Place[]): this {
    this.#row = row;
    this.#key = key;
    this.#places = places;
    this.#paths = undefined;
    return this;
  }

  get type() {
    return this.#at.type < 0 ? ('file' as const) : typeOf(this.#row[this.#at.type] as number);
  }
  get mode() {
    return this.#number(this.#at.mode);
  }
  get uid() {
    return this.#number(this.#at.uid);
  }
  get gid() {
    return this.#number(this.#at.gid);
  }
  get project() {
    return this.#number(this.#at.project);
  }
  get size() {
    if (this.#at.size < 0) return undefined;
    const value = this.#row[this.#at.size];
    return typeof value === 'number' ? value : BigInt(value as string);
  }
  get nlink() {
    return this.#number(this.#at.nlink);
  }
  get atime() {
    return this.#number(this.#at.atime);
  }
  get mtime() {
    return this.#number(this.#at.mtime);
  }
  get ctime() {
    return this.#number(this.#at.ctime);
  }
  get hsm() {
    return this.#number(this.#at.hsm);
  }
  get archive() {
    return this.#number(this.#at.archive);
  }
  get osts() {
    return this.#at.osts < 0 ? undefined : ostsOf(this.#row[this.#at.osts] as string);
  }
  get pool() {
    return this.#at.pool < 0 ? undefined : (this.#row[this.#at.pool] as string);
  }

  /** Known wherever the directories are. */
  get names(): readonly Uint8Array[] | undefined {
    return this.#places.length === 0 ? undefined : this.#places.map(bytesOf);
  }

  get paths(): readonly Buffer[] | undefined {
    if (this.#walker === undefined) return undefined;
    this.#paths ??= pathsOf(this.#walker, this.#key, this.#places);
    return this.#paths;
  }

  #number(column: number): number | undefined {
    return column < 0 ? undefined : (this.#row[column] as number);
  }
}

function pathsOf(walker: PathWalker, key: number, places: readonly Place[]): readonly Buffer[] {
  if (walker.isRoot(key)) return [Buffer.alloc(0)];
  const paths: Buffer[] = [];
  for (const place of places) {
    const above = walker.pathOfDirectory(place.parent);
    // One that can't be told makes all that is said of its paths uncertain.
    if (above === undefined) return [];
    paths.push(joinBytes(above, bytesOf(place)));
  }
  return paths;
}
