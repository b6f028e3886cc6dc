import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'vitest';
import { STEPS, type Step } from '../../../src/copytool/steps.ts';
import { compare, unfinished } from '../../support/compare.ts';
import { Machine, type Side } from '../../support/machine.ts';
import type { Random } from '../../support/random.ts';
import { type Sandbox, type SandboxOptions, startSandbox } from '../../support/sandbox.ts';
import { Truth, WrongBytes } from '../../support/truth.ts';
import { waitUntil, within } from '../../support/wait.ts';

export const ACTIONS = ['archive', 'restore', 'remove'] as const;
export type ActionName = (typeof ACTIONS)[number];

/** How the file is made: its size, and whether the container has an earlier version of it. */
export const KINDS = ['small', 'blocks', 'new small', 'new blocks', 'empty', 'linked'] as const;
export type Kind = (typeof KINDS)[number];

/** One kill: where, of what, and perhaps once more while the next process takes up what is left. */
export interface Kill {
  readonly action: ActionName;
  /** Held at a step, or so many milliseconds after the action was asked for. */
  readonly at: Step | number;
  readonly side: Side;
  readonly kind: Kind;
  readonly again?: { readonly at: Step; readonly side: Side };
}

export function titleOf({ action, at, side, kind, again }: Kill): string {
  const where = typeof at === 'number' ? `${action} after ${at} ms` : at;
  const more = again === undefined ? '' : `, and at ${again.at} the ${again.side}`;
  return `the ${side} killed at ${where}${more} (${kind})`;
}

export const stepsOf = (action: string): Step[] => STEPS.filter((step) => step.startsWith(`${action}.`));

const BLOCK = 64 * 1024;
const CLEAN = 0x9;
const RELEASED = 0xd;
/** So long that whatever ends well has been taken up by the next process, and has not been given up. */
const LONG_TIMEOUT_S = 3600;
/** What nobody has written down yet when the kill comes is lost to everybody: only the coordinator can end it. */
const SHORT_TIMEOUT_S = 8;
const WHOLE = { timeout: 180_000 };

/** A machine that is killed at work, and what must hold afterwards. */
export class KillBench {
  readonly sandbox: Sandbox;
  readonly machine: Machine;
  readonly truth: Truth;
  #count = 0;
  #patience = 0;

  private constructor(sandbox: Sandbox, machine: Machine) {
    this.sandbox = sandbox;
    this.machine = machine;
    this.truth = new Truth(sandbox);
  }

  static async start(options: SandboxOptions = {}): Promise<KillBench> {
    const sandbox = await startSandbox({ ...options, standInOnly: true });
    try {
      const small = { block_size: '64KiB', range_size: '64KiB', max_bytes_in_flight: '2MiB' };
      const machine = new Machine(sandbox, {
        config: { copytool: { heartbeat: '200ms', locate_timeout: '2s', ...small } },
      });
      await machine.start();
      await sandbox.serverLctl(['set_param', 'mdt.*.hsm.loop_period=1']);
      return new KillBench(sandbox, machine);
    } catch (error) {
      await sandbox.stop();
      throw error;
    }
  }

  stop(): Promise<void> {
    return this.sandbox.stop();
  }

  /**
   * Brings a file to where the action begins, kills at the moment said, compares, starts the next copytool and holds it
   * to what is promised: nothing wrong at any time, the action done without being asked for again, its reader served.
   */
  async run(kill: Kill, random: Random): Promise<void> {
    this.#count += 1;
    const path = `${this.#tree}/${this.#count} ${titleOf(kill).replaceAll('/', '-')}`;
    await this.#waitNoLongerThan(typeof kill.at === 'number' ? SHORT_TIMEOUT_S : LONG_TIMEOUT_S);
    await this.#prepare(path, kill, random);
    try {
      if (kill.action === 'archive') await this.#archive(path, kill);
      else if (kill.action === 'restore') await this.#restore(path, kill);
      else await this.#remove(path, kill);
      await this.#quiet();
      await this.#right();
      await this.#makesRoundTrip(path);
    } catch (error) {
      throw new Error(
        `${titleOf(kill)}: ${(error as Error).message}\n${this.machine.copytool.log.text().slice(-8_000)}`,
        {
          cause: error,
        },
      );
    } finally {
      this.machine.letAllGo();
    }
    // What follows is compared without it.
    for (const name of [...this.truth.at(path).paths]) await this.truth.unlink(name);
  }

  get #tree(): string {
    return this.sandbox.tree.slice(this.sandbox.mount.length + 1);
  }

  async #prepare(path: string, { action, kind }: Kill, random: Random): Promise<void> {
    const large = kind.endsWith('blocks');
    const content = () => (kind === 'empty' ? Buffer.alloc(0) : random.bytes(large ? 3 * BLOCK + 777 : 1_234));
    await this.truth.create(path, content());
    if (kind === 'linked') await this.truth.link(path, `${path} too`);
    if (action === 'archive' && kind.startsWith('new')) return;
    await this.#archived(path);
    if (action === 'archive') await this.truth.rewrite(path, kind === 'empty' ? Buffer.alloc(0) : content());
    if (action === 'restore') await this.#released(path);
  }

  async #archive(path: string, kill: Kill): Promise<void> {
    await this.#killed(kill, () => this.#lfs('hsm_archive', path));
    await this.#quiet();
    const state = await this.#state(path);
    // Only what nobody knew of yet may have to be asked for again.
    if (typeof kill.at !== 'number') expect(state, 'the archive was taken up and done').toBe(CLEAN);
    else if (state !== CLEAN) await this.#archived(path);
  }

  async #restore(path: string, kill: Kill): Promise<void> {
    let reading: Promise<unknown> = Promise.resolve();
    await this.#killed(kill, () => {
      reading = this.truth.read(path).catch((error: unknown) => error);
    });
    const outcome = await within('the blocked reader goes on', WHOLE.timeout, reading);
    if (outcome instanceof WrongBytes) throw outcome;
    if (typeof kill.at !== 'number' && outcome !== undefined)
      throw new Error(`the blocked reader got no data: ${String(outcome)}`);
    await this.truth.read(path);
  }

  async #remove(path: string, kill: Kill): Promise<void> {
    await this.#killed(kill, () => this.#lfs('hsm_remove', path));
    await this.#quiet();
    if (typeof kill.at !== 'number')
      expect((await this.#state(path)) & 0x8, 'the removal was taken up and done').toBe(0);
    await this.#right();
    await this.truth.read(path);
    await this.#archived(path);
  }

  /** Asks, kills, compares with everything dead, and starts the next copytool. */
  async #killed({ at, side, again }: Kill, ask: () => unknown): Promise<void> {
    const { machine } = this;
    if (typeof at !== 'number') machine.hold(at);
    await ask();
    await (typeof at === 'number' ? delay(at) : machine.held(at));
    await machine.kill(side);
    if (!machine.alive) await this.#right();
    machine.letAllGo();
    if (again !== undefined) {
      machine.hold(again.at);
      machine.launch();
      await machine.held(again.at);
      await machine.kill(again.side);
      // One that lives on with another helper is at work: its blobs change while they are looked at.
      if (!machine.alive) await this.#right();
      machine.letAllGo();
    }
    if (!machine.alive) await machine.start();
  }

  async #right(): Promise<void> {
    expect(await compare(this.sandbox, this.truth)).toEqual([]);
  }

  async #quiet(): Promise<void> {
    await waitUntil(
      'the coordinator has nothing under way',
      async () => (await unfinished(this.sandbox)).length === 0,
      {
        ...WHOLE,
        detail: async () => (await unfinished(this.sandbox)).join('\n'),
      },
    );
  }

  async #makesRoundTrip(path: string): Promise<void> {
    if ((await this.#state(path)) === CLEAN) await this.#released(path);
    await this.truth.read(path);
    await this.#right();
  }

  async #archived(path: string): Promise<void> {
    await this.#lfs('hsm_archive', path);
    await waitUntil(`${path} is archived`, async () => (await this.#state(path)) === CLEAN, WHOLE);
    await this.#quiet();
  }

  async #released(path: string): Promise<void> {
    await this.#lfs('hsm_release', path);
    expect(await this.#state(path)).toBe(RELEASED);
  }

  async #state(path: string): Promise<number> {
    const { stdout } = await this.sandbox.lfs(['hsm_state', this.truth.absolute(path)]);
    return Number(/: \((0x[0-9a-f]{8})\)/.exec(stdout)?.[1]);
  }

  async #lfs(verb: string, path: string): Promise<void> {
    const { exitCode, stderr } = await this.sandbox.lfs([verb, this.truth.absolute(path)]);
    if (exitCode !== 0) throw new Error(`lfs ${verb} ${path}: ${stderr}`);
  }

  /** The coordinator's patience with an action that nobody reports. */
  async #waitNoLongerThan(seconds: number): Promise<void> {
    if (this.#patience === seconds) return;
    await this.sandbox.serverLctl(['set_param', `mdt.*.hsm.active_request_timeout=${seconds}`]);
    this.#patience = seconds;
  }
}
