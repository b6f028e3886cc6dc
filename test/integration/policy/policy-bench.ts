import { chmod, mkdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect } from 'vitest';
import { stringify } from 'yaml';
import type { Catalog } from '../../../src/catalog/catalog.ts';
import { openCatalog } from '../../../src/catalog/open.ts';
import type { Run } from '../../../src/catalog/types.ts';
import type { PolicyRunJson } from '../../../src/policy/run/report.ts';
import { type Sandbox, type SandboxOptions, type Settings, startSandbox } from '../../support/sandbox.ts';
import type { ServiceProcess } from '../../support/service-process.ts';
import { waitUntil } from '../../support/wait.ts';

export const CLEAN = 0x9;
export const RELEASED = 0xd;

export type PolicyJson = PolicyRunJson['policies'][number];

/** A sandbox of the stand-in and Azurite, with what tests of policies do all the time. */
export class PolicyBench {
  readonly sandbox: Sandbox;
  copytool: ServiceProcess | undefined;

  constructor(sandbox: Sandbox) {
    this.sandbox = sandbox;
  }

  path(name: string): string {
    return join(this.sandbox.tree, name);
  }

  /** Writes a file that was last used so long ago, seconds. */
  async write(name: string, content: string | Buffer = `content of ${name}`, age = 3600): Promise<string> {
    const path = this.path(name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, content);
    await chmod(path, 0o644);
    await this.age(path, age);
    return path;
  }

  async writeAll(
    directory: string,
    names: readonly string[],
    content?: string | Buffer,
    age?: number,
  ): Promise<string[]> {
    const paths: string[] = [];
    for (const name of names) paths.push(await this.write(`${directory}/${name}`, content, age));
    return paths;
  }

  /** Sets a file's times so long ago, seconds. */
  async age(path: string, seconds: number): Promise<void> {
    const then = Date.now() / 1000 - seconds;
    await utimes(path, then, then);
  }

  /** Changes the configuration, section by section, on top of what it is. */
  async configure(settings: Settings): Promise<void> {
    const { parse } = await import('yaml');
    const now = parse(await readFile(this.sandbox.configFile, 'utf8')) as Record<string, unknown>;
    await writeFile(this.sandbox.configFile, stringify({ ...now, ...settings }), { mode: 0o600 });
  }

  async scan(): Promise<void> {
    const result = await this.sandbox.run(['scan']);
    expect(result.exitCode, result.stderr).toBe(0);
  }

  async lfs(...args: string[]): Promise<string> {
    const result = await this.sandbox.lfs(args);
    expect(result.exitCode, `lfs ${args.join(' ')}: ${result.stderr}`).toBe(0);
    return result.stdout;
  }

  async state(path: string): Promise<number> {
    const { stdout, stderr } = await this.sandbox.lfs(['hsm_state', path]);
    const flags = /: \((0x[0-9a-f]{8})\)/.exec(stdout)?.[1];
    if (flags === undefined) throw new Error(`hsm_state ${path}: ${stderr}`);
    return Number(flags);
  }

  async states(paths: readonly string[]): Promise<number[]> {
    return await Promise.all(paths.map((path) => this.state(path)));
  }

  async waitForState(path: string, flags: number): Promise<void> {
    await waitUntil(`${path} has the state 0x${flags.toString(16)}`, async () => (await this.state(path)) === flags, {
      detail: async () =>
        `it is 0x${(await this.state(path)).toString(16)}\n${this.copytool?.log.text().slice(-4_000)}`,
    });
  }

  /** Runs policies; their results by name. */
  async run(...argv: string[]): Promise<{ exitCode: number | null; stderr: string; all: Record<string, PolicyJson> }> {
    return await this.#run(argv, {});
  }

  async #run(argv: readonly string[], env: NodeJS.ProcessEnv) {
    const options = { env, timeout: 300_000 };
    const { exitCode, stdout, stderr } = await this.sandbox.run(['policy-run', ...argv, '--json'], options);
    const json = JSON.parse(stdout) as PolicyRunJson & { error?: { message: string } };
    if (json.error !== undefined) throw new Error(`policy-run ${argv.join(' ')}: ${json.error.message}`);
    const all: Record<string, PolicyJson> = Object.fromEntries(json.policies.map((one) => [one.policy, one]));
    return { exitCode, stderr, all };
  }

  /** Runs one policy; its result. */
  async one(name: string, ...argv: string[]): Promise<PolicyJson & { exitCode: number | null; stderr: string }> {
    return await this.#one(name, argv, {});
  }

  /** The same where nothing will move: it is given up soon. */
  async stalled(name: string, ...argv: string[]): Promise<PolicyJson & { exitCode: number | null; stderr: string }> {
    return await this.#one(name, argv, { LFSAZSYNC_POLICY_RUN_STALL_TIMEOUT: '2s' });
  }

  async #one(name: string, argv: readonly string[], env: NodeJS.ProcessEnv) {
    const { exitCode, stderr, all } = await this.#run([name, ...argv], env);
    const result = all[name];
    if (result === undefined) throw new Error(`no result of ${name}`);
    return { ...result, exitCode, stderr };
  }

  async withCatalog<T>(work: (catalog: Catalog) => Promise<T>): Promise<T> {
    const catalog = openCatalog({ file: join(this.sandbox.dir, 'state/catalog.db') });
    try {
      return await work(catalog);
    } finally {
      catalog.close();
    }
  }

  runs(): Promise<Run[]> {
    return this.withCatalog((catalog) => catalog.runs('policy', 100));
  }

  async fillOst(index: number, kilobytes: number): Promise<void> {
    await this.sandbox.simctl(['sim', 'op=ost_fill', `index=${index}`, `kb=${kilobytes}`]);
  }

  /** Percent in use, and kilobytes used and available, of an OST. */
  async ost(index: number): Promise<{ percent: number; used: number; available: number }> {
    const text = await this.lfs('df', this.sandbox.mount);
    const name = `OST${index.toString(16).padStart(4, '0')}`;
    const [, used, available] = new RegExp(`-${name}_UUID +\\d+ +(\\d+) +(\\d+)`).exec(text) ?? [];
    const [u, a] = [Number(used), Number(available)];
    return { percent: (100 * u) / (u + a), used: u, available: a };
  }
}

/** Each test file has a bench of its own; it exists once the tests run. */
export function usePolicyBench(options: Omit<SandboxOptions, 'standInOnly'> & { readonly copytool?: boolean } = {}): {
  readonly it: PolicyBench;
} {
  let bench: PolicyBench | undefined;
  let sandbox: Sandbox | undefined;
  const { copytool = true, ...rest } = options;
  beforeAll(async () => {
    sandbox = await startSandbox({ ...rest, standInOnly: true });
    bench = new PolicyBench(sandbox);
    if (copytool) bench.copytool = await sandbox.startCopytool();
  });
  afterAll(async () => {
    await sandbox?.stop();
  });
  return {
    get it(): PolicyBench {
      if (bench === undefined) throw new Error('the sandbox is not up');
      return bench;
    },
  };
}
