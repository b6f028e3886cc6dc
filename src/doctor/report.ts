import { EXIT, type ExitName } from '../service/exit-code.ts';
import type { Examined } from './doctor.ts';
import type { CheckResult, CheckStatus } from './types.ts';

/** What `doctor --json` prints: documented in docs/doctor.md. */
export interface DoctorJson {
  /** Of this program. */
  readonly version: string;
  /** ISO 8601. */
  readonly time: string;
  readonly checks: readonly CheckResult[];
  readonly counts: Readonly<Record<CheckStatus, number>>;
  /** For whoever administers the metadata servers. */
  readonly administrator: { readonly commands: readonly string[]; readonly request: string };
  readonly exit: { readonly name: ExitName; readonly code: number };
}

export function exitOf(results: readonly CheckResult[]): ExitName {
  return results.some(({ status }) => status === 'failed') ? 'failed' : 'ok';
}

export function toJson({ results, administrator }: Examined, version: string): DoctorJson {
  const name = exitOf(results);
  const counts = countsOf(results);
  const time = new Date().toISOString();
  return { version, time, checks: results, counts, administrator, exit: { name, code: EXIT[name].code } };
}

const WORDS: Readonly<Record<CheckStatus, string>> = {
  ok: 'ok      ',
  warning: 'warning ',
  failed: 'FAILED  ',
  unknown: 'unknown ',
  skipped: 'skipped ',
};

/** One line for a check, and one with what to do where there is something. */
export function resultLines({ id, subject, status, evidence, fix }: CheckResult): string[] {
  const head = `${WORDS[status]}${id}${subject === undefined ? '' : ` (${subject})`}: ${evidence}`;
  return fix === undefined ? [head] : [head, `${' '.repeat(WORDS.ok.length)}→ ${fix}`];
}

/** The last line. */
export function summaryLine(results: readonly CheckResult[]): string {
  const counts = countsOf(results);
  const parts = (Object.keys(WORDS) as CheckStatus[])
    .filter((status) => counts[status] > 0)
    .map((status) => `${counts[status]} ${status}`);
  return parts.join(', ');
}

function countsOf(results: readonly CheckResult[]): Record<CheckStatus, number> {
  const counts: Record<CheckStatus, number> = { ok: 0, warning: 0, failed: 0, unknown: 0, skipped: 0 };
  for (const { status } of results) counts[status] += 1;
  return counts;
}
