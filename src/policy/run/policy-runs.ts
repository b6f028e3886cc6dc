import type { OstUsage } from '../../lustre/ost-usage.ts';
import { closest } from '../../service/closest.ts';
import { OperatorError } from '../../service/errors.ts';
import type { Policies, Policy } from '../policies.ts';
import type { RunContext, RunRequest } from './context.ts';
import { lastRunOf } from './killed-runs.ts';
import { isLocked, lockPolicy } from './lock.ts';
import { runPolicy } from './run.ts';
import { lookAtTriggers } from './triggers.ts';
import type { RunSummary, TriggerReport } from './types.ts';

export interface PolicyRunsOptions extends Omit<RunRequest, 'policy' | 'trigger'> {
  readonly policies: Policies;
  /** Which policies, by name; empty: all that their triggers say. */
  readonly names: readonly string[];
  /** Of those that run by their triggers, only these. */
  readonly only?: readonly string[] | undefined;
  /** Beside the catalog. */
  readonly stateDir: string;
  readonly version: string;
  /** How long a policy that another run works on is waited for, milliseconds; undefined: not at all. */
  readonly waitLock?: number | undefined;
  /** Why a policy that nobody has named is left to others, such as the follower; undefined: it is not. */
  readonly leftTo: (policy: Policy) => string | undefined;
}

/** What became of a policy. */
export type PolicyResult =
  | { readonly policy: Policy; readonly trigger: TriggerReport; readonly summary?: RunSummary }
  /** Another run works on it. */
  | { readonly policy: Policy; readonly locked: OperatorError }
  /** It could not even be begun. */
  | { readonly policy: Policy; readonly failed: Error };

/** Which policies fire, and why, without running them. */
export async function checkTriggers(context: RunContext, options: PolicyRunsOptions): Promise<PolicyResult[]> {
  const look = triggersOf(context, options);
  const results: PolicyResult[] = [];
  for (const policy of chosenPolicies(options)) results.push({ policy, trigger: await look(policy) });
  return results;
}

/**
 * Runs the policies whose triggers fire, at the same time: a release of a full OST does not wait for archives that are
 * let through slowly. Each has a lock of its own.
 */
export async function runPolicies(context: RunContext, options: PolicyRunsOptions): Promise<PolicyResult[]> {
  const look = triggersOf(context, options);
  const results = chosenPolicies(options).map((policy) =>
    runOne(context, options, policy, look).catch((error: unknown): PolicyResult => {
      const failed = error instanceof Error ? error : new Error(String(error));
      context.log.error('policy could not be run', { policy: policy.name, err: failed });
      return { policy, failed };
    }),
  );
  return await Promise.all(results);
}

async function runOne(
  context: RunContext,
  options: PolicyRunsOptions,
  policy: Policy,
  look: (policy: Policy) => Promise<TriggerReport>,
): Promise<PolicyResult> {
  const run = async (): Promise<PolicyResult> => {
    const trigger = await look(policy);
    if (!trigger.fires) return { policy, trigger };
    return {
      policy,
      trigger,
      summary: await runPolicy(context, { ...options, classes: options.policies.classes, policy, trigger }),
    };
  };
  // Nothing is touched, so it may be done beside anything.
  if (context.effects.dry) return await run();
  const { stateDir, version, waitLock, signal } = options;
  let held: { release(): Promise<void> };
  try {
    held = await lockPolicy({ directory: stateDir, version, policy: policy.name, log: context.log }, waitLock, signal);
  } catch (error) {
    if (!isLocked(error)) throw error;
    return { policy, locked: error };
  }
  try {
    return await run();
  } finally {
    await held.release();
  }
}

/** @throws OperatorError for a name that no policy has */
function chosenPolicies({ policies, names, only }: PolicyRunsOptions): Policy[] {
  if (names.length === 0 && only === undefined) return [...policies.policies.values()];
  return [...new Set(only ?? names)].map((name) => {
    const policy = policies.policies.get(name);
    if (policy !== undefined) return policy;
    const known = [...policies.policies.keys()];
    const meant = closest(name, known);
    throw new OperatorError(`there is no policy '${name}'`, {
      code: 'POLICY_UNKNOWN',
      exit: 'usage',
      hint: meant === undefined ? `There are ${known.join(', ')}.` : `Did you mean '${meant}'?`,
    });
  });
}

function triggersOf(context: RunContext, options: PolicyRunsOptions): (policy: Policy) => Promise<TriggerReport> {
  const { catalog, clock } = context;
  let usage: Promise<readonly OstUsage[]> | undefined;
  const osts = () => {
    usage ??= context.osts();
    return usage;
  };
  return async (policy) => {
    const named = options.names.includes(policy.name);
    const targeted = options.target !== undefined;
    const other = named || targeted ? undefined : options.leftTo(policy);
    if (other !== undefined) return { on: 'manual', fires: false, why: other };
    const lastRun = await lastRunOf(catalog, policy.name);
    return await lookAtTriggers(policy, { now: clock.now(), lastRun, osts, named, targeted });
  };
}
