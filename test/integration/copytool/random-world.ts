import { setTimeout as delay } from 'node:timers/promises';
import { compare, unfinished } from '../../support/compare.ts';
import { Faults, faultyWay } from '../../support/faults.ts';
import { Machine } from '../../support/machine.ts';
import { Random } from '../../support/random.ts';
import { type Sandbox, startSandbox } from '../../support/sandbox.ts';
import type { StandInOptions } from '../../support/stand-in.ts';
import { Truth, WrongBytes } from '../../support/truth.ts';
import { waitUntil, within } from '../../support/wait.ts';
import { MACHINES, NAMES, type Operation, type Script } from './random-script.ts';

const CLEAN = 0x9;
/** Reads that may hang at the same time: Node has four threads for all file operations of this process. */
const READS_BESIDE = 2;
const SIZES = [0, 1, 700, 20_000, 65_536, 200_000] as const;
const LONGEST = 400_000;

/** What a run did, to see that it did something. */
export interface Tally {
  readonly kills: number;
  readonly faults: number;
  readonly archived: number;
  readonly restored: number;
  readonly errors: number;
}

export type Played = { readonly failure?: string; readonly tally: Tally };

/**
 * Plays a script in a world of its own: two machines with copytools on one file system and container, users on a
 * client, faults on the way to the endpoint. Every read must give what was written last or an error; at the end,
 * with the faults gone and both machines up, everything must come to rest, every file must be readable, and the
 * comparison must find nothing.
 */
export async function play(script: Script, version: NonNullable<StandInOptions['version']>): Promise<Played> {
  const world = await World.start(version);
  try {
    for (const [index, operation] of script.entries()) {
      try {
        await world.step(operation);
      } catch (error) {
        throw new Error(`operation ${index + 1} (${JSON.stringify(operation)}): ${(error as Error).message}`);
      }
    }
    await world.settle();
    return { tally: world.tally() };
  } catch (error) {
    const { message, cause } = error as Error;
    const why = cause instanceof Error ? `\n${cause.message}` : '';
    return { failure: `${message}${why}\n${world.logs()}`, tally: world.tally() };
  } finally {
    await world.stop();
  }
}

class World {
  readonly #sandbox: Sandbox;
  readonly #truth: Truth;
  readonly #machines: readonly Machine[];
  readonly #faults: Faults;
  readonly #closeWay: () => Promise<void>;
  readonly #beside = new Set<Promise<void>>();
  #wrong: WrongBytes | undefined;
  #errors = 0;
  readonly #lines = { archived: 0, restored: 0 };

  private constructor(sandbox: Sandbox, machines: readonly Machine[], faults: Faults, closeWay: () => Promise<void>) {
    this.#sandbox = sandbox;
    this.#truth = new Truth(sandbox);
    this.#machines = machines;
    this.#faults = faults;
    this.#closeWay = closeWay;
  }

  static async start(version: NonNullable<StandInOptions['version']>): Promise<World> {
    const sandbox = await startSandbox({ mounts: MACHINES, version, standInOnly: true });
    try {
      const faults = new Faults();
      const way = await faultyWay(sandbox.connectionString, faults);
      const config = {
        copytool: {
          ...{ heartbeat: '200ms', locate_timeout: '1s', block_size: '64KiB', range_size: '64KiB' },
          max_bytes_in_flight: '2MiB',
        },
      };
      const machines = Array.from(
        { length: MACHINES },
        (_, client) => new Machine(sandbox, { client, config, connectionString: way.connectionString }),
      );
      // What nobody has written down when a kill comes is ended by the coordinator alone.
      await sandbox.serverLctl(['set_param', 'mdt.*.hsm.active_request_timeout=6', 'mdt.*.hsm.loop_period=1']);
      await Promise.all(machines.map((machine) => machine.start()));
      return new World(sandbox, machines, faults, () => way.stop());
    } catch (error) {
      await sandbox.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    await this.#sandbox.stop();
    await Promise.allSettled(this.#beside);
    await this.#closeWay();
  }

  logs(): string {
    return this.#machines.map(({ name, copytool }) => `${name}:\n${copytool.log.text().slice(-6_000)}`).join('\n');
  }

  tally(): Tally {
    for (const machine of this.#machines) this.#count(machine);
    const kills = this.#machines.reduce((sum, machine) => sum + machine.kills, 0);
    return { kills, faults: this.#faults.struck, errors: this.#errors, ...this.#lines };
  }

  async step(operation: Operation): Promise<void> {
    if (this.#wrong !== undefined) throw this.#wrong;
    switch (operation.do) {
      case 'wait':
        return delay(operation.ms);
      case 'fault':
        return this.#faults.add(operation);
      case 'kill':
        return await this.#kill(operation);
      default:
        return await this.#user(operation);
    }
  }

  async #kill({ machine: index, side }: Extract<Operation, { do: 'kill' }>): Promise<void> {
    const machine = this.#machines[index];
    if (machine === undefined) return;
    this.#count(machine);
    await machine.kill(side);
    if (!machine.alive) await machine.startAgain();
  }

  /** Before its log goes with it. */
  #count({ copytool }: Machine): void {
    this.#lines.archived += copytool.log.find('archive done').length;
    this.#lines.restored += copytool.log.find('restore done').length;
  }

  /** What users do. That it fails is allowed while things go wrong; that it gives wrong bytes is not. */
  async #user(operation: Exclude<Operation, { do: 'wait' | 'fault' | 'kill' }>): Promise<void> {
    try {
      await within(`${operation.do} ends`, 120_000, this.#try(operation));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (error instanceof WrongBytes || code === undefined || !/^E[A-Z]+$/.test(code)) throw error;
      this.#errors += 1;
    }
  }

  async #try(operation: Exclude<Operation, { do: 'wait' | 'fault' | 'kill' }>): Promise<void> {
    const path = this.#path(operation.name);
    const file = this.#truth.names.get(path);
    if (operation.do === 'save') return await this.#save(path, contentOf(operation.salt));
    if (file === undefined) return;
    switch (operation.do) {
      case 'rewrite':
        return await this.#truth.rewrite(path, contentOf(operation.salt));
      case 'append':
        if (file.content.length > LONGEST) return;
        return await this.#truth.patch(path, file.content.length, contentOf(operation.salt));
      case 'patch':
        return await this.#truth.patch(
          path,
          operation.salt % (file.content.length + 1),
          new Random(operation.salt).bytes(1 + (operation.salt % 5_000)),
        );
      case 'truncate':
        return await this.#truth.truncate(path, operation.salt % (file.content.length + 1));
      case 'rename':
        return await this.#truth.rename(path, this.#path(operation.to));
      case 'link': {
        const to = this.#path(operation.to);
        if (!this.#truth.names.has(to)) await this.#truth.link(path, to);
        return;
      }
      case 'unlink':
        return await this.#truth.unlink(path);
      case 'read':
        return await this.#truth.read(path);
      case 'read beside':
        return this.#readBeside(path);
      case 'stow':
        return await this.#stow(path);
      default:
        await this.#lfs(`hsm_${operation.do}`, path);
    }
  }

  /** As editors save: the whole content under another name, then renamed over. */
  async #save(path: string, content: Buffer): Promise<void> {
    const fresh = `${path}.new`;
    if (this.#truth.names.has(fresh)) await this.#truth.unlink(fresh);
    await this.#truth.create(fresh, content);
    await this.#truth.rename(fresh, path);
  }

  /** Archives and releases, if that comes about soon. */
  async #stow(path: string): Promise<void> {
    await this.#lfs('hsm_archive', path);
    for (let look = 0; look < 40 && (await this.#state(path)) !== CLEAN; look++) await delay(25);
    await this.#lfs('hsm_release', path);
  }

  #readBeside(path: string): void {
    if (this.#beside.size >= READS_BESIDE) return;
    const reading = this.#truth
      .read(path)
      .catch((error: unknown) => {
        if (error instanceof WrongBytes) this.#wrong ??= error;
        else this.#errors += 1;
      })
      .finally(() => this.#beside.delete(reading));
    this.#beside.add(reading);
  }

  /** Users stop, what is wrong ends: everything must come to rest, and be right. */
  async settle(): Promise<void> {
    this.#faults.clear();
    await within('the reads beside end', 120_000, Promise.all(this.#beside));
    await waitUntil('nothing is under way', async () => (await unfinished(this.#sandbox)).length === 0, {
      timeout: 120_000,
      detail: async () => (await unfinished(this.#sandbox)).join('\n'),
    });
    if (this.#wrong !== undefined) throw this.#wrong;
    await this.#right('before everything is read');
    for (const path of this.#truth.names.keys()) await this.#becomesReadable(path);
    await this.#right('after everything was read');
  }

  async #right(when: string): Promise<void> {
    const findings = await compare(this.#sandbox, this.#truth);
    if (findings.length > 0) throw new Error(`${when}:\n${findings.join('\n')}`);
  }

  async #becomesReadable(path: string): Promise<void> {
    let wrong: WrongBytes | undefined;
    await waitUntil(
      `${path} can be read`,
      async () => {
        try {
          await this.#truth.read(path);
        } catch (error) {
          if (!(error instanceof WrongBytes)) throw error;
          wrong = error;
        }
        return true;
      },
      {
        interval: 300,
        // Where a read hangs, the coordinator tells whom it waits for.
        detail: async () => {
          const { stdout } = await this.#sandbox.serverLctl(['get_param', 'mdt.*.hsm.agents', 'mdt.*.hsm.actions']);
          return `${(await this.#sandbox.lfs(['hsm_state', this.#truth.absolute(path)])).stdout}${stdout}`;
        },
      },
    );
    if (wrong !== undefined) throw wrong;
  }

  #path(name: number): string {
    return `${this.#sandbox.tree.slice(this.#sandbox.mount.length + 1)}/${NAMES[name] ?? NAMES[0]}`;
  }

  async #state(path: string): Promise<number> {
    const { stdout } = await this.#sandbox.lfs(['hsm_state', this.#truth.absolute(path)]);
    return Number(/: \((0x[0-9a-f]{8})\)/.exec(stdout)?.[1]);
  }

  /** Asks Lustre for something; it may refuse. */
  async #lfs(verb: string, path: string): Promise<void> {
    await this.#sandbox.lfs([verb, this.#truth.absolute(path)]);
  }
}

function contentOf(salt: number): Buffer {
  return new Random(salt).bytes(SIZES[salt % SIZES.length] ?? 1);
}
