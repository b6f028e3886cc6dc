import { hostname } from 'node:os';
import type { Config } from '../config/types.ts';
import type { CopytoolFigures } from '../copytool/figures.ts';
import { copytoolSocket } from '../copytool/socket.ts';
import type { FollowFigures } from '../follow/figures.ts';
import { followSocket } from '../follow/service/socket.ts';
import { readMountState } from '../lustre/mount-state.ts';
import { percentUsed, readOstUsage } from '../lustre/ost-usage.ts';
import type { RunHolder } from '../service/control/run-lock.ts';
import { type CatalogFacts, readCatalog } from './catalog.ts';
import { askChangelogs, changelogsOf, recoveryPointOf } from './changelogs.ts';
import { containersOf, probeContainer } from './containers.ts';
import { coordinatorOf } from './coordinator.ts';
import { type Part, partOf } from './part.ts';
import { policiesOf, scheduleOf } from './policies.ts';
import { healthOf } from './problems.ts';
import { serviceAt } from './services.ts';
import {
  type ChangelogStatus,
  type ContainerStatus,
  RUN_NAMES,
  type RunName,
  type Service,
  type StatusSnapshot,
} from './types.ts';

export interface SnapshotOptions {
  readonly config: Config;
  readonly version: string;
  /** So many of the copytool's actions are named. */
  readonly actions: number;
  /** Milliseconds after which a part counts as unavailable. */
  readonly patience: number;
}

/** What is dear to ask for, a process or a request each, is asked for no more often than this when snapshots are repeated. */
const DEAR_MS = 15_000;

/** Gathers snapshots, one after the other: each as complete as it can be in bounded time, whatever runs or hangs. */
export class SnapshotGatherer {
  readonly #options: SnapshotOptions;
  readonly #dear = new Map<string, { readonly at: number; readonly value: unknown }>();

  constructor(options: SnapshotOptions) {
    this.#options = options;
  }

  async gather(): Promise<StatusSnapshot> {
    const { config, version, actions, patience } = this.#options;
    const probe = { mount: config.mount, liblustreapi: config.liblustreapi, helper: config.helper, patience };
    const [copytool, follower, runs, schedule, catalog, fileSystem, osts] = await Promise.all([
      serviceAt<CopytoolFigures>(this.#service('copytool', copytoolSocket(config.mount)), patience, { actions }),
      serviceAt<FollowFigures>(this.#service('changelog-follow', followSocket(config.mount)), patience),
      this.#runs(patience),
      this.#rarely('schedule', () => scheduleOf(config, patience)),
      partOf('the catalog', patience, () => readCatalog(config.stateDir)),
      this.#rarely('file system', () => partOf('the file system', patience, () => readMountState(probe))),
      this.#rarely('osts', () => this.#osts(patience)),
    ]);
    const lastRuns = catalog.available ? catalog.lastPolicyRuns : new Map();
    const [coordinator, policies, containers, changelogs] = await Promise.all([
      this.#rarely('coordinator', () =>
        coordinatorOf(config, fileSystem.available ? fileSystem.fsname : undefined, patience),
      ),
      policiesOf({ config, schedule, lastRuns, patience }),
      copytool.state === 'running'
        ? containersOf(copytool.figures)
        : this.#rarely('containers', () => this.#probeContainers(patience)),
      follower.state === 'running'
        ? changelogsOf(follower.figures)
        : fileSystem.available
          ? this.#rarely('changelogs', () =>
              askChangelogs(probe, catalog.available ? catalog.cursors : [], config.mdts ?? []),
            )
          : [],
    ]);
    const services = { copytool, follower, runs, policies };
    return assemble({ config, version, ...services, catalog, fileSystem, coordinator, osts, containers, changelogs });
  }

  #service(service: string, name: string) {
    return { directory: this.#options.config.runDir, name, service, start: `lfsazsync ${service}` };
  }

  async #runs(patience: number): Promise<Readonly<Record<RunName, Service<RunHolder>>>> {
    const { stateDir } = this.#options.config;
    const at = (name: RunName) => ({ ...this.#service(name, `${name}.sock`), directory: stateDir });
    const found = RUN_NAMES.map(async (name) => [name, await serviceAt<RunHolder>(at(name), patience)] as const);
    return Object.fromEntries(await Promise.all(found)) as Record<RunName, Service<RunHolder>>;
  }

  async #osts(patience: number): Promise<StatusSnapshot['osts']> {
    const { config } = this.#options;
    const triggers = [...config.policies.values()].flatMap((policy) => policy.triggers);
    const marks = triggers.filter(({ on }) => on === 'ost_usage');
    return await partOf('`lfs df`', patience, async (signal) => ({
      targets: (await readOstUsage(config.mount, config.lfs, signal)).map((ost) => ({
        ...ost,
        percent: percentUsed(ost),
      })),
      high: lowest(marks.map(({ high }) => high)),
      low: lowest(marks.map(({ low }) => low)),
    }));
  }

  async #probeContainers(patience: number): Promise<readonly ContainerStatus[]> {
    const archives = [...this.#options.config.archives.values()];
    return await Promise.all(archives.map((archive) => probeContainer(archive, patience)));
  }

  async #rarely<T>(name: string, ask: () => Promise<T>): Promise<T> {
    const known = this.#dear.get(name);
    if (known !== undefined && performance.now() - known.at < DEAR_MS) return known.value as T;
    const value = await ask();
    this.#dear.set(name, { at: performance.now(), value });
    return value;
  }
}

function lowest(marks: readonly (number | undefined)[]): number | null {
  const known = marks.filter((mark) => mark !== undefined);
  return known.length === 0 ? null : Math.min(...known);
}

interface Gathered {
  readonly config: Config;
  readonly version: string;
  readonly copytool: StatusSnapshot['services']['copytool'];
  readonly follower: StatusSnapshot['services']['changelog-follow'];
  readonly runs: Readonly<Record<RunName, Service<RunHolder>>>;
  readonly policies: StatusSnapshot['policies'];
  readonly catalog: Part<CatalogFacts>;
  readonly fileSystem: StatusSnapshot['fileSystem'];
  readonly coordinator: StatusSnapshot['coordinator'];
  readonly osts: StatusSnapshot['osts'];
  readonly containers: readonly ContainerStatus[];
  readonly changelogs: readonly ChangelogStatus[];
}

function assemble(found: Gathered): StatusSnapshot {
  const { config, version, copytool, follower, runs, policies, catalog } = found;
  const { fileSystem, coordinator, osts, containers, changelogs } = found;
  const now = Date.now();
  const oldest = catalog.available ? catalog.oldestChange : undefined;
  const head = {
    schema: 1 as const,
    time: new Date(now).toISOString(),
    host: hostname(),
    version,
    mount: config.mount,
  };
  const parts = {
    services: { copytool, 'changelog-follow': follower, ...runs },
    fileSystem,
    coordinator,
    containers,
    changelogs,
    recoveryPoint: recoveryPointOf(oldest, catalog.available, changelogs, now),
    policies,
    catalog: catalog.available ? { available: true as const, ...catalog.status } : catalog,
    osts,
  };
  return { ...head, health: healthOf({ ...head, ...parts }), ...parts };
}
