import { BlobStore } from '../../blob/store.ts';
import type { Catalog } from '../../catalog/catalog.ts';
import { openCatalog } from '../../catalog/open.ts';
import { catalogFile } from '../../catalog/place.ts';
import type { Config } from '../../config/types.ts';
import { establishIdentity } from '../../copies/identity-check.ts';
import { LustreSource } from '../../follow/lustre-source.ts';
import type { ReconcileContext } from '../../follow/reconcile/context.ts';
import { type LustreFileSystem, openFileSystem } from '../../lustre/file-system.ts';
import { hsmRequest } from '../../lustre/lfs.ts';
import { readOstUsage } from '../../lustre/ost-usage.ts';
import { copyVerifier } from '../../request/verify.ts';
import { type AuditLog, openAuditLog } from '../../service/audit.ts';
import { OperatorError } from '../../service/errors.ts';
import type { Log } from '../../service/log.ts';
import { stepHook } from '../../service/step-hook.ts';
import { SYSTEM_CLOCK } from './clock.ts';
import { effectsOn, NO_EFFECTS, type RunContext } from './context.ts';
import type { RunStep } from './steps.ts';

export interface OpenOptions {
  readonly config: Config;
  readonly log: Log;
  /** Nothing is touched, not even the catalog. */
  readonly dryRun: boolean;
  /** Ends what waits for the containers. */
  readonly signal: AbortSignal;
}

/** What runs work with, and its end. */
export interface OpenedRuns {
  readonly context: RunContext;
  close(): Promise<void>;
}

/**
 * Opens file system and catalog; containers only once a run needs them.
 * @throws OperatorError: no catalog, that of another file system, not root, …
 */
export async function openRuns({ config, log, dryRun, signal }: OpenOptions): Promise<OpenedRuns> {
  mustBeRoot(dryRun);
  const catalog = openCatalog({ file: catalogFile(config.stateDir), readOnly: dryRun });
  const closers: (() => void | Promise<void>)[] = [() => catalog.close()];
  const close = async () => {
    for (const end of closers.splice(0).reverse()) await end();
  };
  try {
    const { mount, liblustreapi, helper } = config;
    const onDiagnostic = (line: string) => log.debug('native helper', { line });
    const fs = await openFileSystem({ mount, liblustreapi, helper, onDiagnostic });
    closers.push(() => fs.close());
    const uuid = await uuidOf(fs, catalog);
    const stores = new Stores(config, signal);
    closers.push(() => stores.close());
    const context: RunContext = {
      mount: fs.mount,
      files: fs.files,
      source: new LustreSource(fs, uuid),
      catalog,
      effects: dryRun ? NO_EFFECTS : effectsOn(catalog, hsmRequest),
      osts: () => readOstUsage(fs.mount, config.lfs, signal),
      served: new Set(config.archives.keys()),
      verifier: once(async () => {
        const openArchive = (id: number) => stores.open(id);
        return copyVerifier({ files: fs.files, fsUuid: uuid, openArchive });
      }),
      reaper: once(() => openReaper({ fs, uuid, catalog, stores, config, log, signal, closers })),
      config,
      clock: SYSTEM_CLOCK,
      log,
      step: stepHook<RunStep>(process.env['LFSAZSYNC_TEST_STEPS']),
    };
    return { context, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** One store for each archive id, opened when it is needed. */
class Stores {
  readonly #config: Config;
  readonly #signal: AbortSignal;
  readonly #opened = new Map<number, Promise<BlobStore>>();

  constructor(config: Config, signal: AbortSignal) {
    this.#config = config;
    this.#signal = signal;
  }

  open(id: number): Promise<BlobStore> | undefined {
    const archive = this.#config.archives.get(id);
    if (archive === undefined) return undefined;
    const store = this.#opened.get(id) ?? BlobStore.open(archive, { signal: this.#signal });
    this.#opened.set(id, store);
    return store;
  }

  async all(): Promise<Map<number, BlobStore>> {
    const stores = new Map<number, BlobStore>();
    for (const id of this.#config.archives.keys()) stores.set(id, (await this.open(id)) as BlobStore);
    return stores;
  }

  async close(): Promise<void> {
    for (const opened of this.#opened.values()) (await opened.catch(() => undefined))?.close();
  }
}

interface ReaperParts {
  readonly fs: LustreFileSystem;
  readonly uuid: string;
  readonly catalog: Catalog;
  readonly stores: Stores;
  readonly config: Config;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly closers: (() => void | Promise<void>)[];
}

async function openReaper(parts: ReaperParts): Promise<ReconcileContext> {
  const { fs, uuid, catalog, stores, config, log, signal, closers } = parts;
  const archives = await stores.all();
  // Nothing is deleted before every container has been asked whose it is.
  await establishIdentity(fs, archives.values());
  const audit: AuditLog = await openAuditLog(config.log.auditFile, (error) =>
    log.error('no room for the audit log: until there is, nothing is deleted', { err: error }),
  );
  closers.push(() => audit.close());
  return {
    ...{ fs, fsUuid: uuid, archives, catalog, audit, log, signal },
    archiveAgain: () => Promise.resolve(),
    step: () => Promise.resolve(),
  };
}

async function uuidOf(fs: LustreFileSystem, catalog: Catalog): Promise<string> {
  const [mounted, known] = [await fs.readUuid(), await catalog.fileSystem()];
  if (mounted !== undefined && mounted === known) return mounted;
  throw new OperatorError(
    `The catalog is of the file system ${known ?? '(none yet)'}; ${mounted ?? 'one without a UUID of ours'} is mounted at ${fs.mount}.`,
    {
      code: known === undefined ? 'CATALOG_EMPTY' : 'FILE_SYSTEM_CHANGED',
      hint:
        known === undefined
          ? 'Run `lfsazsync scan` once; it fills the catalog from the file system.'
          : 'Mount the right file system, or name the right `state_dir`. Nothing was done.',
    },
  );
}

function mustBeRoot(dryRun: boolean): void {
  if (dryRun || process.geteuid?.() === 0) return;
  throw new OperatorError('Lustre lets only root ask for archives and releases.', {
    code: 'NOT_PERMITTED',
    hint: 'Run it as root; --dry-run shows what it would do.',
    exit: 'notAuthorised',
  });
}

/** Called at most once, unless it failed. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make().catch((error: unknown) => {
      made = undefined;
      throw error;
    });
    return made;
  };
}
