import { pathFields, printable } from '../../lustre/printable.ts';
import { EXIT, type ExitName } from '../../service/exit-code.ts';
import { formatBytes, formatDuration } from '../../service/units.ts';
import type { Estimate } from './cost.ts';
import type { PolicyResult } from './policy-runs.ts';
import { SKIP_REASONS, type SkipReason } from './reasons.ts';
import type { Amount, RunFigures, RunProblem, RunProgress, RunSummary, TriggerReport } from './types.ts';

/** What `policy-run --json` prints: documented in docs/policy-run.md. */
export interface PolicyRunJson {
  readonly dryRun: boolean;
  readonly policies: readonly PolicyJson[];
  readonly exit: { readonly name: ExitName; readonly code: number };
}

interface PolicyJson extends Partial<Omit<RunFigures, 'skipped'>> {
  readonly policy: string;
  readonly action: string;
  readonly trigger?: TriggerReport;
  /** `idle`: no trigger fired; `locked`: another run works on it. */
  readonly outcome: RunSummary['outcome'] | 'idle' | 'locked';
  readonly skipped?: Readonly<Record<string, number>>;
  readonly started?: string;
  readonly seconds?: number;
  /** Of a dry run. */
  readonly estimate?: Estimate;
  readonly problems?: readonly { path?: string; path_b64?: string; fid: string; code: string; text: string }[];
  readonly error?: { readonly code: string; readonly message: string };
  readonly exit: ExitName;
}

/** From what an operator should see first. */
const GRAVITY: readonly ExitName[] = [
  'interrupted',
  'terminated',
  'notAuthorised',
  'usage',
  'failed',
  'tryAgain',
  'partial',
  'locked',
  'ok',
];

export function exitOfResult(result: PolicyResult): ExitName {
  if ('locked' in result) return 'locked';
  if ('failed' in result) return (result.failed as { exit?: ExitName }).exit ?? 'failed';
  return result.summary?.exit ?? 'ok';
}

/** The gravest of all. */
export function exitOf(results: readonly PolicyResult[]): ExitName {
  const exits = new Set(results.map(exitOfResult));
  return GRAVITY.find((exit) => exits.has(exit)) ?? 'ok';
}

export function toJson(results: readonly PolicyResult[], dryRun: boolean): PolicyRunJson {
  const exit = exitOf(results);
  return { dryRun, policies: results.map(policyJson), exit: { name: exit, code: EXIT[exit].code } };
}

function policyJson(result: PolicyResult): PolicyJson {
  const { name: policy, action } = result.policy;
  const exit = exitOfResult(result);
  if ('locked' in result) return { policy, action, outcome: 'locked', error: errorOf(result.locked), exit };
  if ('failed' in result) return { policy, action, outcome: 'failed', error: errorOf(result.failed), exit };
  const { trigger, summary } = result;
  if (summary === undefined) return { policy, action, trigger, outcome: 'idle', exit };
  const { matched, asked, done, outstanding, failed, markedDirty, skipped, failures, rules, requests, operations } =
    summary;
  return {
    ...{ policy, action, trigger, outcome: summary.outcome },
    started: new Date(summary.started).toISOString(),
    seconds: Math.round(summary.elapsed) / 1000,
    ...{ matched, asked, done, outstanding, failed, markedDirty, skipped, failures, rules, requests, operations },
    ...(summary.estimate === undefined ? {} : { estimate: summary.estimate }),
    problems: summary.problems.map(({ path, ...problem }) => ({
      ...problem,
      ...(path === undefined ? {} : pathFields(path)),
    })),
    ...(summary.stoppedBy === undefined ? {} : { error: errorOf(summary.stoppedBy) }),
    exit,
  };
}

function errorOf(error: Error): { code: string; message: string } {
  const { code } = error as { code?: unknown };
  return { code: typeof code === 'string' ? code : 'UNEXPECTED', message: error.message };
}

/** Whether there is anything to tell: a run that found nothing to do is quiet. */
export function isQuiet(result: PolicyResult): boolean {
  if ('locked' in result || 'failed' in result) return false;
  const { summary } = result;
  if (summary === undefined) return true;
  const { asked, done, failed, markedDirty, exit } = summary;
  return exit === 'ok' && asked.files + done.files + failed.files + markedDirty.files === 0;
}

const DONE = { archive: 'archived', release: 'released', remove: 'removed' } as const;

/** What a policy's run did, for people. @param all skips and triggers, too, although nothing was done */
export function resultLines(result: PolicyResult, all: boolean): string[] {
  const { name } = result.policy;
  if ('locked' in result) return [`${name}: ${result.locked.message}`];
  if ('failed' in result) return [`${name}: ${result.failed.message}`];
  const { summary, trigger } = result;
  if (summary === undefined) return all ? [`${name}: ${trigger.fires ? 'would run' : 'not run'}: ${trigger.why}`] : [];
  if (!all && isQuiet(result)) return [];
  return [...headLines(summary), ...skipLines(summary), ...failureLines(summary), ...endLines(summary)];
}

function headLines(summary: RunSummary): string[] {
  const { policy, action, dryRun, asked, done, outstanding, elapsed, trigger } = summary;
  const parts = dryRun
    ? [`would ${action} ${amountText(asked)}`]
    : action === 'archive'
      ? [`asked for ${amountText(asked)}`, `${amountText(done)} archived`, `${amountText(outstanding)} under way`]
      : [`${amountText(done)} ${DONE[action]}`];
  const lines = [
    `${policy}: ${parts.join(', ')} in ${formatDuration(Math.max(1000, Math.round(elapsed / 1000) * 1000))} (${trigger.why})`,
  ];
  if (dryRun) lines.push(...estimateLines(summary));
  return lines;
}

function estimateLines({ action, requests, operations, estimate }: RunSummary): string[] {
  const { writes, reads, other, deletes } = operations;
  const lustre = action === 'remove' ? '' : `${requests} requests to the coordinator, `;
  const free = deletes === 0 ? '' : `, ${deletes} deletions`;
  const lines = [
    `  about ${lustre}${writes} writes, ${reads} reads, ${other} other operations${free} of the storage service`,
  ];
  if (estimate === undefined || writes + reads + other === 0) return lines;
  const { tiers } = estimate;
  if (Object.keys(tiers).length > 1) {
    for (const [tier, { operations: of, written, recall }] of Object.entries(tiers)) {
      const bytes = formatBytes(written + recall.retrieved);
      lines.push(`    ${tier}: ${of.writes} writes, ${of.reads} reads, ${of.other} other operations, ${bytes}`);
    }
  }
  return [...lines, ...costLines(action, estimate)];
}

function costLines(action: RunSummary['action'], { currency, asOf, cost, month, recall, missing }: Estimate): string[] {
  const lines: string[] = [];
  const money = (amount: number) => `${currency} ${amount.toFixed(amount < 1 ? 4 : 2)}`;
  const parts: string[] = [];
  if (cost !== null) parts.push(`${money(cost)} for these`);
  if (action === 'archive' && month !== null) parts.push(`${money(month)} for what is written, each month`);
  if (action === 'release' && recall !== null) parts.push(`${money(recall)} if all of it is read back`);
  if (parts.length > 0) lines.push(`  about ${parts.join(', ')}${asOf === undefined ? '' : ` (prices: ${asOf})`}`);
  if (missing.length > 0)
    lines.push(`  no more can be said of its cost without ${missing.join(', ')}: see your price list`);
  return lines;
}

function skipLines({ skipped }: RunSummary): string[] {
  return Object.entries(skipped).map(
    ([reason, files]) => `  ${files} skipped: ${SKIP_REASONS[reason as SkipReason] ?? reason}`,
  );
}

function failureLines({ failures, markedDirty }: RunSummary): string[] {
  const lines = Object.values(failures).map(({ files, text }) => `  ${files} failed: ${text}`);
  if (markedDirty.files > 0)
    lines.push(`  ${markedDirty.files} could not be released as they are: marked dirty, to be archived anew`);
  return lines;
}

function endLines({ outcome, stoppedBy, action }: RunSummary): string[] {
  switch (outcome) {
    case 'limit':
      return ['  a limit of the run was reached; the next one goes on'];
    case 'short':
      return ['  an OST is still above its low mark, and no further file may be released by the rules'];
    case 'held':
      return [
        '  too many files died: removals are held. If that is right, `lfsazsync changelog-follow ctl release-brake` lets them go on',
      ];
    case 'suspended':
      return ['  suspended: too much failed; see the failures above, and the log of the copytool'];
    case 'stalled':
      return [
        `  given up: nothing of what was asked for moves any more. ${action === 'archive' ? 'Does a copytool run?' : ''}`.trimEnd(),
      ];
    default:
      return stoppedBy === undefined ? [] : [`  stopped: ${stoppedBy.message}`];
  }
}

/** One line about one file, safe to print. */
export function problemLine({ fid, path, code, text }: RunProblem): string {
  return `${path === undefined ? fid : `${printable(path)} [${fid}]`}: ${text} (${code})`;
}

/** One line of progress, at most `width` characters. */
export function progressLine(all: readonly RunProgress[], width: number): string {
  const texts = all.map(({ policy, asked, done, failed, outstanding, waiting }) => {
    const parts = [`${policy}: ${asked.files} asked for`, `${done.files} done`];
    if (outstanding.files > 0) parts.push(`${outstanding.files} under way`);
    if (failed.files > 0) parts.push(`${failed.files} failed`);
    if (waiting !== undefined) parts.push(WAITING[waiting]);
    return parts.join(', ');
  });
  return texts.join('  ').slice(0, Math.max(20, width));
}

const WAITING = { rate: 'held by the rate limit', room: 'waiting for room', end: 'waiting for the end' } as const;

const amountText = ({ files, bytes }: Amount): string =>
  `${files} file${files === 1 ? '' : 's'}${files === 0 ? '' : ` (${formatBytes(bytes)})`}`;
