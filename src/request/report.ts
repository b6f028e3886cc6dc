import { isUtf8 } from 'node:buffer';
import { printable } from '../lustre/printable.ts';
import { EXIT, type ExitName } from '../service/exit-code.ts';
import { formatBytes, formatDuration } from '../service/units.ts';
import type { RequestSummary } from './tally.ts';
import { OUTCOMES, type Outcome, type Problem, type Progress, type Verb } from './types.ts';
import { isLogged } from './verbs.ts';

/** What `--json` prints: documented in docs/commands.md. Sizes are bytes. */
export interface RequestJson {
  readonly verb: Verb;
  readonly dryRun: boolean;
  readonly waited: boolean;
  readonly selected: number;
  readonly outcomes: Readonly<Record<Outcome, { readonly files: number; readonly bytes: number }>>;
  readonly given: number;
  readonly badPaths: number;
  readonly filtered: number;
  readonly reasons: readonly { outcome: Outcome | 'path'; code: string; text: string; files: number }[];
  readonly problems: readonly { path?: string; path_b64?: string; fid?: string; code: string; text: string }[];
  readonly problemsLeftOut: number;
  readonly exit: { readonly name: ExitName; readonly code: number };
}

export function toJson(summary: RequestSummary): RequestJson {
  const { verb, dryRun, waited, selected, given, badPaths, filtered, problemsLeftOut, exit } = summary;
  const outcomes = Object.fromEntries(
    OUTCOMES.map((name) => [name, { files: summary.outcomes[name], bytes: Number(summary.bytes[name]) }]),
  ) as RequestJson['outcomes'];
  return {
    verb,
    dryRun,
    waited,
    selected,
    outcomes,
    given,
    badPaths,
    filtered,
    reasons: summary.reasons.map(({ outcome, code, text, files }) => ({ outcome, code, text, files })),
    problems: summary.problems.map(({ path, fid, code, text }) => ({
      ...(isUtf8(path) ? { path: path.toString('utf8') } : { path_b64: path.toString('base64') }),
      ...(fid === undefined ? {} : { fid }),
      code,
      text,
    })),
    problemsLeftOut,
    exit: { name: exit, code: EXIT[exit].code },
  };
}

/** One line about one path, safe to print; with the FID, where the copytool's log tells of it by that. */
export function problemLine(problem: Problem): string {
  const { path, fid, code, text } = problem;
  const byFid = fid !== undefined && isLogged(code) ? ` [${fid}]` : '';
  return `${path.length === 0 ? "''" : printable(path)}${byFid}: ${text}`;
}

const DONE: Readonly<Record<Verb, string>> = {
  archive: 'archived',
  restore: 'restored',
  release: 'released',
  remove: 'removed from the archive',
  cancel: 'cancelled',
};

const LABELS: Readonly<Record<Exclude<Outcome, 'done'>, string>> = {
  asked: 'asked for',
  pending: 'asked for, and still under way',
  would_ask: 'would be asked for',
  unneeded: 'needed nothing',
  vanished: 'vanished meanwhile',
  refused: 'skipped',
  failed: 'failed',
  unasked: 'not asked for: the run stopped before them',
};

/** The summary for people: a line for each kind of end, with its reasons below. */
export function summaryLines(summary: RequestSummary): string[] {
  const lines: string[] = [];
  for (const outcome of OUTCOMES) {
    const files = summary.outcomes[outcome];
    if (files === 0) continue;
    const label = outcome === 'done' ? DONE[summary.verb] : LABELS[outcome];
    lines.push(`${countOf(files, 'file')} (${formatBytes(summary.bytes[outcome])}) ${label}`);
    lines.push(...reasonLines(summary, outcome));
  }
  if (summary.filtered > 0) lines.push(`${countOf(summary.filtered, 'file')} left out by filters`);
  if (summary.badPaths > 0) {
    lines.push(`${countOf(summary.badPaths, 'path')} with nothing to ask for`, ...reasonLines(summary, 'path'));
  }
  if (lines.length > 0) return lines;
  return [
    summary.given === 0
      ? 'No files: the list is empty.'
      : 'No files: the paths hold no regular files, or none that no filter excludes.',
  ];
}

function reasonLines(summary: RequestSummary, outcome: Outcome | 'path'): string[] {
  return summary.reasons
    .filter((reason) => reason.outcome === outcome)
    .map(({ files, text }) => `  ${files} × ${text}`);
}

/** Where to read on about files that failed; undefined when there is nothing to. @param file the configured log file */
export function logHint(summary: RequestSummary, file: string | undefined): string | undefined {
  if (!summary.reasons.some(({ code }) => isLogged(code))) return undefined;
  const place = file ?? 'its standard error (under systemd: the journal)';
  return `The copytool's log has the reasons, by FID, where it runs: ${place}.`;
}

/** For people who wait: nothing has started. */
export function stalledLine(since: number): string {
  return `Nothing has started for ${formatDuration(Math.floor(since / 1000) * 1000)}. ${NO_COPYTOOL}`;
}

const NO_COPYTOOL =
  'No copytool seems to serve the archive, or the coordinator is disabled. On an HSM client, `lfsazsync copytool` starts one.';

/** What goes on after a run that was interrupted or did not wait; undefined when nothing does. */
export function afterword(summary: RequestSummary): string | undefined {
  const { asked, pending } = summary.outcomes;
  const under = asked + pending;
  if (under === 0 || (summary.stoppedBy === undefined && pending === 0)) return undefined;
  const left = `${countOf(under, 'file')} asked for: Lustre goes on with them`;
  const more = summary.stalled ? ` None of them has started. ${NO_COPYTOOL}` : '';
  return summary.verb === 'cancel'
    ? `${left}, as soon as a copytool is there.${more}`
    : `${left}. To stop them: lfsazsync cancel.${more}`;
}

/** One line of progress, at most `width` characters. */
export function progressLine(progress: Progress, options: { verb: Verb; waiting: boolean; width: number }): string {
  const { selected, selectionDone, asked, settled, failed, done, doneBytes, movingBytes, askedBytes } = progress;
  const total = selectionDone ? `${selected}` : `${selected}+`;
  const parts = options.waiting
    ? [
        `${bar(askedBytes === 0n ? ratio(settled, asked) : Number(((doneBytes + movingBytes) * 1000n) / askedBytes) / 1000)}`,
        `${done} of ${asked} ${DONE[options.verb]}`,
        `${formatBytes(doneBytes + movingBytes)} of ${formatBytes(askedBytes)}`,
        `${total} looked at`,
      ]
    : [`${asked} asked for`, formatBytes(askedBytes), `${total} looked at`];
  if (failed > 0) parts.push(`${failed} failed`);
  return parts.join('  ').slice(0, Math.max(20, options.width));
}

const BAR_WIDTH = 20;

function bar(share: number): string {
  const full = Math.round(Math.min(1, Math.max(0, share)) * BAR_WIDTH);
  return `[${'#'.repeat(full)}${'-'.repeat(BAR_WIDTH - full)}]`;
}

const ratio = (part: number, whole: number) => (whole === 0 ? 0 : part / whole);

function countOf(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
