import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { useContract } from '../../contract/fixture.ts';
import { startDetached } from '../../support/detached.ts';
import { gone, type ProcessIdentity, signal } from '../../support/processes.ts';
import type { Sandbox, SandboxOptions } from '../../support/sandbox.ts';
import { SandboxDirectory, STAND_IN } from '../../support/sandbox-directory.ts';
import { waitUntil } from '../../support/wait.ts';

// What the contract suite can't hold: it must also run on a real Lustre, which nobody kills, fills up or breaks.

/** The stand-in of a test file, never a real Lustre. */
export function useStandIn(options: Omit<SandboxOptions, 'standInOnly'> = {}): ReturnType<typeof useContract> {
  return useContract({ ...options, standInOnly: true });
}

/** The stand-in's daemon, to be killed and started again on the same directory. */
export class Daemon {
  readonly #records: SandboxDirectory;
  readonly #command: readonly string[];
  readonly #env: NodeJS.ProcessEnv;
  readonly logFile: string;
  #identity: ProcessIdentity;

  constructor(sandbox: Sandbox) {
    this.#records = new SandboxDirectory(sandbox.dir);
    const identity = this.#records.process(STAND_IN);
    if (identity === undefined) throw new Error('the stand-in does not run');
    this.#identity = identity;
    this.#command = readFileSync(`/proc/${identity.pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
    this.#env = { ...process.env, ...sandbox.env };
    this.logFile = `${sandbox.dir}/lustre.log`;
  }

  /** The directory of its state. */
  get dir(): string {
    return this.#records.lustreDir;
  }

  /** Kills it without a warning; its mounts stay behind, dead. */
  async kill(): Promise<void> {
    signal(this.#identity, 'SIGKILL');
    await this.died();
  }

  /** Waits until it has died by itself. */
  async died(): Promise<void> {
    expect(await gone(this.#identity, 30_000), 'the daemon has died').toBe(true);
  }

  /** Starts it as it was started before; ready when this returns. */
  async start(): Promise<void> {
    const [file = '', ...args] = this.#command;
    const env = this.#env;
    const started = { name: STAND_IN, file, args, env, logFile: this.logFile, ready: /^ready$/m };
    this.#identity = (await startDetached(this.#records, started)).identity;
  }

  async restart(): Promise<void> {
    await this.kill();
    await this.start();
  }
}

/** An action as `hsm.actions` on the server lists it. */
export interface ListedAction {
  readonly fid: string;
  readonly cookie: string;
  readonly action: string;
  readonly archive: number;
  readonly status: string;
}

const ACTION =
  /^lrh=\[.*?\] fid=\[(.*?)\] dfid=\[.*?\] compound\/cookie=0x0\/(0x[0-9a-f]+) action=(\w+) archive#=(\d+) .* status=(\w+)/;

/** A parameter's value as the server shows it. */
export async function parameter(sandbox: Sandbox, name: string): Promise<string> {
  const result = await sandbox.serverLctl(['get_param', '-n', name]);
  expect(result, name).toMatchObject({ exitCode: 0, stderr: '' });
  return result.stdout.trimEnd();
}

export async function setParameter(sandbox: Sandbox, name: string, value: string | number): Promise<void> {
  expect(await sandbox.serverLctl(['set_param', `${name}=${value}`])).toMatchObject({ exitCode: 0, stderr: '' });
}

/** The coordinator's list, oldest first. */
export async function actions(sandbox: Sandbox): Promise<ListedAction[]> {
  const text = await parameter(sandbox, 'mdt.*.hsm.actions');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [, fid = '', cookie = '0', action = '', archive, status = ''] = ACTION.exec(line) ?? [];
      expect(fid, line).not.toBe('');
      return { fid, cookie: String(BigInt(cookie)), action, archive: Number(archive), status };
    });
}

/** The statuses of a file's actions, oldest first. */
export async function statuses(sandbox: Sandbox, fid: string): Promise<string[]> {
  return (await actions(sandbox)).filter((it) => it.fid === fid).map((it) => it.status);
}

/** Waits until the last action for this file has come to `status`. */
export async function waitForStatus(sandbox: Sandbox, fid: string, status: string): Promise<void> {
  await waitUntil(
    `the last action for ${fid} is ${status}`,
    async () => (await statuses(sandbox, fid)).at(-1) === status,
    { detail: () => parameter(sandbox, 'mdt.*.hsm.actions') },
  );
}

/** Bytes that repeat nowhere near, from a small generator: what is at a place says which place it is. */
export function bytes(length: number, seed: number): Buffer {
  const data = Buffer.allocUnsafe(length);
  let state = (seed * 2654435761 + 1) >>> 0;
  for (let at = 0; at < length; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    data[at] = state >>> 24;
  }
  return data;
}
