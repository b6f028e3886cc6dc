import { mkdir } from 'node:fs/promises';
import { openOwnStores } from '../blob/own-stores.ts';
import { BlobStore } from '../blob/store.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { openCatalogForScan } from '../catalog/open.ts';
import { catalogFile } from '../catalog/place.ts';
import type { Config } from '../config/types.ts';
import { recogniseFileSystem } from '../copies/identity-check.ts';
import { LOOK_AGAIN_MS } from '../follow/decide.ts';
import { LustreSource } from '../follow/lustre-source.ts';
import { type LustreFileSystem, openFileSystem } from '../lustre/file-system.ts';
import { joinBytes } from '../lustre/join-bytes.ts';
import { Scanner } from '../lustre/scanner.ts';
import type { Log } from '../service/log.ts';
import { stepHook } from '../service/step-hook.ts';
import { Adopter, type AdoptionProblem } from './adopt.ts';
import { lockScan } from './lock.ts';
import type { NamedProblem, NamedRefusal } from './report.ts';
import { runScan, type ScanStep } from './scan.ts';
import { EVERYTHING, targetAt } from './target.ts';
import type { ScanProblem, ScanProgress, ScanSummary } from './types.ts';

/** Containers that do not answer in this time are not waited for: a scan does not need them. */
const CONTAINER_PATIENCE_MS = 10_000;

export interface StartOptions {
  readonly config: Config;
  /** Of this program. */
  readonly version: string;
  readonly log: Log;
  /** A directory; undefined: everything. */
  readonly path: Buffer | undefined;
  readonly restart: boolean;
  /** Bind files that lemur archived to their blobs: the containers must answer. */
  readonly adopt: boolean;
  readonly signal: AbortSignal;
  readonly onWarning: (message: string) => void;
  readonly onProgress: (progress: () => ScanProgress) => void;
  readonly onProblem: (problem: NamedProblem) => void;
  readonly onRefused: (problem: NamedRefusal) => void;
}

export interface Scanned {
  readonly summary: ScanSummary;
  readonly mount: string;
  readonly uuid: string;
  readonly catalog: string;
}

/**
 * One scan, with all that it needs: file system, containers (asked whose they are), catalog, lock.
 * @throws OperatorError: what is wrong, and what to do
 */
export async function startScan(options: StartOptions): Promise<Scanned> {
  const { config, log, version, onWarning } = options;
  const helper = {
    mount: config.mount,
    liblustreapi: config.liblustreapi,
    helper: config.helper,
    onDiagnostic: (line: string) => log.debug('native helper', { line }),
  };
  await mkdir(config.stateDir, { recursive: true, mode: 0o750 });
  const fs = await openFileSystem(helper);
  try {
    const uuid = await recognise(fs, options);
    const target = options.path === undefined ? EVERYTHING : await targetAt(options.path, fs.mount, fs.files);
    const path = joinBytes(Buffer.from(fs.mount), target.path).toString('utf8');
    const lock = await lockScan({ directory: config.stateDir, version, path, log });
    try {
      const { catalog, setAside } = openCatalogForScan({ file: catalogFile(config.stateDir) });
      if (setAside !== undefined) onWarning(`the catalog was damaged, and is now ${setAside}: a new one is begun`);
      try {
        await catalog.claim(uuid);
        const source = new LustreSource(fs, uuid);
        const naming = namer(catalog, options.onProblem);
        const adopting = await adopterOf(options, fs, catalog, uuid);
        const summary = await runScan({
          catalog,
          ...(adopting === undefined ? {} : { adopter: adopting.adopter }),
          target,
          restart: options.restart,
          source,
          startScanner: () => Scanner.start({ ...helper, mount: fs.mount, threads: config.scan.threads }),
          checkFileSystem: () => source.checkFileSystem(),
          // What it finds is for the follower, by the follower's settings.
          timing: () => ({
            ...{ now: Date.now(), settle: config.follow.settle, again: LOOK_AGAIN_MS },
            xattrs: config.metadata.xattrs,
          }),
          onProgress: options.onProgress,
          onProblem: naming.add,
          step: stepHook<ScanStep>(process.env['LFSAZSYNC_TEST_STEPS']),
          signal: options.signal,
        }).finally(() => adopting?.close());
        await naming.done();
        await adopting?.done();
        return { summary, mount: fs.mount, uuid, catalog: catalog.file };
      } finally {
        catalog.close();
      }
    } finally {
      await lock.release();
    }
  } finally {
    await fs.close();
  }
}

/** Files whose copies are looked at and bound at the same time. */
const ADOPTED_AT_ONCE = 32;

async function adopterOf(options: StartOptions, fs: LustreFileSystem, catalog: Catalog, uuid: string) {
  if (!options.adopt) return undefined;
  const archives = await openOwnStores(options.config.archives, uuid, options.signal);
  const close = () => {
    for (const store of archives.values()) store.close();
  };
  let last = Promise.resolve();
  const onProblem = (problem: AdoptionProblem) => {
    last = last.then(async () => {
      const path = await fs.files.get({ fid: problem.fid }, { parts: ['paths'] }).then(
        ({ paths }) => paths?.[0],
        () => undefined,
      );
      options.onRefused({ ...problem, path });
    });
  };
  const { signal } = options;
  const adopter = new Adopter({ files: fs.files, archives, catalog, parallel: ADOPTED_AT_ONCE, onProblem, signal });
  return { adopter, close, done: () => last };
}

async function recognise(fs: LustreFileSystem, { config, log, signal, onWarning }: StartOptions): Promise<string> {
  const patience = AbortSignal.any([signal, AbortSignal.timeout(CONTAINER_PATIENCE_MS)]);
  const stores: BlobStore[] = [];
  try {
    for (const archive of config.archives.values()) {
      try {
        stores.push(await BlobStore.open(archive, { signal: patience }));
      } catch (error) {
        signal.throwIfAborted();
        silent(archive.container, error);
      }
    }
    return await recogniseFileSystem(fs, stores, (store, error) => silent(store.container, error), patience);
  } finally {
    for (const store of stores) store.close();
  }

  function silent(container: string, error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    log.debug('container not asked', { container, reason: message });
    onWarning(`container ${container} could not be asked whose it is, the scan goes on: ${message}`);
  }
}

/** Gives problems the paths of their directories, in order. */
function namer(catalog: Catalog, tell: (problem: NamedProblem) => void) {
  let last = Promise.resolve();
  return {
    add(problem: ScanProblem): void {
      last = last.then(async () => {
        const [found] = (await catalog.paths([problem.directory])).get(problem.directory) ?? [];
        const directory = found?.ok === true ? found.path : undefined;
        const path =
          directory === undefined || problem.name === undefined ? directory : joinBytes(directory, problem.name);
        tell({ ...problem, path });
      });
    },
    done: () => last,
  };
}
