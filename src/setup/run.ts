import type { Finding, SetupResult, SetupStep } from './types.ts';

/**
 * Looks with all steps, then does what is to be done, in order. What a step throws ends it: what was done stays, and the
 * next run goes on from there.
 * @param onResult is told of each thing as it is done with
 */
export async function runSetup(
  steps: readonly SetupStep[],
  { dryRun, signal, onResult }: { dryRun: boolean; signal: AbortSignal; onResult: (result: SetupResult) => void },
): Promise<SetupResult[]> {
  const findings: Finding[] = [];
  for (const step of steps) findings.push(...(await step.look()));
  const results: SetupResult[] = [];
  for (const { step, subject, detail, apply } of findings) {
    signal.throwIfAborted();
    const state = apply === undefined ? 'unchanged' : dryRun ? 'would' : 'done';
    const now = apply === undefined || dryRun ? detail : await apply();
    const result: SetupResult = { step, subject, state, detail: now };
    results.push(result);
    onResult(result);
  }
  return results;
}
