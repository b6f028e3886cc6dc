import { lstat, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect } from 'vitest';
import { ManagedService } from '../../soak/service.ts';
import { listContainer } from '../../support/container-view.ts';
import { Faults, faultyWay } from '../../support/faults.ts';
import { outOfStep } from '../../support/in-step.ts';
import type { RunResult } from '../../support/run.ts';
import { type Sandbox, type SandboxOptions, type Settings, startSandbox } from '../../support/sandbox.ts';
import { waitUntil } from '../../support/wait.ts';

/** What a follower tells about itself, as far as these tests care. */
interface FollowStatus {
  readonly recoveryPoint: unknown;
  readonly mdts: readonly { readonly lag: { readonly caughtUp: boolean } }[];
  readonly journal: { readonly waiting: number; readonly quarantined: number };
  readonly tombstones: { readonly count: number };
  readonly counters: Readonly<Record<string, number>>;
}

/** A sandbox with a copytool and a follower, and what is known of the files in it. */
export class Following {
  readonly sandbox: Sandbox;
  readonly copytool: ManagedService;
  readonly follower: ManagedService;
  /** Of the follower's way to the endpoint. */
  readonly faults: Faults;
  readonly #contents = new Map<bigint, Buffer>();

  constructor(sandbox: Sandbox, faults: Faults, connectionString: string) {
    this.sandbox = sandbox;
    this.faults = faults;
    const env = { LFSAZSYNC_TEST_STEPS: this.steps, AZURE_STORAGE_CONNECTION_STRING: connectionString };
    this.copytool = new ManagedService(sandbox, ['copytool'], 'copytool ready');
    this.follower = new ManagedService(sandbox, ['changelog-follow'], 'follower ready', env);
  }

  /** Where steps of the follower are held: see `Steps`. */
  get steps(): string {
    return join(this.sandbox.dir, 'steps');
  }

  path(name: string): string {
    return join(this.sandbox.tree, name);
  }

  blobName(name: string): string {
    return this.sandbox.blobName(this.path(name));
  }

  /** A file that is made, or written anew in place. */
  async write(name: string, data: string | Buffer = `content of ${name}`): Promise<string> {
    const path = this.path(name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, data);
    this.#contents.set((await lstat(path, { bigint: true })).ino, Buffer.from(data));
    return path;
  }

  async run(...argv: string[]): Promise<RunResult> {
    const result = await this.sandbox.run(argv);
    expect(result.exitCode, `lfsazsync ${argv.join(' ')}: ${result.stdout}${result.stderr}\n${this.logs()}`).toBe(0);
    return result;
  }

  async archive(): Promise<void> {
    await this.run('archive', '--recursive', '--wait', this.sandbox.mount);
  }

  async release(): Promise<void> {
    await this.run('release', '--recursive', this.sandbox.mount);
  }

  logs(): string {
    return `copytool:\n${this.copytool.logs()}\nfollower:\n${this.follower.logs()}`;
  }

  findings(): Promise<string[]> {
    const { mount, containerClient: container } = this.sandbox;
    return outOfStep({ mount, container, contents: (ino) => this.#contents.get(ino) });
  }

  /** Waits until container and file system are in step. */
  async inStep(): Promise<void> {
    let last: string[] = [];
    await waitUntil(
      'container and file system are in step',
      async () => {
        last = await this.findings();
        return last.length === 0;
      },
      { interval: 200, timeout: 180_000, detail: () => `${last.join('\n')}\n${this.logs()}` },
    );
  }

  async status(): Promise<FollowStatus> {
    return JSON.parse((await this.run('changelog-follow', 'ctl', 'status', '--json')).stdout) as FollowStatus;
  }

  /** Waits until the follower has nothing left to do. */
  async idle(timeout?: number): Promise<FollowStatus> {
    let last: FollowStatus | undefined;
    const isIdle = ({ recoveryPoint, mdts, journal }: FollowStatus) =>
      recoveryPoint === null && mdts.every(({ lag }) => lag.caughtUp) && journal.waiting === 0;
    return await waitUntil(
      'the follower has nothing left to do',
      async () => {
        last = await this.status();
        return isIdle(last) ? last : undefined;
      },
      { ...(timeout === undefined ? {} : { timeout }), detail: () => JSON.stringify(last) },
    );
  }

  /** Everything in the container: names, versions. */
  async container(): Promise<string[]> {
    const blobs = await listContainer(this.sandbox.containerClient);
    // The lease's own blob changes with every start of a follower.
    return blobs.filter(({ name }) => name !== '.lfsazsync/follower').map(({ name, etag }) => `${name} ${etag}`);
  }

  /** That for so long nothing changes in the container, whatever is begun meanwhile. */
  async untouched(milliseconds: number, meanwhile: () => Promise<unknown>): Promise<void> {
    const before = await this.container();
    const doing = meanwhile();
    doing.catch(() => undefined);
    for (const end = Date.now() + milliseconds; Date.now() < end; await delay(200)) {
      expect(await this.container()).toEqual(before);
    }
    await doing;
    expect(await this.container()).toEqual(before);
  }
}

/**
 * A sandbox of their own for the tests of a group. Removed files' copies go at once, unless `config` says otherwise.
 * @param mask of the only changelog user there is; by default Lustre's own
 */
export function useFollowing(options: SandboxOptions = {}, mask?: string): { readonly it: Following } {
  let following: Following | undefined;
  let sandbox: Sandbox | undefined;
  let closeWay: (() => Promise<void>) | undefined;
  beforeAll(async () => {
    const { config = {} } = options;
    const settings = {
      ...config,
      follow: {
        changelog_user: mask === undefined ? 'cl1' : 'cl2',
        poll_interval: '50ms',
        settle: '0s',
        ...(config['follow'] as Settings),
      },
      removal: { grace: '0s', ...(config['removal'] as Settings) },
      copytool: { heartbeat: '200ms', locate_timeout: '2s', ...(config['copytool'] as Settings) },
    };
    sandbox = await startSandbox({ ...options, standInOnly: true, config: settings });
    if (mask !== undefined) await useMask(sandbox, mask);
    const faults = new Faults();
    const way = await faultyWay(sandbox.connectionString, faults);
    closeWay = () => way.stop();
    following = new Following(sandbox, faults, way.connectionString);
    await mkdir(following.steps, { recursive: true });
    await sandbox.serverLctl(['set_param', 'mdt.*.hsm.max_requests=64', 'mdt.*.hsm.loop_period=1']);
    await following.copytool.start();
    await following.follower.start();
  });
  afterAll(async () => {
    await sandbox?.stop();
    await closeWay?.();
  });
  return {
    get it(): Following {
      if (following === undefined) throw new Error('the sandbox is not up');
      return following;
    },
  };
}

/** `cl2` with this mask in place of `cl1`. */
async function useMask(sandbox: Sandbox, mask: string): Promise<void> {
  for (const args of [
    ['changelog_register', '-n', '--mask', mask],
    ['changelog_deregister', 'cl1'],
  ]) {
    const { exitCode, stderr } = await sandbox.serverLctl(['--device', sandbox.mdt, ...args]);
    if (exitCode !== 0) throw new Error(`lctl ${args.join(' ')}: ${stderr}`);
  }
}
