import type { Entry } from '../catalog/types.ts';
import { type Fid, ROOT_FID } from '../identity/fid.ts';
import { errnoText } from '../lustre/errno.ts';
import type { Made, MakeItem } from '../lustre/importer.ts';
import type { EntryState } from '../lustre/scan-entry.ts';
import { ancestors, depthOf, nameOf, parentKey } from './paths.ts';
import type { ConflictCode, FailureCode, ImportRequest } from './types.ts';
import type { LustrePart } from './world.ts';

export interface DirectoryAttributes {
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
}

/** Where a directory is, or why there is none. */
export type Resolved =
  /** `there`: what it had when it was first met, if it was there before. */
  | { readonly fid: Fid; readonly made: boolean; readonly there?: DirectoryAttributes | undefined }
  | {
      readonly code: ConflictCode | FailureCode;
      readonly detail: string;
      readonly errno?: number;
      /** What has the name in Lustre, and is no directory. */
      readonly way?: Way;
    };

export interface Way {
  readonly key: string;
  readonly parent: Fid;
  readonly name: Buffer;
  readonly there: EntryState;
}

export interface MadeDirectory {
  readonly fid: Fid;
  readonly parent: Fid;
  readonly name: Buffer;
  readonly attributes: DirectoryAttributes;
}

/** Directories whose FIDs are remembered; the others are looked up again by trying to make them. */
const REMEMBERED = 65_536;

/** Sees to it that directories are there, with all above them, and remembers where they are. */
export class Directories {
  readonly #lustre: Pick<LustrePart, 'importer'>;
  readonly #request: ImportRequest;
  readonly #known = new Map<string, Extract<Resolved, { fid: Fid }>>();

  readonly #present: (fids: readonly Fid[]) => Promise<ReadonlySet<Fid>>;

  /** @param present which of these the catalog knows */
  constructor(
    lustre: Pick<LustrePart, 'importer'>,
    request: ImportRequest,
    present: (fids: readonly Fid[]) => Promise<ReadonlySet<Fid>>,
  ) {
    this.#lustre = lustre;
    this.#request = request;
    this.#present = present;
  }

  /**
   * Level by level. What is made has the attributes that are given for it, or the defaults; what is there stays as it is.
   * @param wanted paths as keys (paths.ts), and what is known of their attributes
   * @param blocked paths that stand for files
   * @param onMade told of each that was made
   */
  async ensure(
    wanted: ReadonlyMap<string, DirectoryAttributes | undefined>,
    blocked: ReadonlySet<string>,
    onMade: (directory: MadeDirectory) => void,
  ): Promise<Map<string, Resolved>> {
    const levels = levelsOf(wanted.keys());
    const resolved = new Map<string, Resolved>([['', { fid: ROOT_FID, made: false }]]);
    for (const level of levels) {
      const unknown: string[] = [];
      for (const key of level) {
        const known = this.#known.get(key);
        if (known !== undefined) resolved.set(key, known);
        else unknown.push(key);
      }
      await this.#make(unknown, wanted, blocked, resolved, onMade);
    }
    return resolved;
  }

  /** It is not where it was, or not there any more. */
  forget(key: string): void {
    this.#known.delete(key);
  }

  async #make(
    keys: readonly string[],
    wanted: ReadonlyMap<string, DirectoryAttributes | undefined>,
    blocked: ReadonlySet<string>,
    resolved: Map<string, Resolved>,
    onMade: (directory: MadeDirectory) => void,
  ): Promise<void> {
    const { archive, stripeCount, pool, defaults } = this.#request;
    const groups = new Map<Fid, MakeItem[]>();
    const places: { key: string; parent: Fid; index: number; attributes: DirectoryAttributes }[] = [];
    for (const key of keys) {
      const above = resolved.get(parentKey(key)) as Resolved;
      if (!('fid' in above)) resolved.set(key, above);
      else if (blocked.has(key)) resolved.set(key, belowFile(key));
      else {
        const { uid, gid, mode } = wanted.get(key) ?? { ...defaults, mode: defaults.dirMode };
        const items = groups.get(above.fid) ?? [];
        groups.set(above.fid, items);
        places.push({ key, parent: above.fid, index: items.length, attributes: { uid, gid, mode } });
        items.push({ kind: 'dir', name: nameOf(key), uid, gid, mode });
      }
    }
    if (places.length === 0) return;
    const results = await this.#lustre.importer.make(groups, { archive, stripeCount, pool });
    const found = places.map((place) => ({
      ...place,
      one: resolve(place.key, place.parent, results.get(place.parent)?.[place.index] as Made),
    }));
    const unfinished = found.flatMap(({ one, attributes }) =>
      'fid' in one && isHalf(one, attributes) ? [one.fid] : [],
    );
    const known = unfinished.length === 0 ? new Set<Fid>() : await this.#present(unfinished);
    for (const { key, parent, attributes, one } of found) {
      // What a killed import left without its owner is finished; the catalog does not know that one.
      const half = 'fid' in one && isHalf(one, attributes) && !known.has(one.fid);
      const directory: Resolved = half ? { fid: one.fid, made: true } : one;
      resolved.set(key, directory);
      if (!('fid' in directory)) continue;
      this.#remember(key, { ...directory, made: false });
      if (directory.made) onMade({ fid: directory.fid, parent, name: nameOf(key), attributes });
    }
  }

  #remember(key: string, directory: Extract<Resolved, { fid: Fid }>): void {
    if (this.#known.size >= REMEMBERED) {
      let drop = REMEMBERED / 4;
      for (const oldest of this.#known.keys()) {
        this.#known.delete(oldest);
        if (--drop === 0) break;
      }
    }
    this.#known.set(key, directory);
  }
}

/** A directory as it is just after it was made: with its mode, without set-group-ID and the like, and root's. */
export function isHalf(
  { there }: { readonly there?: DirectoryAttributes | undefined },
  wanted: DirectoryAttributes,
): boolean {
  if (there === undefined) return false;
  const isDone = there.uid === wanted.uid && there.gid === wanted.gid && there.mode === wanted.mode;
  return !isDone && there.uid === 0 && there.gid === 0 && there.mode === (wanted.mode & 0o1777);
}

function resolve(key: string, parent: Fid, made: Made): Resolved {
  if ('made' in made) return { fid: made.made, made: true };
  if ('errno' in made) return { code: 'lustre', detail: `its directory: ${errnoText(made.errno)}`, errno: made.errno };
  const { there } = made;
  if (there?.type === 'dir') {
    const { fid, uid, gid, mode } = there;
    return { fid, made: false, there: { uid, gid, mode } };
  }
  if (there === undefined) return { code: 'busy', detail: 'its directory came and went' };
  return { ...belowFile(key), way: { key, parent, name: nameOf(key), there } };
}

function belowFile(key: string) {
  return {
    code: 'below-a-file' as const,
    detail: `${JSON.stringify(Buffer.from(key, 'latin1').toString())} is no directory`,
  };
}

/** All of them and all above, by depth. */
function levelsOf(keys: Iterable<string>): string[][] {
  const levels: Set<string>[] = [];
  const add = (key: string): boolean => {
    const depth = depthOf(key) - 1;
    levels[depth] ??= new Set();
    if (levels[depth].has(key)) return false;
    levels[depth].add(key);
    return true;
  };
  for (const key of keys) {
    if (key === '' || !add(key)) continue;
    for (const above of ancestors(key)) add(above);
  }
  return Array.from(levels, (level) => [...(level ?? [])]);
}

/** A directory as the catalog is told of it. @param mtime what it will have in the end */
export function directoryEntry({ fid, attributes }: MadeDirectory, mtime: number, now: number): Entry {
  return {
    ...{ fid, type: 'dir', ...attributes, project: 0, size: 4096n, blocks: 8n, nlink: 2 },
    ...{ atime: now, mtime, ctime: now, hsm: 0, archive: 0, osts: [], pool: '' },
  };
}
