import { pathFields } from '../../lustre/printable.ts';
import type { RunContext, RunRequest } from './context.ts';
import { FileRun } from './file-run.ts';
import { markKilled } from './killed-runs.ts';
import { RemovalRun } from './removal-run.ts';
import type { RunOutcome, RunSummary } from './types.ts';

/**
 * Runs one policy once. The caller holds the policy's lock. Whatever ends it is in the summary, and in a row of the
 * catalog (not of a dry run).
 */
export async function runPolicy(context: RunContext, request: RunRequest): Promise<RunSummary> {
  const { catalog, clock, effects, log } = context;
  const { policy, trigger } = request;
  const started = clock.now();
  if (!effects.dry && (await markKilled(catalog, policy.name)) > 0)
    log.warn('the last run of the policy was killed', { policy: policy.name });
  const run = await effects.beginRun(policy.name, { trigger, pid: process.pid });
  await context.step('policy.begun');
  const work =
    policy.action === 'remove' ? new RemovalRun(context, request) : new FileRun(context, request, policy.action, run);
  let outcome: RunOutcome;
  let stoppedBy: Error | undefined;
  try {
    outcome = await work.carryOut();
  } catch (error) {
    stoppedBy = error instanceof Error ? error : new Error(String(error));
    outcome = (error as { exit?: unknown }).exit === undefined ? 'failed' : 'stopped';
  }
  const outstanding = work instanceof FileRun ? work.outstanding : { files: 0, bytes: 0 };
  const summary: RunSummary = {
    ...work.tally.figures(outstanding),
    ...{ policy: policy.name, action: policy.action, dryRun: effects.dry, trigger, started, outcome, stoppedBy },
    elapsed: clock.now() - started,
    estimate: effects.dry ? work.tally.costs.estimate(context.config.prices) : undefined,
    problems: work.tally.problems,
    exit: work.tally.exit(outcome, stoppedBy),
  };
  await context.step('policy.done');
  await tellEnd(context, summary, run);
  return summary;
}

async function tellEnd({ effects, log, clock }: RunContext, summary: RunSummary, run: number): Promise<void> {
  const detail = detailOf(summary);
  const { policy, outcome, stoppedBy, asked, done, failed, markedDirty } = summary;
  const troubled = summary.exit !== 'ok';
  const active = asked.files + done.files + failed.files + markedDirty.files > 0;
  log[troubled || active ? 'info' : 'debug']('policy run ended', {
    ...{ policy, outcome, asked: asked.files, done: done.files, failed: failed.files, run },
    ...(stoppedBy === undefined ? {} : { err: stoppedBy }),
  });
  try {
    await effects.endRun(run, outcome, detail);
    if (!troubled && !active) return;
    const message = `${policy}: ${outcome}, ${asked.files} asked for, ${done.files} done, ${failed.files} failed${stoppedBy === undefined ? '' : `: ${stoppedBy.message}`}`;
    await effects.note({
      events: [{ at: clock.now(), level: troubled ? 'warn' : 'info', kind: 'policy-run', message, run }],
    });
  } catch (error) {
    // The catalog may be what has failed: what ended the run counts.
    if (stoppedBy === undefined) throw error;
  }
}

/** What the catalog keeps of a run: documented in docs/policy-run.md. */
function detailOf(summary: RunSummary): Record<string, unknown> {
  const { policy: _, dryRun: _dry, started: _started, outcome: _outcome, stoppedBy, problems, ...rest } = summary;
  return {
    ...rest,
    problems: problems.map(({ path, ...problem }) => ({ ...problem, ...(path === undefined ? {} : pathFields(path)) })),
    ...(stoppedBy === undefined ? {} : { error: stoppedBy.message }),
  };
}
