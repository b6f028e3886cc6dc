import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import type { ProcessIdentity } from './processes.ts';
import { isAlive } from './processes.ts';
import type { SandboxDirectory } from './sandbox-directory.ts';
import { waitUntil } from './wait.ts';

export interface DetachedProgram {
  readonly name: string;
  readonly file: string;
  readonly args: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  readonly logFile: string;
  /** Looked for in the log: the program is ready once it matches. */
  readonly ready: RegExp;
  readonly timeout?: number;
}

/**
 * Starts a program that outlives its starter (a group of its own, its output into a file), records it in the sandbox's
 * directory, and waits until its log says that it is ready. Gives that match, and the process.
 */
export async function startDetached(
  sandbox: SandboxDirectory,
  program: DetachedProgram,
): Promise<{ identity: ProcessIdentity; match: RegExpExecArray }> {
  const log = openSync(program.logFile, 'w', 0o600);
  const child = spawn(program.file, [...program.args], {
    detached: true,
    stdio: ['ignore', log, log],
    env: program.env,
    cwd: sandbox.dir,
  });
  closeSync(log);
  const started = Promise.withResolvers<number>();
  child.once('spawn', () => started.resolve(child.pid ?? 0));
  child.once('error', started.reject);
  const pid = await started.promise;
  child.unref();
  const said = (): string => readFileSync(program.logFile, 'utf8');
  let identity: ProcessIdentity;
  try {
    identity = sandbox.recordProcess(pid, program.name);
  } catch (error) {
    throw new Error(`${program.name} does not start: ${said().trim()}`, { cause: error });
  }
  const match = await waitUntil(
    `${program.name} is ready`,
    () => program.ready.exec(said()) ?? (isAlive(identity) ? undefined : 'ended'),
    { timeout: program.timeout ?? 60_000, interval: 30, detail: said },
  );
  if (match === 'ended') throw new Error(`${program.name} ended instead of getting ready: ${said().trim()}`);
  return { identity, match };
}
