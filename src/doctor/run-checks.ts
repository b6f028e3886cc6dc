import { OperatorError } from '../service/errors.ts';
import { redact } from '../service/redact.ts';
import { type Check, type CheckResult, type Finding, failed } from './types.ts';

/** So long may one check take: what hangs is a finding, too. */
const PATIENCE_MS = 30_000;

export interface RunOptions {
  readonly signal: AbortSignal;
  /** Milliseconds; for tests. */
  readonly patience?: number;
  readonly onResult?: (result: CheckResult) => void;
}

/** Runs the checks one after the other, in their order. Never rejects but for the signal: what goes wrong is a finding. */
export async function runChecks<Context>(
  checks: readonly Check<Context>[],
  context: Context,
  { signal, patience = PATIENCE_MS, onResult }: RunOptions,
): Promise<CheckResult[]> {
  const results: CheckResult[] = [];
  const broken = new Set<string>();
  for (const check of checks) {
    signal.throwIfAborted();
    const missing = check.needs?.find((id) => broken.has(id));
    const findings = missing === undefined ? await findingsOf(check, context, signal, patience) : [skipped(missing)];
    // Of several archives one may be all right: what needs it is looked at, for the others it fails again.
    if (findings.every(({ status }) => status === 'failed' || status === 'skipped')) broken.add(check.id);
    for (const { status, evidence, fix, subject } of findings) {
      const result: CheckResult = {
        id: check.id,
        ...(subject === undefined ? {} : { subject }),
        status,
        evidence: redact(evidence),
        ...(fix === undefined ? {} : { fix: redact(fix) }),
      };
      results.push(result);
      onResult?.(result);
    }
  }
  return results;
}

type Found = Finding & { readonly subject?: string };

async function findingsOf<Context>(
  { id, run }: Check<Context>,
  context: Context,
  signal: AbortSignal,
  patience: number,
): Promise<readonly Found[]> {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), patience);
  const inTime = AbortSignal.any([signal, late.signal]);
  try {
    const given = new Promise<never>((_, reject) => {
      inTime.addEventListener('abort', () => reject(new Error(`no answer in ${Math.round(patience / 1000)} seconds`)));
    });
    const found = await Promise.race([run(context, inTime), given]);
    return Array.isArray(found) ? (found as readonly Found[]) : [found as Found];
  } catch (error) {
    signal.throwIfAborted();
    return [failureOf(id, error)];
  } finally {
    clearTimeout(timer);
  }
}

const skipped = (missing: string): Found => ({ status: 'skipped', evidence: `not looked at: ${missing} failed` });

function failureOf(id: string, error: unknown): Found {
  const message = error instanceof Error ? error.message : String(error);
  const hint = (error as { hint?: unknown }).hint;
  if (error instanceof OperatorError && error.hint !== undefined) return failed(message, error.hint);
  return failed(
    message,
    typeof hint === 'string' ? hint : `Look into what ${id} needs, then run lfsazsync doctor again.`,
  );
}
