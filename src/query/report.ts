import type { Catalog, DirectorySize } from '../catalog/catalog.ts';
import type { KnownEntry, Usage } from '../catalog/types.ts';
import { ALWAYS, type Expression } from '../expression/ast.ts';
import { truthOf } from '../expression/evaluate.ts';
import { needsOf } from '../expression/walk.ts';
import type { Fid } from '../identity/fid.ts';
import { describeState } from '../lustre/hsm-state.ts';
import type { Policies } from '../policy/policies.ts';
import { LargestFirst } from './largest-first.ts';

export const DIMENSIONS = ['user', 'group', 'project', 'type', 'state', 'archive', 'class', 'size', 'age'] as const;
export type Dimension = (typeof DIMENSIONS)[number];

/** Sums of what has the same key: a user id, a state in words, the lower end of a profile's step. */
export interface ReportRow {
  readonly key: string;
  readonly count: bigint;
  /** Sum of sizes, bytes. */
  readonly bytes: bigint;
  /** What is taken up in Lustre, bytes. */
  readonly allocated: bigint;
}

export interface ReportSection {
  readonly by: Dimension;
  /** Largest first; profiles in their order. Of users, only the first when so many are asked for. */
  readonly rows: readonly ReportRow[];
}

export interface TopFile {
  readonly entry: KnownEntry;
  /** The lowest of its names; undefined: none is known. */
  readonly path: Buffer | undefined;
}

export interface TopDirectory extends DirectorySize {
  readonly path: Buffer | undefined;
}

export interface Report {
  readonly total: Omit<ReportRow, 'key'>;
  readonly sections: readonly ReportSection[];
  readonly files: readonly TopFile[];
  readonly directories: readonly TopDirectory[];
}

export interface ReportOptions {
  readonly catalog: Catalog;
  readonly by: readonly Dimension[];
  /** How many of the largest files, and of the directories with the most in them. */
  readonly topFiles: number;
  readonly topDirectories: number;
  /** How many of the users with the most bytes; 0: all, if it is added up by user. */
  readonly topUsers: number;
  /** Without: everything. */
  readonly where?: Expression | undefined;
  readonly classes: Policies['classes'];
  /** Milliseconds since 1970. */
  readonly now: number;
  readonly onProgress?: (entries: number) => void;
  readonly signal: AbortSignal;
}

/** Kept by the catalog: they cost nothing, however many files there are. */
const KEPT: ReadonlySet<Dimension> = new Set(['user', 'group', 'project', 'type', 'state', 'archive']);

/** Adds up what the catalog has. Sizes and ages, classes, largest files and conditions need a look at every entry. */
export async function report(options: ReportOptions): Promise<Report> {
  const { topFiles, topUsers, where } = options;
  const by = topUsers === 0 || options.by.includes('user') ? options.by : [...options.by, 'user' as const];
  const sums = new Sums(by);
  const largest = new LargestFirst<KnownEntry>(topFiles, (entry) => entry.size);
  if (where === undefined && topFiles === 0 && by.every((dimension) => KEPT.has(dimension))) {
    for (const usage of await options.catalog.usage()) sums.addUsage(usage);
  } else await goThrough({ ...options, by }, sums, largest);
  return {
    total: sums.total(),
    sections: by.map((dimension) => ({
      by: dimension,
      rows: sums.rows(dimension).slice(0, dimension === 'user' && topUsers > 0 ? topUsers : undefined),
    })),
    files: await namedFiles(options.catalog, largest.inOrder()),
    directories: await topDirectories(options),
  };
}

async function goThrough(options: ReportOptions, sums: Sums, largest: LargestFirst<KnownEntry>): Promise<void> {
  const { catalog, where = ALWAYS, by, now, classes, onProgress, signal } = options;
  const classed = by.includes('class') ? classes : [];
  const needsPaths = needsOf(where, ...classed.map(({ expression }) => expression)).paths;
  let entries = 0;
  for await (const page of catalog.select({ where, now })) {
    signal.throwIfAborted();
    const paths = needsPaths ? await catalog.paths(page.map(({ fid }) => fid)) : undefined;
    for (const entry of page) {
      const found = (paths?.get(entry.fid) ?? []).flatMap((path) => (path.ok ? [path.path] : []));
      const subject = paths === undefined ? entry : { ...entry, paths: found };
      if (truthOf(where, subject, now) !== true) continue;
      const of = classed.filter(({ expression }) => truthOf(expression, subject, now) === true).map(({ name }) => name);
      sums.add(entry, now, of);
      if (entry.type === 'file') largest.add(entry);
    }
    entries += page.length;
    onProgress?.(entries);
  }
}

interface Sum {
  count: bigint;
  bytes: bigint;
  allocated: bigint;
}

const BLOCK = 512n;

class Sums {
  readonly #by: readonly Dimension[];
  readonly #total: Sum = { count: 0n, bytes: 0n, allocated: 0n };
  readonly #sums = new Map<Dimension, Map<string, Sum>>();

  constructor(by: readonly Dimension[]) {
    this.#by = by;
    for (const dimension of by) this.#sums.set(dimension, new Map());
  }

  addUsage(usage: Usage): void {
    const { count, bytes, blocks } = usage;
    this.#add(this.#total, count, bytes, blocks);
    for (const dimension of this.#by) this.#addTo(dimension, keyOf(dimension, usage), count, bytes, blocks);
  }

  add(entry: KnownEntry, now: number, classes: readonly string[]): void {
    const { size, blocks } = entry;
    this.#add(this.#total, 1n, size, blocks);
    for (const dimension of this.#by) {
      // A file may be in several classes.
      const keys =
        dimension === 'class'
          ? classes.length === 0
            ? ['none']
            : classes
          : dimension === 'size' || dimension === 'age'
            ? profileOf(dimension, entry, now)
            : [keyOf(dimension, entry)];
      for (const key of keys) this.#addTo(dimension, key, 1n, size, blocks);
    }
  }

  total(): Sum {
    return { ...this.#total };
  }

  rows(dimension: Dimension): ReportRow[] {
    const rows = [...(this.#sums.get(dimension) ?? [])].map(([key, sum]) => ({ key, ...sum }));
    if (dimension === 'size' || dimension === 'age') return rows.sort((a, b) => Number(a.key) - Number(b.key));
    return rows.sort((a, b) => compare(b.bytes, a.bytes) || compare(b.count, a.count) || (a.key < b.key ? -1 : 1));
  }

  #addTo(dimension: Dimension, key: string, count: bigint, bytes: bigint, blocks: bigint): void {
    const sums = this.#sums.get(dimension) as Map<string, Sum>;
    let sum = sums.get(key);
    if (sum === undefined) {
      sum = { count: 0n, bytes: 0n, allocated: 0n };
      sums.set(key, sum);
    }
    this.#add(sum, count, bytes, blocks);
  }

  #add(sum: Sum, count: bigint, bytes: bigint, blocks: bigint): void {
    sum.count += count;
    sum.bytes += bytes;
    sum.allocated += blocks * BLOCK;
  }
}

const compare = (a: bigint, b: bigint) => (a < b ? -1 : a > b ? 1 : 0);

function keyOf(dimension: Dimension, of: Pick<Usage, 'type' | 'hsm' | 'archive' | 'uid' | 'gid' | 'project'>): string {
  switch (dimension) {
    case 'user':
      return String(of.uid);
    case 'group':
      return String(of.gid);
    case 'project':
      return String(of.project);
    case 'archive':
      return String(of.archive);
    case 'state':
      return of.type === 'file'
        ? describeState({ states: of.hsm, archive: of.archive }).replaceAll(' ', ',')
        : 'no file';
    default:
      return of.type;
  }
}

/** Lower ends of the steps of file sizes, bytes: 0, 1, then ever 32 times as much. */
export const SIZE_STEPS: readonly bigint[] = [
  0n,
  1n,
  32n,
  ...[10n, 15n, 20n, 25n, 30n, 35n, 40n].map((bits) => 1n << bits),
];
/** Lower ends of the steps of ages since the last use, seconds: now, an hour, a day, a week, 30, 90 and 180 days, a year, two, five. */
export const AGE_STEPS: readonly number[] = [
  0,
  3_600,
  86_400,
  ...[7, 30, 90, 180, 365, 730, 1_825].map((days) => days * 86_400),
];

/** Only files have a size and an age that count. */
function profileOf(dimension: 'size' | 'age', entry: KnownEntry, now: number): string[] {
  if (entry.type !== 'file') return [];
  if (dimension === 'size') return [String(SIZE_STEPS.findLast((step) => entry.size >= step) ?? 0n)];
  const age = Math.max(0, Math.floor(now / 1000) - Math.max(entry.atime, entry.mtime));
  return [String(AGE_STEPS.findLast((step) => age >= step) ?? 0)];
}

async function namedFiles(catalog: Catalog, entries: readonly KnownEntry[]): Promise<TopFile[]> {
  const paths = await pathsOf(
    catalog,
    entries.map(({ fid }) => fid),
  );
  return entries.map((entry) => ({ entry, path: paths.get(entry.fid) }));
}

async function topDirectories({ catalog, topDirectories: most, signal }: ReportOptions): Promise<TopDirectory[]> {
  if (most === 0) return [];
  const largest = new LargestFirst<DirectorySize>(most, ({ entries }) => BigInt(entries));
  for await (const page of catalog.directorySizes()) {
    signal.throwIfAborted();
    for (const one of page) largest.add(one);
  }
  const found = largest.inOrder();
  const paths = await pathsOf(
    catalog,
    found.map(({ directory }) => directory),
  );
  return found.map((one) => ({ ...one, path: paths.get(one.directory) }));
}

async function pathsOf(catalog: Catalog, fids: readonly Fid[]): Promise<Map<Fid, Buffer>> {
  const found = new Map<Fid, Buffer>();
  for (const [fid, paths] of await catalog.paths(fids)) {
    const first = paths.find((path) => path.ok);
    if (first?.ok === true) found.set(fid, first.path);
  }
  return found;
}
