import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { parse, stringify } from 'yaml';
import type { FollowFigures } from '../../src/follow/figures.ts';
import { executable, projectRoot } from './project.ts';
import type { RunResult } from './run.ts';
import { type Sandbox, type Settings, startSandbox } from './sandbox.ts';
import type { ServiceProcess } from './service-process.ts';
import { waitUntil } from './wait.ts';

/** What the documents call something, and what it is in a sandbox. Everything else of a shown command runs as it stands. */
export interface Substitution {
  readonly shown: RegExp;
  readonly real: (world: DocsWorld, shown: string) => string;
}

export const SUBSTITUTIONS: readonly Substitution[] = [
  // The machine's own directories: below a root of the sandbox's.
  { shown: /(?<![\w./])\/(?:etc|opt|var|tmp|run)\//g, real: (world, shown) => `${world.root}${shown}` },
  // No unit of a test goes onto the machine.
  {
    shown: /^(?:bin\/)?lfsazsync setup\b/,
    real: (world, shown) => `${shown} --root ${world.root} --program /usr/bin/lfsazsync`,
  },
  // The mount. The sandbox's is somewhere else.
  { shown: /(?<![\w.])(?:\/mnt)?\/lustre(?![\w-])(?!\.conf)/g, real: (world) => world.sandbox.mount },
  { shown: /\b0x200000401:0x1f:0x0\b/g, real: (world) => world.fidOf('projects/results.h5') },
  { shown: /\b0x200000401:0x1a:0x0\b/g, real: (world) => world.fidOf('projects/gone') },
  { shown: /\bOLD-UUID\b|\b0b0e7a52-6f0c-4e3c-9a8e-2f4b6d1c9e10\b/g, real: (world) => world.lostUuid },
  // Names that every machine knows.
  { shown: /\b(?:astro|alice)\b/g, real: () => 'root' },
  { shown: /\bost:3\b/g, real: () => 'ost:1' },
  { shown: /127\.0\.0\.1:9470/g, real: () => '127.0.0.1:0' },
];

/** The exit code of what SIGTERM ended. */
export const BY_SIGTERM = 143;

/** A machine as the documents have it: a configuration in /etc, the program on the path, a user's files, a sandbox below. */
export class DocsWorld {
  sandbox: Sandbox;
  readonly root: string;
  lostUuid = '';
  readonly running = new Map<string, ServiceProcess>();
  readonly #fids = new Map<string, string>();
  readonly #first: Sandbox;
  #changes = 0;

  private constructor(sandbox: Sandbox) {
    this.sandbox = sandbox;
    this.#first = sandbox;
    this.root = join(sandbox.dir, 'root');
    for (const name of [
      'etc/lfsazsync',
      'etc/robinhood.d',
      'opt/robinhood/etc/robinhood.d',
      'var/tmp',
      'var/lib/node_exporter',
      'tmp',
      'usr/bin',
    ])
      mkdirSync(join(this.root, name), { recursive: true });
    symlinkSync(executable, join(this.root, 'usr/bin/lfsazsync'));
    // As in a checkout: bin/lfsazsync.
    mkdirSync(join(sandbox.dir, 'bin'));
    symlinkSync(executable, join(sandbox.dir, 'bin/lfsazsync'));
    const robinhood = join(projectRoot, 'test/fixtures/robinhood/original-rules.conf');
    for (const name of ['etc/robinhood.d', 'opt/robinhood/etc/robinhood.d'])
      copyFileSync(robinhood, join(this.root, name, 'lustre.conf'));
  }

  static async start(): Promise<DocsWorld> {
    // Where services can see it; what is removed stays restorable.
    const config = { removal: { grace: '1h' }, follow: { settle: '1s' } };
    return new DocsWorld(await startSandbox({ standInOnly: true, parent: '/var/lib', config }));
  }

  get configFile(): string {
    return join(this.root, 'etc/lfsazsync/config.yaml');
  }

  /** The file counts; only what makes the stand-in a Lustre is in the environment. */
  get env(): NodeJS.ProcessEnv {
    return {
      LFSAZSYNC_CONFIG: this.configFile,
      ...{ LFSAZSYNC_CONTAINER: undefined, AZURE_STORAGE_CONNECTION_STRING: undefined, LFSAZSYNC_LLAPI: undefined },
      PATH: `${join(this.root, 'usr/bin')}:${this.sandbox.env['PATH'] ?? ''}:${process.env['PATH'] ?? ''}`,
    };
  }

  /** What the shell gets in place of a command that the documents show. */
  real(shown: string): string {
    return SUBSTITUTIONS.reduce((text, one) => text.replace(one.shown, (match) => one.real(this, match)), shown);
  }

  async run(shown: string): Promise<RunResult> {
    return await this.sandbox.exec('sh', ['-c', this.real(shown)], { cwd: this.#first.dir, env: this.env });
  }

  /** Starts a shown command that stays. */
  start(shown: string): ServiceProcess {
    const [, ...argv] = this.real(shown).split(' ');
    const service = this.sandbox.startService(argv, this.env);
    this.running.set(shown, service);
    return service;
  }

  /** Ends one that runs; gives its exit code, as a shell sees it. */
  async end(shown: string): Promise<number | null> {
    const service = this.running.get(shown);
    if (service === undefined) throw new Error(`${shown} does not run`);
    this.running.delete(shown);
    const { exitCode, signal } = await service.stop();
    return signal === 'SIGTERM' ? BY_SIGTERM : exitCode;
  }

  /** What an operator fills in: the sandbox's settings, in place of what `config init` wrote. */
  fillIn(over: Settings = {}): void {
    if (!existsSync(this.configFile)) throw new Error('config init has not written a configuration');
    const settings = parse(readFileSync(this.sandbox.configFile, 'utf8')) as Settings;
    writeFileSync(this.configFile, stringify({ ...settings, ...over }), { mode: 0o600 });
  }

  forgetConfiguration(): void {
    rmSync(this.configFile, { force: true });
  }

  /** A user's file: a month old, so that every policy takes it. */
  file(name: string, size = 1000): void {
    const path = join(this.sandbox.mount, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, name);
    truncateSync(path, size);
    const then = Date.now() / 1000 - 30 * 86_400;
    utimesSync(path, then, then);
  }

  /** Another mode, for the follower to carry. */
  change(name: string): void {
    this.#changes += 1;
    chmodSync(join(this.sandbox.mount, name), this.#changes % 2 === 0 ? 0o640 : 0o600);
  }

  remove(...names: string[]): void {
    for (const name of names) rmSync(join(this.sandbox.mount, name), { recursive: true });
  }

  /** Waits until the removals of these are known, so that they can be brought back. */
  async removalsSeen(...names: string[]): Promise<void> {
    const missing = async () => {
      const { stdout } = await this.run('lfsazsync undelete --list --json /mnt/lustre');
      return names.filter((name) => !stdout.includes(`"${name}"`));
    };
    await waitUntil(`${names} are known to be removed`, async () => (await missing()).length === 0, {
      interval: 300,
      timeout: 300_000,
      detail: async () => (await this.run('lfsazsync undelete --list --json /mnt/lustre')).stdout,
    });
  }

  /** Waits until nothing is left to be put right in the container. */
  async inStep(): Promise<void> {
    let last = '';
    const quiet = async () => {
      last = (await this.run('lfsazsync changelog-follow ctl status --json')).stdout;
      const { mdts, marks, journal } = JSON.parse(last) as FollowFigures;
      return mdts.every(({ lag }) => lag.caughtUp) && marks.count + journal.waiting + journal.atWork === 0;
    };
    await waitUntil('the container is in step', quiet, { interval: 300, timeout: 300_000, detail: () => last });
  }

  fidOf(name: string): string {
    const fid = this.#fids.get(name);
    if (fid === undefined) throw new Error(`nobody has looked at the FID of ${name}`);
    return fid;
  }

  async noteFid(name: string): Promise<string> {
    const { stdout } = await this.sandbox.lfs(['path2fid', join(this.sandbox.mount, name)]);
    const fid = stdout.trim().replace(/^\[|\]$/g, '');
    this.#fids.set(name, fid);
    return fid;
  }

  /** The file system is lost: its machine is gone, and a new and empty one has its container. */
  async lose(): Promise<void> {
    for (const shown of [...this.running.keys()]) await this.end(shown);
    const { stdout } = await this.run('lfsazsync setup --json');
    this.lostUuid = (JSON.parse(stdout) as { uuid: string }).uuid;
    this.sandbox = await startSandbox({ standInOnly: true, parent: '/var/lib', containerOf: this.#first });
    rmSync(this.sandbox.tree, { recursive: true });
    this.fillIn();
  }

  async stop(): Promise<void> {
    if (this.sandbox !== this.#first) await this.sandbox.stop();
    await this.#first.stop();
  }
}
