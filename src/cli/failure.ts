import { getSystemErrorName } from 'node:util';
import { ErrnoError } from '../service/errors.ts';
import { EXIT, type ExitName } from '../service/exit-code.ts';
import { redact } from '../service/redact.ts';

/** All that the outside learns about an error: on standard error, or as `{"error": …}` with --json. */
export interface Failure {
  /** A stable name for scripts. */
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
  /** The exit code. */
  readonly exit: number;
}

/** Describes any error. Only what is named here leaves the program: no stack, no configuration, no command line. */
export function failureOf(error: unknown): Failure {
  const { code, message, hint, exit } = classify(error);
  return {
    code,
    message: redact(message),
    ...(hint === undefined ? {} : { hint: redact(hint) }),
    exit: EXIT[exit].code,
  };
}

interface Classified {
  code: string;
  message: string;
  hint?: string | undefined;
  exit: ExitName;
}

function classify(error: unknown): Classified {
  if (!(error instanceof Error)) return { code: 'UNEXPECTED', message: String(error), hint: REPORT, exit: 'failed' };
  const { code, hint, exit } = error as { code?: unknown; hint?: unknown; exit?: unknown };
  const message = error.message === '' ? error.name : error.message;
  if (typeof exit === 'string' && Object.hasOwn(EXIT, exit)) {
    return { code: text(code) ?? 'FAILED', message, hint: text(hint), exit: exit as ExitName };
  }
  if ('oclif' in error) return usage(message);
  if (error instanceof ErrnoError) return { code: errnoName(error.errno), message, exit: 'failed' };
  if ('syscall' in error) return { code: text(code) ?? 'SYSTEM', message, exit: 'failed' };
  return { code: text(code) ?? 'UNEXPECTED', message, hint: text(hint) ?? REPORT, exit: 'failed' };
}

const REPORT = 'This was not expected: repeat it with --log-level debug and report what it says.';

/**
 * oclif's own errors are about the command line. Their messages end in an advice that becomes the hint, and of a flag's
 * value they are two lines: `Parsing --flag` and what is wrong.
 */
function usage(message: string): Classified {
  const plain = message.replace(/\s*See more help with --help\s*$/, '').replace(/^Parsing (\S+)\s*\n\s*/, '$1: ');
  return { code: 'USAGE', message: plain, hint: 'Add --help to see what the command takes.', exit: 'usage' };
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function errnoName(errno: number): string {
  try {
    return getSystemErrorName(-errno);
  } catch {
    return `ERRNO_${errno}`;
  }
}
