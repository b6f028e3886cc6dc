import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { FollowFigures } from '../../../src/follow/figures.ts';
import type { FollowJson } from '../../../src/follow/report.ts';
import { followSocket } from '../../../src/follow/service/socket.ts';
import { askService } from '../../../src/service/control/client.ts';
import type { SandboxOptions } from '../../support/sandbox.ts';
import type { ServiceProcess } from '../../support/service-process.ts';
import { waitUntil } from '../../support/wait.ts';
import { Rig } from '../copytool/fixture.ts';
import { mirrored } from './mirror.ts';

/** A sandbox with a copytool, and a follower when the test starts one. */
export class FollowRig {
  readonly rig: Rig;
  #follower: ServiceProcess | undefined;

  private constructor(rig: Rig) {
    this.rig = rig;
  }

  static async start(options: SandboxOptions = {}): Promise<FollowRig> {
    const { config = {}, ...rest } = options;
    const rig = await Rig.start({
      ...rest,
      config: {
        ...config,
        follow: { settle: '1s', ...(config['follow'] as object | undefined) },
        removal: { grace: '0s', ...(config['removal'] as object | undefined) },
      },
    });
    return new FollowRig(rig);
  }

  get sandbox(): Rig['sandbox'] {
    return this.rig.sandbox;
  }

  get follower(): ServiceProcess {
    if (this.#follower === undefined) throw new Error('no follower was started');
    return this.#follower;
  }

  path(...names: string[]): string {
    return this.rig.path(...names);
  }

  /** Starts a resident follower, at work when this returns. Steps can be held (`hold`). */
  async follow(env: NodeJS.ProcessEnv = {}): Promise<ServiceProcess> {
    this.#follower = await this.sandbox.startFollower([], { LFSAZSYNC_TEST_STEPS: this.rig.steps, ...env });
    return this.#follower;
  }

  /** Ends the resident follower, if one is at work. */
  async stopFollowing(): Promise<void> {
    if (this.#follower?.alive === true) await this.#follower.stop();
  }

  /** Catches up; gives what `--json` says, which must end with that code. */
  async once(exitCode = 0): Promise<FollowJson> {
    const result = await this.sandbox.run(['changelog-follow', '--once', '--json']);
    expect(result, `${result.stderr}\n${result.stdout}`).toMatchObject({ exitCode });
    return JSON.parse(result.stdout) as FollowJson;
  }

  async status(): Promise<FollowFigures> {
    const directory = join(this.sandbox.dir, 'run-dir');
    const target = { directory, name: followSocket(this.sandbox.mount), service: 'changelog-follow', start: '' };
    return (await askService(target, 'status')) as FollowFigures;
  }

  /** Figures in which something is so. */
  statusWhere(what: string, holds: (figures: FollowFigures) => boolean): Promise<FollowFigures> {
    let last: FollowFigures | undefined;
    return waitUntil(
      what,
      async () => {
        last = await this.status();
        return holds(last) ? last : undefined;
      },
      { interval: 100, detail: () => `${JSON.stringify(last)}\n${this.follower.log.text().slice(-4_000)}` },
    );
  }

  /** Waits until the container is as the file system is. */
  mirrored(timeout?: number): Promise<void> {
    return mirrored(this.sandbox, () => this.#follower?.log.text() ?? '', timeout);
  }

  /** The next one who takes that step waits there. */
  hold(step: string): void {
    writeFileSync(join(this.rig.steps, step), '');
  }

  async held(step: string): Promise<void> {
    await waitUntil(`the follower is at ${step}`, () => existsSync(join(this.rig.steps, `${step}.reached`)), {
      interval: 10,
      detail: () => this.#follower?.log.text().slice(-6_000) ?? '',
    });
  }

  letAllGo(): void {
    for (const name of readdirSync(this.rig.steps)) rmSync(join(this.rig.steps, name), { force: true });
  }

  async stop(): Promise<void> {
    this.letAllGo();
    await this.rig.stop();
  }
}
