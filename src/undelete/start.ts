import { requireControl } from '../blob/control.ts';
import { BlobStore } from '../blob/store.ts';
import { openCatalog } from '../catalog/open.ts';
import { catalogFile } from '../catalog/place.ts';
import type { Tombstone } from '../catalog/types.ts';
import type { Config } from '../config/types.ts';

import { type Fid, parseFid } from '../identity/fid.ts';
import { openFileSystem } from '../lustre/file-system.ts';
import { Importer } from '../lustre/importer.ts';
import { canonicalMount, locateMissing } from '../lustre/location.ts';
import { printable } from '../lustre/printable.ts';
import { OperatorError } from '../service/errors.ts';
import type { Log } from '../service/log.ts';
import { stepHook } from '../service/step-hook.ts';
import { runUndelete, stonesOf, type UndeleteCounts, type UndeleteTarget } from './run.ts';
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
  const helper = {
    mount: config.mount,
    liblustreapi: config.liblustreapi,
    helper: config.helper,
    onDiagnostic: (line: string) => log.debug('native helper', { line }),
  };
  const fs = await openFileSystem(helper);
  const closers: (() => void | Promise<void>)[] = [() => fs.close()];
  try {
    const fsUuid = await fs.readUuid();
    if (fsUuid === undefined) throw noIdentity(fs.mount);
    const archives = new Map<number, BlobStore>();
    for (const [id, archive] of config.archives) {
      const store = await BlobStore.open(archive, { signal });
      closers.push(() => store.close());
      await requireControl(store, fsUuid, signal);
      archives.set(id, store);
    }
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
    if (Object.values(outcomes).every((count) => count === 0)) throw nothingRemoved(args, false);
    return counts;
  } finally {
    for (const close of closers.reverse()) await close();
  }
}

export interface ListRequest {
  readonly config: Config;
  readonly args: readonly Buffer[];
  readonly onStone: (stone: Tombstone) => void;
}

/** What could be brought back, as the catalog knows; the container is not asked. Latest dead first. */
export async function listUndeletable({ config, args, onStone }: ListRequest): Promise<void> {
  const catalog = openCatalog({ file: catalogFile(config.stateDir), readOnly: true });
  try {
    for (const arg of args) {
      for await (const stone of stonesOf({ catalog }, await targetOf(arg, config.mount, true))) onStone(stone);
    }
  } finally {
    catalog.close();
  }
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
    throw nothingRemoved([args[index] as Buffer], below);
  }
}

function nothingRemoved(args: readonly Buffer[], below: boolean): OperatorError {
  return new OperatorError(`Nothing that was removed is known by ${args.map((arg) => printable(arg)).join(', ')}.`, {
    code: 'NOTHING_REMOVED',
    hint: below
      ? 'Something was removed below it: add --recursive.'
      : 'See `lfsazsync undelete --list`. What was removed before a scan or the follower saw it is not there: --search looks in the container.',
  });
}

function noIdentity(mount: string): OperatorError {
  return new OperatorError(`The file system at ${mount} has no UUID: nothing was ever archived from it.`, {
    code: 'NO_IDENTITY',
    hint: 'Is the right file system mounted? `lfsazsync setup` gives a new one its UUID.',
  });
}
