import { pathFields, printable } from '../../lustre/printable.ts';
import { EXIT, type ExitName } from '../../service/exit-code.ts';
import { formatBytes, formatDuration } from '../../service/units.ts';
import type { Remedy, VerifyCode, VerifyFinding, VerifyProgress, VerifySummary } from './types.ts';

/** A finding in `--json` and in the report: documented in docs/verify.md. */
export interface FindingJson {
  readonly code: VerifyCode;
  readonly fid: string;
  readonly path?: string;
  readonly path_b64?: string;
  readonly archive: number | null;
  readonly blob: string | null;
  readonly detail: string | null;
  readonly remedy: Remedy;
  readonly repaired: boolean;
}

/** What `verify --json` prints: documented in docs/verify.md. */
export interface VerifyJson {
  readonly mount: string;
  /** The file system's. */
  readonly uuid: string;
  readonly catalog: string;
  readonly path?: string;
  readonly path_b64?: string;
  readonly outcome: VerifySummary['outcome'];
  /** ISO 8601. */
  readonly started: string;
  readonly seconds: number;
  readonly blobs: { readonly count: number; readonly bytes: number };
  readonly others: number;
  readonly entries: number;
  readonly walked: number;
  readonly findings: Readonly<Partial<Record<VerifyCode, number>>>;
  readonly total: number;
  readonly repaired: number;
  readonly pending: number;
  readonly failed: number;
  readonly read: { readonly blobs: number; readonly files: number; readonly bytes: number; readonly skipped: number };
  readonly examples: readonly FindingJson[];
  readonly examplesLeftOut: number;
  readonly exit: { readonly name: ExitName; readonly code: number };
}

export function findingJson({ code, fid, path, archive, blob, detail, remedy, repaired }: VerifyFinding): FindingJson {
  const where = path === undefined ? {} : pathFields(path);
  return {
    code,
    fid,
    ...where,
    archive: archive ?? null,
    blob: blob ?? null,
    detail: detail ?? null,
    remedy,
    repaired,
  };
}

export function toJson(
  summary: VerifySummary,
  { path, ...place }: { mount: string; uuid: string; catalog: string; path: Buffer },
  { named, leftOut }: { named: readonly VerifyFinding[]; leftOut: number },
  exit: ExitName,
): VerifyJson {
  const { outcome, blobs, bytes, others, entries, walked, findings, repaired, pending, failed, read } = summary;
  return {
    ...{ ...place, ...pathFields(path), outcome },
    started: new Date(summary.started).toISOString(),
    seconds: Math.round(summary.elapsed) / 1000,
    blobs: { count: blobs, bytes: Number(bytes) },
    ...{ others, entries, walked, findings, total: totalOf(summary), repaired, pending, failed },
    read: { ...read, bytes: Number(read.bytes) },
    examples: named.map(findingJson),
    examplesLeftOut: leftOut,
    exit: { name: exit, code: EXIT[exit].code },
  };
}

const totalOf = ({ findings }: Pick<VerifySummary, 'findings'>) =>
  Object.values(findings).reduce((sum, count) => sum + count, 0);

/** Everything agrees, or was handed to who puts it right. */
export function exitOf(summary: VerifySummary): ExitName {
  const left = totalOf(summary) - summary.repaired + summary.failed;
  return summary.outcome === 'complete' && left === 0 ? 'ok' : 'partial';
}

const WORDS: Readonly<Record<VerifyCode, string>> = {
  place: 'blobs that are not at a name of their file',
  staged: 'copies that are still in staging',
  kind: 'blobs of another kind than their file',
  size: 'copies that are not as long as they say, or as their file is',
  generation: 'copies that are not the version of their file',
  unfinished: 'copies within the service that did not end',
  target: 'markers with another body',
  link: 'hard links’ markers that name another blob',
  attributes: 'blobs of another owner, group, mode or modification time',
  archive: 'copies in another archive than their file’s',
  unclaimed: 'copies of files that are not in HSM any more',
  orphan: 'blobs of dead files',
  missing: 'blobs that are missing',
  lost: 'released files whose copy is not found',
  'checksum-blob': 'copies whose content is not what their metadata say',
  'checksum-file': 'files whose content is not what their copy holds',
  'catalog-missing': 'files that the catalog lacks',
  'catalog-stale': 'files that the catalog has otherwise',
  'catalog-dead': 'dead files that the catalog has',
  'catalog-blob': 'blobs that the catalog has and the container has not',
};

/** The summary for people. */
export function summaryLines(summary: VerifySummary): string[] {
  const { blobs, bytes, others, entries, walked, findings, read, elapsed } = summary;
  const took = formatDuration(Math.max(1, Math.round(elapsed / 1000)) * 1000);
  const lines = [
    `${blobs} blobs (${formatBytes(Number(bytes))}), ${entries} entries of the catalog and ${walked} names in ${took}`,
  ];
  if (others > 0) lines.push(`${others} blobs are of others`);
  if (read.blobs + read.files + read.skipped > 0) {
    lines.push(
      `${read.blobs} copies and ${read.files} files were read (${formatBytes(Number(read.bytes))}); ${read.skipped} copies could not be, or say no checksum`,
    );
  }
  const codes = (Object.keys(WORDS) as VerifyCode[]).filter((code) => (findings[code] ?? 0) > 0);
  for (const code of codes) lines.push(`${findings[code]} ${WORDS[code]} (${code})`);
  if (summary.failed > 0) lines.push(`${summary.failed} could not be looked at`);
  if (summary.pending > 0)
    lines.push(`${summary.pending} differences are of files that the follower is about to look at`);
  if (summary.repaired > 0)
    lines.push(`${summary.repaired} were handed to the follower, or marked to be archived anew`);
  if (summary.outcome === 'stopped') lines.push('Stopped before its end.');
  else if (codes.length === 0) lines.push('Nothing was found to be wrong.');
  return lines;
}

/** One line of progress, at most `width` characters. */
export function progressLine(progress: VerifyProgress, width: number): string {
  const { phase, blobs, entries, walked, read } = progress;
  const doing = {
    list: `${blobs} blobs${read.bytes > 0n ? `, ${formatBytes(Number(read.bytes))} read` : ''}`,
    blobs: `${blobs} blobs; those that the catalog has besides`,
    entries: `${entries} entries of the catalog`,
    walk: `${walked} names`,
  };
  return `${doing[phase]}  ${totalOf(progress)} findings`.slice(0, Math.max(20, width));
}

/** One line about a finding. */
export function findingLine({ code, fid, path, blob, detail, repaired }: VerifyFinding): string {
  const where = path === undefined ? fid : `${printable(path)} (${fid})`;
  const more = [
    blob === undefined ? '' : `: blob ${JSON.stringify(blob)}`,
    detail === undefined ? '' : `: ${printable(Buffer.from(detail))}`,
  ];
  return `${code}: ${where}${more.join('')}${repaired ? ' [handed over]' : ''}`;
}
