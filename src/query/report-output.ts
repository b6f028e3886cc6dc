import { pathFields, printable } from '../lustre/printable.ts';
import { formatBytes, formatDuration } from '../service/units.ts';
import { type FoundJson, foundJson } from './format.ts';
import type { Dimension, Report, ReportRow } from './report.ts';

/** Names of users and groups by number. */
export interface Names {
  readonly users: ReadonlyMap<string, string>;
  readonly groups: ReadonlyMap<string, string>;
}

interface JsonRow {
  /** A number, a word, or the lower end of a step (bytes, seconds). */
  readonly key: string;
  /** Of a user or group that this machine knows. */
  readonly name?: string;
  readonly count: number;
  readonly bytes: number;
  readonly allocated: number;
}

/** What `report --json` prints: documented in docs/find.md. */
export interface ReportJson {
  readonly mount: string;
  readonly total: { readonly count: number; readonly bytes: number; readonly allocated: number };
  readonly by: Readonly<Partial<Record<Dimension, readonly JsonRow[]>>>;
  readonly files: readonly (FoundJson | Omit<FoundJson, 'path' | 'path_b64'>)[];
  readonly directories: readonly { path?: string; path_b64?: string; fid: string; entries: number; bytes: number }[];
}

export function toJson(report: Report, names: Names, mount: string): ReportJson {
  const { total } = report;
  return {
    mount,
    total: numbers(total),
    by: Object.fromEntries(
      report.sections.map(({ by, rows }) => [
        by,
        rows.map((row) => ({ key: row.key, ...nameIn(by, row.key, names), ...numbers(row) })),
      ]),
    ),
    files: report.files.map(({ entry, path }) => {
      if (path !== undefined) return foundJson({ entry, path });
      const { path: _, ...rest } = foundJson({ entry, path: Buffer.alloc(0) });
      return rest;
    }),
    directories: report.directories.map(({ directory, entries, bytes, path }) => ({
      ...(path === undefined ? {} : pathFields(path)),
      ...{ fid: directory, entries, bytes: Number(bytes) },
    })),
  };
}

function numbers({ count, bytes, allocated }: Omit<ReportRow, 'key'>) {
  return { count: Number(count), bytes: Number(bytes), allocated: Number(allocated) };
}

function nameIn(by: Dimension, key: string, { users, groups }: Names): { name?: string } {
  const name = by === 'user' ? users.get(key) : by === 'group' ? groups.get(key) : undefined;
  return name === undefined ? {} : { name };
}

/** A key for people. */
export function labelOf(by: Dimension, key: string, names: Names): string {
  if (by === 'size') return key === '0' ? 'empty' : `from ${formatBytes(BigInt(key))}`;
  if (by === 'age') return key === '0' ? 'just now' : `from ${formatDuration(Number(key) * 1000)}`;
  return nameIn(by, key, names).name ?? key;
}

const TITLES: Readonly<Record<Dimension, string>> = {
  ...{ user: 'USER', group: 'GROUP', project: 'PROJECT', type: 'TYPE', state: 'HSM STATE' },
  ...{ archive: 'ARCHIVE', class: 'CLASS', size: 'FILE SIZE', age: 'LAST USED' },
};

export interface Table {
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** The report as tables. @param exact numbers as they are, for other programs */
export function tablesOf(report: Report, names: Names, exact: boolean): Table[] {
  const amount = (bytes: bigint) => (exact ? String(bytes) : formatBytes(bytes));
  const columns = ['COUNT', 'SIZE', 'ALLOCATED'];
  const cells = ({ count, bytes, allocated }: Omit<ReportRow, 'key'>) => [
    String(count),
    amount(bytes),
    amount(allocated),
  ];
  const sections = report.sections.map(({ by, rows }) => ({
    header: [TITLES[by], ...columns],
    rows: rows.map((row) => [
      exact ? (nameIn(by, row.key, names).name ?? row.key) : labelOf(by, row.key, names),
      ...cells(row),
    ]),
  }));
  const text = (path: Buffer | undefined, fid: string) =>
    path === undefined ? fid : printable(path.length === 0 ? Buffer.from('.') : path);
  const files = report.files.map(({ entry, path }) => [
    text(path, entry.fid),
    amount(entry.size),
    names.users.get(String(entry.uid)) ?? String(entry.uid),
    new Date(Math.max(entry.atime, entry.mtime) * 1000).toISOString().slice(0, 10),
  ]);
  const directories = report.directories.map(({ path, directory, entries, bytes }) => [
    text(path, directory),
    String(entries),
    amount(bytes),
  ]);
  return [
    ...sections,
    ...(files.length === 0 ? [] : [{ header: ['LARGEST FILES', 'SIZE', 'USER', 'LAST USED'], rows: files }]),
    ...(directories.length === 0 ? [] : [{ header: ['FULLEST DIRECTORIES', 'ENTRIES', 'SIZE'], rows: directories }]),
  ];
}

/** A table as RFC 4180 has it, with line ends as Unix has them. */
export function csvOf({ header, rows }: Table): string {
  return [header.map((title) => title.toLowerCase().replaceAll(' ', '_')), ...rows]
    .map((row) => `${row.map(quoted).join(',')}\n`)
    .join('');
}

function quoted(cell: string): string {
  return /[",\n\r]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}
