import { openOwnStores } from '../blob/own-stores.ts';
import type { BlobStore } from '../blob/store.ts';
import { openCatalog } from '../catalog/open.ts';
import { catalogFile } from '../catalog/place.ts';
import type { Tombstone } from '../catalog/types.ts';
import type { Config } from '../config/types.ts';

import { type Fid, parseFid } from '../identity/fid.ts';
import { type LustreFileSystem, openFileSystem } from '../lustre/file-system.ts';
import { Importer } from '../lustre/importer.ts';
import { canonicalMount, locateMissing } from '../lustre/location.ts';
import { printable } from '../lustre/printable.ts';
import { OperatorError } from '../service/errors.ts';
import type { Log } from '../service/log.ts';
import { stepHook } from '../service/step-hook.ts';
import { isWithin, runUndelete, stonesOf, type UndeleteCounts, type UndeleteTarget } from './run.ts';
import { type Stray, strays } from './search.ts';
import type { Undeleted, UndeleteStep } from './types.ts';

/** Things at work at the same time: each is a few requests one after the other. */
const AT_ONCE = 16;

export interface UndeleteRequest {
  readonly config: Config;
  readonly log: Log;
  /** Paths, or FIDs, as given. */
  readonly args: readonly Buffer[];
  readonly recursive: boolean;
  readonly search: boolean;
  readonly dryRun: boolean;
  readonly signal: AbortSignal;
  readonly onItem: (item: Undeleted) => void;
}

/** @throws OperatorError: what is wrong, and what to do */
export async function startUndelete(request: UndeleteRequest): Promise<UndeleteCounts> {
  const { config, log, args, recursive, search, dryRun, signal, onItem } = request;
  const closers: Closers = [];
  try {
    const { fs, fsUuid, archives, helper } = await openPlaces(request, closers);
    const catalog = openCatalog({ file: catalogFile(config.stateDir) });
    closers.push(() => catalog.close());
    await catalog.claim(fsUuid);
    const targets = await Promise.all(args.map((arg) => targetOf(arg, fs.mount, recursive)));
    if (!search) await mustBeKnown(catalog, args, targets);
    const importer = await Importer.start({ ...helper, mount: fs.mount });
    closers.push(() => importer.close());
    const step = stepHook<UndeleteStep>(process.env['LFSAZSYNC_TEST_STEPS']);
    const context = { fs, fsUuid, archives, catalog, importer, log, step, signal };
    const counts = await runUndelete(context, targets, { dryRun, search, concurrency: AT_ONCE, onItem });
    const { bytes: _, ...outcomes } = counts;
    if (Object.values(outcomes).every((count) => count === 0)) throw nothingRemoved(args, false, search);
    return counts;
  } finally {
    for (const close of closers.reverse()) await close();
  }
}

export interface ListRequest {
  readonly config: Config;
  readonly log: Log;
  readonly args: readonly Buffer[];
  /** Look in the containers, too: at what is there, and at what the accounts keep of deleted blobs. */
  readonly search: boolean;
  readonly signal: AbortSignal;
  /** `stray`: only the container knows of it. */
  readonly onStone: (stone: Tombstone, stray?: Stray) => void;
}

/**
 * What could be brought back, as the catalog knows, latest dead first; without `search` the container is not asked. Then
 * what only the containers know of.
 */
export async function listUndeletable(request: ListRequest): Promise<void> {
  const { config, args, search, signal, onStone } = request;
  const closers: Closers = [];
  try {
    const catalog = openCatalog({ file: catalogFile(config.stateDir), readOnly: true });
    closers.push(() => catalog.close());
    for (const arg of args) {
      for await (const stone of stonesOf({ catalog }, await targetOf(arg, config.mount, true))) onStone(stone);
    }
    if (!search) return;
    const places = await openPlaces(request, closers);
    for (const arg of args) {
      const target = await targetOf(arg, places.fs.mount, true);
      if (!('path' in target)) continue;
      for (const stray of await strays({ ...places, catalog, signal }, target.path, true)) {
        if (isWithin(stray.stone.path, target)) onStone(stray.stone, stray);
      }
    }
  } finally {
    for (const close of closers.reverse()) await close();
  }
}

type Closers = (() => void | Promise<void>)[];

/** The file system, and the containers, which must be its own. */
async function openPlaces(
  { config, log, signal }: Pick<UndeleteRequest, 'config' | 'log' | 'signal'>,
  closers: Closers,
): Promise<{
  fs: LustreFileSystem;
  fsUuid: string;
  archives: ReadonlyMap<number, BlobStore>;
  helper: Parameters<typeof openFileSystem>[0];
}> {
  const helper = {
    mount: config.mount,
    liblustreapi: config.liblustreapi,
    helper: config.helper,
    onDiagnostic: (line: string) => log.debug('native helper', { line }),
  };
  const fs = await openFileSystem({ ...helper, xattrs: config.metadata.xattrs });
  closers.push(() => fs.close());
  const fsUuid = await fs.readUuid();
  if (fsUuid === undefined) throw noIdentity(fs.mount);
  const archives = await openOwnStores(config.archives, fsUuid, signal);
  closers.push(() => {
    for (const store of archives.values()) store.close();
  });
  return { fs, fsUuid, archives, helper };
}

async function targetOf(arg: Buffer, mount: string, recursive: boolean): Promise<UndeleteTarget> {
  const fid = fidOf(arg);
  if (fid !== undefined) return { fid };
  return { path: (await locateMissing(arg, await canonicalMount(mount))).relative, recursive };
}

function fidOf(arg: Buffer): Fid | undefined {
  return parseFid(arg.toString('latin1').replace(/^\[(.*)\]$/, '$1'));
}

/** What nobody has heard of is most often a slip of the hand: nothing is done then. */
async function mustBeKnown(
  catalog: Parameters<typeof stonesOf>[0]['catalog'],
  args: readonly Buffer[],
  targets: readonly UndeleteTarget[],
): Promise<void> {
  for (const [index, target] of targets.entries()) {
    const first = await stonesOf({ catalog }, target).next();
    if (first.done !== true) continue;
    const below =
      'path' in target && (await stonesOf({ catalog }, { ...target, recursive: true }).next()).done !== true;
    throw nothingRemoved([args[index] as Buffer], below, false);
  }
}

function nothingRemoved(args: readonly Buffer[], below: boolean, searched: boolean): OperatorError {
  return new OperatorError(`Nothing that was removed is known by ${args.map((arg) => printable(arg)).join(', ')}.`, {
    code: 'NOTHING_REMOVED',
    hint: below
      ? 'Something was removed below it: add --recursive.'
      : searched
        ? 'Neither the catalog nor the container has anything of it, and the storage account keeps nothing of it either.'
        : 'See `lfsazsync undelete --list`. --search looks in the container, too: for what the catalog does not remember, and for blobs that were deleted and that the storage account still keeps.',
  });
}

function noIdentity(mount: string): OperatorError {
  return new OperatorError(`The file system at ${mount} has no UUID: nothing was ever archived from it.`, {
    code: 'NO_IDENTITY',
    hint: 'Is the right file system mounted? `lfsazsync setup` gives a new one its UUID.',
  });
}
