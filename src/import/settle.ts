import type { BlobState } from '../blob/state.ts';
import { freshOf } from '../follow/fresh.ts';
import type { Fid } from '../identity/fid.ts';
import { parseFileRecord, takesDirectoryLayout } from '../identity/file-record.ts';
import { ERRNO, errnoText } from '../lustre/errno.ts';
import type { MakeItem, Rebinding } from '../lustre/importer.ts';
import type { EntryState } from '../lustre/scan-entry.ts';
import { ErrnoError } from '../service/errors.ts';
import type { Changes } from './changes.ts';
import type { Way } from './directories.ts';
import { type Action, actionFor, isHalfMade, type Relation, relationOf } from './existing.ts';
import { giveXattrs } from './give-xattrs.ts';
import { stopAtConflict, tell } from './problems.ts';
import { attributesOf, entryOf, recordOf } from './things.ts';
import type { ImportProblem } from './types.ts';
import type { Wanted } from './wanted.ts';
import type { ImportWorld, LustrePart } from './world.ts';

/** A thing whose name is taken. */
export interface Existing {
  readonly wanted: Wanted;
  readonly parent: Fid;
  readonly item: MakeItem;
  /** undefined: it could not be told what it is. */
  readonly there: EntryState | undefined;
}

export interface Settling {
  readonly world: ImportWorld;
  readonly lustre: LustrePart;
  readonly changes: Changes;
  readonly targets: ReadonlyMap<BlobState, Buffer>;
}

interface Judged extends Existing {
  readonly there: EntryState;
  readonly relation: Relation;
  readonly action: Action;
}

/** Deals with what stands where something was to be made. @returns what is to be made now that it is out of the way */
export async function settleExisting(settling: Settling, existing: readonly Existing[]): Promise<Wanted[]> {
  if (existing.length === 0) return [];
  const judged = await judge(settling, existing);
  const those = (what: Action['do']) => judged.filter(({ action }) => action.do === what);
  for (const one of those('conflict')) conflict(settling, one);
  await keep(settling, [...those('nothing'), ...those('release')]);
  await settling.lustre.release(those('release').map(({ there }) => there.fid));
  await rebind(settling, those('rebind'));
  return replace(settling, those('replace'));
}

async function judge({ world, lustre, targets }: Settling, existing: readonly Existing[]): Promise<Judged[]> {
  const symlinks = existing.filter(({ there }) => there?.type === 'symlink').map(({ there }) => there as EntryState);
  const [pointing, known] = await Promise.all([
    readTargets(lustre, symlinks),
    world.ledger.known(existing.map(({ wanted }) => wanted.blob.name)),
  ]);
  const judged: Judged[] = [];
  for (const one of existing) {
    const { there, wanted } = one;
    if (there === undefined) {
      problem(world, wanted, 'failed', 'busy', 'what has its name came and went');
      continue;
    }
    const imported = known.get(wanted.blob.name)?.fid === there.fid;
    const where = { wanted: targets.get(wanted.blob), there: pointing.get(there.fid), imported };
    const relation = relationOf(wanted, there, where);
    judged.push({ ...one, there, relation, action: actionFor(relation, there, wanted, world.request) });
  }
  return judged;
}

/** What symlinks in Lustre point to. */
async function readTargets({ files }: LustrePart, symlinks: readonly EntryState[]): Promise<Map<Fid, Buffer>> {
  const targets = new Map<Fid, Buffer>();
  if (symlinks.length === 0) return targets;
  const found = await files.getMany(
    symlinks.map(({ fid }) => ({ fid })),
    { parts: ['stat'] },
  );
  for (const one of found) {
    if (!(one instanceof ErrnoError) && one.stat?.target !== undefined) targets.set(one.fid, one.stat.target);
  }
  return targets;
}

function conflict({ world }: Settling, { wanted, action }: Judged): void {
  if (action.do !== 'conflict') return;
  stopAtConflict(world, wanted.blob.name, action.detail);
  problem(world, wanted, 'conflict', action.code, action.detail);
}

/**
 * It is there already. What the catalog does not know was made by an import that was killed before it could say so, and may
 * lack its last step. Whatever else differs has been changed by its users since.
 */
async function keep({ world, lustre, changes }: Settling, judged: readonly Judged[]): Promise<void> {
  const { catalog, counts } = world;
  if (judged.length === 0 || catalog === undefined) return;
  counts.present += judged.length;
  const known = await catalog.present(judged.map(({ there }) => there.fid));
  const unfinished = judged.filter(({ there, wanted }) => !known.has(there.fid) && isHalfMade(there, wanted));
  const done = await lustre.importer.attributes(
    unfinished.map(({ there, wanted }) => ({ fid: there.fid, ...attributesOf(wanted) })),
  );
  const unknown = judged.filter(({ there }) => there.type === 'file' && !known.has(there.fid));
  await giveXattrs(world, lustre, unknown.map(fidAndBlob), { over: false });
  const failed = new Set(unfinished.filter((_, index) => done[index] !== 0).map(({ wanted }) => wanted));
  for (const { wanted, there, parent, item } of judged) {
    if (failed.has(wanted)) {
      problem(world, wanted, 'failed', 'lustre', 'its attributes could not be set');
      continue;
    }
    const links = there.links ?? [{ parent, name: item.name }];
    const fresh = freshOf({ ...there, links });
    if (fresh !== undefined && !known.has(there.fid)) {
      const { mode, uid, gid, mtime } = attributesOf(wanted);
      const set = unfinished.some((one) => one.wanted === wanted);
      const isSymlink = there.type === 'symlink';
      changes.put(
        set ? { ...fresh.entry, mode: isSymlink ? there.mode : mode, uid, gid, mtime } : fresh.entry,
        fresh.links,
      );
    }
    changes.bind(wanted, there.fid);
  }
}

/** The record first, then the size: killed in between, a restore fails, and the next refresh does it again. */
async function rebind({ world, lustre, changes }: Settling, judged: readonly Judged[]): Promise<void> {
  if (judged.length === 0) return;
  const { request, counts } = world;
  await lustre.release(
    judged.flatMap(({ there, action }) => (action.do === 'rebind' && action.release ? [there.fid] : [])),
  );
  const list = judged.map(({ there, wanted }): Rebinding => {
    const size = wanted.read.kind === 'file' ? wanted.read.size : 0n;
    // It keeps the layout that it has, and whether that means anything.
    const noLayout = takesDirectoryLayout(there.record === null ? undefined : parseFileRecord(there.record));
    return { fid: there.fid, ...attributesOf(wanted), size, record: recordOf(wanted, world.prefix, noLayout) };
  });
  const done = await lustre.importer.rebind(list, request.archive);
  const bound = judged.filter((_, index) => done[index] === 0);
  await giveXattrs(world, lustre, bound.map(fidAndBlob), { over: true });
  for (const [index, { wanted, there }] of judged.entries()) {
    const errno = done[index] ?? 0;
    if (errno === ERRNO.EBUSY) {
      stopAtConflict(world, wanted.blob.name, 'the file is in use');
      problem(world, wanted, 'conflict', 'dirty', 'the file is in use, or was modified just now');
    } else if (errno !== 0) problem(world, wanted, 'failed', 'lustre', errnoText(errno));
    else {
      counts.refreshed++;
      const entry = entryOf(wanted, there.fid, request, undefined, changes.now);
      changes.put({ ...entry, project: there.project ?? 0, nlink: there.nlink, pool: there.pool });
      changes.bind(wanted, there.fid);
    }
  }
}

const fidAndBlob = ({ there, wanted }: Judged) => ({ fid: there.fid, blob: wanted.blob });

/** Removes what is no directory where one is to be. @returns whether anything went */
export async function clearWays(
  { world, lustre, changes }: Omit<Settling, 'targets'>,
  ways: readonly Way[],
): Promise<boolean> {
  let any = false;
  for (const { key, parent, name, there } of ways) {
    const blob = Buffer.from(key, 'latin1').toString('utf8');
    const reason = `a ${there.type} in Lustre where the container has a directory, by --on-conflict ${world.request.onConflict}`;
    await lustre.audit({ blob, fid: there.fid, reason });
    const [errno] = await lustre.importer.remove([{ parent, name, fid: there.fid, clean: false }]);
    if (errno !== 0) continue;
    any = true;
    changes.removed(there.fid);
    tell(world, { outcome: 'overwritten', blob, code: 'replaced', detail: reason });
  }
  return any;
}

/** Takes what is there away. What the archive does not have is removed only because the operator said so. */
async function replace({ world, lustre, changes }: Settling, judged: readonly Judged[]): Promise<Wanted[]> {
  const gone: Wanted[] = [];
  for (const { wanted, there, parent, item, action, relation } of judged) {
    const clean = action.do === 'replace' && action.clean;
    const { refresh, onConflict } = world.request;
    const by = clean && refresh ? 'import --refresh' : `--on-conflict ${onConflict}`;
    const reason = `in the place of a ${there.type} in Lustre (${relation}), by ${by}`;
    await lustre.audit({ blob: wanted.blob.name, fid: there.fid, reason });
    const [errno = 0] = await lustre.importer.remove([{ parent, name: item.name, fid: there.fid, clean }]);
    if (errno === ERRNO.ENOTEMPTY || errno === ERRNO.EBUSY || errno === ERRNO.ESTALE) {
      const detail = errno === ERRNO.ENOTEMPTY ? 'a directory is there that is not empty' : 'it changed just now';
      stopAtConflict(world, wanted.blob.name, detail);
      problem(world, wanted, 'conflict', errno === ERRNO.ENOTEMPTY ? 'not-empty' : 'dirty', detail);
    } else if (errno !== 0 && errno !== ERRNO.ENOENT) problem(world, wanted, 'failed', 'lustre', errnoText(errno));
    else {
      changes.removed(there.fid, { name: wanted.blob.name, bound: true });
      tell(world, { outcome: 'overwritten', blob: wanted.blob.name, code: 'replaced', detail: reason });
      gone.push(wanted);
    }
  }
  return gone;
}

function problem(
  world: ImportWorld,
  { blob }: Wanted,
  outcome: ImportProblem['outcome'],
  code: ImportProblem['code'],
  detail: string,
): void {
  tell(world, { outcome, blob: blob.name, code, detail });
}
