import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect } from 'vitest';
import { type Sandbox, type SandboxOptions, startSandbox } from '../../support/sandbox.ts';
import type { ServiceProcess } from '../../support/service-process.ts';
import { Steps } from '../../support/steps.ts';
import { waitUntil } from '../../support/wait.ts';

export const CLEAN = 0x9;
export const RELEASED = 0xd;

/** A sandbox with a copytool at work, and what the tests of the lessons have in common. */
export class Bench {
  readonly sandbox: Sandbox;
  readonly steps: Steps;
  copytool: ServiceProcess;

  constructor(sandbox: Sandbox, steps: Steps, copytool: ServiceProcess) {
    this.sandbox = sandbox;
    this.steps = steps;
    this.copytool = copytool;
  }

  path(name: string): string {
    return join(this.sandbox.tree, name);
  }

  async write(name: string, data: string | Buffer = `content of ${name}`): Promise<string> {
    const path = this.path(name);
    await mkdir(join(path, '..'), { recursive: true });
    await writeFile(path, data);
    return path;
  }

  async state(path: string): Promise<number> {
    const { stdout, stderr } = await this.sandbox.lfs(['hsm_state', path]);
    const flags = /: \((0x[0-9a-f]{8})\)/.exec(stdout)?.[1];
    if (flags === undefined) throw new Error(`hsm_state ${path}: ${stderr}`);
    return Number(flags);
  }

  async waitForState(path: string, flags: number): Promise<void> {
    await waitUntil(`${path} has the state 0x${flags.toString(16)}`, async () => (await this.state(path)) === flags, {
      detail: async () => `it is 0x${(await this.state(path)).toString(16)}\n${this.copytool.log.text().slice(-4_000)}`,
    });
  }

  /** Waits until the coordinator has nothing under way for the file. */
  async idle(path: string): Promise<void> {
    await waitUntil(`nothing is under way for ${path}`, async () =>
      (await this.sandbox.lfs(['hsm_action', path])).stdout.endsWith(': NOOP\n'),
    );
  }

  async command(...argv: string[]): Promise<string> {
    const result = await this.sandbox.run(argv);
    expect(
      result.exitCode,
      `lfsazsync ${argv.join(' ')}: ${result.stderr}\n${this.copytool.log.text().slice(-4_000)}`,
    ).toBe(0);
    return result.stdout;
  }

  /** The content of a blob; undefined when there is none. */
  async blob(name: string): Promise<Buffer | undefined> {
    const client = this.sandbox.containerClient.getBlobClient(name);
    return (await client.exists()) ? await client.downloadToBuffer() : undefined;
  }

  async metadata(name: string): Promise<Record<string, string>> {
    return (await this.sandbox.containerClient.getBlobClient(name).getProperties()).metadata ?? {};
  }

  /** The names of the blobs that hold files' content. */
  async fileBlobs(): Promise<string[]> {
    const names: string[] = [];
    for await (const blob of this.sandbox.containerClient.listBlobsFlat({ includeMetadata: true })) {
      if (blob.metadata?.['lfsazsync_kind'] === 'file') names.push(blob.name);
    }
    return names;
  }

  /** Archives, releases, reads back: the content must be the same. */
  async roundTrip(path: string, data: string | Buffer): Promise<void> {
    await this.command('archive', '--wait', path);
    await this.command('release', path);
    await this.waitForState(path, RELEASED);
    const back = await readFile(path);
    expect(back.equals(Buffer.from(data)), `content of ${path}`).toBe(true);
  }
}

/** Random bytes, so that nothing but the right content can compare equal. */
export function content(size: number): Buffer {
  return randomBytes(size);
}

/** Each test file has a bench of its own; it exists once the tests run. */
export function useBench(options: SandboxOptions = {}): { readonly it: Bench } {
  let bench: Bench | undefined;
  let sandbox: Sandbox | undefined;
  beforeAll(async () => {
    sandbox = await startSandbox(options);
    const steps = new Steps(sandbox);
    bench = new Bench(sandbox, steps, await sandbox.startCopytool([], steps.env));
  });
  afterAll(async () => {
    await sandbox?.stop();
  });
  return {
    get it(): Bench {
      if (bench === undefined) throw new Error('the sandbox is not up');
      return bench;
    },
  };
}
