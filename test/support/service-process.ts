import { type ChildProcess, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { identify, type ProcessIdentity, signal } from './processes.ts';
import { type LogLine, type LogMatch, ProgramLog } from './program-log.ts';
import { executable } from './project.ts';
import type { SandboxDirectory } from './sandbox-directory.ts';
import { within } from './wait.ts';

/** How a program ended. */
export interface Exit {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A command of the product that stays, such as the copytool, run through the built executable, or an installed `program`. */
export class ServiceProcess {
  readonly log = new ProgramLog();
  readonly #child: ChildProcess;
  readonly #exit: Promise<Exit>;
  readonly #identity: ProcessIdentity | undefined;

  constructor(
    argv: readonly string[],
    env: NodeJS.ProcessEnv,
    records: SandboxDirectory,
    program: string = executable,
  ) {
    // A group of its own: `crash` takes the helper along, as a failing machine does.
    const child = spawn(program, [...argv], { env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    this.#exit = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (exitCode, name) => resolve({ exitCode, signal: name }));
    });
    this.#exit.catch(() => undefined);
    this.log.follow(child.stdout);
    this.log.follow(child.stderr);
    if (child.pid !== undefined) {
      this.#identity = identify(child.pid, argv[0] ?? 'lfsazsync');
      if (this.#identity !== undefined) records.recordProcess(child.pid, this.#identity.name);
    }
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error('the program could not be started');
    return this.#child.pid;
  }

  /** Whether it has not come to its end yet. */
  get alive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  get lines(): readonly LogLine[] {
    return this.log.lines;
  }

  /** A line of the log, waited for; rejects at once when the program ends without having written it. */
  async waitFor(match: LogMatch, options: { after?: number; timeout?: number } = {}): Promise<LogLine> {
    const gone = this.#exit.then((exit) => {
      const late = this.log.find(match, options.after)[0];
      if (late !== undefined) return late;
      throw new Error(
        `the program ended (${JSON.stringify(exit)}) without logging ${String(match)}\n${this.log.text().slice(-6_000)}`,
      );
    });
    return await Promise.race([this.log.waitFor(match, options), gone]);
  }

  /** How the program ended; rejects after `timeout` milliseconds. */
  exited(timeout = 60_000): Promise<Exit> {
    return within(`the program ends\n${this.log.text().slice(-6_000)}`, timeout, this.#exit);
  }

  /** Sends a signal (SIGKILL by default) to the program itself, not to its helper, and waits for its end. */
  async kill(name: NodeJS.Signals = 'SIGKILL'): Promise<Exit> {
    this.#child.kill(name);
    return await this.exited();
  }

  /** Kills the program and all it started at the same moment, as when the machine fails. */
  async crash(): Promise<Exit> {
    if (this.#identity !== undefined) signal(this.#identity, 'SIGKILL', { group: true });
    return await this.exited();
  }

  /** The processes that it has started itself. */
  async children(): Promise<number[]> {
    const text = await readFile(`/proc/${this.pid}/task/${this.pid}/children`, 'utf8');
    return text
      .split(' ')
      .filter((pid) => pid !== '')
      .map(Number);
  }

  /** Kills its children (SIGKILL); one that has ended meanwhile is none. */
  async killChildren(): Promise<void> {
    for (const pid of await this.children()) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
      }
    }
  }

  /** Asks the program to end (SIGTERM), waits for it, and kills it when it does not. */
  async stop(patience = 60_000): Promise<Exit> {
    this.#child.kill('SIGTERM');
    try {
      return await this.exited(patience);
    } catch {
      return await this.crash();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
