import { openOwnStores } from '../blob/own-stores.ts';
import type { BlobStore } from '../blob/store.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { openCatalog } from '../catalog/open.ts';
import { catalogFile } from '../catalog/place.ts';
import type { Config } from '../config/types.ts';
import type { Fid } from '../identity/fid.ts';
import { lockRun } from '../service/control/run-lock.ts';
import { OperatorError } from '../service/errors.ts';
import type { Log } from '../service/log.ts';
import { runSweep } from './sweep.ts';
import type { SweepFinding, SweepProgress, SweepSummary } from './sweep-types.ts';

/** A finding with a path of its file, where the catalog knows one. */
export interface NamedFinding extends SweepFinding {
  /** Relative to the mount. */
  readonly path: Buffer | undefined;
}

export interface StartSweepOptions {
  readonly config: Config;
  /** Of this program. */
  readonly version: string;
  readonly log: Log;
  /** Requests at the same time. */
  readonly parallel: number;
  readonly restart: boolean;
  readonly signal: AbortSignal;
  readonly onWarning: (message: string) => void;
  readonly onProgress: (progress: () => SweepProgress) => void;
  readonly onFinding: (finding: NamedFinding) => void;
}

export interface Swept {
  readonly summary: SweepSummary;
  readonly uuid: string;
  readonly catalog: string;
  readonly containers: readonly { readonly archive: number; readonly container: string; readonly prefix: string }[];
}

/**
 * One sweep, with all that it needs: catalog, lock, containers, which must be those of the catalog's file system. The
 * file system itself need not be mounted.
 * @throws OperatorError, BlobError: what is wrong, and what to do
 */
export async function startSweep(options: StartSweepOptions): Promise<Swept> {
  const { config, log, version, onWarning } = options;
  mustHaveArchives(config);
  const catalog = openCatalog({ file: catalogFile(config.stateDir) });
  let stores = new Map<number, BlobStore>();
  try {
    const uuid = await owner(catalog);
    const path = [...config.archives.values()].map(({ container }) => container).join(' ');
    const lock = await lockSweep({ directory: config.stateDir, version, path, log });
    try {
      stores = await openOwnStores(config.archives, uuid, options.signal);
      if ((await catalog.lastScan()) === undefined)
        onWarning(
          'no scan has been through the whole file system yet: blobs of files that it would have met are reported',
        );
      const { add, done } = namer(catalog, options.onFinding);
      const { parallel, restart, onProgress, signal } = options;
      const summary = await runSweep({
        ...{ catalog, fsUuid: uuid, archives: stores, parallel, restart, onProgress, onFinding: add, signal },
      });
      await done();
      const containers = [...stores].map(([archive, { container, prefix }]) => ({ archive, container, prefix }));
      return { summary, uuid, catalog: catalog.file, containers };
    } finally {
      await lock.release();
    }
  } finally {
    for (const store of stores.values()) store.close();
    catalog.close();
  }
}

/**
 * Takes the catalog's sweep lock: there is one place for where a sweep is.
 * @throws OperatorError SWEEP_RUNNING (exit `locked`), naming the holder
 */
export function lockSweep(o: {
  directory: string;
  version: string;
  path: string;
  log: Log;
}): Promise<{ release(): Promise<void> }> {
  const hint = 'Wait for its end, or stop it with Ctrl-C or SIGTERM; the next one goes on where it was.';
  return lockRun({ ...o, name: 'sweep', hint });
}

/** @throws OperatorError NO_ARCHIVE (exit `usage`) */
export function mustHaveArchives({ archives }: Pick<Config, 'archives'>): void {
  if (archives.size > 0) return;
  throw new OperatorError('No archive is configured, so there is no container to be looked at.', {
    code: 'NO_ARCHIVE',
    hint: 'Add a section under `archives` to the configuration; `lfsazsync config init` shows one.',
    exit: 'usage',
  });
}

async function owner(catalog: Catalog): Promise<string> {
  const uuid = await catalog.fileSystem();
  if (uuid !== undefined) return uuid;
  throw new OperatorError(`The catalog ${catalog.file} is of no file system yet.`, {
    code: 'CATALOG_UNCLAIMED',
    hint: 'Run `lfsazsync scan` once; it fills the catalog from the file system.',
  });
}

/** Findings that are given paths; later ones are counted only. */
const NAMED = 1_000;

/** Gives findings paths of their files, in order. */
function namer(catalog: Catalog, tell: (finding: NamedFinding) => void) {
  let last = Promise.resolve();
  let count = 0;
  return {
    add(finding: SweepFinding): void {
      count += 1;
      if (count > NAMED) {
        tell({ ...finding, path: undefined });
        return;
      }
      last = last.then(async () =>
        tell({ ...finding, path: await pathOf(catalog, finding.fid).catch(() => undefined) }),
      );
    },
    done: () => last,
  };
}

async function pathOf(catalog: Catalog, fid: Fid): Promise<Buffer | undefined> {
  const found = (await catalog.paths([fid])).get(fid)?.find((one) => one.ok);
  return found?.ok === true ? found.path : (await catalog.tombstone(fid))?.path;
}
