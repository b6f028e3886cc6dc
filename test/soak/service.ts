import { setTimeout as delay } from 'node:timers/promises';
import { helpersOf } from '../support/machine.ts';
import { gone, signal } from '../support/processes.ts';
import type { LogMatch } from '../support/program-log.ts';
import type { Sandbox } from '../support/sandbox.ts';
import type { ServiceProcess } from '../support/service-process.ts';

/** The exit code of a program that did nothing because something, such as the endpoint, failed it: try again later. */
const TRY_AGAIN = 5;

/** A service of the product under a service manager: it is killed, and started again when nothing of it runs any more. */
export class ManagedService {
  readonly #sandbox: Sandbox;
  readonly #argv: readonly string[];
  readonly #env: NodeJS.ProcessEnv;
  readonly #ready: LogMatch;
  #process: ServiceProcess | undefined;
  #logs = '';
  kills = 0;

  /** @param ready the line of its log with which it is at work */
  constructor(sandbox: Sandbox, argv: readonly string[], ready: LogMatch, env: NodeJS.ProcessEnv = {}) {
    this.#sandbox = sandbox;
    this.#argv = argv;
    this.#ready = ready;
    this.#env = env;
  }

  get process(): ServiceProcess {
    if (this.#process === undefined) throw new Error(`${this.#argv[0]} has not been started`);
    return this.#process;
  }

  /** The end of what all its processes have logged. */
  logs(length = 8_000): string {
    return `${this.#logs}\n${this.#process?.log.text() ?? ''}`.slice(-length);
  }

  /** Starts it, again and again while it ends with 'try again'; at work when this returns. */
  async start(): Promise<void> {
    for (let round = 1; ; round++) {
      this.#logs = this.logs(20_000);
      this.#process = this.#sandbox.startService(this.#argv, this.#env);
      try {
        await this.#process.waitFor(this.#ready, { timeout: 120_000 });
        return;
      } catch (error) {
        if (round === 20 || this.#process.alive || (await this.#process.exited()).exitCode !== TRY_AGAIN) throw error;
        await delay(200);
      }
    }
  }

  /** Kills (SIGKILL) the program, its native helpers, or everything at the same moment; starts it unless it lives on. */
  async kill(side: 'program' | 'helpers' | 'all'): Promise<void> {
    this.kills += 1;
    const helpers = [...helpersOf(this.process.pid).values()];
    if (side === 'helpers') {
      for (const helper of helpers) signal(helper, 'SIGKILL');
      return;
    }
    await (side === 'all' ? this.process.crash() : this.process.kill('SIGKILL'));
    for (const helper of helpers) {
      if (!(await gone(helper, 60_000))) throw new Error(`the ${helper.name} does not leave`);
    }
    await this.start();
  }

  /** Starts it when it has ended by itself, which only 'try again' may do. */
  async revive(): Promise<void> {
    if (this.process.alive) return;
    const { exitCode } = await this.process.exited();
    if (exitCode !== TRY_AGAIN) throw new Error(`${this.#argv[0]} ended with ${exitCode}\n${this.logs()}`);
    await this.start();
  }

  /** Asks it to end, which must be in good order. */
  async stop(): Promise<void> {
    const { exitCode } = await this.process.stop();
    if (exitCode !== 143 && exitCode !== 0) throw new Error(`${this.#argv[0]} ended with ${exitCode}\n${this.logs()}`);
  }
}
