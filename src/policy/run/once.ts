import type { Config } from '../../config/types.ts';
import type { Log } from '../../service/log.ts';
import { loadPolicies, type Policy } from '../policies.ts';
import type { RunRequest } from './context.ts';
import { openRuns } from './open.ts';
import { checkTriggers, type PolicyResult, type PolicyRunsOptions, runPolicies } from './policy-runs.ts';
import { isQuiet, toJson } from './report.ts';
import { parseTarget } from './target.ts';
import { withTurns } from './turns.ts';

export interface OnceOptions extends Omit<RunRequest, 'policy' | 'trigger' | 'target'> {
  readonly config: Config;
  readonly names: readonly string[];
  /** Of those that run by their triggers, only these. */
  readonly only?: readonly string[] | undefined;
  readonly log: Log;
  readonly version: string;
  readonly dryRun: boolean;
  /** Say what would run, and run nothing. */
  readonly checkOnly?: boolean;
  /** As the operator wrote it. */
  readonly target?: string | undefined;
  readonly waitLock?: number | undefined;
  /** Told of everything that a run has come through: it is not stuck. */
  readonly onTurn?: (() => void) | undefined;
}

/** Opens what runs need, runs the policies that are to be run once, and closes it. */
export async function runOnce(options: OnceOptions): Promise<PolicyResult[]> {
  const { config, log, dryRun, checkOnly = false, target, signal, onTurn, ...rest } = options;
  const policies = await loadPolicies(config);
  const { mount } = config;
  const parsed = target === undefined ? undefined : await parseTarget(target, { mount, classes: policies.classes });
  const { context: opened, close } = await openRuns({ config, log, dryRun: dryRun || checkOnly, signal });
  try {
    const context = onTurn === undefined ? opened : withTurns(opened, onTurn);
    const all: PolicyRunsOptions = {
      ...rest,
      ...{ policies, signal },
      target: parsed,
      stateDir: config.stateDir,
      leftTo: leftTo(config),
    };
    if (checkOnly) return await checkTriggers(context, all);
    const results = await runPolicies(context, all);
    if (!dryRun) {
      for (const result of results)
        if (!isQuiet(result)) log.info('policy', { ...toJson([result], false).policies[0] });
    }
    return results;
  } finally {
    await close();
  }
}

/** Policies whose work somebody else does, unless they are named. */
function leftTo({ removal }: Config): (policy: Policy) => string | undefined {
  const reason = 'left to the follower (removal.by); by name it is run all the same';
  return ({ action }) => (action === 'remove' && removal.by === 'follow' ? reason : undefined);
}
