import { mkdir } from 'node:fs/promises';
import type { BlobState } from '../blob/state.ts';
import { BlobStore } from '../blob/store.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { openCatalog } from '../catalog/open.ts';
import { catalogFile } from '../catalog/place.ts';
import type { ImportRange } from '../catalog/types.ts';
import type { ArchiveConfig, Config } from '../config/types.ts';
import { establishIdentity } from '../copies/identity-check.ts';
import { LustreSource } from '../follow/lustre-source.ts';
import type { Fid } from '../identity/fid.ts';
import { type LustreFileSystem, openFileSystem } from '../lustre/file-system.ts';
import { Importer } from '../lustre/importer.ts';
import { hsmRequest } from '../lustre/lfs.ts';
import { openAuditLog } from '../service/audit.ts';
import { lockRun } from '../service/control/run-lock.ts';
import { ErrnoError, OperatorError } from '../service/errors.ts';
import type { Log } from '../service/log.ts';

import { type ImportOptions, runImport } from './import.ts';
import type { Page } from './lister.ts';
import { type Place, placesOf } from './places.ts';
import type { ImportPlaceJson } from './report.ts';
import { ReportFile } from './report-file.ts';
import { wouldResume } from './session.ts';
import type { ImportProblem, ImportProgress, ImportRequest, ImportSummary } from './types.ts';
import type { LustrePart } from './world.ts';

/** Blobs in a request: 5,000 at most; fewer cost less memory, and a few ranges at a time are still faster than Lustre. */
const PAGE = 2_000;
const RANGES = 3;
/** A request to release carries about 50 files. */
const RELEASED_AT_ONCE = 50;

export interface StartOptions {
  readonly config: Config;
  /** Of this program. */
  readonly version: string;
  readonly log: Log;
  readonly request: ImportRequest;
  readonly dryRun: boolean;
  readonly restart: boolean;
  /** Where a line is to be written for everything that is left out. */
  readonly report: string | undefined;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: () => ImportProgress) => void;
  readonly onProblem: (problem: ImportProblem) => void;
}

export interface Imported {
  readonly summary: ImportSummary;
  readonly place: ImportPlaceJson;
}

/**
 * One import, with all that it needs: file system, container, catalog, lock, report.
 * @throws OperatorError: what is wrong, and what to do
 */
export async function startImport(options: StartOptions): Promise<Imported> {
  const { config, request, dryRun } = options;
  const archive = archiveOf(config, request.archive);
  const places = placesOf(request.prefixes, archive.prefix);
  if (!dryRun) await mkdir(config.stateDir, { recursive: true, mode: 0o750 });
  const ends: Ends = [];
  try {
    return await startIn(options, archive, places, ends);
  } finally {
    for (const end of ends.reverse()) await end();
  }
}

type Level = 'debug' | 'info';

/** What is to be closed, in the order in which it was opened. */
type Ends = (() => unknown)[];

async function startIn(
  options: StartOptions,
  archive: ArchiveConfig,
  places: readonly Place[],
  ends: Ends,
): Promise<Imported> {
  const { config, log, request, dryRun, version } = options;
  const { mount, liblustreapi, helper } = config;
  const onDiagnostic = (line: string) => log.debug('native helper', { line });
  const fs = await openFileSystem({ mount, liblustreapi, helper, onDiagnostic, xattrs: config.metadata.xattrs });
  ends.push(() => fs.close());
  const store = await BlobStore.open(archive, { signal: options.signal });
  ends.push(() => store.close());
  const uuid = dryRun ? await fs.readUuid() : await establishIdentity(fs, [store]);
  // Without a log file lines go to the terminal, where the summary says the same.
  const noted: Level = config.log.file === undefined ? 'debug' : 'info';
  const lockPath = request.prefixes.length === 0 ? '/' : request.prefixes.join(' ');
  if (!dryRun) {
    const hint = 'Wait for its end, or stop it with Ctrl-C or SIGTERM; the next one goes on where it was.';
    const lock = await lockRun({ directory: config.stateDir, version, path: lockPath, log, name: 'import', hint });
    ends.push(() => lock.release());
  }
  const catalog = openTheCatalog(config, dryRun);
  ends.push(() => catalog?.close());
  if (!dryRun && uuid !== undefined) await catalog?.claim(uuid);
  const lustre = dryRun || uuid === undefined ? undefined : await lustrePart(options, fs, uuid, ends);
  const resumes = catalog !== undefined && !dryRun && !options.restart && (await wouldResume(catalog, request, places));
  const report = options.report === undefined ? undefined : new ReportFile(options.report, resumes);
  ends.push(() => report?.close());
  log[noted]('import begun', {
    archive: archive.id,
    container: archive.container,
    prefixes: request.prefixes,
    dryRun,
    resumes,
  });
  const summary = await runImport({
    ...{
      request,
      places,
      uuid,
      catalog,
      lustre,
      restart: options.restart,
      concurrency: RANGES,
      signal: options.signal,
    },
    ...containerPart(store, options.signal),
    onProgress: options.onProgress,
    onProblem: (problem) => {
      report?.add(problem);
      logProblem(log, noted, problem);
      options.onProblem(problem);
    },
  });
  const { bytes, ...counts } = summary;
  log[noted]('import ended', { ...counts, bytes: String(bytes) });
  const place = {
    archive: archive.id,
    container: archive.container,
    prefixes: request.prefixes,
    mount: fs.mount,
    uuid,
  };
  return { summary, place };
}

/** Everything that is taken away is worth a line; what millions of blobs may have is for the report. */
function logProblem(log: Log, noted: Level, problem: ImportProblem): void {
  const level = problem.outcome === 'removed' || problem.outcome === 'overwritten' ? noted : 'debug';
  log[level]('import', { ...problem });
}

function archiveOf(config: Config, id: number): ArchiveConfig {
  const archive = config.archives.get(id);
  if (archive !== undefined) return archive;
  throw new OperatorError(`No archive ${id} is configured.`, {
    code: 'ARCHIVE_UNKNOWN',
    hint: `Name one of ${[...config.archives.keys()].join(', ') || '(none)'} with --archive-id, or configure it.`,
    exit: 'usage',
  });
}

/** A dry run reads the one that is there, and makes none. */
function openTheCatalog(config: Config, dryRun: boolean): Catalog | undefined {
  const file = catalogFile(config.stateDir);
  if (!dryRun) return openCatalog({ file, create: true });
  try {
    return openCatalog({ file, readOnly: true });
  } catch (error) {
    if (error instanceof OperatorError && error.code === 'CATALOG_MISSING') return undefined;
    throw error;
  }
}

/** What an import asks of the container. */
function containerPart(
  store: BlobStore,
  signal: AbortSignal,
): Pick<ImportOptions, 'prefix' | 'list' | 'head' | 'readBody'> {
  return {
    prefix: store.prefix,
    list: ({ place, start, flat, token }: ImportRange, pageSize = PAGE): Promise<Page> =>
      store.listPage(flat ? 'flat' : 'level', { startsWith: place, startFrom: start, pageSize, from: token, signal }),
    head: (name) => store.head(name, { signal }),
    readBody: async ({ name, etag, length }: BlobState) => {
      const into = Buffer.alloc(Number(length));
      await store.readRange(name, { offset: 0, into, ifMatch: etag, blobLength: length, signal });
      return into;
    },
  };
}

async function lustrePart(
  { config, log }: StartOptions,
  fs: LustreFileSystem,
  uuid: string,
  ends: Ends,
): Promise<LustrePart> {
  const { liblustreapi, helper, lfs } = config;
  const onDiagnostic = (line: string) => log.debug('native helper', { line });
  const importer = await Importer.start({
    ...{ mount: fs.mount, liblustreapi, helper, threads: config.import.threads, onDiagnostic },
  });
  ends.push(() => importer.close());
  const audit = await openAuditLog(config.log.auditFile);
  ends.push(() => audit.close());
  const source = new LustreSource(fs, uuid);
  const releaseSome = async (fids: readonly Fid[]): Promise<void> => {
    try {
      await hsmRequest({ action: 'release', fids, mount: fs.mount, lfs });
    } catch (error) {
      if (!(error instanceof ErrnoError)) throw error;
      // One that can't be released keeps the others back: each on its own then.
      if (fids.length > 1) for (const fid of fids) await releaseSome([fid]);
      else log.debug('not released', { fid: fids[0], reason: error.message });
    }
  };
  return {
    importer,
    files: fs.files,
    checkFileSystem: () => source.checkFileSystem(),
    release: async (fids) => {
      for (let at = 0; at < fids.length; at += RELEASED_AT_ONCE)
        await releaseSome(fids.slice(at, at + RELEASED_AT_ONCE));
    },
    audit: (entry) => audit.record({ action: 'unlink', archive: 0, ...entry }),
  };
}
