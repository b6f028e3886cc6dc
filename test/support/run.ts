import { type ChildProcess, spawn } from 'node:child_process';
import { forEveryUser } from './for-every-user.ts';

export interface RunOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly input?: string | Buffer;
  /** Milliseconds until the program is killed and the run counts as failed (default 120,000). */
  readonly timeout?: number;
  /** Runs as this user (and the group of the same number). */
  readonly uid?: number;
  /** Told the process number once it runs. */
  readonly onStart?: (pid: number) => void;
}

export interface RunResult {
  /** The exit code; 128 + the signal's number is never made up: a signal gives null here and its name in `signal`. */
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a program to its end, without a shell. Gives what it printed and how it ended; rejects only when it cannot be
 * started or does not end in time.
 */
export function run(file: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const { timeout = 120_000 } = options;
  const { uid } = options;
  const identity = uid === undefined ? {} : { uid, gid: uid };
  const [program, ...rest] = uid === undefined ? [file, ...args] : [file, ...args].map(forEveryUser);
  return new Promise((resolve, reject) => {
    const child = spawn(program ?? file, rest, {
      env: options.env,
      cwd: options.cwd,
      stdio: ['pipe', 'pipe', 'pipe'],
      // A group of its own, so that a late program goes with all that it has started.
      detached: true,
      ...identity,
    });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      killGroup(child);
      // A grandchild may hold the pipes open for ever: let go of them, so that 'close' comes.
      child.stdout.destroy();
      child.stderr.destroy();
    }, timeout);
    if (child.pid !== undefined) options.onStart?.(child.pid);
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
    // A program may end without reading its input.
    child.stdin.on('error', () => undefined);
    child.stdin.end(options.input);
    child.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.on('close', (exitCode, signal) => {
      clearTimeout(timer);
      const stdout = Buffer.concat(out).toString('utf8');
      const stderr = Buffer.concat(err).toString('utf8');
      if (late) {
        const said = `${stdout}${stderr}`.slice(-4_000);
        reject(new Error(`not ended after ${timeout / 1000} s: ${[file, ...args].join(' ')}\n${said}`));
      } else resolve({ exitCode, signal, stdout, stderr });
    });
  });
}

function killGroup(child: ChildProcess): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  } catch {
    child.kill('SIGKILL');
  }
}
