import type { FileType } from '../lustre/attributes.ts';
import { errnoText } from '../lustre/errno.ts';
import { pathFields, printable } from '../lustre/printable.ts';
import { EXIT, type ExitName } from '../service/exit-code.ts';
import { formatBytes, formatDuration } from '../service/units.ts';
import type { AdoptionCounts, AdoptionProblem, RefusedAdoption } from './adopt.ts';
import type { ScanOutcome, ScanProblem, ScanProgress, ScanSummary } from './types.ts';

/** What `scan --json` prints: documented in docs/scan.md. */
export interface ScanJson {
  readonly mount: string;
  /** The file system's. */
  readonly uuid: string;
  readonly catalog: string;
  /** Relative to the mount, '' for all of it; in base64 where it is not UTF-8. */
  readonly path?: string;
  readonly path_b64?: string;
  readonly outcome: ScanOutcome;
  readonly resumed: boolean;
  /** ISO 8601. */
  readonly started: string;
  readonly seconds: number;
  readonly entries: Readonly<Record<FileType, number>>;
  readonly total: number;
  readonly entriesPerSecond: number;
  readonly directories: number;
  readonly new: number;
  readonly changed: number;
  readonly vanished: number;
  readonly unreadable: { readonly directories: number; readonly entries: number };
  readonly problems: readonly { path?: string; path_b64?: string; fid: string; errno: number; text: string }[];
  readonly problemsLeftOut: number;
  /** With --adopt. */
  readonly adoption?: {
    readonly found: number;
    readonly adopted: number;
    readonly bytes: number;
    readonly refused: Readonly<Partial<Record<RefusedAdoption, number>>>;
    readonly examples: readonly {
      path?: string;
      path_b64?: string;
      fid: string;
      reason: RefusedAdoption;
      blob: string | null;
    }[];
    readonly examplesLeftOut: number;
  };
  readonly exit: { readonly name: ExitName; readonly code: number };
}

/** A problem with the path of its directory, where that is known. */
export interface NamedProblem extends ScanProblem {
  /** Relative to the mount. */
  readonly path: Buffer | undefined;
}

/** A file that was not adopted, with a path of it. */
export interface NamedRefusal extends AdoptionProblem {
  /** Relative to the mount. */
  readonly path: Buffer | undefined;
}

export function exitOf({ outcome, adoption }: Pick<ScanSummary, 'outcome' | 'adoption'>): ExitName {
  const refused = Object.keys(adoption?.refused ?? {}).length > 0;
  return outcome === 'complete' && !refused ? 'ok' : 'partial';
}

export function toJson(
  summary: ScanSummary,
  place: { mount: string; uuid: string; catalog: string },
  problems: { named: readonly NamedProblem[]; leftOut: number },
  exit: ExitName,
  refusals: { named: readonly NamedRefusal[]; leftOut: number } = { named: [], leftOut: 0 },
): ScanJson {
  const { path, outcome, resumed, started, elapsed, entries, total, directories, added, changed, vanished } = summary;
  return {
    ...place,
    ...pathFields(path),
    ...{ outcome, resumed },
    started: new Date(started).toISOString(),
    seconds: Math.round(elapsed) / 1000,
    ...{ entries, total },
    entriesPerSecond: rateOf(summary),
    directories,
    new: added,
    ...{ changed, vanished },
    unreadable: { directories: summary.unreadable, entries: summary.failed },
    problems: problems.named.map((problem) => ({
      ...(problem.path === undefined ? {} : pathFields(problem.path)),
      fid: problem.directory,
      errno: problem.errno,
      text: errnoText(problem.errno),
    })),
    problemsLeftOut: problems.leftOut,
    ...(summary.adoption === undefined ? {} : { adoption: adoptionJson(summary.adoption, refusals) }),
    exit: { name: exit, code: EXIT[exit].code },
  };
}

function adoptionJson(
  { found, adopted, bytes, refused }: AdoptionCounts,
  { named, leftOut }: { named: readonly NamedRefusal[]; leftOut: number },
): NonNullable<ScanJson['adoption']> {
  const examples = named.map(({ fid, reason, blob, path }) => ({
    ...(path === undefined ? {} : pathFields(path)),
    ...{ fid, reason, blob: blob ?? null },
  }));
  return { found, adopted, bytes: Number(bytes), refused, examples, examplesLeftOut: leftOut };
}

const rateOf = ({ total, elapsed }: { total: number; elapsed: number }): number =>
  elapsed <= 0 ? 0 : Math.round((total * 1000) / elapsed);

const NAMES: Readonly<Record<FileType, string>> = {
  file: 'files',
  dir: 'directories',
  symlink: 'symlinks',
  fifo: 'fifos',
  chr: 'character devices',
  blk: 'block devices',
  sock: 'sockets',
};

/** The summary for people. */
export function summaryLines(summary: ScanSummary): string[] {
  const { entries, total, elapsed, added, changed, vanished, unreadable, failed } = summary;
  const types = (Object.keys(NAMES) as FileType[]).filter((type) => entries[type] > 0);
  const took = formatDuration(Math.max(1, Math.round(elapsed / 1000)) * 1000);
  const lines = [
    `${total} entries in ${took} (${rateOf(summary)}/s)${types.length === 0 ? '' : `: ${types.map((type) => `${entries[type]} ${NAMES[type]}`).join(', ')}`}`,
    `${added} new, ${changed} changed, ${vanished} vanished`,
  ];
  if (summary.adoption !== undefined) lines.push(...adoptionLines(summary.adoption));
  if (summary.resumed) lines.push('It went on where the last scan was stopped; what that one had seen is not counted.');
  if (unreadable > 0) lines.push(`${unreadable} directories could not be read: what is in them stays as it was known`);
  if (failed > 0) lines.push(`${failed} entries could not be looked at`);
  if (summary.outcome === 'stopped') lines.push('Stopped. The same command goes on from here.');
  return lines;
}

const REFUSED: Readonly<Record<RefusedAdoption, string>> = {
  'no-blob': 'nothing is where lemur would have put it',
  size: 'the blob has another size',
  mtime: 'the blob says another modification time',
  uncertain: 'the blob says no modification time, and the file has moved or is younger',
  taken: 'another file is bound to the blob',
  'other-blob': 'the blob is no copy of a file that lemur can have written',
  'other-container': 'it is in another container',
  'other-archive': 'its archive id is not configured',
  changed: 'it changed while it was looked at',
};

function adoptionLines({ found, adopted, bytes, refused }: AdoptionCounts): string[] {
  const codes = (Object.keys(REFUSED) as RefusedAdoption[]).filter((code) => (refused[code] ?? 0) > 0);
  return [
    `${adopted} of ${found} files that lemur archived are bound to their blobs (${formatBytes(Number(bytes))})`,
    ...codes.map((code) => `${refused[code]} not: ${REFUSED[code]}`),
  ];
}

/** One line about a file that was not adopted. */
export function refusalLine({ path, fid, reason, blob }: NamedRefusal): string {
  const where = path === undefined ? fid : printable(path);
  return `${where}: not adopted: ${REFUSED[reason]}${blob === undefined ? '' : `: ${JSON.stringify(blob)}`}`;
}

/** One line of progress, at most `width` characters. */
export function progressLine(progress: ScanProgress, width: number): string {
  const { phase, total, directories, added, changed, vanished } = progress;
  const parts = [
    phase === 'walk'
      ? `${total} entries in ${directories} directories`
      : `${total} entries; looking at what was not met`,
    `${rateOf(progress)}/s`,
    `${added} new`,
    `${changed} changed`,
    ...(vanished > 0 ? [`${vanished} vanished`] : []),
  ];
  return parts.join('  ').slice(0, Math.max(20, width));
}

/** One line about what could not be read. */
export function problemLine({ path, name, directory, errno }: NamedProblem): string {
  const where = path === undefined ? directory : printable(path.length === 0 ? Buffer.from('.') : path);
  return name === undefined
    ? `${where}: the directory could not be read: ${errnoText(errno)}`
    : `${where}: could not be looked at: ${errnoText(errno)}`;
}
