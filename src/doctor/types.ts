/**
 * `ok`; `warning`: it works, but not as it should; `failed`: something does not work; `unknown`: it can't be seen from
 * here, the fix says how to see it; `skipped`: something that it needs has failed.
 */
export type CheckStatus = 'ok' | 'warning' | 'failed' | 'unknown' | 'skipped';

/** What came of a check. */
export interface Finding {
  readonly status: CheckStatus;
  /** What was seen, one line. */
  readonly evidence: string;
  /** What to do, one line; always there with `warning`, `failed` and `unknown`. */
  readonly fix?: string;
}

/** A finding with the check that it is of: documented in docs/doctor.md. */
export interface CheckResult extends Finding {
  /** Stable, for scripts: `container.permissions`. */
  readonly id: string;
  /** What it is about where there are several: an MDT, an archive. */
  readonly subject?: string;
}

/** A named check; several findings where there are several MDTs or archives. */
export interface Check<Context> {
  readonly id: string;
  /** Checks that must not have failed before it. */
  readonly needs?: readonly string[];
  readonly run: (
    context: Context,
    signal: AbortSignal,
  ) => Promise<Finding | readonly (Finding & { subject?: string })[]>;
}

export const ok = (evidence: string): Finding => ({ status: 'ok', evidence });
export const warning = (evidence: string, fix: string): Finding => ({ status: 'warning', evidence, fix });
export const failed = (evidence: string, fix: string): Finding => ({ status: 'failed', evidence, fix });
export const unknown = (evidence: string, fix: string): Finding => ({ status: 'unknown', evidence, fix });
