import { isBlobError } from '../blob/errors.ts';
import type { BlobState } from '../blob/state.ts';
import type { ImportChanges, ImportedBlob } from '../catalog/types.ts';
import type { Fid } from '../identity/fid.ts';
import { formatBinding, isBinding } from '../identity/file-record.ts';
import { ERRNO, errnoText } from '../lustre/errno.ts';
import type { Made, MakeItem } from '../lustre/importer.ts';
import type { EntryState } from '../lustre/scan-entry.ts';
import type { Filters } from '../request/filters.ts';
import { forEachBounded } from '../service/bounded.ts';
import { ErrnoError } from '../service/errors.ts';
import { Changes } from './changes.ts';
import {
  type Directories,
  type DirectoryAttributes,
  isHalf,
  type MadeDirectory,
  type Resolved,
  type Way,
} from './directories.ts';
import { ownRecordOf } from './existing.ts';
import { giveXattrs } from './give-xattrs.ts';
import { keyOf, parentKey } from './paths.ts';
import { stopAfter, stopAtConflict, stopIfHopeless, tell } from './problems.ts';
import { clearWays, type Existing, settleExisting } from './settle.ts';
import { attributesOf, entryOf, itemOf } from './things.ts';
import type { ImportProblem } from './types.ts';
import { type Wanted, wantedOf } from './wanted.ts';
import { type ImportWorld, type LustrePart, stagedKey } from './world.ts';

/** Bodies of symlinks that are read at the same time. */
const BODIES = 16;
/** A directory that goes while things are made in it is made again; what is replaced is made again. */
const ROUNDS = 3;

/** A thing to be made, where its directory is. */
interface Placed {
  readonly wanted: Wanted;
  readonly parent: Fid;
  readonly item: MakeItem;
}

/** Brings what a listing says into Lustre and into the catalog, a page at a time; several pages may be at work. */
export class PageImporter {
  readonly #world: ImportWorld;
  readonly #filters: Filters;
  readonly #directories: Directories | undefined;

  constructor(world: ImportWorld, filters: Filters, directories: Directories | undefined) {
    this.#world = world;
    this.#filters = filters;
    this.#directories = directories;
  }

  /** @param progress how far the import is with this page; durable together with what the catalog learns */
  async take(blobs: readonly BlobState[], progress: ImportChanges): Promise<void> {
    const world = this.#world;
    const { counts, ledger } = world;
    const all = wantedOf(world, this.#filters, blobs);
    const known = await ledger.known(all.map(({ blob }) => blob.name));
    // Who wants files overwritten means those, too, that were modified in Lustre while their blobs stayed.
    const looks = world.request.onConflict === 'overwrite-dirty' || world.request.onConflict === 'overwrite-always';
    const { lustre, catalog } = world;
    const stands = (one: Wanted) => standsFor(one, known.get(one.blob.name));
    // What only says so itself may be half made, too.
    const isLookedAt = ({ blob, read }: Wanted) =>
      read.kind === 'file' && (looks || (lustre !== undefined && known.get(blob.name)?.etag === undefined));
    const looked = new Set(all.filter((one) => stands(one) && isLookedAt(one)));
    const elsewhere = lustre === undefined ? new Set() : await thoseElsewhere(lustre, [...looked], known);
    const unchanged = (one: Wanted) => stands(one) && (!looked.has(one) || elsewhere.has(one));
    const fresh = all.filter((one) => !unchanged(one));
    counts.present += all.length - fresh.length;
    warn(world, fresh);
    if (lustre === undefined || catalog === undefined || this.#directories === undefined) {
      for (const one of fresh) count(world, one);
      return ledger.commit({ imports: progress });
    }
    await lustre.checkFileSystem();
    const changes = new Changes(world.request.archive, await catalog.now(), world.now());
    for (const one of all) {
      const there = known.get(one.blob.name);
      if (there === undefined || !unchanged(one)) continue;
      if (there.etag === undefined) changes.bind(one, there.fid);
      else changes.seen(there.fid, one.blob.name);
    }
    for (const one of fresh) if (one.read.kind === 'link') changes.link(linkOf(one, one.read.linkTo));
    const page = new Page(world, lustre, this.#directories, changes);
    await page.make(
      fresh.filter(({ read }) => read.kind !== 'link'),
      all,
    );
    // Under another file system everything would seem to be missing; what was made there is not ours to remember.
    await lustre.checkFileSystem();
    await changes.commit(ledger, progress);
    stopAfter(world);
  }
}

/** Whether what is known of a blob's name was imported from this very version of it. */
function standsFor({ blob, read }: Wanted, known: ImportedBlob | undefined): boolean {
  if (known === undefined) return false;
  if (known.etag !== undefined) return known.etag === blob.etag;
  return read.kind === 'file' && known.bind === formatBinding(read.bind);
}

/**
 * Those that have other names in Lustre than the one that they are wanted at. They must not be made there once more: of two files with
 * one copy, the one loses it to the other.
 */
async function thoseElsewhere(
  { files }: LustrePart,
  wanted: readonly Wanted[],
  known: ReadonlyMap<string, ImportedBlob>,
): Promise<Set<Wanted>> {
  if (wanted.length === 0) return new Set();
  const found = await files.getMany(
    wanted.map(({ blob }) => ({ fid: (known.get(blob.name) as ImportedBlob).fid })),
    { parts: ['paths'] },
  );
  return new Set(
    wanted.filter(({ path }, index) => {
      const there = found[index] as (typeof found)[number];
      if (there instanceof ErrnoError) return there.errno !== ERRNO.ENOENT;
      return there.paths?.some((one) => one.equals(path)) !== true;
    }),
  );
}

const linkOf = ({ blob, path }: Wanted, target: string | undefined) => ({
  name: blob.name,
  path,
  target,
  etag: blob.etag,
});

/** The work on one page. */
class Page {
  readonly #world: ImportWorld;
  readonly #lustre: LustrePart;
  readonly #directories: Directories;
  readonly #changes: Changes;

  constructor(world: ImportWorld, lustre: LustrePart, directories: Directories, changes: Changes) {
    this.#world = world;
    this.#lustre = lustre;
    this.#directories = directories;
    this.#changes = changes;
  }

  /** @param all what else is on the page, too */
  async make(wanted: readonly Wanted[], all: readonly Wanted[]): Promise<void> {
    const targets = await this.#targets(wanted);
    // Of two things of one path the first counts: both may be there, as markers `d` and `d/` of one directory.
    const files = wanted.filter(
      ({ read, blob }) => read.kind !== 'dir' && (read.kind !== 'symlink' || targets.has(blob)),
    );
    const markers = wanted.filter(({ read }) => read.kind === 'dir');
    const filesAt = new Set(all.filter(({ read }) => read.kind !== 'dir').map(({ path }) => keyOf(path)));
    let left: readonly Wanted[] = files;
    let given: readonly Wanted[] = markers;
    for (let round = 1; left.length + given.length > 0; round++) {
      const resolved = await this.#ensure(given, left, filesAt);
      for (const one of given) this.#marked(one, resolved.get(keyOf(one.path)) as Resolved);
      given = [];
      left = await this.#makeIn(resolved, left, targets, round === ROUNDS);
    }
  }

  /** What symlinks point to, where only their bodies say. */
  async #targets(wanted: readonly Wanted[]): Promise<Map<BlobState, Buffer>> {
    const targets = new Map<BlobState, Buffer>();
    const { readBody, signal } = this.#world;
    const unread: Wanted[] = [];
    for (const one of wanted) {
      if (one.read.kind !== 'symlink') continue;
      if (one.read.target === undefined) unread.push(one);
      else targets.set(one.blob, one.read.target);
    }
    const read = async ({ blob }: Wanted): Promise<void> => {
      try {
        const target = await readBody(blob);
        if (target.includes(0)) this.#problem(blob, 'refused', 'target-invalid', 'its target holds a NUL');
        else targets.set(blob, target);
      } catch (error) {
        if (!isBlobError(error)) throw error;
        this.#problem(blob, 'failed', 'blob', error.message);
      }
    };
    await forEachBounded(unread, read, { concurrency: BODIES, signal });
    return targets;
  }

  /** The directories that are marked, and those that something is in. What is in their way in Lustre goes if so asked. */
  async #ensure(markers: readonly Wanted[], things: readonly Wanted[], filesAt: ReadonlySet<string>) {
    const directories = new Map<string, DirectoryAttributes | undefined>();
    for (const { path } of things) directories.set(parentKey(keyOf(path)), undefined);
    for (const one of markers) {
      const key = keyOf(one.path);
      const isBetter = one.read.kind === 'dir' && (one.read.explicit || directories.get(key) === undefined);
      if (isBetter) directories.set(key, attributesOf(one));
    }
    const ensure = () => this.#directories.ensure(directories, filesAt, (made) => this.#madeDirectory(made));
    const resolved = await ensure();
    const { onConflict } = this.#world.request;
    if (onConflict === 'fail' || onConflict === 'skip') return resolved;
    const inTheWay = new Map<string, Way>();
    for (const one of resolved.values()) {
      if ('way' in one && one.way !== undefined && !isImported(one.way.there)) inTheWay.set(one.way.key, one.way);
    }
    const settling = { world: this.#world, lustre: this.#lustre, changes: this.#changes };
    return (await clearWays(settling, [...inTheWay.values()])) ? ensure() : resolved;
  }

  #madeDirectory(made: MadeDirectory): void {
    this.#world.counts.directories++;
    this.#changes.directory(made, this.#world.began);
  }

  /** A marker's directory is there: it gets what the marker says when everything is in it, unless it was somebody else's before. */
  #marked(wanted: Wanted, resolved: Resolved): void {
    const { request, counts } = this.#world;
    if (!('fid' in resolved)) {
      this.#blocked(wanted, resolved);
      return;
    }
    const attributes = attributesOf(wanted);
    this.#changes.bind(wanted, resolved.fid);
    if (!resolved.made) counts.present++;
    if (wanted.read.kind !== 'dir' || !wanted.read.explicit) return;
    const { there } = resolved;
    if (there !== undefined && !mayBeOurs(there, attributes, { ...request.defaults, mode: request.defaults.dirMode }))
      return;
    this.#changes.later({ fid: resolved.fid, ...attributes });
  }

  /** @returns what is to be tried again */
  async #makeIn(
    resolved: ReadonlyMap<string, Resolved>,
    things: readonly Wanted[],
    targets: ReadonlyMap<BlobState, Buffer>,
    isLast: boolean,
  ): Promise<Wanted[]> {
    const groups = new Map<Fid, Placed[]>();
    for (const wanted of things) {
      const directory = resolved.get(parentKey(keyOf(wanted.path))) as Resolved;
      if (!('fid' in directory)) {
        this.#blocked(wanted, directory);
        continue;
      }
      const group = groups.get(directory.fid) ?? [];
      groups.set(directory.fid, group);
      group.push({ wanted, parent: directory.fid, item: itemOf(wanted, targets.get(wanted.blob), this.#world) });
    }
    const { archive, stripeCount, pool } = this.#world.request;
    const items = new Map([...groups].map(([parent, group]) => [parent, group.map(({ item }) => item)]));
    const results = await this.#lustre.importer.make(items, { archive, stripeCount, pool });
    const again: Wanted[] = [];
    const existing: Existing[] = [];
    const finished: { fid: Fid; blob: BlobState }[] = [];
    for (const [parent, group] of groups) {
      for (const [index, placed] of group.entries()) {
        const made = results.get(parent)?.[index] as Made;
        if ('made' in made) {
          this.#made(placed, made.made, targets);
          if (placed.wanted.read.kind === 'file') finished.push({ fid: made.made, blob: placed.wanted.blob });
        } else if ('there' in made) existing.push({ ...placed, there: made.there });
        else if (isGone(made.errno) && !isLast) {
          this.#directories.forget(parentKey(keyOf(placed.wanted.path)));
          again.push(placed.wanted);
        } else this.#failed(placed.wanted, made.errno);
      }
    }
    await giveXattrs(this.#world, this.#lustre, finished, { over: true });
    const replaced = await settleExisting(
      { world: this.#world, lustre: this.#lustre, changes: this.#changes, targets },
      existing,
    );
    if (!isLast) return [...again, ...replaced];
    for (const { blob } of replaced) this.#problem(blob, 'failed', 'busy', 'its name was taken again and again');
    return [];
  }

  #made({ wanted, parent, item }: Placed, fid: Fid, targets: ReadonlyMap<BlobState, Buffer>): void {
    const entry = entryOf(wanted, fid, this.#world.request, targets.get(wanted.blob), this.#changes.now);
    this.#changes.put(entry, [{ parent, name: item.name }]);
    this.#changes.bind(wanted, fid);
    count(this.#world, wanted);
  }

  #blocked({ blob }: Wanted, { code, detail, errno }: Extract<Resolved, { code: unknown }>): void {
    if (errno !== undefined) stopIfHopeless(errno);
    const outcome = code === 'below-a-file' ? 'conflict' : 'failed';
    if (outcome === 'conflict') stopAtConflict(this.#world, blob.name, detail);
    this.#problem(blob, outcome, code, detail);
  }

  #failed({ blob }: Wanted, errno: number): void {
    stopIfHopeless(errno);
    this.#problem(blob, 'failed', 'lustre', errnoText(errno));
  }

  #problem({ name }: BlobState, outcome: ImportProblem['outcome'], code: ImportProblem['code'], detail: string): void {
    tell(this.#world, { outcome, blob: name, code, detail });
  }
}

const isGone = (errno: number) => errno === ERRNO.ENOENT || errno === ERRNO.ESTALE || errno === ERRNO.ENOTDIR;

/** What stands for a blob is a conflict between two blobs: which of them is to be, nobody has said. */
function isImported(there: EntryState): boolean {
  const record = ownRecordOf(there);
  return record !== undefined && isBinding(record);
}

/** Whether a directory that is there is as an import makes it, or as its marker says: then the marker holds. */
function mayBeOurs(there: DirectoryAttributes, ...attributes: readonly DirectoryAttributes[]): boolean {
  return attributes.some((one) => isHalf({ there }, one) || sameAttributes(there, one));
}

const sameAttributes = (a: DirectoryAttributes, b: DirectoryAttributes): boolean =>
  a.uid === b.uid && a.gid === b.gid && a.mode === b.mode;

/** Counts what was made, or in a dry run would be. */
function count({ counts }: ImportWorld, { read }: Wanted): void {
  switch (read.kind) {
    case 'file':
      if (read.size === 0n) counts.empty++;
      else counts.files++;
      counts.bytes += read.size;
      break;
    case 'dir':
      counts.directories++;
      break;
    case 'symlink':
      counts.symlinks++;
      break;
    case 'link':
      counts.links++;
  }
}

/** What is to be known of blobs that are imported all the same. */
function warn(world: ImportWorld, wanted: readonly Wanted[]): void {
  for (const { blob, read } of wanted) {
    for (const { code, detail } of read.warnings) tell(world, { outcome: 'warning', blob: blob.name, code, detail });
    const later = blob.identity === undefined ? undefined : world.staged.get(stagedKey(blob.identity));
    if (read.kind !== 'file' || later === undefined || later.seq <= (blob.identity?.generation?.seq ?? 0)) continue;
    const detail = `a later version of the same file is at ${JSON.stringify(later.name)}: copy that over this one, with its metadata, and import with --refresh`;
    tell(world, { outcome: 'warning', blob: blob.name, code: 'older-version', detail });
  }
}
