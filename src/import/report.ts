import { EXIT, type ExitName } from '../service/exit-code.ts';
import { formatBytes, formatDuration } from '../service/units.ts';
import type { ImportOutcome, ImportProblem, ImportProgress, ImportSummary } from './types.ts';

/** What `import --json` prints: documented in docs/import.md. */
export interface ImportJson {
  readonly archive: number;
  readonly container: string;
  readonly prefixes: readonly string[];
  readonly mount: string;
  /** The file system's; absent in a dry run of one that has none yet. */
  readonly uuid?: string;
  readonly dryRun: boolean;
  readonly outcome: ImportOutcome;
  readonly resumed: boolean;
  /** ISO 8601. */
  readonly started: string;
  readonly seconds: number;
  readonly listed: number;
  readonly made: {
    readonly files: number;
    /** What these files have in the container, a decimal string. */
    readonly bytes: string;
    readonly empty: number;
    readonly directories: number;
    readonly symlinks: number;
    readonly links: number;
  };
  readonly madePerSecond: number;
  readonly refreshed: number;
  readonly removed: number;
  readonly present: number;
  readonly own: number;
  readonly passedOver: number;
  readonly conflicts: number;
  readonly refused: number;
  readonly failed: number;
  readonly warnings: number;
  readonly problems: readonly ImportProblem[];
  readonly problemsLeftOut: number;
  readonly exit: { readonly name: ExitName; readonly code: number };
}

export interface ImportPlaceJson {
  readonly archive: number;
  readonly container: string;
  readonly prefixes: readonly string[];
  readonly mount: string;
  readonly uuid: string | undefined;
}

export function exitOf(outcome: ImportOutcome): ExitName {
  return outcome === 'complete' ? 'ok' : 'partial';
}

type Made = Pick<ImportSummary, 'files' | 'empty' | 'directories' | 'symlinks' | 'links' | 'elapsed'>;

const madeOf = ({ files, empty, directories, symlinks, links }: Made): number =>
  files + empty + directories + symlinks + links;

const rateOf = (made: Made): number => (made.elapsed <= 0 ? 0 : Math.round((madeOf(made) * 1000) / made.elapsed));

export function toJson(
  summary: ImportSummary,
  { uuid, ...place }: ImportPlaceJson,
  problems: { readonly told: readonly ImportProblem[]; readonly leftOut: number },
  exit: ExitName,
): ImportJson {
  const { dryRun, outcome, resumed, started, elapsed, listed, files, bytes, empty, directories, symlinks, links } =
    summary;
  const { refreshed, removed, present, own, passedOver, conflicts, refused, failed, warnings } = summary;
  return {
    ...place,
    ...(uuid === undefined ? {} : { uuid }),
    ...{ dryRun, outcome, resumed },
    started: new Date(started).toISOString(),
    seconds: Math.round(elapsed) / 1000,
    listed,
    made: { files, bytes: String(bytes), empty, directories, symlinks, links },
    madePerSecond: rateOf(summary),
    ...{ refreshed, removed, present, own, passedOver, conflicts, refused, failed, warnings },
    problems: problems.told,
    problemsLeftOut: problems.leftOut,
    exit: { name: exit, code: EXIT[exit].code },
  };
}

/** The summary for people. */
export function summaryLines(summary: ImportSummary): string[] {
  const { dryRun, listed, files, bytes, empty, directories, symlinks, links, elapsed } = summary;
  const took = formatDuration(Math.max(1, Math.round(elapsed / 1000)) * 1000);
  const made = [
    `${files} files (${formatBytes(bytes)})`,
    `${empty} empty files`,
    `${directories} directories`,
    `${symlinks} symlinks`,
    `${links} hard links`,
  ].filter((part) => !part.startsWith('0 '));
  const rate = dryRun ? '' : ` (${rateOf(summary)}/s)`;
  const lines = [
    `${listed} blobs listed in ${took}${rate}`,
    `${dryRun ? 'to be made' : 'made'}: ${made.length === 0 ? 'nothing' : made.join(', ')}`,
    ...other(summary),
  ];
  if (summary.resumed)
    lines.push(
      'It went on where the last import was stopped; what that one had made is not counted, only what it had left out.',
    );
  if (dryRun) lines.push('Dry run: nothing was made.');
  if (summary.outcome === 'stopped') lines.push('Stopped. The same command goes on from here.');
  return lines;
}

function other(summary: ImportSummary): string[] {
  const { refreshed, removed, present, own, passedOver, conflicts, refused, failed, warnings } = summary;
  const parts: [number, string][] = [
    [refreshed, 'bound to newer versions'],
    [removed, 'removed, since their blobs are gone'],
    [present, 'there already'],
    [own, 'this file system’s own'],
    [passedOver, 'not asked for'],
    [conflicts, 'in conflict with what is there'],
    [refused, 'that no file system can hold or read'],
    [failed, 'failed'],
    [warnings, 'warnings'],
  ];
  const there = parts.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`);
  return there.length === 0 ? [] : [there.join(', ')];
}

const PHASES: Record<ImportProgress['phase'], string | undefined> = {
  list: undefined,
  links: 'hard links',
  remove: 'what is gone',
  directories: 'attributes of directories',
};

/** One line of progress, at most `width` characters. */
export function progressLine(progress: ImportProgress, width: number): string {
  const { phase, ranges, listed, present, conflicts, refused, failed } = progress;
  const left = PHASES[phase] ?? `${ranges} ranges left to list`;
  const parts = [
    `${listed} listed`,
    `${madeOf(progress)} made`,
    `${rateOf(progress)}/s`,
    ...(present > 0 ? [`${present} there already`] : []),
    ...(conflicts + refused + failed > 0 ? [`${conflicts + refused + failed} left out`] : []),
    left,
  ];
  return parts.join('  ').slice(0, Math.max(20, width));
}

/** One line about a blob. */
export function problemLine({ outcome, blob, detail }: ImportProblem): string {
  return `${outcome}: ${JSON.stringify(blob)}: ${detail}`;
}
