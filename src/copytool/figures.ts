import type { Change } from '../config/setting-changes.ts';
import { printable } from '../lustre/printable.ts';
import type { ServiceLog } from '../service/log.ts';
import type { BucketFigures } from '../service/rate-bucket.ts';
import type { Rater, Rates } from '../service/rates.ts';
import type { Archive } from './context.ts';
import { type PauseTable, pauseTable } from './control.ts';
import type { EndpointWatch } from './endpoint-watch.ts';
import type { Pauses } from './pauses.ts';
import type { LiveSetting, LiveSettings } from './settings.ts';
import {
  ACTION_KINDS,
  type ActionCounters,
  type ActionKind,
  type CopytoolStats,
  type FailureNote,
  totalsOf,
} from './stats.ts';
import type { Task } from './task.ts';
import type { Traffic } from './traffic.ts';

/** Counters of one kind of action; all bytes are whole numbers, exact up to 2^53. */
export interface KindFigures {
  readonly taken: number;
  readonly queued: number;
  readonly running: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly cancelled: number;
  readonly bytes: number;
  readonly moved: number;
}

/** An action that was taken and has not ended. */
export interface ActionInFlight {
  readonly kind: ActionKind;
  readonly archive: number;
  readonly fid: string;
  readonly cookie: string;
  readonly path?: string;
  readonly blob?: string;
  /**
   * `paused`: not begun, as its kind is paused; `held`: stopped before its next block by a pause; `unreachable`: its
   * archive's endpoint does not answer; `waiting`: for its copy to be found, or to come back from the Archive tier.
   */
  readonly state: 'queued' | 'paused' | 'running' | 'held' | 'unreachable' | 'waiting';
  /** Bytes moved, and bytes of the file, as soon as it is known. */
  readonly moved: number;
  readonly size?: number;
  /** Since it was taken; since it began, if it has. */
  readonly ageSeconds: number;
  readonly runningSeconds?: number;
  /** Since it began, on average. */
  readonly bytesPerSecond?: number;
}

/** What a running copytool tells about itself. docs/control.md is the contract: fields are added, never changed. */
export interface CopytoolFigures {
  readonly schema: 1;
  readonly service: 'copytool';
  readonly time: string;
  readonly process: {
    readonly pid: number;
    readonly version: string;
    readonly node: string;
    readonly startedAt: string;
    readonly uptimeSeconds: number;
    readonly cpuSeconds: number;
    readonly memory: { readonly rss: number; readonly heapUsed: number; readonly external: number };
  };
  readonly lustre: {
    readonly mount: string;
    readonly fsname: string;
    readonly uuid: string;
    readonly registered: boolean;
    readonly registeredSince: string;
    readonly helper: { readonly pid: number | null; readonly llapi: string };
  };
  readonly paused: PauseTable;
  readonly actions: Readonly<Record<ActionKind, KindFigures>>;
  readonly rates: {
    readonly bytesPerSecond: Readonly<Record<ActionKind, Rates>>;
    readonly filesPerSecond: Readonly<Record<ActionKind, Rates>>;
  };
  readonly queue: {
    readonly queued: number;
    readonly running: number;
    readonly waiting: number;
    readonly oldestSeconds: number;
  };
  readonly archives: Readonly<Record<string, ArchiveFigures>>;
  readonly errors: Readonly<Record<string, number>>;
  readonly retries: Readonly<Record<string, number>>;
  /** The latest first, 20 at most. */
  readonly lastFailures: readonly (Omit<FailureNote, 'at'> & { readonly at: string })[];
  readonly counters: Readonly<
    Record<
      | 'cancels'
      | 'heartbeats'
      | 'fallbacks'
      | 'needsLook'
      | 'orphansRemoved'
      | 'markedDirty'
      | 'layoutsLost'
      | 'xattrsLeftOut'
      | 'helperRestarts'
      | 'adopted'
      | 'adoptedEnded'
      | 'adoptedDropped'
      | 'logLinesDropped',
      number
    >
  >;
  readonly bandwidth: Readonly<Record<'archive' | 'restore' | 'all', BandwidthFigures>>;
  readonly settings: readonly LiveSetting[];
  /** Changed in the configuration, and in force after a restart. */
  readonly restart: readonly Change[];
  /** The oldest first, and no more than were asked for; `actionsOmitted` are left out. */
  readonly inFlight: readonly ActionInFlight[];
  readonly actionsOmitted: number;
}

export interface ArchiveFigures {
  readonly endpoint: string;
  readonly container: string;
  readonly sasExpires?: string;
  /** While the endpoint is out of reach, or refuses the credential: its actions are held. */
  readonly outage?: { readonly since: string; readonly code: string; readonly reason: string };
  readonly actions: Readonly<Record<ActionKind, KindFigures>>;
}

export interface BandwidthFigures {
  /** Bytes per second; null without a limit. */
  readonly limit: number | null;
  readonly held: boolean;
  /** Blocks that wait for it. */
  readonly waiting: number;
  readonly bytes: number;
}

export interface FiguresSources {
  readonly version: string;
  readonly mount: string;
  readonly fsname: string;
  readonly uuid: string;
  readonly helper: () => { readonly pid: number | undefined; readonly llapi: string };
  readonly archives: ReadonlyMap<number, Archive>;
  readonly endpoints: Pick<EndpointWatch, 'outage'>;
  readonly stats: CopytoolStats;
  readonly log: Pick<ServiceLog, 'dropped'>;
  readonly rater: Rater<string>;
  readonly traffic: Traffic;
  readonly pauses: Pauses;
  readonly settings: LiveSettings;
  /** Every action that was taken and has not ended, the oldest first. */
  readonly tasks: () => Iterable<Task>;
}

/** What the rates are made of: bytes moved and files done, by kind. */
export function ratedValues(stats: CopytoolStats): Record<string, number> {
  const totals = totalsOf(stats);
  return Object.fromEntries(
    ACTION_KINDS.flatMap((kind) => [
      [`${kind}.bytes`, Number(totals[kind].moved)],
      [`${kind}.files`, totals[kind].succeeded],
    ]),
  );
}

/** All figures at this moment. @param named how many of the actions in flight are described */
export function figuresOf(sources: FiguresSources, named: number): CopytoolFigures {
  const { stats, pauses, settings } = sources;
  const tasks = [...sources.tasks()];
  const rates = sources.rater.rates(performance.now());
  const none = { '10s': 0, '1m': 0, '5m': 0 };
  const byKind = (part: string) => perKind((kind) => rates[`${kind}.${part}`] ?? none);
  return {
    schema: 1,
    service: 'copytool',
    time: new Date().toISOString(),
    process: processFigures(sources.version, stats.startedAt),
    lustre: lustreFigures(sources),
    paused: pauseTable(pauses),
    actions: perKind((kind) => kindFigures(totalsOf(stats)[kind])),
    rates: { bytesPerSecond: byKind('bytes'), filesPerSecond: byKind('files') },
    queue: {
      queued: tasks.filter((task) => !task.running).length,
      running: tasks.filter((task) => task.running && !task.waiting).length,
      waiting: tasks.filter((task) => task.waiting).length,
      oldestSeconds: seconds(tasks[0]?.age ?? 0),
    },
    archives: Object.fromEntries(archiveIds(sources).map((id) => [String(id), archiveFigures(id, sources)])),
    errors: Object.fromEntries(stats.errors),
    retries: Object.fromEntries(stats.retries),
    lastFailures: stats.lastFailures.map((note) => ({ ...note, at: note.at.toISOString() })).reverse(),
    counters: {
      cancels: stats.cancels,
      heartbeats: stats.heartbeats,
      fallbacks: stats.fallbacks,
      needsLook: stats.needsLook,
      orphansRemoved: stats.orphansRemoved,
      markedDirty: stats.markedDirty,
      layoutsLost: stats.layoutsLost,
      xattrsLeftOut: stats.xattrsLeftOut,
      helperRestarts: stats.helperRestarts,
      adopted: stats.adoption.adopted,
      adoptedEnded: stats.adoption.ended,
      adoptedDropped: stats.adoption.dropped,
      logLinesDropped: sources.log.dropped(),
    },
    bandwidth: bandwidthFigures(sources.traffic.figures()),
    settings: settings.list(),
    restart: settings.restart,
    inFlight: tasks.slice(0, named).map((task) => inFlight(task, sources)),
    actionsOmitted: Math.max(0, tasks.length - named),
  };
}

function perKind<T>(of: (kind: ActionKind) => T): Readonly<Record<ActionKind, T>> {
  return { archive: of('archive'), restore: of('restore'), remove: of('remove') };
}

function kindFigures({ bytes, moved, ...counts }: ActionCounters): KindFigures {
  return { ...counts, bytes: Number(bytes), moved: Number(moved) };
}

function processFigures(version: string, startedAt: Date): CopytoolFigures['process'] {
  const { rss, heapUsed, external } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  return {
    pid: process.pid,
    version,
    node: process.version,
    startedAt: startedAt.toISOString(),
    uptimeSeconds: seconds(process.uptime() * 1000),
    cpuSeconds: (user + system) / 1e6,
    memory: { rss, heapUsed, external },
  };
}

function lustreFigures({ mount, fsname, uuid, helper, stats }: FiguresSources): CopytoolFigures['lustre'] {
  const { pid, llapi } = helper();
  const { registered, since } = stats.registration;
  return { mount, fsname, uuid, registered, registeredSince: since.toISOString(), helper: { pid: pid ?? null, llapi } };
}

/** Those that are configured, and those that only requests have named. */
function archiveIds({ archives, stats }: FiguresSources): number[] {
  return [...new Set([...archives.keys(), ...stats.archives.keys()])].sort((a, b) => a - b);
}

function archiveFigures(id: number, { archives, stats, endpoints }: FiguresSources): ArchiveFigures {
  const outage = endpoints.outage(id);
  const store = archives.get(id)?.store;
  const counters = stats.archives.get(id);
  const expires = store?.sas?.expires;
  return {
    endpoint: store?.endpoint ?? '',
    container: store?.container ?? '',
    ...(expires === undefined ? {} : { sasExpires: expires.toISOString() }),
    ...(outage === undefined
      ? {}
      : { outage: { since: new Date(outage.since).toISOString(), code: outage.code, reason: outage.reason } }),
    actions: perKind((kind) => kindFigures(counters?.[kind] ?? NOTHING)),
  };
}

const NOTHING: ActionCounters = {
  taken: 0,
  queued: 0,
  running: 0,
  succeeded: 0,
  failed: 0,
  cancelled: 0,
  bytes: 0n,
  moved: 0n,
};

function bandwidthFigures(figures: Readonly<Record<'archive' | 'restore' | 'all', BucketFigures>>) {
  const of = ({ rate, held, waiting, total }: BucketFigures): BandwidthFigures => ({
    limit: rate ?? null,
    held,
    waiting,
    bytes: Number(total),
  });
  return { archive: of(figures.archive), restore: of(figures.restore), all: of(figures.all) };
}

function inFlight(task: Task, sources: FiguresSources): ActionInFlight {
  const { action, kind, blob, size, begunAt } = task;
  const [path] = task.paths;
  const running = begunAt === undefined ? undefined : performance.now() - begunAt;
  return {
    kind,
    archive: action.archive,
    fid: action.fid,
    cookie: action.cookie.toString(),
    ...(path === undefined ? {} : { path: printable(path) }),
    ...(blob === undefined ? {} : { blob }),
    state: stateOf(task, sources),
    moved: Number(task.moved),
    ...(size === undefined ? {} : { size: Number(size) }),
    ageSeconds: seconds(task.age),
    ...(running === undefined
      ? {}
      : {
          runningSeconds: seconds(running),
          bytesPerSecond: running > 0 ? Math.round((Number(task.moved) * 1000) / running) : 0,
        }),
  };
}

function stateOf(task: Task, { pauses, endpoints }: FiguresSources): ActionInFlight['state'] {
  if (!task.running && pauses.all.has(task.kind)) return 'paused';
  if (endpoints.outage(task.action.archive) !== undefined) return 'unreachable';
  if (!task.running) return 'queued';
  if (pauses.isHeld(task.kind)) return 'held';
  return task.waiting ? 'waiting' : 'running';
}

/** To the millisecond. */
function seconds(milliseconds: number): number {
  return Math.round(milliseconds) / 1000;
}
