import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { abortFuse, mountAt, unmountFuse } from './mounts.ts';
import { endProcess, gone, identify, isAlive, type ProcessIdentity, signal } from './processes.ts';

/** Names of the processes that the others live on: ended last. */
export const STAND_IN = 'lustre-simd';
export const ENDPOINT = 'azurite';

/** A file that says that a directory is a sandbox's, and may be removed with all that is in it. */
const MARKER = '.lfsazsync-sandbox';

/** Whether a sandbox lives, or has lived, in this directory. */
export function isSandboxDirectory(dir: string): boolean {
  return existsSync(join(dir, MARKER));
}

/**
 * The directory that a sandbox lives in, with records of everything that must be ended: processes (with their start
 * times, so that a number used again is never hit) and mounts. Whoever holds the directory can take the sandbox down,
 * also long after the one that brought it up has crashed.
 */
export class SandboxDirectory {
  readonly dir: string;

  /** Takes a new or empty directory, or one that a sandbox has lived in; throws for any other. */
  constructor(dir: string) {
    mkdirSync(dir, { recursive: true, mode: 0o755 });
    if (!isSandboxDirectory(dir)) {
      if (readdirSync(dir).length > 0)
        throw new Error(`${dir} holds other files: a sandbox needs a directory of its own`);
      writeFileSync(join(dir, MARKER), '');
    }
    // mountinfo shows resolved paths.
    this.dir = realpathSync(dir);
    // Other users work in the mount below; what is secret in here has modes of its own.
    chmodSync(this.dir, 0o755);
    mkdirSync(this.#records, { recursive: true });
  }

  get #records(): string {
    return join(this.dir, 'records');
  }

  /** The stand-in's own directory: its socket, its backing directory. */
  get lustreDir(): string {
    return join(this.dir, 'lustre');
  }

  get endpointDir(): string {
    return join(this.dir, 'azurite');
  }

  get configFile(): string {
    return join(this.dir, 'lfsazsync.yaml');
  }

  /** Where the mount number `index` (from 0) is. */
  mountPoint(index: number): string {
    return join(this.dir, index === 0 ? 'mnt' : `mnt${index + 1}`);
  }

  recordProcess(pid: number, name: string): ProcessIdentity {
    const identity = identify(pid, name);
    if (identity === undefined) throw new Error(`${name} ended as soon as it was started`);
    this.#write(`process-${pid}.json`, identity);
    return identity;
  }

  /** A recorded process has come to its end. */
  forgetProcess(pid: number): void {
    rmSync(join(this.#records, `process-${pid}.json`), { force: true });
  }

  recordMount(mountPoint: string): void {
    this.#write(`mount-${Buffer.from(mountPoint).toString('base64url').slice(-40)}.json`, { mountPoint });
  }

  /** What `up` wrote down about itself, for later commands. */
  writeDescription(description: object): void {
    this.#write('../sandbox.json', description);
  }

  readDescription(): unknown {
    const file = join(this.dir, 'sandbox.json');
    return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined;
  }

  #write(name: string, value: object): void {
    const file = join(this.#records, name);
    writeFileSync(`${file}.new`, `${JSON.stringify(value)}\n`);
    renameSync(`${file}.new`, file);
  }

  #read<T>(kind: string): T[] {
    if (!existsSync(this.#records)) return [];
    return readdirSync(this.#records)
      .filter((name) => name.startsWith(`${kind}-`) && name.endsWith('.json'))
      .map((name) => JSON.parse(readFileSync(join(this.#records, name), 'utf8')) as T);
  }

  processes(): ProcessIdentity[] {
    return this.#read<ProcessIdentity>('process');
  }

  process(name: string): ProcessIdentity | undefined {
    return this.processes().find((identity) => identity.name === name && isAlive(identity));
  }

  mountPoints(): string[] {
    return this.#read<{ mountPoint: string }>('mount').map((record) => record.mountPoint);
  }

  /** Whether every recorded mount is there and something lives at all. */
  isUp(): boolean {
    const mountPoints = this.mountPoints();
    return (
      mountPoints.length > 0 &&
      mountPoints.every((mountPoint) => mountAt(mountPoint) !== undefined) &&
      this.process(STAND_IN) !== undefined &&
      this.process(ENDPOINT) !== undefined
    );
  }

  /** A line about each recorded process and mount, for people. */
  report(): string[] {
    return [
      ...this.processes().map((it) => `${it.name}: pid ${it.pid}, ${isAlive(it) ? 'runs' : 'gone'}`),
      ...this.mountPoints().map((it) => `${it}: ${mountAt(it) === undefined ? 'not mounted' : 'mounted'}`),
    ];
  }

  /**
   * Ends every recorded process and mount: the product's processes first, while the file system still answers them,
   * then the stand-in and the endpoint. Gives up on nothing: what does not end by itself is aborted and killed.
   */
  async endAll(): Promise<void> {
    const all = this.processes();
    const base = all.filter(({ name }) => name === STAND_IN || name === ENDPOINT);
    const others = all.filter((identity) => !base.includes(identity));
    for (const identity of others) signal(identity, 'SIGTERM');
    await Promise.all(others.map((identity) => gone(identity, 5_000)));
    // What does not end goes with all that it has started; the helper of one that ended leaves by itself.
    for (const identity of others) signal(identity, 'SIGKILL', { group: true });
    await Promise.all([
      ...base.filter(({ name }) => name === ENDPOINT).map((identity) => endProcess(identity, { patience: 5_000 })),
      this.#endStandIn(base.filter(({ name }) => name === STAND_IN)),
    ]);
    rmSync(this.#records, { recursive: true, force: true });
    mkdirSync(this.#records, { recursive: true });
  }

  async #endStandIn(daemons: readonly ProcessIdentity[]): Promise<void> {
    for (const identity of daemons) signal(identity, 'SIGTERM');
    const ended = await Promise.all(daemons.map((identity) => gone(identity, 5_000)));
    const mountPoints = this.mountPoints();
    if (ended.includes(false)) for (const mountPoint of mountPoints) abortFuse(mountPoint);
    for (const identity of daemons) signal(identity, 'SIGKILL');
    await Promise.all(daemons.map((identity) => gone(identity, 10_000)));
    for (const mountPoint of mountPoints) await unmountFuse(mountPoint);
  }

  /** Ends everything and removes the directory with all data in it. */
  async destroy(): Promise<void> {
    const mountPoints = this.mountPoints();
    await this.endAll();
    const mounted = mountPoints.filter((mountPoint) => mountAt(mountPoint) !== undefined);
    if (mounted.length > 0) throw new Error(`still mounted, so nothing is removed: ${mounted.join(', ')}`);
    rmSync(this.dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }
}
