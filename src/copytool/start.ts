import { createHash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { readControl } from '../blob/control.ts';
import { checkContainer } from '../blob/preflight.ts';
import { watchSas } from '../blob/sas-watch.ts';
import { BlobStore } from '../blob/store.ts';
import { catalogFile } from '../catalog/place.ts';
import type { LoadedConfig } from '../config/load.ts';
import type { Config } from '../config/types.ts';
import { watchContainers } from '../copies/container-watch.ts';
import { establishIdentity } from '../copies/identity-check.ts';
import type { Fid } from '../identity/fid.ts';
import { type ChannelState, CopytoolChannel } from '../lustre/copytool-channel.ts';
import { errnoText } from '../lustre/errno.ts';
import { type LustreFileSystem, openFileSystem } from '../lustre/file-system.ts';
import { type AuditLog, openAuditLog } from '../service/audit.ts';
import { OperatorError } from '../service/errors.ts';
import type { Log, ServiceLog } from '../service/log.ts';
import { serviceManager } from '../service/service-manager.ts';
import { stepHook } from '../service/step-hook.ts';
import { openTransfers, threadsFor } from '../transfer/open.ts';
import type { TransferSettings, Transfers } from '../transfer/types.ts';
import { ActionStopped } from './action-error.ts';
import { CopytoolAgent, type StopSignals } from './agent.ts';
import { type BindingsOptions, isLeftBehind, isUnbound } from './bindings.ts';
import type { Archive, CopytoolContext, NeedsLook } from './context.ts';
import { openControl } from './control-service.ts';
import { DirectoryMarkers } from './directory-markers.ts';
import { EndpointWatch } from './endpoint-watch.ts';
import { whereIs } from './fate.ts';
import { isKeptUpToDate } from './followed.ts';
import { JournalFile } from './journal.ts';
import { takeLeft } from './left-behind.ts';
import { LookNotes } from './look-notes.ts';
import { LiveSettings } from './settings.ts';
import { copytoolSocket } from './socket.ts';
import { type CopytoolStats, countRetry, newStats, totalsOf } from './stats.ts';
import { tierRules } from './tier-rules.ts';
import { type Direction, Traffic } from './traffic.ts';

/** What the helper takes. */
const MOST_HELPER_THREADS = 256;
const SPARE_HELPER_THREADS = 2;
/** So many times as many actions as configured can be at work at the same time before a restart is needed. */
const CONCURRENCY_ROOM = 4;
/** The containers are asked whose they are once a minute with the default heartbeat. */
const HEARTBEATS_PER_CONTAINER_WATCH = 6;

export interface CopytoolOptions {
  readonly loaded: LoadedConfig;
  /** Reads the configuration again, with the same flags. */
  readonly reload: () => Promise<LoadedConfig>;
  /** Of this program. */
  readonly version: string;
  readonly log: ServiceLog;
  readonly stop: StopSignals;
}

/**
 * Runs the copytool until it is asked to stop. Everything that can be wrong is found out before it registers with
 * Lustre: the credential's permissions, the kind of account, whose container it is.
 * @throws OperatorError, BlobError: what is wrong, and what to do
 */
export async function runCopytool(options: CopytoolOptions): Promise<void> {
  const { config } = options.loaded;
  if (config.archives.size === 0) {
    throw new OperatorError('No archive is configured, so there is nothing that a copytool could serve.', {
      code: 'NO_ARCHIVE',
      hint: 'Add a section under `archives` to the configuration; `lfsazsync config init` shows one.',
      exit: 'usage',
    });
  }
  for (const directory of [config.runDir, config.stateDir]) await mkdir(directory, { recursive: true, mode: 0o750 });
  const opened: Closer[] = [];
  try {
    await serve(options, (close) => opened.push(close));
  } finally {
    for (const close of opened.reverse()) await close();
  }
}

type Closer = () => void | Promise<void>;

async function serve(options: CopytoolOptions, atEnd: (close: Closer) => void): Promise<void> {
  const { loaded, reload, version, log, stop } = options;
  const { config } = loaded;
  // Before the first program is started: what systemd wrote into the environment is not for those.
  const manager = serviceManager({ log });
  const onDiagnostic = (line: string) => log.warn('native helper', { line });
  const helper = {
    liblustreapi: config.liblustreapi,
    helper: config.helper,
    threads: helperThreads(config.copytool),
    onDiagnostic,
  };
  const fs = await openFileSystem({ ...helper, mount: config.mount, xattrs: config.metadata.xattrs });
  atEnd(() => fs.close());
  const endpoints = new EndpointWatch({ log, holdTimeout: config.copytool.holdTimeout });
  atEnd(() => endpoints.stop());
  const ended = new AbortController();
  const stats = newStats();
  const stores = await openStores({ config, log, endpoints, stats, signal: ended.signal });
  atEnd(() => {
    ended.abort(new ActionStopped('shutdown', 'the copytool has stopped'));
    for (const store of stores.values()) store.close();
  });
  const fsUuid = await establishIdentity(fs, stores.values());
  const takenOver = await takenOverFrom(stores);
  const tierOf = await tierRules(config, fs.files, log);
  // Until here somebody waits at a terminal, or systemd, and is told at once what is wrong. From here on, readers wait.
  for (const [id, store] of stores) {
    store.holdFor(config.copytool.holdTimeout);
    atEnd(watchSas(store, log.child({ archive: id })));
  }
  const audit = await openAuditLog(config.log.auditFile, (error) =>
    log.error('no room for the audit log: until there is, nothing is deleted or overwritten', { err: error }),
  );
  atEnd(() => audit.close());

  const traffic = new Traffic();
  const transfers = await startTransfers({ config, traffic, endpoints, stats, log });
  atEnd(() => transfers.close());
  const settings = new LiveSettings({
    loaded,
    reload,
    mostConcurrency: Math.max(config.copytool.concurrency, helper.threads - SPARE_HELPER_THREADS),
    log,
  });
  const keepFile = join(config.stateDir, `${nameOfMount(fs.mount)}.${fsUuid}.left`);
  const channel = await CopytoolChannel.open({
    ...helper,
    mount: fs.mount,
    archives: [...config.archives.keys()],
    lockFile: join(config.runDir, `${nameOfMount(fs.mount)}.lock`),
    keepFile,
    renewAfter: config.copytool.registrationRenewal,
    onState: (state) =>
      tellState(state, log, (registered) => {
        stats.registration = { registered, since: new Date() };
      }),
  });
  let failed = true;
  // After a failure the actions are left to the next copytool, which adopts them.
  atEnd(() => (failed ? channel.abandon() : channel.close()));
  // Under the channel's lock: nobody else writes it.
  const journal = JournalFile.open({
    file: join(config.stateDir, `${nameOfMount(fs.mount)}.journal`),
    fs: fsUuid,
    mount: fs.mount,
    log,
  });
  atEnd(() => journal.close());
  await takeLeft(keepFile, journal, log);
  const notes = new LookNotes(catalogFile(config.stateDir), log);
  atEnd(() => notes.close());
  const bindings: BindingsOptions = {
    file: catalogFile(config.stateDir),
    fsUuid,
    isKeptUpToDate: () =>
      isKeptUpToDate({ runDir: config.runDir, mount: config.mount, fsUuid, catalog: catalogFile(config.stateDir) }),
    isDead: async (fid: Fid) => !(await whereIs(fs, fsUuid, fid)).alive,
    log,
  };
  const context: CopytoolContext = {
    fs,
    fsUuid,
    archives: openArchives({ config, stores, fs, fsUuid, audit, log }),
    get config() {
      return settings.copytool;
    },
    transfers,
    endpoints,
    tierOf,
    stats,
    step: stepHook(process.env['LFSAZSYNC_TEST_STEPS']),
    log,
    audit,
    isUnbound: (archive, name) => isUnbound(bindings, archive, name),
    isLeftBehind: async (archive, blob) =>
      blob.identity !== undefined &&
      takenOver.get(archive)?.has(blob.identity.fs) === true &&
      (await isLeftBehind(bindings, archive, blob)),
    needsLook: (look: NeedsLook) => {
      stats.needsLook += 1;
      log.info('file needs a look of the follower', { ...look });
      notes.note(look);
    },
  };
  const agent = new CopytoolAgent({ channel, context, journal, onBeat: () => manager.alive() });
  const closeControl = await openControl({
    ...{ runDir: config.runDir, socket: copytoolSocket(config.mount) },
    ...{ version, mount: fs.mount, fsname: fs.fsname, uuid: fsUuid, archives: context.archives },
    ...{ agent, traffic, settings, stats, log, endpoints },
    helper: () => ({ pid: channel.helper.pid, llapi: channel.helper.hello.llapi }),
  });
  atEnd(closeControl);
  // logrotate has moved the files away, or the credential was renewed.
  const reopen = () => {
    log.reopen();
    for (const store of stores.values())
      store.refresh().catch((error: unknown) => log.warn('credential not read again', { err: error }));
    transfers.refresh();
    audit.reopen().catch((error: unknown) => log.error('audit log not opened again', { err: error }));
    settings.reload().catch((error: unknown) => tellKept(error, log));
  };
  process.on('SIGHUP', reopen);
  atEnd(() => {
    process.off('SIGHUP', reopen);
  });
  log.info('copytool ready', {
    mount: fs.mount,
    fsname: fs.fsname,
    fs: fsUuid,
    archives: [...config.archives.keys()],
    llapi: channel.helper.hello.llapi,
    helperPid: channel.helper.pid,
  });
  manager.ready(`serves ${fs.mount}`);
  stop.drain.addEventListener('abort', () => manager.stopping(), { once: true });
  const lost = new AbortController();
  fs.gone.catch((error: unknown) => lost.abort(error));
  const every = config.copytool.heartbeat * HEARTBEATS_PER_CONTAINER_WATCH;
  atEnd(watchContainers({ stores: stores.values(), fsUuid, every, log, onLost: (error) => lost.abort(error) }));
  await agent.run({
    drain: stop.drain,
    now: AbortSignal.any([stop.now, lost.signal]),
  });
  lost.signal.throwIfAborted();
  failed = false;
  log.info('copytool stopped', {
    actions: JSON.parse(
      JSON.stringify(totalsOf(stats), (_, value) => (typeof value === 'bigint' ? Number(value) : value)),
    ),
  });
}

async function openStores(o: {
  config: Config;
  log: Log;
  endpoints: EndpointWatch;
  stats: CopytoolStats;
  signal: AbortSignal;
}): Promise<Map<number, BlobStore>> {
  const { config, log, endpoints, stats, signal } = o;
  const stores = new Map<number, BlobStore>();
  for (const [id, archive] of config.archives) {
    const child = log.child({ archive: id });
    const store = await BlobStore.open(archive, {
      log: {
        debug: (fields, message) => child.debug(message, { ...fields }),
        info: (fields, message) => child.info(message, { ...fields }),
        warn: (fields, message) => child.warn(message, { ...fields }),
      },
      signal,
      onRetry: (error) => countRetry(stats, error.code),
      idleTimeout: config.copytool.stallTimeout,
      onEndpoint: (event) => endpoints.report(id, event),
    });
    stores.set(id, store);
    await checkContainer(store, { need: 'write' });
  }
  return stores;
}

/** The file systems that each container was taken over from. */
async function takenOverFrom(stores: ReadonlyMap<number, BlobStore>): Promise<Map<number, ReadonlySet<string>>> {
  const all = new Map<number, ReadonlySet<string>>();
  for (const [id, store] of stores) {
    all.set(id, new Set((await readControl(store))?.previous?.map(({ fs }) => fs)));
  }
  return all;
}

function openArchives(o: {
  config: Config;
  stores: ReadonlyMap<number, BlobStore>;
  fs: LustreFileSystem;
  fsUuid: string;
  audit: AuditLog;
  log: Log;
}): Map<number, Archive> {
  const archives = new Map<number, Archive>();
  for (const [id, store] of o.stores) {
    const config = o.config.archives.get(id);
    if (config === undefined) continue;
    const { fs, fsUuid, audit, log } = o;
    archives.set(id, { config, store, markers: new DirectoryMarkers({ archive: id, store, fs, fsUuid, audit, log }) });
  }
  return archives;
}

async function startTransfers(o: {
  config: Config;
  traffic: Traffic;
  endpoints: EndpointWatch;
  stats: CopytoolStats;
  log: Log;
}): Promise<Transfers> {
  const { config, traffic, endpoints, stats, log } = o;
  const { blockSize, rangeSize, uploadConcurrencyPerFile, transferThreads, holdTimeout, stallTimeout } =
    config.copytool;
  const shared = (direction: Direction) => traffic.limits[direction].map((bucket) => bucket.shared);
  const transfers = await openTransfers({
    threads: threadsFor(transferThreads),
    settings: {
      archives: config.archives,
      blockSize,
      rangeSize,
      concurrency: uploadConcurrencyPerFile,
      idleTimeout: stallTimeout,
      memory: memoryFor(config.copytool),
      limits: { archive: shared('archive'), restore: shared('restore') },
    },
    onEndpoint: (archive, event, thread) => endpoints.report(archive, event, `transfers ${thread}`),
    onRetry: (archive, code, reason, delay) => {
      countRetry(stats, code);
      log.debug('blob request is tried again', { archive, code, reason, delay: Math.round(delay) });
    },
    onLost: (error, jobs, thread) => {
      log.error('transfer thread lost, the next action gets a new one', { thread, actions: jobs, err: error });
      const now = Date.now();
      // Nobody is left to say that what it met is over.
      for (const id of config.archives.keys())
        endpoints.report(id, { state: 'up', since: now, lasted: 0 }, `transfers ${thread}`);
    },
  });
  transfers.holdFor(holdTimeout);
  return transfers;
}

/** Restores have the share of the memory to themselves that their reserve is of the slots, and room for one range at least. */
function memoryFor(config: Config['copytool']): TransferSettings['memory'] {
  const budget = config.maxBytesInFlight;
  const share = Math.floor((budget * config.restoreReserve) / config.concurrency);
  return { budget, archive: Math.max(budget - Math.max(share, config.rangeSize), 1) };
}

function tellState(state: ChannelState, log: Log, registered: (is: boolean) => void): void {
  registered(state.state === 'registered');
  if (state.state === 'registered') log.info('copytool registered', { archives: state.archives });
  else log.warn('copytool not registered any more, registering again', { reason: errnoText(state.errno) });
}

/** Of what there is one per client, that is per mount: the lock and the journal. */
function nameOfMount(mount: string): string {
  const plain = `copytool${mount.replaceAll('/', '-')}`;
  return plain.length <= 200 ? plain : `copytool-${createHash('sha256').update(mount).digest('hex')}`;
}

/** An action at work may hang with its file's data; that must leave threads for the others. Idle threads cost nothing. */
function helperThreads({ helperThreads, concurrency }: Config['copytool']): number {
  return Math.min(Math.max(helperThreads, CONCURRENCY_ROOM * concurrency + SPARE_HELPER_THREADS), MOST_HELPER_THREADS);
}

function tellKept(error: unknown, log: Log): void {
  const reason = error instanceof Error ? error.message : String(error);
  log.error('configuration could not be read again, the old one stays in force', { reason });
}
