import type { BlobStore } from '../../blob/store.ts';
import type { Catalog } from '../../catalog/catalog.ts';
import type { Config } from '../../config/types.ts';
import { ChangelogReader } from '../../lustre/changelog-reader.ts';
import type { LustreFileSystem } from '../../lustre/file-system.ts';
import { Scanner } from '../../lustre/scanner.ts';
import type { AuditLog } from '../../service/audit.ts';
import { Bell } from '../../service/bell.ts';
import type { Log } from '../../service/log.ts';
import { LOOK_AGAIN_MS, type Timing } from '../decide.ts';
import { LustreSource } from '../lustre-source.ts';
import type { ReconcileContext } from '../reconcile/context.ts';
import { type SteadyWorkerOptions, workOn } from '../reconcile/journal-worker.ts';
import { PutOff } from '../reconcile/put-off.ts';
import { ToldDirectories } from '../told-directories.ts';
import { ArchiveAgain } from './archive-again.ts';
import { underLeases } from './container-work.ts';
import { GatheredRequests } from './gathered-requests.ts';
import { Intake } from './intake.ts';
import type { Leases } from './leases.ts';
import { lookOn } from './looking.ts';
import { steadily, together } from './loops.ts';
import type { FollowedMdt } from './mdts.ts';
import { watchMount } from './mount-watch.ts';
import { watchTypes } from './notices.ts';
import type { Pauses } from './pauses.ts';
import { Brake, reapOn } from './reaping.ts';
import { type RescanOptions, rescanOn, type ScanState } from './rescans.ts';
import { Restores } from './restores.ts';
import type { FollowSettings } from './settings.ts';
import type { FollowStats } from './stats.ts';
import type { AnyFollowStep } from './steps.ts';
import { type SweepingOptions, sweepOn } from './sweeping.ts';

/** Other processes put journal rows, too. */
const JOURNAL_EVERY_MS = 30_000;

/** What a follower works with, whatever becomes of its catalog. */
export interface Foundation {
  readonly config: Config;
  readonly settings: FollowSettings;
  readonly fs: LustreFileSystem;
  readonly fsUuid: string;
  /** By archive id. */
  readonly stores: ReadonlyMap<number, BlobStore>;
  readonly mdts: readonly FollowedMdt[];
  readonly audit: AuditLog;
  readonly log: Log;
  readonly stats: FollowStats;
  readonly pauses: Pauses;
  readonly step: (step: AnyFollowStep) => Promise<void>;
  /** The records of every MDT were looked for once more: following is not stuck. */
  readonly onTurn: () => void;
  /** Of this program. */
  readonly version: string;
}

export interface Course {
  /** Takes nothing new and finishes what is at work. */
  readonly stop: AbortSignal;
  /** Ends everything. */
  readonly now: AbortSignal;
  readonly leases: Leases;
  readonly takeLeases: () => Promise<Leases>;
  readonly onLeases: (leases: Leases | undefined) => void;
}

/** The follower's loops over one catalog. */
export class Follower {
  readonly catalog: Catalog;
  readonly base: Foundation;
  readonly intakes: readonly Intake[];
  readonly brake: Brake;
  readonly source: LustreSource;
  /** Rung when there are marks; journal rows; dead; a demand for a scan, for a sweep. */
  readonly bells = { marks: new Bell(), journal: new Bell(), dead: new Bell(), scan: new Bell(), sweep: new Bell() };
  scan: ScanState = { running: false, summary: undefined };
  /** Files that are put right in the container just now. */
  atWork = 0;
  /** Nothing was marked at the last look. */
  looksIdle = false;
  readonly #undeletable = new PutOff();
  /** MDTs whose records were looked for since all were. */
  readonly #turns = new Set<string>();

  constructor(base: Foundation, catalog: Catalog) {
    this.base = base;
    this.catalog = catalog;
    const { fs, fsUuid, log, settings, step } = base;
    this.source = new LustreSource(fs, fsUuid);
    this.brake = new Brake(catalog, () => settings.removal, log);
    const directories = new ToldDirectories();
    this.intakes = base.mdts.map(
      ({ mdt, user }) =>
        new Intake({
          ...{ mdt, user, catalog, directories, log, step },
          open: (start) => this.#openReader(mdt, user, start),
          onTaken: (records) => {
            base.stats.records += records;
            this.looksIdle = false;
            this.bells.marks.ring();
          },
          onTurn: () => this.#turned(mdt),
          onRescan: (reason) => {
            log.error('records are missing, everything is scanned', { mdt, reason });
            this.bells.scan.ring();
          },
        }),
    );
  }

  #turned(mdt: string): void {
    this.#turns.add(mdt);
    if (this.#turns.size < this.intakes.length) return;
    this.#turns.clear();
    this.base.onTurn();
  }

  /** Finds out where each changelog is to be read from. */
  async open(): Promise<void> {
    for (const intake of this.intakes) await intake.open();
  }

  async close(): Promise<void> {
    await Promise.all(this.intakes.map((intake) => intake.close()));
  }

  /** Follows until it is stopped. Rejects with what makes going on senseless. */
  async run(course: Course): Promise<void> {
    const { stop, now } = course;
    const { log } = this.base;
    await together(now, [
      ...this.intakes.map((intake) => (signal: AbortSignal) => intake.run(either(stop, signal))),
      (signal) => this.look(either(stop, signal)),
      (signal) => steadily('scan', () => rescanOn(this.rescans(either(stop, signal))), { signal, log }),
      (signal) => watchTypes(this.catalog, log, either(stop, signal)),
      (signal) => steadily('watching the mount', () => watchMount(this.base.fs, either(stop, signal)), { signal, log }),
      (signal) =>
        this.inContainers(course, signal, (context) => [
          () => this.journal(context, { stop }),
          (inner) => this.#reap(context, either(stop, inner)),
          (inner) => sweepOn(this.sweeps(either(stop, inner))),
        ]),
    ]);
  }

  look(stop: AbortSignal): Promise<void> {
    const { stats, step, log } = this.base;
    return steadily(
      'looking at files',
      () =>
        lookOn({
          ...{ catalog: this.catalog, source: this.source, timing: this.timing, bell: this.bells.marks },
          ...{ step, stats, stop },
          onLooked: () => {
            this.bells.journal.ring();
            this.bells.dead.ring();
          },
          onIdle: () => {
            this.looksIdle = true;
          },
        }),
      { signal: stop, log },
    );
  }

  sweeps(stop: AbortSignal): SweepingOptions {
    const { config, fsUuid, stores, settings, version, log } = this.base;
    return {
      ...{ catalog: this.catalog, fsUuid, stores, config, version, log, stop, bell: this.bells.sweep },
      settings: () => settings.sweep,
      onSwept: () => {
        this.looksIdle = false;
        this.bells.marks.ring();
        this.bells.journal.ring();
        this.bells.dead.ring();
      },
    };
  }

  rescans(stop: AbortSignal): RescanOptions {
    const { config, fs, version, log, step } = this.base;
    const { liblustreapi, helper } = config;
    return {
      ...{ catalog: this.catalog, source: this.source, timing: this.timing, mount: fs.mount, version, log, step, stop },
      directory: config.stateDir,
      bell: this.bells.scan,
      startScanner: () => Scanner.start({ mount: fs.mount, liblustreapi, helper, threads: config.scan.threads }),
      onScan: (state) => {
        const last = this.scan.running ? undefined : this.scan.summary;
        this.scan = state.running ? state : { running: false, summary: state.summary ?? last };
        this.looksIdle = false;
        this.bells.marks.ring();
        this.bells.journal.ring();
        this.bells.dead.ring();
        this.bells.sweep.ring();
      },
    };
  }

  /** Does what is done in containers, as long as the leases are ours, and anew when they are again. */
  async inContainers(
    course: Course,
    signal: AbortSignal,
    loops: (context: ReconcileContext) => ((signal: AbortSignal) => Promise<void>)[],
  ): Promise<void> {
    const { log, stats } = this.base;
    const { leases, takeLeases: take, onLeases, stop } = course;
    await underLeases({ leases, take, onLeases, stats, log }, signal, stop, async (inner) => {
      await steadily('work in the containers', () => together(inner, loops(this.context(inner))), {
        signal: inner,
        log,
      });
    });
  }

  /** Works off the journal until it is stopped. */
  async journal(context: ReconcileContext, options: Pick<SteadyWorkerOptions, 'stop' | 'isDue'>): Promise<void> {
    const { stats, settings, pauses } = this.base;
    const { concurrency, maxTries } = settings.follow;
    const { journal: bell } = this.bells;
    await workOn(context, {
      ...options,
      ...{ concurrency, maxTries, settle: () => settings.follow.settle },
      isPaused: () => pauses.paused,
      idle: (until) =>
        bell.wait(
          pauses.paused
            ? JOURNAL_EVERY_MS
            : Math.min(JOURNAL_EVERY_MS, (until ?? Number.POSITIVE_INFINITY) - Date.now()),
          either(options.stop, context.signal),
        ),
      onBegin: () => {
        this.atWork += 1;
      },
      onEnd: (outcome) => {
        this.atWork -= 1;
        if (outcome?.outcome === 'done') stats.reconciled += 1;
        else if (outcome?.outcome === 'later') stats.later += 1;
        else if (outcome?.outcome === 'failed') stats[outcome.quarantine === true ? 'givenUp' : 'failed'] += 1;
        bell.ring();
        this.looksIdle = false;
        this.bells.marks.ring();
      },
    });
  }

  context(signal: AbortSignal): ReconcileContext {
    const { fs, fsUuid, stores, audit, log, step, config, settings, stats } = this.base;
    const asking = { mount: fs.mount, lfs: config.lfs, signal, log };
    const archives = new GatheredRequests({ ...asking, action: 'archive' });
    const again = new ArchiveAgain(async (fid) => {
      await archives.ask(fid);
      stats.archivesAskedAgain += 1;
    });
    const restores = new GatheredRequests({ ...asking, action: 'restore' });
    const byRestore =
      config.follow.renameMode === 'copy'
        ? undefined
        : new Restores(
            (fid) => restores.ask(fid),
            () => settings.follow.restores,
            async (fid) => (await this.catalog.journalEntry(fid)) !== undefined,
          );
    return {
      ...{ fs, fsUuid, archives: stores, catalog: this.catalog, audit, log, step, signal, byRestore },
      archiveAgain: (fid) => again.ask(fid),
    };
  }

  readonly timing = (): Timing => ({
    ...{ now: Date.now(), settle: this.base.settings.follow.settle, again: LOOK_AGAIN_MS },
    xattrs: this.base.config.metadata.xattrs,
  });

  #reap(context: ReconcileContext, stop: AbortSignal): Promise<void> {
    const { settings, stats, pauses } = this.base;
    return reapOn({
      ...{ context, brake: this.brake, bell: this.bells.dead, stats, stop, putOff: this.#undeletable },
      settings: () => settings.removal,
      concurrency: () => settings.follow.concurrency,
      isPaused: () => pauses.paused,
    });
  }

  async #openReader(mdt: string, user: string, start: number | undefined): Promise<ChangelogReader> {
    const { config, fs, log } = this.base;
    const { liblustreapi, helper, follow } = config;
    return ChangelogReader.start({
      ...{ mount: fs.mount, liblustreapi, helper, mdt, user, interval: follow.pollInterval },
      ...(start === undefined ? {} : { start }),
      onDiagnostic: (line) => log.warn('native helper', { line }),
    });
  }
}

function either(...signals: AbortSignal[]): AbortSignal {
  return AbortSignal.any(signals);
}
