import { age } from './problems.ts';
import type { PolicyStatus } from './types.ts';

export const POLICY_HEADER = ['POLICY', 'RUNS', 'LAST RUN', 'OUTCOME', 'NEXT'] as const;

/** The policies as cells of a table, for text and dashboard alike. @param now ISO 8601, of the snapshot */
export function policyCells(policies: readonly PolicyStatus[], now: string): string[][] {
  const since = (time: string) => (Date.parse(now) - Date.parse(time)) / 1000;
  return policies.map(({ policy, triggers, running, last, next, by }) => [
    policy,
    triggers.join(', '),
    ...(running === null
      ? [last === null ? 'never' : `${age(Math.max(0, since(last.started)))} ago`, last === null ? '' : ended(last)]
      : [`now, for ${age(Math.max(0, since(running.since)))}`, `process ${running.pid}`]),
    next === null ? '' : `${within(-since(next))} (${by === 'timer' ? 'timer' : 'policy-run'})`,
  ]);
}

/** Nobody holds the policy's lock: a run without an end was killed. */
const ended = ({ outcome }: NonNullable<PolicyStatus['last']>): string => outcome ?? 'killed';

const within = (seconds: number): string => (seconds <= 0 ? 'now' : `in ${age(seconds)}`);

/** What is to be said where nobody on this machine runs the policies by itself. */
export const NO_SCHEDULE = 'nothing here runs them by itself, unless cron does';
