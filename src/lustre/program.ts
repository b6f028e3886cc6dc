import { execa } from 'execa';
import { OperatorError } from '../service/errors.ts';

export interface ProgramResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

const OUTPUT_LIMIT = 16 * 1024 * 1024;

/**
 * Runs one of Lustre's programs to its end, without a shell, in the C locale (we read its messages), and out of reach
 * of the terminal's Ctrl-C (we decide when a request is given up). Resolves whatever its status is. Rejects with the
 * signal's reason when aborted, with an OperatorError when the program can't be run.
 */
export async function runProgram(
  file: string,
  args: readonly string[],
  options: { readonly signal?: AbortSignal | undefined; readonly timeout?: number },
): Promise<ProgramResult> {
  options.signal?.throwIfAborted();
  const result = await execa(file, [...args], {
    reject: false,
    stdin: 'ignore',
    stripFinalNewline: false,
    maxBuffer: OUTPUT_LIMIT,
    detached: true,
    env: { LC_ALL: 'C' },
    ...(options.timeout === undefined ? {} : { timeout: options.timeout }),
    ...(options.signal === undefined ? {} : { cancelSignal: options.signal }),
  });
  if (result.exitCode !== undefined) return { status: result.exitCode, stdout: result.stdout, stderr: result.stderr };
  if (result.isCanceled) options.signal?.throwIfAborted();
  if (result.timedOut) {
    throw new OperatorError(`\`${file} ${args[0] ?? ''}\` did not end within ${(options.timeout ?? 0) / 1000} s.`, {
      code: 'PROGRAM_HANGS',
      hint: 'See whether the file system answers (`lfs df`), then try again.',
      exit: 'tryAgain',
    });
  }
  if (result.signal !== undefined) {
    throw new OperatorError(`\`${file} ${args[0] ?? ''}\` was ended by ${result.signal}.`, {
      code: 'PROGRAM_KILLED',
      hint: 'Start the command again.',
      exit: 'tryAgain',
    });
  }
  throw new OperatorError(
    `The program ${file} can't be run: ${result.code ?? result.originalMessage ?? 'unknown error'}`,
    {
      code: 'PROGRAM_MISSING',
      hint: `Install the Lustre client's programs, or name this one in the configuration (settings \`lfs\`, \`lctl\`).`,
      cause: result.cause,
    },
  );
}
