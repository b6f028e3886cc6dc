import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { access, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BlobClient } from '@azure/storage-blob';
import type { Step } from '../../../src/copytool/steps.ts';
import type { ReconcileStep } from '../../../src/follow/reconcile/steps.ts';
import { type Fid, parseFid } from '../../../src/identity/fid.ts';
import { type FileRecord, parseFileRecord, RECORD_XATTR } from '../../../src/identity/file-record.ts';
import { type LustreFileSystem, openFileSystem } from '../../../src/lustre/file-system.ts';
import { HSM } from '../../../src/lustre/hsm-state.ts';
import type { LogLine } from '../../support/program-log.ts';
import { helperPath } from '../../support/project.ts';
import { type Sandbox, type SandboxOptions, startSandbox } from '../../support/sandbox.ts';
import type { ServiceProcess } from '../../support/service-process.ts';
import { waitUntil } from '../../support/wait.ts';

export const CLEAN = HSM.EXISTS | HSM.ARCHIVED;
export const RELEASED = CLEAN | HSM.RELEASED;

export const SIDES = ['both', 'copytool', 'helper'] as const;
export type Side = (typeof SIDES)[number];

/** A sandbox with a copytool, and what tests of the copytool do all the time. */
export class Rig {
  readonly sandbox: Sandbox;
  readonly fs: LustreFileSystem;
  readonly steps: string;
  copytool: ServiceProcess;

  private constructor(sandbox: Sandbox, fs: LustreFileSystem, steps: string, copytool: ServiceProcess) {
    this.sandbox = sandbox;
    this.fs = fs;
    this.steps = steps;
    this.copytool = copytool;
  }

  /** @param options.before what is done in the sandbox before its copytool starts */
  static async start(options: SandboxOptions & { before?: (sandbox: Sandbox) => Promise<void> } = {}): Promise<Rig> {
    const { config, before, ...rest } = options;
    const copytool = { heartbeat: '200ms', locate_timeout: '1s', ...(config?.['copytool'] as object | undefined) };
    const sandbox = await startSandbox({
      ...rest,
      config: { ...config, log: { level: 'debug', ...(config?.['log'] as object | undefined) }, copytool },
    });
    try {
      await before?.(sandbox);
      const steps = join(sandbox.dir, 'steps');
      mkdirSync(steps);
      const fs = await openFileSystem({ mount: sandbox.mount, liblustreapi: sandbox.llapi, helper: helperPath });
      return new Rig(sandbox, fs, steps, await sandbox.startCopytool([], { LFSAZSYNC_TEST_STEPS: steps }));
    } catch (error) {
      await sandbox.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    await this.fs.close();
    await this.sandbox.stop();
  }

  /** Starts a copytool again after the last one has ended. */
  async restart(env: NodeJS.ProcessEnv = {}): Promise<void> {
    this.copytool = await this.sandbox.startCopytool([], { LFSAZSYNC_TEST_STEPS: this.steps, ...env });
  }

  /** The native helper that has the channel of actions, as the log says. */
  async helperPid(): Promise<number> {
    const lines = await this.copytool.waitFor('copytool ready');
    const later = this.copytool.log.find('native helper started again').at(-1);
    return Number((later ?? lines).record?.['helperPid']);
  }

  /**
   * Kills a side of the copytool with SIGKILL: all of it at once (as a failing machine does), the program alone, or its
   * native helper alone. A program is started again; it starts its helper again by itself.
   */
  async killSide(side: Side): Promise<void> {
    if (side === 'helper') {
      process.kill(await this.helperPid(), 'SIGKILL');
      return;
    }
    await (side === 'both' ? this.copytool.crash() : this.copytool.kill());
    await this.restart();
  }

  path(...names: string[]): string {
    return join(this.sandbox.tree, ...names);
  }

  write(name: string, content: string | Buffer): string {
    const path = this.path(name);
    mkdirSync(join(path, '..'), { recursive: true });
    writeFileSync(path, content);
    return path;
  }

  fid(path: string): Promise<Fid> {
    return this.fs.files.get({ path: Buffer.from(path) }, { parts: [] }).then((found) => found.fid);
  }

  async states(target: string | Fid): Promise<number> {
    const fid = parseFid(target);
    const found = await this.fs.files.get(fid === undefined ? { path: Buffer.from(target) } : { fid }, {
      parts: ['hsm'],
    });
    if (found.hsm === undefined) throw new Error(`no HSM state: ${JSON.stringify([...found.errors])}`);
    return found.hsm.states;
  }

  async record(path: string): Promise<FileRecord | undefined> {
    const found = await this.fs.files.get({ path: Buffer.from(path) }, { parts: ['xattrs'], xattrs: [RECORD_XATTR] });
    const value = found.xattrs?.get(RECORD_XATTR);
    return value === undefined ? undefined : parseFileRecord(value);
  }

  async lfs(...args: string[]): Promise<void> {
    const result = await this.sandbox.lfs(args);
    if (result.exitCode !== 0) throw new Error(`lfs ${args.join(' ')}: ${result.exitCode} ${result.stderr}`);
  }

  /** Asks for an action and waits until the copytool has ended it; its log line. */
  async ask(verb: 'archive' | 'restore' | 'remove', path: string, ...more: string[]): Promise<LogLine> {
    const fid = await this.fid(path);
    const after = this.copytool.lines.length;
    await this.lfs(`hsm_${verb}`, ...more, path);
    return await this.ended(verb, fid, after);
  }

  /** The log line of the end of an action on a file. */
  ended(verb: 'archive' | 'restore' | 'remove', fid: Fid, after = 0): Promise<LogLine> {
    return this.copytool.waitFor(
      ({ record }) => record?.['action'] === verb && record['fid'] === fid && record['outcome'] !== undefined,
      { after },
    );
  }

  /** Archives a file, which must succeed. */
  async archive(path: string): Promise<LogLine> {
    const line = await this.ask('archive', path);
    if (line.record?.['outcome'] !== 'ok') throw new Error(`archive of ${path}: ${line.text}`);
    await waitUntil(`${path} is archived`, async () => ((await this.states(path)) & CLEAN) === CLEAN);
    return line;
  }

  async release(path: string): Promise<void> {
    await this.lfs('hsm_release', path);
    await waitUntil(`${path} is released`, async () => (await this.states(path)) === RELEASED);
  }

  async archiveAndRelease(path: string): Promise<void> {
    await this.archive(path);
    await this.release(path);
  }

  blob(path: string): BlobClient {
    return this.sandbox.containerClient.getBlobClient(this.sandbox.blobName(path));
  }

  /** A blob's content; undefined when there is none. */
  async content(path: string): Promise<string | undefined> {
    const blob = this.blob(path);
    return (await blob.exists()) ? (await blob.downloadToBuffer()).toString() : undefined;
  }

  async blobNames(): Promise<string[]> {
    const names: string[] = [];
    for await (const item of this.sandbox.containerClient.listBlobsFlat()) names.push(item.name);
    return names;
  }

  /** Lets the next action, or the next work of a follower, that takes this step wait there. */
  hold(step: Step | ReconcileStep): void {
    writeFileSync(join(this.steps, step), '');
  }

  /** Waits until an action waits at the step. */
  async held(step: Step | ReconcileStep): Promise<void> {
    await waitUntil(`an action is at ${step}`, () => access(join(this.steps, `${step}.reached`)).then(() => true), {
      detail: () => this.copytool.log.text().slice(-6_000),
    });
  }

  letGo(step: Step): void {
    rmSync(join(this.steps, `${step}.reached`));
  }

  /** Asks for an archive and holds it at a step. */
  async archiveHeldAt(step: Step, path: string): Promise<{ fid: Fid; after: number }> {
    const [fid, after] = [await this.fid(path), this.copytool.lines.length];
    this.hold(step);
    await this.lfs('hsm_archive', path);
    await this.held(step);
    return { fid, after };
  }

  audit(): string[] {
    const file = join(this.sandbox.dir, 'state', 'audit.log');
    return readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line !== '');
  }
}

/** Reads a file as a user's program does; the error's code instead when it can't. */
export async function read(path: string | Buffer): Promise<string> {
  try {
    return (await readFile(path)).toString();
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

export function mtimeOf(path: string): number {
  return Math.floor(statSync(path).mtimeMs / 1000);
}
