import type { Tombstone } from '../catalog/types.ts';
import { type Fid, ROOT_FID } from '../identity/fid.ts';
import { forEachBounded } from '../service/bounded.ts';
import { Directories, LAYOUT, lookUp, split } from './directories.ts';
import { reviveFile } from './files.ts';
import { type Remains, remainsOf } from './remains.ts';
import { strays } from './search.ts';
import type { UndeleteContext, Undeleted } from './types.ts';

/** What is to be brought back: a dead thing itself, or whatever had a path (relative to the root), with all below it if wanted. */
export type UndeleteTarget = { readonly fid: Fid } | { readonly path: Buffer; readonly recursive: boolean };

export interface UndeleteOptions {
  readonly dryRun: boolean;
  /** Look in the container for what the catalog does not remember, too. */
  readonly search: boolean;
  /** Things at work at the same time. */
  readonly concurrency: number;
  readonly onItem: (item: Undeleted) => void;
}

/** How many ended how. */
export type UndeleteCounts = Record<Undeleted['outcome'], number> & { bytes: bigint };

/**
 * Brings back what was removed. Where several dead things had one path, the last one wins, and the others are told as
 * `exists`. Directories get their times when everything is in them. Stopped or killed, it is completed by being asked
 * for again.
 */
export async function runUndelete(
  context: UndeleteContext,
  targets: readonly UndeleteTarget[],
  options: UndeleteOptions,
): Promise<UndeleteCounts> {
  const counts: UndeleteCounts = { restored: 0, would: 0, exists: 0, gone: 0, failed: 0, bytes: 0n };
  const directories = new Directories(context);
  const turns = new Map<string, Promise<void>>();
  const tell = (item: Undeleted) => {
    counts[item.outcome] += 1;
    if (item.outcome === 'restored' || item.outcome === 'would') counts.bytes += item.size ?? 0n;
    options.onItem(item);
  };
  const work = async (stone: Tombstone) => {
    const key = stone.path?.toString('latin1') ?? stone.fid;
    const before = turns.get(key);
    const turn = (async () => {
      await before?.catch(() => undefined);
      tell(await undelete(context, directories, stone, options.dryRun));
    })();
    turns.set(key, turn);
    await turn.finally(() => {
      if (turns.get(key) === turn) turns.delete(key);
    });
  };
  for (const target of targets) {
    const bounds = { concurrency: options.concurrency, signal: context.signal };
    await forEachBounded(stonesOf(context, target), work, bounds);
    const searched = options.search && 'path' in target ? await strays(context, target.path, target.recursive) : [];
    const found = searched.map(({ stone }) => stone);
    for (const stone of found) if (stone.type === 'dir') directories.remember(stone);
    const wanted = found.filter(({ path }) => 'path' in target && isWithin(path, target));
    await forEachBounded(wanted, work, bounds);
    if (options.dryRun) continue;
    for (const stone of wanted) if (stone.type === 'dir') await directories.finish(stone);
    for await (const stone of stonesOf(context, target)) {
      context.signal.throwIfAborted();
      if (stone.type === 'dir') await directories.finish(stone);
    }
  }
  return counts;
}

/** Directories above the target are found, too, for what they were like. */
export function isWithin(
  path: Buffer | undefined,
  target: { readonly path: Buffer; readonly recursive: boolean },
): boolean {
  if (path === undefined) return false;
  if (path.equals(target.path)) return true;
  return target.recursive && (target.path.length === 0 || path.indexOf(Buffer.concat([target.path, SLASH])) === 0);
}

const SLASH = Buffer.from('/');

/** The dead that a target stands for, latest dead first; directories so come before what was in them. */
export async function* stonesOf({ catalog }: Pick<UndeleteContext, 'catalog'>, target: UndeleteTarget) {
  if ('fid' in target) {
    const stone = await catalog.tombstone(target.fid);
    if (stone !== undefined) yield stone;
    return;
  }
  for await (const page of catalog.tombstonesAt(target.path)) {
    for (const stone of page) {
      if (target.recursive) yield stone;
      else if (stone.path?.equals(target.path) === true) {
        yield stone;
        return;
      }
    }
  }
}

async function undelete(
  context: UndeleteContext,
  directories: Directories,
  stone: Tombstone,
  dryRun: boolean,
): Promise<Undeleted> {
  const { fid, type, path } = stone;
  const remains = await remainsOf(context, stone);
  const size = remains.kind === 'file' ? { size: remains.blob.length } : {};
  const at = path ?? (remains.kind === 'file' ? remains.paths[0] : undefined);
  const kept = 'kept' in remains && remains.kept !== undefined ? { kept: remains.kept } : {};
  const item = { fid, type, path: at, ...size, ...kept };
  if (remains.kind === 'gone') return { ...item, outcome: 'gone', detail: remains.detail };
  if (at === undefined) return { ...item, outcome: 'failed', detail: 'nobody knows its name' };
  if (dryRun) return { ...item, ...(await look(context, at, remains)) };
  if (remains.kind === 'file') return { ...item, ...(await reviveFile(context, directories, stone, remains)) };
  if (remains.kind === 'dir') return { ...item, ...(await reviveDirectory(directories, stone, at)) };
  return { ...item, ...(await reviveSymlink(context, directories, stone, at, remains)) };
}

type Result = Pick<Undeleted, 'outcome' | 'now' | 'detail'>;

/** What a dry run can say: whether the name is free. */
async function look(context: UndeleteContext, path: Buffer, remains: Remains): Promise<Result> {
  let parent = ROOT_FID;
  for (const directory of ancestorsOf(path)) {
    const { name } = split(directory);
    const there = await lookUp(context, parent, name);
    if (there === undefined) return { outcome: 'would' };
    if (there.stat?.type !== 'dir') return { outcome: 'failed', detail: 'it was below what is no directory now' };
    parent = there.fid;
  }
  const there = await lookUp(context, parent, split(path).name);
  if (there === undefined) return { outcome: 'would' };
  const note = remains.kind === 'file' ? remains.note : undefined;
  return { outcome: 'exists', detail: note ?? 'something has its name' };
}

function ancestorsOf(path: Buffer): Buffer[] {
  const { parent } = split(path);
  return parent.length === 0 ? [] : [...ancestorsOf(parent), parent];
}

async function reviveDirectory(directories: Directories, stone: Tombstone, path: Buffer): Promise<Result> {
  const directory = await directories.ensure(path);
  if ('problem' in directory) return { outcome: 'failed', detail: directory.problem };
  if (directory.from === stone.fid) return { outcome: 'restored', now: directory.fid };
  return { outcome: 'exists', detail: 'there is a directory of its name' };
}

async function reviveSymlink(
  context: UndeleteContext,
  directories: Directories,
  stone: Tombstone,
  path: Buffer,
  { target, attributes }: Extract<Remains, { kind: 'symlink' }>,
): Promise<Result> {
  const { catalog, importer, fs, step } = context;
  const { parent: above, name } = split(path);
  const parent = await directories.ensure(above);
  if ('problem' in parent) return { outcome: 'failed', detail: parent.problem };
  const item = { kind: 'symlink', name, target, ...attributes } as const;
  const made = (await importer.make(new Map([[parent.fid, [item]]]), LAYOUT)).get(parent.fid)?.[0];
  await step('made');
  const there = made !== undefined && 'there' in made ? made.there : undefined;
  const now = made !== undefined && 'made' in made ? made.made : there?.type === 'symlink' ? there.fid : undefined;
  if (now === undefined) return { outcome: 'exists', detail: 'something has its name' };
  if (there !== undefined) {
    const { stat } = await fs.files.get({ fid: now }, { parts: ['stat'] });
    if (stat?.target?.equals(target) !== true) return { outcome: 'exists', detail: 'there is another symlink' };
  }
  const since = Math.floor(Date.now() / 1000);
  await catalog.apply({ exhumed: [stone.fid], marks: [{ fid: now, hints: 0, since }] });
  await step('done');
  return { outcome: 'restored', now };
}
