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
export function resultLines(result: CheckResult): string[] {
  return [headLine(result), ...fixLines(result.fix)];
}

/** The same for results as they come: what several in a row ask for is said once, below the last of them. */
export class ResultLines {
  /** Told apart by nothing but their names, or by what was seen. */
  #held: CheckResult[] = [];

  /** @returns what can be printed now */
  add(result: CheckResult): string[] {
    const [first] = this.#held;
    const goesOn =
      first !== undefined &&
      result.status === first.status &&
      (result.fix === undefined ? result.evidence === first.evidence : result.fix === first.fix);
    const lines = goesOn ? [] : this.end();
    if (result.status === 'ok') return [...lines, headLine(result)];
    this.#held.push(result);
    return lines;
  }

  /** @returns what is left to be printed */
  end(): string[] {
    const held = this.#held;
    this.#held = [];
    const [first] = held;
    if (first === undefined) return [];
    if (first.fix === undefined) return [`${WORDS[first.status]}${held.map(nameOf).join(', ')}: ${first.evidence}`];
    return [...held.map(headLine), ...fixLines(first.fix)];
  }
}

const nameOf = ({ id, subject }: CheckResult) => `${id}${subject === undefined ? '' : ` (${subject})`}`;
const headLine = (result: CheckResult) => `${WORDS[result.status]}${nameOf(result)}: ${result.evidence}`;
const fixLines = (fix: string | undefined) => (fix === undefined ? [] : [`${' '.repeat(WORDS.ok.length)}→ ${fix}`]);

/** The last lines: how many of each, and where to begin. */
export function summaryLines(results: readonly CheckResult[]): string[] {
  const counts = countsOf(results);
  const parts = (Object.keys(WORDS) as CheckStatus[])
    .filter((status) => counts[status] > 0)
    .map((status) => `${counts[status]} ${status}`);
  const bad = results.filter(({ status }) => status === 'failed').map(nameOf);
  return [parts.join(', '), ...(bad.length === 0 ? [] : [`to be mended, in this order: ${bad.join(', ')}`])];
}

function countsOf(results: readonly CheckResult[]): Record<CheckStatus, number> {
  const counts: Record<CheckStatus, number> = { ok: 0, warning: 0, failed: 0, unknown: 0, skipped: 0 };
  for (const { status } of results) counts[status] += 1;
  return counts;
}
