import { execa } from 'execa';
import { OperatorError } from './errors.ts';
import { redact } from './redact.ts';

export interface RunOptions {
  /** Milliseconds; the program is ended by SIGTERM, five seconds later by SIGKILL. */
  readonly timeout: number;
  readonly signal?: AbortSignal | undefined;
  /** Given on standard input; without it there is none. */
  readonly input?: Buffer | string | undefined;
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly cwd?: string | undefined;
  /** Out of reach of the terminal's Ctrl-C: for a program that should end its work whatever becomes of ours. */
  readonly ownSession?: boolean | undefined;
  /** More output than this ends the program (default 64 MiB). */
  readonly maxOutput?: number | undefined;
}

export interface RunResult {
  /** The exit code; a program that died by a signal throws instead. */
  readonly code: number;
  /** Bytes, as file names need not be UTF-8. */
  readonly stdout: Buffer;
  /** The last 4,000 characters, without secrets. */
  readonly stderr: string;
}

const STDERR_TAIL = 4_000;

/**
 * Runs a program, without a shell, in the C locale. A non-zero exit code is a result, not an error.
 * @throws OperatorError when the program is missing, takes too long or dies; the signal's reason when aborted
 */
export async function run(program: string, args: readonly string[], options: RunOptions): Promise<RunResult> {
  options.signal?.throwIfAborted();
  const result = await execa(program, args, {
    reject: false,
    env: { ...options.env, LC_ALL: 'C' },
    timeout: options.timeout,
    maxBuffer: options.maxOutput ?? 64 * 1024 * 1024,
    encoding: 'buffer',
    stripFinalNewline: false,
    detached: options.ownSession ?? false,
    ...(options.input === undefined ? { stdin: 'ignore' as const } : { input: options.input }),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.signal === undefined ? {} : { cancelSignal: options.signal }),
  });
  if (result.isCanceled) options.signal?.throwIfAborted();
  if (result.exitCode === undefined || result.timedOut || result.isMaxBuffer) throw failure(program, options, result);
  const { buffer, byteOffset, byteLength } = result.stdout;
  return { code: result.exitCode, stdout: Buffer.from(buffer, byteOffset, byteLength), stderr: tail(result.stderr) };
}

function tail(stderr: Uint8Array | undefined): string {
  return redact(Buffer.from(stderr ?? []).toString('utf8')).slice(-STDERR_TAIL);
}

/** What execa says of a program that did not end by itself. */
interface Ended {
  readonly stderr?: Uint8Array;
  readonly code?: string;
  readonly cause?: unknown;
  readonly timedOut: boolean;
  readonly isMaxBuffer: boolean;
  readonly signal?: string;
}

function failure(program: string, options: RunOptions, error: Ended): OperatorError {
  const said = tail(error.stderr).trim();
  const suffix = said === '' ? '' : `: ${said}`;
  if (error.code === 'ENOENT' || error.code === 'EACCES') {
    return new OperatorError(
      `can't run ${program}: ${error.code === 'ENOENT' ? 'no such program' : 'not executable'}`,
      {
        code: 'PROGRAM_MISSING',
        hint: `Install it, or name its path in the configuration.`,
        cause: error.cause,
      },
    );
  }
  if (error.timedOut) {
    return new OperatorError(`${program} took longer than ${options.timeout / 1000} s and was ended${suffix}`, {
      code: 'PROGRAM_TIMEOUT',
      exit: 'tryAgain',
      hint: 'Look at the state of the file system (a recovery, an evicted client), then try again.',
    });
  }
  const how = error.isMaxBuffer ? 'wrote too much' : `died by ${error.signal ?? 'an unknown cause'}`;
  return new OperatorError(`${program} ${how}${suffix}`, { code: 'PROGRAM_DIED', hint: 'Run it by hand to see more.' });
}
