import { mkdir, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, expect } from 'vitest';
import { Agent, type AgentOptions } from '../support/agent.ts';
import type { RunResult } from '../support/run.ts';
import { archiveId, type CommandOptions, type Sandbox, type SandboxOptions, startSandbox } from '../support/sandbox.ts';
import { waitUntil } from '../support/wait.ts';

/** HSM state flags (lustre_user.h, enum hsm_states). */
export const EXISTS = 0x1;
export const DIRTY = 0x2;
export const RELEASED = 0x4;
export const ARCHIVED = 0x8;
export const NORELEASE = 0x10;
export const NOARCHIVE = 0x20;
export const LOST = 0x40;

export const CLEAN = EXISTS | ARCHIVED;
export const RELEASED_FILE = EXISTS | ARCHIVED | RELEASED;

/** A user that is nobody special. */
export const USER = 1000;

/** One test file's directory on a real or stand-in Lustre, with what the checks have in common. */
export class Contract {
  readonly sandbox: Sandbox;

  constructor(sandbox: Sandbox) {
    this.sandbox = sandbox;
  }

  get standIn(): boolean {
    return this.sandbox.standIn;
  }

  get tree(): string {
    return this.sandbox.tree;
  }

  path(name: string): string {
    return join(this.tree, name);
  }

  /** A fresh directory in the tree. */
  async directory(name: string): Promise<string> {
    await mkdir(this.path(name), { recursive: true });
    return this.path(name);
  }

  async write(name: string, data: string | Buffer = 'one\n'): Promise<string> {
    await writeFile(this.path(name), data);
    return this.path(name);
  }

  /** `lfs` run in the tree, so that its messages name files as they were given. */
  lfs(args: readonly string[], options: CommandOptions = {}): Promise<RunResult> {
    return this.sandbox.lfs(args, { cwd: this.tree, timeout: 60_000, ...options });
  }

  /** `lfs` that has to succeed silently on standard error. */
  async ok(...args: string[]): Promise<string> {
    const result = await this.lfs(args);
    expect(result, `lfs ${args.join(' ')}`).toMatchObject({ exitCode: 0, stderr: '' });
    return result.stdout;
  }

  async fid(path: string): Promise<string> {
    const out = await this.ok('path2fid', path);
    return /\[(0x[0-9a-f]+:0x[0-9a-f]+:0x[0-9a-f]+)\]/.exec(out)?.[1] ?? out;
  }

  /** The HSM state flags that `lfs hsm_state` shows. */
  async state(path: string): Promise<number> {
    return Number(/: \((0x[0-9a-f]{8})\)/.exec(await this.ok('hsm_state', path))?.[1]);
  }

  async expectState(path: string, flags: number): Promise<void> {
    const hex = (value: number): string => `0x${value.toString(16)}`;
    expect(hex(await this.state(path)), `HSM state of ${basename(path)}`).toBe(hex(flags));
  }

  async waitForState(path: string, flags: number): Promise<void> {
    await waitUntil(`${path} has the state 0x${flags.toString(16)}`, async () => (await this.state(path)) === flags, {
      detail: () => this.ok('hsm_state', path),
    });
  }

  /** What `lfs hsm_action` says about a file, without its name. */
  async action(path: string): Promise<string> {
    return (await this.ok('hsm_action', path)).trim().slice(path.length + 2);
  }

  /** Waits until the coordinator has nothing to do for the file. */
  async idle(path: string): Promise<void> {
    await waitUntil(`nothing is under way for ${path}`, async () => (await this.action(path)) === 'NOOP');
  }

  agent(options: AgentOptions = {}): Promise<Agent> {
    return Agent.start(this.sandbox, options);
  }

  async request(kind: 'archive' | 'restore' | 'release' | 'remove' | 'cancel', ...paths: string[]): Promise<void> {
    const archive = kind === 'archive' ? ['--archive', String(archiveId)] : [];
    await this.ok(`hsm_${kind}`, ...archive, ...paths);
  }

  /** A file with this content and a clean copy; gives its path and FID. */
  async archived(agent: Agent, name: string, data: string | Buffer = 'one\n'): Promise<{ path: string; fid: string }> {
    const path = await this.write(name, data);
    const fid = await this.fid(path);
    await this.request('archive', path);
    await agent.archive(fid);
    await this.waitForState(path, CLEAN);
    return { path, fid };
  }

  /** A file whose only content is with the agent. */
  async released(agent: Agent, name: string, data: string | Buffer = 'one\n'): Promise<{ path: string; fid: string }> {
    const file = await this.archived(agent, name, data);
    await this.request('release', file.path);
    await this.expectState(file.path, RELEASED_FILE);
    return file;
  }

  /** The size and the 512-byte blocks in use. */
  async space(path: string): Promise<{ size: number; blocks: number }> {
    const { size, blocks } = await stat(path);
    return { size, blocks };
  }
}

/**
 * The sandbox of a contract test file: no endpoint, and the dialect that the facts were recorded with, or the one that
 * LFSAZSYNC_TEST_VERSION names. Answers by the property, because it exists only once the tests run.
 */
export function useContract(options: SandboxOptions = {}): { readonly it: Contract } {
  let contract: Contract | undefined;
  beforeAll(async () => {
    const version = process.env['LFSAZSYNC_TEST_VERSION'] === '2.15' ? '2.15' : '2.17';
    contract = new Contract(await startSandbox({ endpoint: false, version, ...options }));
  });
  afterAll(async () => {
    await contract?.sandbox.stop();
  });
  return {
    get it(): Contract {
      if (contract === undefined) throw new Error('the sandbox is not up');
      return contract;
    },
  };
}
