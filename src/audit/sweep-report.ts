import type { Fid } from '../identity/fid.ts';
import { pathFields, printable } from '../lustre/printable.ts';
import { EXIT, type ExitName } from '../service/exit-code.ts';
import { formatBytes, formatDuration } from '../service/units.ts';
import type { NamedFinding } from './start-sweep.ts';
import type { Amount, FindingCode, SweepOutcome, SweepProgress, SweepSummary } from './sweep-types.ts';

interface JsonAmount {
  readonly count: number;
  readonly bytes: number;
}

/** What `sweep --json` prints: documented in docs/sweep.md. */
export interface SweepJson {
  /** The file system's. */
  readonly uuid: string;
  readonly catalog: string;
  readonly containers: readonly { readonly archive: number; readonly container: string; readonly prefix: string }[];
  readonly outcome: SweepOutcome;
  readonly resumed: boolean;
  /** ISO 8601. */
  readonly started: string;
  readonly seconds: number;
  readonly listed: JsonAmount;
  readonly own: {
    readonly file: JsonAmount;
    readonly dir: JsonAmount;
    readonly symlink: JsonAmount;
    readonly link: JsonAmount;
    readonly staged: number;
  };
  readonly strangers: JsonAmount;
  readonly otherFileSystems: JsonAmount & { readonly byUuid: Readonly<Record<string, number>> };
  readonly imported: number;
  readonly reserved: number;
  readonly checked: number;
  readonly findings: Readonly<Partial<Record<FindingCode, number>>>;
  readonly journaled: number;
  readonly marked: number;
  readonly pending: number;
  readonly unnameable: number;
  readonly unplaced: number;
  readonly unconfigured: number;
  readonly examples: readonly {
    readonly code: FindingCode;
    readonly fid: Fid;
    readonly archive: number;
    readonly blob: string | null;
    readonly path?: string;
    readonly path_b64?: string;
  }[];
  readonly examplesLeftOut: number;
  readonly exit: { readonly name: ExitName; readonly code: number };
}

const amount = ({ count, bytes }: Amount): JsonAmount => ({ count, bytes: Number(bytes) });

export function toJson(
  summary: SweepSummary,
  place: Pick<SweepJson, 'uuid' | 'catalog' | 'containers'>,
  named: readonly NamedFinding[],
  leftOut: number,
  exit: ExitName,
): SweepJson {
  const { outcome, resumed, listed, own, staged, strangers, others, othersTotal, bound, reserved, checked } = summary;
  const { findings, journaled, marked, pending, unnameable, unplaced, unconfigured } = summary;
  const { file, dir, symlink, link } = own;
  return {
    ...{ ...place, outcome, resumed },
    started: new Date(summary.started).toISOString(),
    seconds: Math.round(summary.elapsed) / 1000,
    listed: amount(listed),
    own: { file: amount(file), dir: amount(dir), symlink: amount(symlink), link: amount(link), staged },
    strangers: amount(strangers),
    otherFileSystems: { ...amount(othersTotal), byUuid: others },
    imported: bound,
    ...{ reserved, checked, findings, journaled, marked, pending, unnameable, unplaced, unconfigured },
    examples: named.map(({ code, fid, archive, name, path }) => ({
      ...{ code, fid, archive, blob: name ?? null },
      ...(path === undefined ? {} : pathFields(path)),
    })),
    examplesLeftOut: leftOut,
    exit: { name: exit, code: EXIT[exit].code },
  };
}

const WORDS: Readonly<Record<FindingCode, string>> = {
  place: 'not at a name of its file',
  staged: 'still in staging',
  kind: 'of another kind than its file',
  size: 'not as long as they say, or as their file is',
  generation: 'not the version that they should be',
  unfinished: 'copies within the service that did not end',
  target: 'a symlink of another length',
  link: 'a hard link’s marker that names another blob',
  attributes: 'of another owner, group, mode or modification time',
  archive: 'in another archive than its file’s: left alone',
  unclaimed: 'the copy of a file that is not in HSM any more: left alone',
  missing: 'missing',
  names: 'missing markers of hard links',
  bound: 'imported files whose blob has changed or is gone',
  dead: 'of files that are known to be dead: the follower removes them when they are due',
  unknown: 'of files that the catalog does not know',
};

/** The summary for people. */
export function summaryLines(summary: SweepSummary): string[] {
  const { listed, own, staged, strangers, othersTotal, bound, findings, elapsed } = summary;
  const took = formatDuration(Math.max(1, Math.round(elapsed / 1000)) * 1000);
  const { file, dir, symlink, link } = own;
  const lines = [
    `${listed.count} blobs (${formatBytes(Number(listed.bytes))}) in ${took}: ${file.count} files, ${dir.count} directories, ${symlink.count} symlinks, ${link.count} hard links`,
  ];
  if (staged > 0) lines.push(`${staged} in staging`);
  if (bound > 0) lines.push(`${bound} that files were imported from`);
  if (strangers.count > 0)
    lines.push(`${strangers.count} that are not of lfsazsync (${formatBytes(Number(strangers.bytes))}): left alone`);
  if (othersTotal.count > 0) {
    const uuids = Object.keys(summary.others).slice(0, 3).join(', ');
    lines.push(`${othersTotal.count} of other file systems (${uuids}): left alone`);
  }
  const codes = (Object.keys(WORDS) as FindingCode[]).filter((code) => (findings[code] ?? 0) > 0);
  for (const code of codes) lines.push(`${findings[code]} ${WORDS[code]}`);
  if (summary.unnameable > 0) lines.push(`${summary.unnameable} names that no blob can have`);
  if (summary.unplaced > 0) lines.push(`${summary.unplaced} of files whose directory is not known: they are looked at`);
  if (summary.unconfigured > 0)
    lines.push(`${summary.unconfigured} known blobs are in archives that are not configured`);
  const told = `${summary.journaled} files for the follower (${summary.pending} of them were in the journal already), ${summary.marked} to be looked at`;
  if (summary.outcome === 'stopped') lines.push(told, 'Stopped. The same command goes on from here.');
  else lines.push(codes.length === 0 ? 'Nothing was found to be wrong.' : told);
  return lines;
}

/** One line of progress, at most `width` characters. */
export function progressLine(progress: SweepProgress, width: number): string {
  const { phase, listed, findings, elapsed, checked } = progress;
  const found = Object.values(findings).reduce((sum, count) => sum + count, 0);
  const rate = elapsed <= 0 ? 0 : Math.round((listed.count * 1000) / elapsed);
  const doing = {
    list: `${listed.count} blobs  ${rate}/s`,
    blobs: `${listed.count} blobs; looking for those that were not listed`,
    entries: `${listed.count} blobs; ${checked} files without a blob`,
  };
  return `${doing[phase]}  ${found} differences`.slice(0, Math.max(20, width));
}

/** One line about a finding. */
export function findingLine({ code, fid, name, path }: NamedFinding): string {
  const where = path === undefined ? fid : `${printable(path)} (${fid})`;
  const blob = name === undefined ? '' : `: blob ${JSON.stringify(name)}`;
  return `${code}: ${where}${blob}`;
}
