import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ContainerClient } from '@azure/storage-blob';
import { stringify } from 'yaml';
import { createContainer, startEndpoint } from './endpoint.ts';
import { leaveTree, pathWithNode, type TestFileSystem, testFileSystem } from './file-system.ts';
import { identify } from './processes.ts';
import { executable, helperPath, needBuilt, simPrograms } from './project.ts';
import { guard, unguard } from './reaper.ts';
import { type RunOptions, type RunResult, run } from './run.ts';
import { SandboxDirectory } from './sandbox-directory.ts';
import { ServiceProcess } from './service-process.ts';
import type { StandInOptions } from './stand-in.ts';

export interface SandboxOptions extends StandInOptions {
  /** Start Azurite and make a container (default true). */
  readonly endpoint?: boolean;
  readonly container?: string;
  /** Of another sandbox's endpoint, which is used in place of one of its own; the container is there already. */
  readonly connectionString?: string;
  /** Use the endpoint and container of another sandbox, which must outlive this one. */
  readonly containerOf?: Pick<Sandbox, 'connectionString' | 'container'>;
  /** The directory to make the sandbox's own in (default: the system's for temporary files). */
  readonly parent?: string;
  /** The stand-in, whatever LFSAZSYNC_TEST_MOUNT says. */
  readonly standInOnly?: boolean;
  /** Put over the configuration file's own settings, key by key in every section. */
  readonly config?: Settings;
}

export interface CommandOptions extends RunOptions {
  /** Added to the sandbox's environment; undefined takes a variable away. */
  readonly env?: NodeJS.ProcessEnv;
}

export type Settings = { readonly [key: string]: unknown };

function isSection(value: unknown): value is Settings {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** `over` put over `base`; an undefined value takes a key away. */
function merged(base: Settings, over: Settings): Settings {
  const result: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const old = result[key];
    if (value === undefined) delete result[key];
    else result[key] = isSection(old) && isSection(value) ? merged(old, value) : value;
  }
  return result;
}

/** The archive id that tests use, from LFSAZSYNC_TEST_ARCHIVE. */
export const archiveId: number = Number(process.env['LFSAZSYNC_TEST_ARCHIVE'] ?? '1');

/** The configuration of a sandbox; everything that it names lies in the sandbox's directory. */
export function sandboxConfig(records: SandboxDirectory, fileSystem: TestFileSystem, container: string): Settings {
  return {
    mount: fileSystem.mounts[0],
    mdts: [fileSystem.mdt],
    state_dir: join(records.dir, 'state'),
    run_dir: join(records.dir, 'run-dir'),
    liblustreapi: fileSystem.llapi,
    ...(fileSystem.standIn ? { lfs: join(simPrograms, 'lfs') } : {}),
    archives: {
      [archiveId]: {
        container,
        credential: { type: 'connection_string', file: join(records.dir, 'connection-string') },
      },
    },
    request: { poll_interval: '200ms' },
    follow: {
      poll_interval: '100ms',
      ...(fileSystem.changelogUser === undefined ? {} : { changelog_user: fileSystem.changelogUser }),
    },
  };
}

/** Writes the configuration file and the secret that it names. */
export function writeSandboxConfig(records: SandboxDirectory, connectionString: string, config: Settings): void {
  for (const name of ['state', 'run-dir']) mkdirSync(join(records.dir, name), { recursive: true, mode: 0o700 });
  writeFileSync(join(records.dir, 'connection-string'), `${connectionString}\n`, { mode: 0o600 });
  writeFileSync(records.configFile, stringify(config), { mode: 0o600 });
}

/** The variables with which every command of the product, and any other program, works against a sandbox. */
export function sandboxEnv(
  records: SandboxDirectory,
  fileSystem: TestFileSystem,
  connectionString: string,
  container: string,
): Record<string, string> {
  return {
    ...fileSystem.env,
    LFSAZSYNC_CONFIG: records.configFile,
    LFSAZSYNC_MOUNT: fileSystem.mounts[0] ?? '',
    LFSAZSYNC_MDT: fileSystem.mdt,
    LFSAZSYNC_LLAPI: fileSystem.llapi,
    AZURE_STORAGE_CONNECTION_STRING: connectionString,
    LFSAZSYNC_CONTAINER: container,
  };
}

/**
 * A file system, an endpoint with a container, and a configuration: all that the product needs, for one test file.
 * Everything is ended by `stop`, and by a reaper when the test run dies.
 */
export class Sandbox {
  readonly dir: string;
  readonly fileSystem: TestFileSystem;
  readonly container: string;
  readonly connectionString: string;
  readonly env: Readonly<Record<string, string>>;
  readonly configFile: string;
  readonly #records: SandboxDirectory;
  readonly #services: ServiceProcess[] = [];

  constructor(records: SandboxDirectory, fileSystem: TestFileSystem, connectionString: string, container: string) {
    this.#records = records;
    this.dir = records.dir;
    this.fileSystem = fileSystem;
    this.container = container;
    this.connectionString = connectionString;
    this.configFile = records.configFile;
    this.env = sandboxEnv(records, fileSystem, connectionString, container);
  }

  /** Whether the file system is the stand-in: only then may tests set global parameters, faults and OST sizes. */
  get standIn(): boolean {
    return this.fileSystem.standIn;
  }

  get mount(): string {
    return this.fileSystem.mounts[0] ?? '';
  }

  get mounts(): readonly string[] {
    return this.fileSystem.mounts;
  }

  /** The fresh directory below `mount` that the test's files belong into. */
  get tree(): string {
    return this.fileSystem.tree;
  }

  get mdt(): string {
    return this.fileSystem.mdt;
  }

  get llapi(): string {
    return this.fileSystem.llapi;
  }

  get changelogUser(): string | undefined {
    return this.fileSystem.changelogUser;
  }

  /** Azurite's container by its own client, independent of the product. */
  get containerClient(): ContainerClient {
    return new ContainerClient(this.connectionString, this.container);
  }

  #environment(extra: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
    const env: NodeJS.ProcessEnv = { ...process.env, NO_COLOR: '1', ...this.env, ...extra };
    return { ...env, PATH: pathWithNode(env['PATH'] ?? '') };
  }

  /** Runs any program in the sandbox's environment. */
  exec(file: string, args: readonly string[], options: CommandOptions = {}): Promise<RunResult> {
    return run(file, args, { cwd: this.dir, ...options, env: this.#environment(options.env) });
  }

  lfs(args: readonly string[], options?: CommandOptions): Promise<RunResult> {
    return this.exec(this.standIn ? join(simPrograms, 'lfs') : 'lfs', args, options);
  }

  lctl(args: readonly string[], options?: CommandOptions): Promise<RunResult> {
    return this.exec(this.standIn ? join(simPrograms, 'lctl') : 'lctl', args, options);
  }

  /** `lctl` as on the metadata server, where `mdt.*`, `mdd.*` and changelog users are; the stand-in only. */
  serverLctl(args: readonly string[], options: CommandOptions = {}): Promise<RunResult> {
    if (!this.standIn) throw new Error('only the stand-in shows itself as a server');
    return this.lctl(args, { ...options, env: { ...options.env, LUSTRE_SIM_NODE: 'server' } });
  }

  /** The stand-in's own switches: faults, OST sizes, crashes. */
  async simctl(args: readonly string[], options?: CommandOptions): Promise<string> {
    if (!this.standIn) throw new Error('a real Lustre has no simctl');
    const result = await this.exec(join(simPrograms, 'simctl'), args, options);
    if (result.exitCode !== 0) throw new Error(`simctl ${args.join(' ')}: ${result.stderr || result.stdout}`);
    return result.stdout;
  }

  /** Runs a command of the product through its built executable. */
  async run(argv: readonly string[], options: CommandOptions = {}): Promise<RunResult> {
    needBuilt(executable, 'run npm run setup');
    let pid = 0;
    const onStart = (started: number): void => {
      pid = started;
      // It may have ended already: then there is nothing to record.
      if (identify(pid, 'command') !== undefined) this.#records.recordProcess(pid, `lfsazsync ${argv[0] ?? ''}`);
    };
    try {
      return await this.exec(executable, argv, { ...options, onStart });
    } finally {
      this.#records.forgetProcess(pid);
    }
  }

  /** Starts a command that stays, without waiting for anything; of the build, or of an installed `program`. */
  startService(argv: readonly string[], env: NodeJS.ProcessEnv = {}, program?: string): ServiceProcess {
    needBuilt(executable, 'run npm run setup');
    needBuilt(helperPath, 'run npm run setup');
    const service = new ServiceProcess(argv, this.#environment(env), this.#records, program);
    this.#services.push(service);
    return service;
  }

  /** Starts the copytool, registered with the coordinator when this returns. */
  async startCopytool(args: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Promise<ServiceProcess> {
    const copytool = this.startService(['copytool', ...args], env);
    await copytool.waitFor('copytool ready');
    return copytool;
  }

  /** Starts the follower, at work when this returns. */
  async startFollower(args: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Promise<ServiceProcess> {
    const follower = this.startService(['changelog-follow', ...args], env);
    await follower.waitFor('follower ready');
    return follower;
  }

  /** The name that a path of the mount has as a blob, for names that need no escaping. */
  blobName(path: string): string {
    return path.slice(this.mount.length + 1);
  }

  /** Ends everything that was started and removes the directory. May be called again. */
  async stop(): Promise<void> {
    await Promise.all(this.#services.map((service) => service.stop(20_000)));
    if (!this.standIn) leaveTree(this.fileSystem);
    await this.#records.destroy();
    unguard(this.dir);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/**
 * Brings up a sandbox in a temporary directory: the stand-in Lustre (or the real one of LFSAZSYNC_TEST_MOUNT), Azurite
 * on a free port, a container, a configuration file. Takes everything down again when a part fails.
 */
export async function startSandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  const records = new SandboxDirectory(mkdtempSync(join(options.parent ?? tmpdir(), 'lfsazsync-')));
  guard(records.dir);
  try {
    const container = options.container ?? options.containerOf?.container ?? 'sandbox';
    const endpoint = async (): Promise<string> => {
      if (options.containerOf !== undefined) return options.containerOf.connectionString;
      if (options.connectionString !== undefined) return options.connectionString;
      if (options.endpoint === false) return 'UseDevelopmentStorage=true';
      const connectionString = await startEndpoint(records);
      await createContainer(connectionString, container);
      return connectionString;
    };
    const starts = [testFileSystem(records, options), endpoint()] as const;
    await Promise.allSettled(starts);
    const [fileSystem, connectionString] = await Promise.all(starts);
    writeSandboxConfig(
      records,
      connectionString,
      merged(sandboxConfig(records, fileSystem, container), options.config ?? {}),
    );
    return new Sandbox(records, fileSystem, connectionString, container);
  } catch (error) {
    await records.destroy();
    unguard(records.dir);
    throw error;
  }
}
