import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { gone, identify, type ProcessIdentity, signal } from './processes.ts';
import type { Sandbox, Settings } from './sandbox.ts';
import type { ServiceProcess } from './service-process.ts';
import { waitUntil } from './wait.ts';

/** What is killed: the copytool's own process, the helper that holds Lustre's channel, the one that looks at files, or all at once. */
export const SIDES = ['copytool', 'helper', 'files-helper', 'both'] as const;
export type Side = (typeof SIDES)[number];

/** The exit code of a program that did nothing because something, such as the endpoint, failed it: try again later. */
const TRY_AGAIN = 5;

export interface MachineOptions {
  /** Which of the sandbox's clients it is. */
  readonly client?: number;
  /** Put over the sections of the sandbox's configuration. */
  readonly config?: Readonly<Record<string, Settings>>;
  /** In place of the sandbox's: the way to the endpoint through a gateway. */
  readonly connectionString?: string;
}

/**
 * A machine with a copytool: a client of the file system, with a configuration, a state directory and steps of its own.
 * Several share a sandbox's file system and container.
 */
export class Machine {
  readonly name: string;
  readonly mount: string;
  readonly stateDir: string;
  readonly #sandbox: Sandbox;
  readonly #configFile: string;
  readonly #steps: string;
  #copytool: ServiceProcess | undefined;
  /** Kills so far. */
  kills = 0;

  constructor(sandbox: Sandbox, options: MachineOptions = {}) {
    const { client = 0, config = {}, connectionString } = options;
    this.name = `machine-${client + 1}`;
    this.mount = sandbox.mounts[client] ?? sandbox.mount;
    this.#sandbox = sandbox;
    const home = join(sandbox.dir, this.name);
    this.stateDir = join(home, 'state');
    this.#steps = join(home, 'steps');
    this.#configFile = join(home, 'lfsazsync.yaml');
    const runDir = join(home, 'run-dir');
    for (const directory of [this.stateDir, runDir, this.#steps])
      mkdirSync(directory, { recursive: true, mode: 0o700 });
    const base = parse(readFileSync(sandbox.configFile, 'utf8')) as Record<string, Settings>;
    const settings: Record<string, unknown> = {
      ...base,
      mount: this.mount,
      state_dir: this.stateDir,
      run_dir: runDir,
      log: { level: 'debug' },
      ...config,
      copytool: { ...base['copytool'], ...config['copytool'] },
    };
    if (connectionString !== undefined) {
      const file = join(home, 'connection-string');
      writeFileSync(file, `${connectionString}\n`, { mode: 0o600 });
      settings['archives'] = withCredential(base['archives'] ?? {}, file);
    }
    writeFileSync(this.#configFile, stringify(settings), { mode: 0o600 });
  }

  get copytool(): ServiceProcess {
    if (this.#copytool === undefined) throw new Error(`${this.name} has no copytool yet`);
    return this.#copytool;
  }

  /** Starts its copytool: registered when this returns. */
  async start(env: NodeJS.ProcessEnv = {}): Promise<this> {
    this.#copytool = await this.#sandbox.startCopytool([], { ...this.#environment, ...env });
    return this;
  }

  /** Starts its copytool as a service manager does: once more when it gave up because the endpoint failed it. */
  async startAgain(): Promise<this> {
    for (let round = 1; ; round++) {
      this.launch();
      try {
        await this.copytool.waitFor('copytool ready');
        return this;
      } catch (error) {
        if (round === 10 || this.alive || (await this.copytool.exited()).exitCode !== TRY_AGAIN) throw error;
      }
    }
  }

  /** Starts its copytool without waiting for anything. */
  launch(): void {
    this.#copytool = this.#sandbox.startService(['copytool'], this.#environment);
  }

  /** The sandbox's own variables speak of its first client, and they count more than the file. */
  get #environment(): NodeJS.ProcessEnv {
    return {
      LFSAZSYNC_CONFIG: this.#configFile,
      LFSAZSYNC_MOUNT: this.mount,
      LFSAZSYNC_CONTAINER: '',
      AZURE_STORAGE_CONNECTION_STRING: '',
      LFSAZSYNC_TEST_STEPS: this.#steps,
    };
  }

  /** Whether its copytool runs. */
  get alive(): boolean {
    return this.#copytool?.alive ?? false;
  }

  /**
   * Kills (SIGKILL) one side or all, and waits for what a service manager waits for before it starts the copytool again:
   * that nothing of it runs any more. A copytool that takes a new helper in place of a dead one goes on.
   */
  async kill(side: Side): Promise<void> {
    this.kills += 1;
    const helpers = this.helpers();
    if (side === 'both') await this.copytool.crash();
    else if (side === 'copytool') await this.copytool.kill('SIGKILL');
    else {
      const mode = side === 'helper' ? 'copytool' : 'attrs';
      const helper = helpers.get(mode);
      // It may have been killed already, and nothing has been looked at since.
      if (helper === undefined && side === 'files-helper') return;
      if (helper === undefined) throw new Error(`${this.name} has no ${side}: ${[...helpers.keys()].join(', ')}`);
      signal(helper, 'SIGKILL');
      // Another one looks at files as soon as one is to be looked at.
      if (side === 'files-helper') return void (await gone(helper, 30_000));
      await waitUntil(
        `${this.name} notices that its ${side} is gone`,
        () => !this.alive || (this.helpers().get(mode)?.pid ?? helper.pid) !== helper.pid,
        { interval: 20, detail: () => this.copytool.log.text().slice(-6_000) },
      );
      if (this.alive) return;
    }
    for (const helper of helpers.values()) {
      if (!(await gone(helper, 30_000))) throw new Error(`the ${helper.name} does not leave`);
    }
  }

  /** Stops its copytool in its tracks, as a machine that swaps or sleeps, until `wake`. Its helper runs on. */
  sleep(): void {
    process.kill(this.copytool.pid, 'SIGSTOP');
  }

  wake(): void {
    process.kill(this.copytool.pid, 'SIGCONT');
  }

  /** The native helpers of its copytool, by their mode. */
  helpers(): Map<string, ProcessIdentity> {
    return helpersOf(this.copytool.pid);
  }

  /** Lets the next action that takes this step wait there. */
  hold(step: string): void {
    writeFileSync(join(this.#steps, step), '');
  }

  /** Whether an action, the last one that `hold` was called for, waits at the step. */
  isHeld(step: string): boolean {
    return existsSync(join(this.#steps, `${step}.reached`)) && !existsSync(join(this.#steps, step));
  }

  /** Waits until an action waits at the step. */
  async held(step: string): Promise<void> {
    await waitUntil(`${this.name}: an action is at ${step}`, () => this.isHeld(step), {
      interval: 10,
      detail: () => this.copytool.log.text().slice(-6_000),
    });
  }

  /** Lets the action at the step go on, and the next one pass. */
  letGo(step: string): void {
    rmSync(join(this.#steps, step), { force: true });
    rmSync(join(this.#steps, `${step}.reached`), { force: true });
  }

  letAllGo(): void {
    for (const name of readdirSync(this.#steps)) rmSync(join(this.#steps, name), { force: true });
  }
}

function withCredential(archives: Settings, file: string): Settings {
  return Object.fromEntries(
    Object.entries(archives).map(([id, archive]) => [
      id,
      { ...(archive as object), credential: { type: 'connection_string', file } },
    ]),
  );
}

/** The native helpers that a program of the product has started, by their mode. */
export function helpersOf(service: number): Map<string, ProcessIdentity> {
  const found = new Map<string, ProcessIdentity>();
  for (const pid of descendants(service)) {
    const [program = '', mode = ''] = argumentsOf(pid);
    if (!program.endsWith('/lfsazsync-helper')) continue;
    const identity = identify(pid, `helper ${mode}`);
    if (identity !== undefined) found.set(mode, identity);
  }
  return found;
}

function descendants(pid: number): number[] {
  const found: number[] = [];
  try {
    for (const task of readdirSync(`/proc/${pid}/task`)) {
      const children = readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8')
        .split(' ')
        .filter(Boolean)
        .map(Number);
      for (const child of children) found.push(child, ...descendants(child));
    }
  } catch {
    // It, or one of its threads, has just ended.
  }
  return found;
}

function argumentsOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return [];
  }
}
