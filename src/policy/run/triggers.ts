import { type OstUsage, percentUsed } from '../../lustre/ost-usage.ts';
import { formatBytes, formatDuration } from '../../service/units.ts';
import type { Policy, Trigger } from '../policies.ts';
import type { OstReport, TriggerReport } from './types.ts';

/** A cron job does not start at the same moment of each interval: so much earlier still counts. */
const SLACK = { share: 0.1, mostMs: 30_000 };

/** What a trigger looks at. */
export interface TriggerInput {
  /** Milliseconds since 1970. */
  readonly now: number;
  /** When the policy's last run began; undefined: never. */
  readonly lastRun: number | undefined;
  /** Asked for only where a trigger needs it. */
  readonly osts: () => Promise<readonly OstUsage[]>;
  /** The operator has named the policy. */
  readonly named: boolean;
  /** The operator has said which files. */
  readonly targeted: boolean;
}

/**
 * Whether a policy is to be run, and why: the first of its triggers that fires says so, else the first says why not.
 * A policy that is named needs no interval to be over, but a watermark stays one; with a target, no trigger counts.
 */
export async function lookAtTriggers(policy: Policy, input: TriggerInput): Promise<TriggerReport> {
  if (input.targeted) return { on: 'target', fires: true, why: 'asked for with a target' };
  if (!policy.enabled && !input.named) return { on: 'manual', fires: false, why: 'not enabled' };
  const reports: TriggerReport[] = [];
  for (const trigger of policy.triggers) reports.push(await lookAt(trigger, input));
  const firing = reports.find(({ fires }) => fires);
  if (firing !== undefined) return firing;
  const watermark = reports.find(({ on }) => on === 'ost_usage');
  if (input.named && watermark === undefined) return { on: 'named', fires: true, why: 'asked for by name' };
  return watermark ?? reports[0] ?? { on: 'manual', fires: false, why: 'runs only when it is named' };
}

async function lookAt(trigger: Trigger, input: TriggerInput): Promise<TriggerReport> {
  switch (trigger.on) {
    case 'manual':
      return { on: 'manual', fires: false, why: 'runs only when it is named' };
    case 'periodic':
      return periodic(trigger.intervalMs, input);
    case 'ost_usage':
      return watermark(trigger, input);
  }
}

function periodic(interval: number, input: TriggerInput): TriggerReport {
  const every = `every ${formatDuration(interval)}`;
  if (input.lastRun === undefined) return { on: 'periodic', fires: true, why: `${every}; it never ran` };
  return { on: 'periodic', fires: isOver(interval, input), why: `${every}; ${lastBegan(input)}` };
}

/** Whether the interval since the last run is over; a clock that was set back does not hold anything up. */
function isOver(interval: number, { now, lastRun }: TriggerInput): boolean {
  if (lastRun === undefined || now < lastRun) return true;
  return now - lastRun >= interval - Math.min(interval * SLACK.share, SLACK.mostMs);
}

const lastBegan = ({ now, lastRun = now }: TriggerInput): string =>
  `the last run began ${formatDuration(roundSeconds(now - lastRun))} ago`;

async function watermark(
  { high, low, intervalMs }: Extract<Trigger, { on: 'ost_usage' }>,
  input: TriggerInput,
): Promise<TriggerReport> {
  // OSTs give back what is released after a while only: what they show right after a run would have it done twice.
  if (!input.named && !isOver(intervalMs, input))
    return { on: 'ost_usage', fires: false, why: `every ${formatDuration(intervalMs)}; ${lastBegan(input)}` };
  const usage = await input.osts();
  const full = usage
    .filter((ost) => percentUsed(ost) >= high)
    .sort((a, b) => percentUsed(b) - percentUsed(a) || a.index - b.index)
    .map((ost) => reportOf(ost, low));
  if (full.length > 0) {
    const names = full.map(({ name, percent, excess }) => `${name} ${percent}% (${formatBytes(excess)} to free)`);
    return {
      on: 'ost_usage',
      fires: true,
      why: `at or above ${high}%: ${names.join(', ')}; down to ${low}%`,
      osts: full,
    };
  }
  const fullest = usage.reduce((most, ost) => Math.max(most, percentUsed(ost)), 0);
  return { on: 'ost_usage', fires: false, why: `no OST at or above ${high}%; the fullest has ${twoDigits(fullest)}%` };
}

function reportOf(ost: OstUsage, low: number): OstReport {
  const { index, name, used, available } = ost;
  const keep = Math.floor(((used + available) * low) / 100);
  return { index, name, percent: twoDigits(percentUsed(ost)), excess: Math.max(0, used - keep) };
}

const twoDigits = (n: number): number => Math.round(n * 100) / 100;
const roundSeconds = (ms: number): number => Math.max(0, Math.round(ms / 1000)) * 1000;
