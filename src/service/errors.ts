import type { ExitName } from './exit-code.ts';

/** What every error of ours carries besides its message. */
export interface ErrorDetails {
  /** A stable name for scripts and tests, such as `CONTAINER_MISSING`. */
  readonly code: string;
  /** What to do next, one sentence an operator can follow. */
  readonly hint?: string;
  readonly exit?: ExitName;
  readonly cause?: unknown;
}

/** Something in the operator's hands is wrong: a flag, the configuration, a path, a credential, the environment. */
export class OperatorError extends Error {
  readonly code: string;
  readonly hint: string | undefined;
  readonly exit: ExitName;

  constructor(message: string, details: ErrorDetails) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'OperatorError';
    this.code = details.code;
    this.hint = details.hint;
    this.exit = details.exit ?? 'failed';
  }
}

/** An assumption of ours does not hold: to be reported as a bug. */
export class BugError extends Error {
  readonly code = 'BUG';
  readonly exit: ExitName = 'failed';
  readonly hint = 'This is a bug in lfsazsync: please report it with the log lines around it.';

  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'BugError';
  }
}

/** A failed system or Lustre call, by its errno (positive) and what was tried. */
export class ErrnoError extends Error {
  readonly errno: number;
  readonly what: string;

  constructor(errno: number, what: string, message?: string) {
    super(message ?? `${what}: errno ${errno}`);
    this.name = 'ErrnoError';
    this.errno = errno;
    this.what = what;
  }
}
