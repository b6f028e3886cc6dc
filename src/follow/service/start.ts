import { mkdir } from 'node:fs/promises';
import { checkContainer } from '../../blob/preflight.ts';
import { watchSas } from '../../blob/sas-watch.ts';
import { BlobStore } from '../../blob/store.ts';
import type { Catalog } from '../../catalog/catalog.ts';
import { isCatalogError } from '../../catalog/errors.ts';
import { openCatalogForScan, setAsideCatalog } from '../../catalog/open.ts';
import { catalogFile } from '../../catalog/place.ts';
import type { LoadedConfig } from '../../config/load.ts';
import type { Config } from '../../config/types.ts';
import { establishIdentity } from '../../copies/identity-check.ts';
import { openFileSystem } from '../../lustre/file-system.ts';
import { openAuditLog } from '../../service/audit.ts';
import { OperatorError } from '../../service/errors.ts';
import type { ServiceLog } from '../../service/log.ts';
import { serviceManager } from '../../service/service-manager.ts';
import type { Shutdown } from '../../service/shutdown.ts';
import { stepHook } from '../../service/step-hook.ts';
import type { FollowFigures } from '../figures.ts';
import { type Course, Follower, type Foundation } from './follower.ts';
import { Leases } from './leases.ts';
import { lockFollower } from './lock.ts';
import { followedMdts } from './mdts.ts';
import { catchUp, type Left } from './once.ts';
import { Pauses } from './pauses.ts';
import { openServiceControl } from './service-control.ts';
import { FollowSettings } from './settings.ts';
import { newStats } from './stats.ts';

/** Requests wait for a container that does not answer, rather than fail: nothing else could be done meanwhile. */
const HOLD_MS = 7 * 86_400_000;
/** Catalogs that are lost in a row, each after less than this: the disk, or somebody, destroys them. */
const CATALOG_LIVES = 3;
const CATALOG_LIFE_MS = 600_000;

export interface FollowOptions {
  readonly loaded: LoadedConfig;
  /** Reads the configuration again, with the same flags. */
  readonly reload: () => Promise<LoadedConfig>;
  /** Of this program. */
  readonly version: string;
  readonly log: ServiceLog;
  readonly shutdown: Pick<Shutdown, 'drain' | 'now'>;
  /** Catch up and leave. */
  readonly once: boolean;
}

/** What came of a run that catches up. */
export interface CaughtUp {
  readonly left: Left;
  readonly figures: FollowFigures;
}

type Closer = () => void | Promise<void>;

/**
 * Follows until it is stopped, or catches up and leaves. Everything that can be wrong is found out before the first
 * record is read: the credential's permissions, whose container and catalog it is, who else follows.
 * @returns what came of it, with `once`
 * @throws OperatorError, BlobError: what is wrong, and what to do
 */
export async function runFollower(options: FollowOptions): Promise<CaughtUp | undefined> {
  const { config } = options.loaded;
  if (config.archives.size === 0) {
    throw new OperatorError('No archive is configured, so there is no container that could follow.', {
      code: 'NO_ARCHIVE',
      hint: 'Add a section under `archives` to the configuration; `lfsazsync config init` shows one.',
      exit: 'usage',
    });
  }
  for (const directory of [config.runDir, config.stateDir]) await mkdir(directory, { recursive: true, mode: 0o750 });
  const opened: Closer[] = [];
  try {
    return await follow(options, (close) => opened.push(close));
  } finally {
    for (const close of opened.reverse()) await close();
  }
}

async function follow(options: FollowOptions, atEnd: (close: Closer) => void): Promise<CaughtUp | undefined> {
  const { loaded, log, version, shutdown, once } = options;
  const { config } = loaded;
  // Before the first program is started: what systemd wrote into the environment is not for those.
  const manager = serviceManager({ log });
  const { liblustreapi, helper } = config;
  const onDiagnostic = (line: string) => log.warn('native helper', { line });
  const fs = await openFileSystem({
    ...{ mount: config.mount, liblustreapi, helper, onDiagnostic },
    xattrs: config.metadata.xattrs,
  });
  atEnd(() => fs.close());
  const mdts = await followedMdts(config, fs.mount);
  const stores = await openStores(config, log);
  atEnd(() => {
    for (const store of stores.values()) store.close();
  });
  const fsUuid = await establishIdentity(fs, stores.values());
  const lock = await lockFollower({ directory: config.stateDir, version, log });
  atEnd(() => lock.release());
  const takeLeases = () =>
    Leases.take(stores.values(), { stateDir: config.stateDir, fsUuid, log, signal: shutdown.now });
  let leases: Leases | undefined = await takeLeases();
  atEnd(() => leases?.release());
  const audit = await openAuditLog(config.log.auditFile, (error) =>
    log.error('no room for the audit log: until there is, nothing is deleted or overwritten', { err: error }),
  );
  atEnd(() => audit.close());
  for (const [id, store] of stores) {
    if (!once) store.holdFor(HOLD_MS);
    atEnd(watchSas(store, log.child({ archive: id })));
  }

  let follower: Follower | undefined;
  const pauses = new Pauses((paused) => {
    if (paused) log.warn('work in the containers is paused');
    else log.info('work in the containers goes on');
    follower?.bells.journal.ring();
    follower?.bells.dead.ring();
  });
  const settings = new FollowSettings({
    ...{ loaded, reload: options.reload, log },
    apply: ({ log: { level } }) => {
      log.setLevel(level);
      follower?.bells.dead.ring();
    },
  });
  const stats = newStats();
  const step = stepHook(process.env['LFSAZSYNC_TEST_STEPS']);
  const base: Foundation = {
    ...{ config, settings, fs, fsUuid, stores, mdts, audit, log, stats, pauses, step, version },
    onTurn: () => manager.alive(),
  };
  let state: FollowFigures['state'] = 'starting';
  const control = await openServiceControl({
    base,
    follower: () => follower,
    state: () => (shutdown.drain.aborted ? 'stopping' : state),
    leaseHeld: () => leases !== undefined && leases.loss === undefined,
    once,
  });
  atEnd(control.close);
  const reopen = () => {
    log.reopen();
    for (const store of stores.values())
      store.refresh().catch((error: unknown) => log.warn('credential not read again', { err: error }));
    audit.reopen().catch((error: unknown) => log.error('audit log not opened again', { err: error }));
    settings.reload().catch((error: unknown) => {
      const reason = error instanceof Error ? error.message : String(error);
      log.error('configuration could not be read again, the old one stays in force', { reason });
    });
  };
  process.on('SIGHUP', reopen);
  atEnd(() => {
    process.off('SIGHUP', reopen);
  });

  const ending = endingOf(shutdown, fs.gone, () => settings.follow.drainTimeout);
  atEnd(ending.dispose);
  shutdown.drain.addEventListener('abort', () => manager.stopping(), { once: true });
  // While it follows, the intakes keep the watchdog quiet; before and after, that the process is not stuck must do.
  let following = false;
  const alive = setInterval(() => {
    if (!following || ending.stop.aborted) manager.alive();
  }, 1_000).unref();
  atEnd(() => clearInterval(alive));
  return await eachCatalog(base, ending.stop, async (catalog) => {
    const it = new Follower(base, catalog);
    try {
      await it.open();
      follower = it;
      state = once ? 'once' : 'following';
      log.info('follower ready', {
        ...{ mount: fs.mount, fsname: fs.fsname, fs: fsUuid, mdts, archives: [...stores.keys()] },
        catalog: catalog.file,
      });
      manager.ready(`follows ${fs.mount}`);
      const course: Course = {
        ...{ stop: ending.stop, now: ending.now, leases: leases ?? (await takeLeases()), takeLeases },
        onLeases: (held) => {
          leases = held;
        },
      };
      if (once) {
        const left = await catchUp(it, course);
        return { left, figures: await control.figures(it) };
      }
      following = true;
      await it.run(course).catch((error: unknown) => {
        // The time to drain is over: whatever was at work is done again by the next follower.
        if (!ending.isCut(error)) throw error;
      });
      log.info('follower stopped', { ...stats });
      return undefined;
    } finally {
      following = false;
      follower = undefined;
      await it.close();
    }
  });
}

/** Opens the catalog for `work`, and a new one when it is lost in the middle: loudly, and everything is scanned. */
async function eachCatalog<T>(
  { config, fsUuid, log, stats }: Foundation,
  stop: AbortSignal,
  work: (catalog: Catalog) => Promise<T>,
): Promise<T> {
  const file = catalogFile(config.stateDir);
  for (let losses = 0; ; ) {
    const begun = performance.now();
    const { catalog, setAside } = openCatalogForScan({ file });
    if (setAside !== undefined)
      log.error('catalog is damaged, a new one is begun and everything scanned', { setAside });
    if (setAside !== undefined) stats.catalogsSetAside += 1;
    let damaged: unknown;
    try {
      await catalog.claim(fsUuid);
      return await work(catalog);
    } catch (error) {
      if (!isCatalogError(error, 'CATALOG_DAMAGED', 'CATALOG_REPLACED') || stop.aborted) throw error;
      if (performance.now() - begun > CATALOG_LIFE_MS) losses = 0;
      losses += 1;
      if (losses >= CATALOG_LIVES) throw error;
      log.error('catalog is lost, a new one is begun and everything scanned', { err: error });
      stats.catalogsSetAside += 1;
      damaged = isCatalogError(error, 'CATALOG_DAMAGED') ? error : undefined;
    } finally {
      catalog.close();
    }
    if (damaged !== undefined) log.error('damaged catalog is set aside', { setAside: setAsideCatalog(file) });
  }
}

async function openStores(config: Config, log: ServiceLog): Promise<Map<number, BlobStore>> {
  const stores = new Map<number, BlobStore>();
  for (const [id, archive] of config.archives) {
    const child = log.child({ archive: id });
    const store = await BlobStore.open(archive, {
      log: {
        debug: (fields, message) => child.debug(message, { ...fields }),
        info: (fields, message) => child.info(message, { ...fields }),
        warn: (fields, message) => child.warn(message, { ...fields }),
      },
      onEndpoint: (event) => {
        if (event.state === 'up') child.info('endpoint answers again', { lastedMs: Math.round(event.lasted) });
        else child.warn('endpoint out of reach, what is to be done there waits', { ...event });
      },
    });
    stores.set(id, store);
    await checkContainer(store, { need: 'write' });
  }
  return stores;
}

/** How a stop goes: first nothing new is taken; when the time for what is at work is over, or at the second signal, it is cut off. */
function endingOf(shutdown: Pick<Shutdown, 'drain' | 'now'>, gone: Promise<never>, drainTimeout: () => number) {
  const late = new AbortController();
  const lost = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  shutdown.drain.addEventListener(
    'abort',
    () => {
      timer = setTimeout(() => late.abort(new Error('the time to finish is over')), drainTimeout());
    },
    { once: true },
  );
  gone.catch((error: unknown) => lost.abort(error));
  const now = AbortSignal.any([shutdown.now, late.signal, lost.signal]);
  return {
    stop: AbortSignal.any([shutdown.drain, now]),
    now,
    isCut: (error: unknown) => late.signal.aborted && error === late.signal.reason,
    dispose: () => clearTimeout(timer),
  };
}
