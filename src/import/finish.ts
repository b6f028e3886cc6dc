import { pathOf } from '../blob/naming.ts';
import type { BlobState } from '../blob/state.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { ImportedName, ImportLink, Known } from '../catalog/types.ts';
import type { Fid } from '../identity/fid.ts';
import { isBinding } from '../identity/file-record.ts';
import { ERRNO, errnoText } from '../lustre/errno.ts';
import { isClean } from '../lustre/hsm-state.ts';
import type { Made, MakeItem } from '../lustre/importer.ts';
import type { EntryState } from '../lustre/scan-entry.ts';
import { forEachBounded } from '../service/bounded.ts';
import { ErrnoError } from '../service/errors.ts';
import { Changes } from './changes.ts';
import type { Directories, Resolved } from './directories.ts';
import { isNewer, ownRecordOf, stateOf } from './existing.ts';
import { giveXattrs } from './give-xattrs.ts';
import { keyOf, nameOf, parentKey, under } from './paths.ts';
import type { Place } from './places.ts';
import { stopAtConflict, stopIfHopeless, tell } from './problems.ts';
import type { ImportProblem } from './types.ts';
import type { ImportWorld, LustrePart } from './world.ts';

/** Where things are made, and known. */
export type Finishing = ImportWorld & { readonly lustre: LustrePart; readonly catalog: Catalog };

type Head = (name: string) => Promise<BlobState | undefined>;

/** HEADs at the same time. */
const HEADS = 16;
/** As deep as a blob's name can be. */
const DEEPEST = 254;

/** Makes the hard links that were met, now that all files are there. */
export async function makeLinks(world: Finishing, directories: Directories): Promise<void> {
  const { catalog, ledger, lustre, request, signal } = world;
  for await (const links of catalog.importLinks()) {
    signal.throwIfAborted();
    await lustre.checkFileSystem();
    const changes = new Changes(request.archive, await catalog.now(), world.now());
    const targets = await ledger.known(links.flatMap(({ target }) => target ?? []));
    const ready = links.filter(({ name, target }) => {
      if (target !== undefined && targets.has(target)) return true;
      const what =
        target === undefined ? 'its marker does not say of what' : `${JSON.stringify(target)} was not imported`;
      tell(world, {
        outcome: 'failed',
        blob: name,
        code: 'link-target',
        detail: `a hard link without its file: ${what}`,
      });
      return false;
    });
    const resolved = await directories.ensure(
      new Map(ready.map(({ path }) => [parentKey(keyOf(path)), undefined])),
      new Set(),
      (made) => {
        world.counts.directories++;
        changes.directory(made, world.began);
      },
    );
    const made = await linkAll(world, ready, resolved, (link) => targets.get(link.target ?? '')?.fid as Fid);
    await record(world, changes, made);
    await changes.commit(ledger, { linksDone: links.map(({ name }) => name) });
  }
}

interface MadeLink {
  readonly link: ImportLink;
  readonly fid: Fid;
  readonly parent: Fid;
}

async function linkAll(
  world: Finishing,
  links: readonly ImportLink[],
  resolved: ReadonlyMap<string, Resolved>,
  fidOf: (link: ImportLink) => Fid,
): Promise<MadeLink[]> {
  const { archive, stripeCount, pool } = world.request;
  const groups = new Map<Fid, { link: ImportLink; item: MakeItem; of: Fid }[]>();
  for (const link of links) {
    const directory = resolved.get(parentKey(keyOf(link.path))) as Resolved;
    if (!('fid' in directory)) {
      const { code, detail } = directory;
      tell(world, { outcome: code === 'below-a-file' ? 'conflict' : 'failed', blob: link.name, code, detail });
      continue;
    }
    const group = groups.get(directory.fid) ?? [];
    groups.set(directory.fid, group);
    const of = fidOf(link);
    group.push({ link, of, item: { kind: 'link', name: nameOf(keyOf(link.path)), of } });
  }
  const items = new Map([...groups].map(([parent, group]) => [parent, group.map(({ item }) => item)]));
  const results = await world.lustre.importer.make(items, { archive, stripeCount, pool });
  const made: MadeLink[] = [];
  for (const [parent, group] of groups) {
    for (const [index, { link, of }] of group.entries()) {
      const result = results.get(parent)?.[index] as Made;
      if ('made' in result) world.counts.links++;
      else if ('there' in result && result.there?.fid === of) world.counts.present++;
      else {
        linkProblem(world, link, result);
        continue;
      }
      made.push({ link, fid: of, parent });
    }
  }
  return made;
}

function linkProblem(world: Finishing, { name }: ImportLink, result: Exclude<Made, { made: Fid }>): void {
  if ('there' in result) {
    stopAtConflict(world, name, 'something else has the name of this hard link');
    tell(world, { outcome: 'conflict', blob: name, code: 'not-imported', detail: 'something else is there' });
    return;
  }
  stopIfHopeless(result.errno);
  tell(world, { outcome: 'failed', blob: name, code: 'lustre', detail: errnoText(result.errno) });
}

/** The catalog learns of the names: a file with all that it has by now. */
async function record({ catalog, request }: Finishing, changes: Changes, made: readonly MadeLink[]): Promise<void> {
  const known = await catalog.known(made.map(({ fid }) => fid));
  const links = new Map<Fid, Known['links'][number][]>();
  for (const { link, fid, parent } of made) {
    const names = links.get(fid) ?? [...(known.get(fid)?.links ?? [])];
    links.set(fid, names);
    const name = nameOf(keyOf(link.path));
    if (!names.some((one) => one.parent === parent && one.name.equals(name))) names.push({ parent, name });
    changes.blob(fid, {
      archive: request.archive,
      name: link.name,
      kind: 'link',
      etag: link.etag,
      verifiedAt: changes.now,
    });
  }
  for (const [fid, names] of links) {
    const entry = known.get(fid)?.entry;
    if (entry === undefined) changes.mark(fid);
    else changes.put({ ...entry, nlink: names.length }, names);
  }
}

/**
 * Sets what directories are to have, now that nothing is made in them any more: what is made in one with a default ACL
 * would inherit it.
 */
export async function finishDirectories(world: Finishing, head: Head): Promise<void> {
  const { catalog, lustre, ledger, request, signal } = world;
  for await (const directories of catalog.importDirectories()) {
    signal.throwIfAborted();
    await lustre.checkFileSystem();
    const changes = new Changes(request.archive, await catalog.now(), world.now());
    const [done, known] = await Promise.all([
      lustre.importer.attributes(directories),
      catalog.known(directories.map(({ fid }) => fid)),
    ]);
    for (const [index, { fid, mode, uid, gid, mtime }] of directories.entries()) {
      const errno = done[index] ?? 0;
      const entry = known.get(fid)?.entry;
      if (errno === 0 && entry !== undefined) changes.put({ ...entry, mode, uid, gid, mtime });
      else if (errno !== 0) changes.mark(fid);
      if (errno !== 0 && errno !== ERRNO.ENOENT) {
        stopIfHopeless(errno);
        tell(world, {
          outcome: 'failed',
          blob: '',
          code: 'lustre',
          detail: `attributes of the directory ${fid}: ${errnoText(errno)}`,
        });
      }
    }
    await giveDirectories(world, known, head);
    await changes.commit(ledger, { directoriesDone: directories.map(({ fid }) => fid) });
  }
}

/** Their markers are asked for anew: nobody has kept what they said. */
async function giveDirectories(world: Finishing, known: ReadonlyMap<Fid, Known>, head: Head): Promise<void> {
  const { lustre, request } = world;
  if (!lustre.files.keepsXattrs) return;
  const things: { fid: Fid; blob: BlobState }[] = [];
  const ask = async ([fid, { blobs }]: [Fid, Known]): Promise<void> => {
    const marker = blobs.find(({ kind, archive }) => kind === 'dir' && archive === request.archive);
    const blob = marker === undefined ? undefined : await head(marker.name);
    if (blob !== undefined) things.push({ fid, blob });
  };
  await forEachBounded([...known], ask, { concurrency: HEADS, signal: world.signal });
  await giveXattrs(world, lustre, things, { over: true });
}

/**
 * Removes what was imported and whose blobs are gone: seen by no listing since, and asked for once more, one by one. Only what
 * is unmodified goes, and only under the name that it was imported by; directories only when they are empty.
 * @param head what is at a name in the container
 */
export async function removeGone(world: Finishing, places: readonly Place[], head: Head): Promise<void> {
  const kept = new Set<string>();
  if (!(await mayRemove(world, places, head, kept))) return;
  for (const { start } of places) {
    for (let round = 0; round < DEEPEST; round++) {
      let removed = 0;
      for await (const page of world.catalog.importsGone(world.request.archive, start, world.began)) {
        world.signal.throwIfAborted();
        const left = page.filter(({ name }) => !kept.has(name));
        const gone: ImportedName[] = [];
        for (let at = 0; at < left.length; at += HEADS) {
          const some = left.slice(at, at + HEADS);
          gone.push(...(await goneOf(some, head, kept)));
        }
        removed += await removePage(world, gone.reverse(), kept);
      }
      if (removed === 0) break;
    }
  }
}

async function goneOf(some: readonly ImportedName[], head: Head, kept: Set<string>): Promise<ImportedName[]> {
  const there = await Promise.all(some.map(({ name }) => head(name)));
  for (const [index, { name }] of some.entries()) if (there[index] !== undefined) kept.add(name);
  return some.filter((_, index) => there[index] === undefined);
}

/**
 * A container that was emptied, or is another one than it was, must not take the files along: what is resident may be all that is left.
 * @param kept takes the names that are there
 */
async function mayRemove(world: Finishing, places: readonly Place[], head: Head, kept: Set<string>): Promise<boolean> {
  const { catalog, request, began, signal } = world;
  const { share, free } = request.maxDelete;
  if (share >= 100) return true;
  const total = await catalog.bindingCount(request.archive);
  const limit = Math.max(free, Math.floor((total * share) / 100));
  let gone = 0;
  for (const { start } of places) {
    for await (const page of catalog.importsGone(request.archive, start, began)) {
      for (let at = 0; at < page.length; at += HEADS) {
        signal.throwIfAborted();
        gone += (await goneOf(page.slice(at, at + HEADS), head, kept)).length;
        if (gone <= limit) continue;
        const detail = `blobs of more than ${limit} of the ${total} that were imported are gone: nothing is removed. Is it the right container, and is that meant? Then --max-delete-share 100%`;
        tell(world, { outcome: 'conflict', blob: '', code: 'too-many-gone', detail });
        return false;
      }
    }
  }
  return true;
}

async function removePage(world: Finishing, gone: readonly ImportedName[], kept: Set<string>): Promise<number> {
  const { catalog, lustre, ledger, request, prefix } = world;
  if (gone.length === 0) return 0;
  await lustre.checkFileSystem();
  const fids = [...new Set(gone.map(({ fid }) => fid))];
  const changes = new Changes(request.archive, await catalog.now(), world.now());
  const [entries, paths] = await Promise.all([lustre.files.entries(fids), catalog.paths(fids)]);
  const states = new Map(fids.map((fid, index) => [fid, entries[index]]));
  let removed = 0;
  for (const { name, fid, bound } of gone) {
    const state = states.get(fid);
    const path = pathOf(name.replace(/\/$/, ''), prefix) ?? Buffer.from(name);
    const wanted = under(request.to, path);
    const named = (paths.get(fid) ?? []).find((one) => one.ok && one.path.equals(wanted));
    const link = named?.ok === true ? named.link : undefined;
    // Renamed, or gone itself: what was imported is not there any more.
    if (link === undefined || state === undefined || state instanceof ErrnoError) {
      kept.add(name);
      continue;
    }
    const why = keepsBecause(state);
    if (why !== undefined) {
      kept.add(name);
      tell(world, { outcome: 'conflict', blob: name, ...why });
      continue;
    }
    await lustre.audit({
      blob: name,
      fid,
      reason: `its blob ${JSON.stringify(name)} is gone, by import --refresh --delete`,
    });
    const [errno = 0] = await lustre.importer.remove([{ ...link, fid, clean: true }]);
    if (errno === 0) {
      removed++;
      changes.removed(fid, { name, bound });
      tell(world, { outcome: 'removed', blob: name, code: 'gone', detail: 'its blob is gone' });
    } else if (errno !== ERRNO.ENOTEMPTY) kept.add(name);
  }
  await changes.commit(ledger, {});
  return removed;
}

/** A modified file is not removed for its blob's sake; nor is one that was archived since: what it has no import brought. */
function keepsBecause(state: EntryState): Pick<ImportProblem, 'code' | 'detail'> | undefined {
  if (state.type !== 'file') return undefined;
  if (!isClean(stateOf(state))) return { code: 'dirty', detail: 'its blob is gone, but the file was modified' };
  const record = ownRecordOf(state);
  if (record === undefined || !isBinding(record))
    return {
      code: 'not-imported',
      detail: 'its blob is gone, but the file was modified and archived since the import',
    };
  if (!isNewer(state)) return undefined;
  return { code: 'newer', detail: 'its blob is gone, but the file was given a later time since the import' };
}
