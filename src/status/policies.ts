import { existsSync } from 'node:fs';
import type { Config } from '../config/types.ts';
import { policyLock, policyRunSocket } from '../policy/run/socket.ts';
import type { RunHolder } from '../service/control/run-lock.ts';
import { run } from '../service/run.ts';
import { formatDuration } from '../service/units.ts';
import { serviceAt } from './services.ts';
import type { PolicyStatus, RunStatus } from './types.ts';

/** Who looks at the triggers next on this machine, and when. */
export interface Schedule {
  readonly by: 'policy-run' | 'timer';
  /** Milliseconds since 1970; undefined: it is at it, or does not say. */
  readonly at: number | undefined;
  /** Only these policies; empty: all. */
  readonly names: readonly string[];
}

/** What of a resident `policy-run` is read here; docs/policy-run.md has all of it. */
interface ResidentFigures {
  readonly next: string | null;
  readonly names: readonly string[];
}

export const TIMER = 'lfsazsync-policy.timer';
/** Where systemd has booted; elsewhere it is not asked. */
const BOOTED = '/run/systemd/system';

/** Undefined: neither a resident `policy-run` nor systemd's timer; with cron, only cron knows. */
export async function scheduleOf(config: Config, patience: number): Promise<Schedule | undefined> {
  const name = policyRunSocket(config.mount);
  const target = { directory: config.runDir, name, service: 'policy-run', start: 'lfsazsync policy-run --every 5m' };
  const resident = await serviceAt<ResidentFigures>(target, patience);
  if (resident.state === 'running') {
    const { next, names } = resident.figures;
    return { by: 'policy-run', at: next === null ? undefined : Date.parse(next), names };
  }
  if (!existsSync(BOOTED)) return undefined;
  const listed = await run('systemctl', ['list-timers', '--all', '--output=json', TIMER], { timeout: patience }).catch(
    () => undefined,
  );
  return listed?.code === 0 ? timerSchedule(listed.stdout.toString('utf8')) : undefined;
}

/** Reads `systemctl list-timers --output=json`: `next` in microseconds since 1970, 0 or null while the run is at work. */
export function timerSchedule(json: string): Schedule | undefined {
  try {
    const timer = (JSON.parse(json) as { unit?: unknown; next?: unknown }[]).find(({ unit }) => unit === TIMER);
    if (timer === undefined) return undefined;
    const at = typeof timer.next === 'number' && timer.next > 0 ? Math.floor(timer.next / 1000) : undefined;
    return { by: 'timer', at, names: [] };
  } catch {
    return undefined;
  }
}

export interface PoliciesOptions {
  readonly config: Config;
  readonly schedule: Schedule | undefined;
  /** By the policy's name. */
  readonly lastRuns: ReadonlyMap<string, RunStatus>;
  /** Milliseconds. */
  readonly patience: number;
}

/** Each policy of the configuration: what runs, what ran, what is next. Asks who holds a policy's lock. */
export async function policiesOf({ config, schedule, lastRuns, patience }: PoliciesOptions): Promise<PolicyStatus[]> {
  const statuses = [...config.policies].map(async ([policy, { enabled, triggers }]): Promise<PolicyStatus> => {
    const name = `${policyLock(policy)}.sock`;
    const holder = await serviceAt<RunHolder>(
      { directory: config.stateDir, name, service: policyLock(policy), start: 'lfsazsync policy-run' },
      patience,
    );
    const last = lastRuns.get(policy);
    const interval = enabled ? shortest(triggers) : undefined;
    const isIn = schedule !== undefined && (schedule.names.length === 0 || schedule.names.includes(policy));
    const next = isIn ? nextOf(schedule.at, interval, last) : undefined;
    return {
      policy,
      triggers: enabled ? triggers.map(triggerText) : ['not enabled'],
      running: holder.state === 'running' ? { pid: holder.figures.pid, since: holder.figures.since } : null,
      last: last === undefined ? null : { started: last.started, ended: last.ended, outcome: last.outcome },
      next: next === undefined ? null : new Date(next).toISOString(),
      by: next === undefined || schedule === undefined ? null : schedule.by,
    };
  });
  return await Promise.all(statuses);
}

type Triggers =
  Config['policies'] extends ReadonlyMap<string, infer P extends { triggers: unknown }> ? P['triggers'] : never;

/** Of what fires by itself, milliseconds; undefined: nothing does. */
function shortest(triggers: Triggers): number | undefined {
  const intervals = triggers.filter(({ on }) => on !== 'manual').map(({ interval }) => interval);
  return intervals.length === 0 ? undefined : Math.min(...intervals);
}

function nextOf(look: number | undefined, interval: number | undefined, last: RunStatus | undefined) {
  if (look === undefined || interval === undefined) return undefined;
  return last === undefined ? look : Math.max(look, Date.parse(last.started) + interval);
}

function triggerText({ on, interval, high }: Triggers[number]): string {
  if (on === 'manual') return 'manual';
  return on === 'periodic' ? `every ${formatDuration(interval)}` : `an OST at ${high} %`;
}
