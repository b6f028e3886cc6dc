import { chmodSync, readdirSync, rmSync } from 'node:fs';
import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { unfinished } from '../support/compare.ts';
import { Faults, faultyWay } from '../support/faults.ts';
import { outOfStep } from '../support/in-step.ts';
import { Random } from '../support/random.ts';
import { type Sandbox, startSandbox } from '../support/sandbox.ts';
import { seam } from '../support/seam-tool.ts';
import { FSNAME, type StandInOptions } from '../support/stand-in.ts';
import { absolute, walkTree } from '../support/tree-walk.ts';
import { waitUntil, within } from '../support/wait.ts';
import {
  ALL_PATHS,
  MODES,
  type Operation,
  type Script,
  TARGETS,
  TIMES,
  toldOne,
  USERS,
  type UserOperation,
} from './script.ts';
import { ManagedService } from './service.ts';
import { Contents, User, type UserReply, type UserRequest } from './users.ts';

const CLEAN = 0x9;
const SIZES = [0, 1, 700, 20_000, 65_536, 200_000] as const;
const UMASKS = [0o022, 0o002, 0o077] as const;
const PATIENCE = 180_000;
/** Rounds of archive, scan, sweep and follow until all is in step; the first may leave what the next can do. */
const ROUNDS = 3;

export interface WorldOptions {
  readonly version: NonNullable<StandInOptions['version']>;
  readonly mdts?: number;
  /**
   * No scan and no sweep at the end: what the records told, and whatever was begun before a kill, must do. Times that were
   * set alone are passed over then, because no record tells of them.
   */
  readonly unaided?: boolean;
}

const UNAIDED_PATIENCE = 60_000;

/** What a run did, to see that it did something. */
export interface Tally {
  operations: number;
  /** Operations of users that were refused. */
  refused: number;
  kills: number;
  faults: number;
  entries: number;
  rounds: number;
}

export type Played = { readonly failure?: string; readonly tally: Tally };

/**
 * Plays a script in a world of its own: users with processes of their own on a client, a copytool and a follower, faults
 * on the way to the endpoint, kills. Every read must give what was written last, or an error. When the script is over,
 * everything is archived, scanned, swept and followed, and container and file system must be in step (I4); then every
 * file is read, and they must be so still.
 */
export async function play(script: Script, options: WorldOptions): Promise<Played> {
  const world = await World.start(options);
  let at = 'start';
  try {
    for (const [index, operation] of script.entries()) {
      if (options.unaided === true && operation.do === 'utime') continue;
      at = `operation ${index + 1} (${toldOne(operation)})`;
      await world.step(operation);
    }
    at = 'the end';
    await world.settle(options.unaided ?? false);
    return { tally: world.tally() };
  } catch (error) {
    return { failure: `${at}: ${(error as Error).message}\n${await world.state()}`, tally: world.tally() };
  } finally {
    await world.stop();
  }
}

class World {
  readonly #sandbox: Sandbox;
  readonly #users: readonly User[];
  readonly #copytool: ManagedService;
  readonly #follower: ManagedService;
  readonly #faults: Faults;
  readonly #closeWay: () => Promise<void>;
  readonly #contents = new Contents();
  readonly #env: NodeJS.ProcessEnv;
  readonly #said: string[] = [];
  readonly #tally: Tally = { operations: 0, refused: 0, kills: 0, faults: 0, entries: 0, rounds: 0 };

  private constructor(
    sandbox: Sandbox,
    users: readonly User[],
    faults: Faults,
    closeWay: () => Promise<void>,
    env: NodeJS.ProcessEnv,
  ) {
    this.#sandbox = sandbox;
    this.#users = users;
    this.#faults = faults;
    this.#closeWay = closeWay;
    this.#env = env;
    this.#copytool = new ManagedService(sandbox, ['copytool'], 'copytool ready', env);
    this.#follower = new ManagedService(sandbox, ['changelog-follow'], 'follower ready', env);
  }

  static async start({ version, mdts = 1 }: WorldOptions): Promise<World> {
    const sandbox = await startSandbox({ version, mdts, standInOnly: true, config: settingsOf(mdts) });
    try {
      for (let mdt = 1; mdt < mdts; mdt++) await registerUser(sandbox, mdt);
      const faults = new Faults();
      const way = await faultyWay(sandbox.connectionString, faults);
      // What nobody has written down when a kill comes is ended by the coordinator alone.
      await sandbox.serverLctl(['set_param', 'mdt.*.hsm.active_request_timeout=6', 'mdt.*.hsm.loop_period=1']);
      rmSync(sandbox.tree, { recursive: true });
      chmodSync(sandbox.mount, 0o777);
      const users = await Promise.all(USERS.map((uid, index) => User.start(uid, UMASKS[index] ?? 0o022)));
      // The sandbox's own variable names the first MDT alone, and counts more than the file.
      const env = { AZURE_STORAGE_CONNECTION_STRING: way.connectionString, LFSAZSYNC_MDT: undefined };
      const world = new World(sandbox, users, faults, () => way.stop(), env);
      await world.#copytool.start();
      await world.#follower.start();
      return world;
    } catch (error) {
      await sandbox.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    for (const user of this.#users) user.stop();
    await this.#sandbox.stop();
    await this.#closeWay();
  }

  tally(): Tally {
    const kills = this.#tally.kills + this.#copytool.kills + this.#follower.kills;
    return { ...this.#tally, kills, faults: this.#faults.struck };
  }

  /** What there is, for somebody who wants to know why. */
  async state(): Promise<string> {
    const list = await this.#sandbox.run(['journal', 'list', '--json'], { env: this.#env }).catch(String);
    const journal = typeof list === 'string' ? list : `${list.stdout.slice(0, 4_000)}${list.stderr}`;
    return [
      `journal:\n${journal}`,
      `commands:\n${this.#said.join('\n').slice(-6_000)}`,
      `copytool:\n${this.#copytool.logs()}`,
      `follower:\n${this.#follower.logs()}`,
    ].join('\n');
  }

  async step(operation: Operation): Promise<void> {
    this.#tally.operations += 1;
    switch (operation.do) {
      case 'wait':
        return delay(operation.ms);
      case 'fault':
        return this.#faults.add(operation);
      case 'kill':
        await this.#revive();
        return await this.#service(operation.what).kill(operation.side);
      case 'run':
        return await this.#beside(operation);
      case 'lose catalog':
        return await this.#loseCatalog();
      default:
        return await within(`${operation.do} ends`, PATIENCE, this.#user(operation));
    }
  }

  #service(name: 'copytool' | 'follower'): ManagedService {
    return name === 'copytool' ? this.#copytool : this.#follower;
  }

  /** What has ended because the endpoint failed it is started again, as a service manager does. */
  async #revive(): Promise<void> {
    await this.#copytool.revive();
    await this.#follower.revive();
  }

  /** A command beside the services, killed unless it has ended by then. */
  async #beside({ what, killAfter }: Extract<Operation, { do: 'run' }>): Promise<void> {
    const argv = what === 'archive' ? ['archive', '--recursive', '--wait', this.#sandbox.mount] : [what];
    const command = this.#sandbox.startService(argv, this.#env);
    const ended = command.exited(PATIENCE).then(({ exitCode }) => exitCode);
    const exit = await Promise.race([ended, delay(killAfter)]);
    if (exit !== undefined) return void this.#said.push(`${argv[0]}: ${exit}: ${command.log.text()}`);
    this.#tally.kills += 1;
    await command.crash();
  }

  async #loseCatalog(): Promise<void> {
    await this.#revive();
    await this.#follower.process.crash();
    const directory = join(this.#sandbox.dir, 'state');
    for (const name of readdirSync(directory)) if (name.startsWith('catalog.db')) rmSync(join(directory, name));
    await this.#follower.start();
  }

  /** What a user does. That it is refused is no matter; that it gives wrong bytes is. */
  async #user(operation: UserOperation): Promise<void> {
    const user = this.#users[operation.user] as User;
    const path = absolute(
      this.#sandbox.mount,
      ('path' in operation ? ALL_PATHS[operation.path] : undefined) ?? Buffer.from('a'),
    );
    switch (operation.do) {
      case 'archive':
      case 'release':
      case 'remove':
        return void (await this.#lfs(`hsm_${operation.do}`, path));
      case 'stow':
        return await this.#stow(path);
      case 'setxattr':
        return void (await seam(['setxattr', path.toString(), 'user.color', MODES[operation.which] ?? 0]));
      case 'copy':
        return await this.#copy(path, absolute(this.#sandbox.mount, ALL_PATHS[operation.to] ?? path));
      case 'read':
        return await this.#read(user, path);
      default:
        return this.#take(await user.do(requestOf(operation, path, this.#sandbox.mount)));
    }
  }

  #take(reply: UserReply): void {
    this.#contents.take(reply);
    if (reply.code === undefined) return;
    if (!/^E[A-Z0-9]+$/.test(reply.code)) throw new Error(reply.message ?? reply.code);
    this.#tally.refused += 1;
  }

  async #read(user: User, path: Buffer): Promise<void> {
    const reply = await user.do({ ...NOTHING, do: 'read', path });
    this.#take(reply);
    const { data, ino } = reply;
    if (data === undefined || ino === undefined) return;
    const content = this.#contents.of(ino);
    if (content === undefined || content.equals(data)) return;
    throw new Error(
      `I1: ${JSON.stringify(path.toString('latin1'))} reads ${told(Buffer.from(data))}, and holds ${told(content)}`,
    );
  }

  /** With all its attributes, ours too (lesson 44); by reading and writing: the kernel can't copy ranges of released files on FUSE. */
  async #copy(from: Buffer, to: Buffer): Promise<void> {
    if (this.#isOdd(from) || this.#isOdd(to)) return;
    const isFile = await lstat(from).then(
      (stat) => stat.isFile(),
      () => false,
    );
    if (!isFile) return;
    const { exitCode } = await this.#sandbox.exec('cp', [
      '-aT',
      '--reflink=never',
      '--remove-destination',
      from.toString(),
      to.toString(),
    ]);
    if (exitCode === 0) await this.#contents.copied(from, to);
    else await this.#contents.unknownAt(to);
  }

  /** Archives and releases, if that comes about soon. */
  async #stow(path: Buffer): Promise<void> {
    await this.#lfs('hsm_archive', path);
    for (let look = 0; look < 30 && (await this.#state(path)) !== CLEAN; look++) await delay(25);
    await this.#lfs('hsm_release', path);
  }

  async #state(path: Buffer): Promise<number> {
    return Number(/: \((0x[0-9a-f]{8})\)/.exec(await this.#lfs('hsm_state', path))?.[1]);
  }

  /** Names that are no UTF-8 can't be arguments of programs that Node starts. */
  #isOdd(path: Buffer): boolean {
    return !Buffer.from(path.toString()).equals(path);
  }

  async #lfs(verb: string, path: Buffer): Promise<string> {
    if (this.#isOdd(path)) return '';
    return (await this.#sandbox.lfs([verb, path.toString()])).stdout;
  }

  /** Users stop, what is wrong ends: everything must come to rest, and into step. */
  async settle(unaided: boolean): Promise<void> {
    this.#faults.clear();
    await this.#revive();
    for (const user of this.#users) await user.do({ ...NOTHING, do: 'let go' });
    await this.#quiet();
    const findings = unaided ? await this.#unaided() : await this.#intoStep();
    if (findings.length > 0) throw new Error(`not in step after ${this.#tally.rounds} rounds:\n${findings.join('\n')}`);
    await this.#readAll();
    await this.#quiet();
    const after = await this.#findings();
    if (after.length > 0) throw new Error(`not in step after everything was read:\n${after.join('\n')}`);
  }

  async #intoStep(): Promise<string[]> {
    let findings: string[] = [];
    for (let round = 1; round <= ROUNDS; round++) {
      this.#tally.rounds = round;
      // Names that are taken are freed by the follower, and archives that waited for them asked for again.
      const archived = await this.#command('archive', '--recursive', '--wait', this.#sandbox.mount);
      if (round === 1) await this.#follower.stop();
      await this.#mustSucceed('scan');
      await this.#mustSucceed('sweep');
      await this.#mustSucceed('changelog-follow', '--once');
      await this.#quiet();
      findings = await this.#findings();
      if (findings.length === 0 && archived === 0) return [];
      this.#said.push(`round ${round}:\n${findings.join('\n')}`);
    }
    return findings.length > 0 ? findings : ['something can not be archived'];
  }

  /** Follower and copytool alone. */
  async #unaided(): Promise<string[]> {
    let archived: number | null = null;
    let findings: string[] = [];
    for (const end = Date.now() + UNAIDED_PATIENCE; Date.now() < end; await delay(500)) {
      archived = await this.#command('archive', '--recursive', '--wait', this.#sandbox.mount);
      findings = await this.#findings();
      if (findings.length === 0 && archived === 0) break;
    }
    await this.#follower.stop();
    return findings.length === 0 && archived !== 0 ? ['something can not be archived'] : findings;
  }

  async #findings(): Promise<string[]> {
    const { mount, containerClient: container } = this.#sandbox;
    this.#tally.entries = (await walkTree(mount)).length;
    return await outOfStep({ mount, container, contents: (ino) => this.#contents.of(ino) });
  }

  async #readAll(): Promise<void> {
    const { mount } = this.#sandbox;
    const root = this.#users[0] as User;
    for (const { type, path } of await walkTree(mount)) {
      if (type !== 'file') continue;
      await waitUntil(
        `${JSON.stringify(path.toString('latin1'))} can be read`,
        async () => {
          const reply = await within(
            'a read ends',
            PATIENCE,
            root.do({ ...NOTHING, do: 'read', path: absolute(mount, path) }),
          );
          if (reply.code !== undefined) throw new Error(reply.message ?? reply.code);
          return true;
        },
        { interval: 300 },
      );
      await this.#read(root, absolute(mount, path));
    }
  }

  async #quiet(): Promise<void> {
    await waitUntil('nothing is under way', async () => (await unfinished(this.#sandbox)).length === 0, {
      timeout: PATIENCE,
      detail: async () => (await unfinished(this.#sandbox)).join('\n'),
    });
  }

  async #command(...argv: string[]): Promise<number | null> {
    const { exitCode, stdout, stderr } = await this.#sandbox.run(argv, { timeout: PATIENCE, env: this.#env });
    this.#said.push(`${argv.join(' ')}: ${exitCode}\n${stdout}${stderr}`);
    return exitCode;
  }

  async #mustSucceed(...argv: string[]): Promise<void> {
    const exitCode = await this.#command(...argv);
    if (exitCode !== 0) throw new Error(`lfsazsync ${argv.join(' ')} ended with ${exitCode}:\n${this.#said.at(-1)}`);
  }
}

const NOTHING = { path: Buffer.from('/'), to: Buffer.from('/'), bytes: Buffer.alloc(0), numbers: [] };

function requestOf(operation: UserOperation, path: Buffer, mount: string): UserRequest {
  const request = { ...NOTHING, path };
  switch (operation.do) {
    case 'create':
    case 'save':
    case 'rewrite':
    case 'append':
      return { ...request, do: operation.do, bytes: contentOf(operation.salt) };
    case 'patch':
    case 'write held':
      return {
        ...request,
        do: operation.do,
        bytes: new Random(operation.salt).bytes(1 + (operation.salt % 5_000)),
        numbers: [operation.salt],
      };
    case 'truncate':
      return { ...request, do: operation.do, numbers: [operation.salt] };
    case 'rename':
    case 'link':
      return { ...request, do: operation.do, to: absolute(mount, ALL_PATHS[operation.to] ?? path) };
    case 'symlink':
      return { ...request, do: operation.do, to: TARGETS[operation.which] ?? path };
    case 'chmod':
      return { ...request, do: operation.do, numbers: [MODES[operation.which] ?? 0] };
    case 'utime':
      return { ...request, do: operation.do, numbers: [TIMES[operation.which] ?? 0] };
    case 'chown':
      return { ...request, do: operation.do, numbers: [USERS[operation.to] ?? 0, USERS[operation.group] ?? 0] };
    default:
      return { ...request, do: operation.do as UserRequest['do'] };
  }
}

function contentOf(salt: number): Buffer {
  return new Random(salt).bytes(SIZES[salt % SIZES.length] ?? 1);
}

const told = (bytes: Buffer) => `${bytes.length} bytes ${JSON.stringify(bytes.toString('latin1', 0, 24))}`;

function settingsOf(mdts: number): Record<string, unknown> {
  return {
    log: { level: 'debug' },
    mdts: Array.from({ length: mdts }, (_, index) => mdtName(index)),
    follow: { changelog_user: 'cl1', poll_interval: '50ms', settle: '0s', max_tries: 20 },
    removal: { grace: '0s', max_delete_share: '100%' },
    copytool: {
      ...{ heartbeat: '200ms', locate_timeout: '1s', block_size: '64KiB', range_size: '64KiB' },
      max_bytes_in_flight: '2MiB',
    },
  };
}

const mdtName = (index: number) => `${FSNAME}-MDT${index.toString(16).padStart(4, '0')}`;

/** The first MDT has one. */
async function registerUser(sandbox: Sandbox, mdt: number): Promise<void> {
  const { exitCode, stderr } = await sandbox.serverLctl(['--device', mdtName(mdt), 'changelog_register', '-n']);
  if (exitCode !== 0) throw new Error(`no changelog user: ${stderr}`);
}
