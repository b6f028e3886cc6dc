import { readXattrs } from '../blob/xattrs.ts';
import type { Tombstone } from '../catalog/types.ts';
import { restoreXattrs } from '../copies/restore-xattrs.ts';
import { type HoldState, holdName } from '../follow/reconcile/holds.ts';
import { type Fid, ROOT_FID } from '../identity/fid.ts';
import type { FileAttributes } from '../lustre/attributes.ts';
import { ERRNO, errnoText } from '../lustre/errno.ts';
import type { MakeAttributes } from '../lustre/importer.ts';
import { joinBytes } from '../lustre/join-bytes.ts';
import { printable } from '../lustre/printable.ts';
import { ErrnoError } from '../service/errors.ts';
import { attributesIn, directoryMarker } from './remains.ts';
import type { UndeleteContext } from './types.ts';

/** A directory that is there; `from`: the dead one that it stands for, when it was made. */
export type Directory = { readonly fid: Fid; readonly from?: Fid } | { readonly problem: string };

/** Of a directory of which nothing is known. */
const UNKNOWN: Omit<MakeAttributes, 'mtime'> = { uid: 0, gid: 0, mode: 0o755 };
const REMEMBERED = 10_000;
const SLASH = 0x2f;

/**
 * Directories by their paths, with those above them, made where they are missing: as they were, if the catalog remembers
 * a dead one there. They are looked up name by name below FIDs, so no symlink leads elsewhere.
 */
export class Directories {
  readonly #context: UndeleteContext;
  readonly #known = new Map<string, Promise<Directory>>();
  readonly #strays = new Map<string, Tombstone>();

  constructor(context: UndeleteContext) {
    this.#context = context;
  }

  /** A dead directory that the catalog does not know of. */
  remember(stone: Tombstone): void {
    if (stone.path !== undefined) this.#strays.set(stone.path.toString('latin1'), stone);
  }

  /** @param path relative to the root; empty: the root */
  ensure(path: Buffer): Promise<Directory> {
    if (path.length === 0) return Promise.resolve({ fid: ROOT_FID });
    const key = path.toString('latin1');
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    if (this.#known.size >= REMEMBERED) this.#known.clear();
    const directory = this.#ensure(path);
    this.#known.set(key, directory);
    return directory;
  }

  async #ensure(path: Buffer): Promise<Directory> {
    const { parent: above, name } = split(path);
    const parent = await this.ensure(above);
    if ('problem' in parent) return parent;
    const there = await lookUp(this.#context, parent.fid, name);
    if (there?.stat?.type === 'dir') return { fid: there.fid, ...(await this.#madeBefore(path, there)) };
    if (there !== undefined) return { problem: `${printable(path)} is no directory` };
    return await this.#make(path, parent.fid, name);
  }

  async #make(path: Buffer, parent: Fid, name: Buffer): Promise<Directory> {
    const { catalog, importer, step } = this.#context;
    const dead = await this.#deadAt(path);
    const state: HoldState = dead === undefined ? {} : await this.#saying(dead);
    if (dead !== undefined) await catalog.apply({ checkpoints: [{ name: holdName(dead.fid), state }] });
    await step('held');
    const { uid, gid, mode } = state.attributes ?? (dead?.seen === true ? dead : UNKNOWN);
    const item = { kind: 'dir', name, uid, gid, mode } as const;
    const made = (await importer.make(new Map([[parent, [item]]]), LAYOUT)).get(parent)?.[0];
    await step('made');
    // Somebody else was faster: it is theirs.
    if (made !== undefined && 'there' in made && made.there?.type === 'dir') return { fid: made.there.fid };
    if (made === undefined || !('made' in made)) {
      const why = made !== undefined && 'errno' in made ? errnoText(made.errno) : 'something has its name';
      return { problem: `${printable(path)} can't be made: ${why}` };
    }
    if (dead === undefined) return { fid: made.made };
    await catalog.apply({ checkpoints: [{ name: holdName(dead.fid), state: { ...state, made: made.made } }] });
    return { fid: made.made, from: dead.fid };
  }

  /**
   * An earlier run, or an earlier moment of this one, made it for a dead one. One that was killed right after making it
   * has not said so: a directory of the same owner, group and mode is taken for that.
   */
  async #madeBefore(path: Buffer, { fid, stat }: There): Promise<{ from?: Fid }> {
    const { catalog } = this.#context;
    const dead = await this.#deadAt(path);
    const hold = dead === undefined ? undefined : await catalog.checkpoint(holdName(dead.fid));
    if (dead === undefined || hold === undefined) return {};
    const held = hold.state as HoldState;
    const { made } = held;
    if (made === fid) return { from: dead.fid };
    const { uid, gid, mode } = held.attributes ?? dead;
    const alike = stat?.mode === mode && stat.uid === uid && stat.gid === gid;
    if (made !== undefined || !alike) return {};
    const state: HoldState = { ...held, made: fid };
    await catalog.apply({ checkpoints: [{ name: holdName(dead.fid), state }] });
    return { from: dead.fid };
  }

  /** The last directory that died at a path. */
  async #deadAt(path: Buffer): Promise<Tombstone | undefined> {
    for await (const page of this.#context.catalog.tombstonesAt(path)) {
      const found = page.find((one) => one.type === 'dir' && one.path?.equals(path) === true);
      if (found !== undefined) return found;
    }
    return this.#strays.get(path.toString('latin1'));
  }

  /** Gives a directory that stands for a dead one what that had, now that nothing is made in it any more. */
  async finish(stone: Tombstone): Promise<Fid | undefined> {
    const { catalog, importer } = this.#context;
    const { made, xattrs, attributes } = await heldAs(this.#context, stone.fid);
    if (made === undefined) return undefined;
    if (xattrs !== undefined) await this.#giveXattrs(made, xattrs);
    const { uid, gid, mode, mtime } = attributes ?? (stone.seen ? stone : { ...UNKNOWN, mtime: stone.mtime });
    await importer.attributes([{ fid: made, uid, gid, mode, mtime }]);
    await catalog.apply({
      exhumed: [stone.fid],
      checkpointsGone: [holdName(stone.fid)],
      marks: [{ fid: made, hints: 0, since: Math.floor(Date.now() / 1000) }],
    });
    return made;
  }

  /** What its marker says, before another one stands at its name: the follower makes one as soon as the directory is there. */
  async #saying(dead: Tombstone): Promise<HoldState> {
    const { keepsXattrs } = this.#context.fs.files;
    const marker = keepsXattrs || !dead.seen ? await directoryMarker(this.#context, dead) : undefined;
    if (marker === undefined) return {};
    const xattrs = keepsXattrs ? readXattrs(marker.metadata) : undefined;
    return {
      ...(xattrs === undefined ? {} : { xattrs }),
      ...(dead.seen ? {} : { attributes: attributesIn(marker, dead) }),
    };
  }

  /** Before its mode, which an ACL is part of; after all that is made in it, which would inherit a default ACL. */
  async #giveXattrs(made: Fid, text: string): Promise<void> {
    const { fs, log } = this.#context;
    const refused = fs.files.keepsXattrs ? await restoreXattrs(fs.files, made, text, { over: false }) : undefined;
    if (refused !== undefined) log.warn(refused, { fid: made });
  }
}

export const LAYOUT = { archive: 1, stripeCount: 0, pool: undefined } as const;

async function heldAs({ catalog }: UndeleteContext, fid: Fid): Promise<HoldState> {
  const hold = await catalog.checkpoint(holdName(fid));
  return (hold?.state ?? {}) as HoldState;
}

type There = Pick<FileAttributes, 'fid' | 'stat'>;

/** What has a name in a directory. */
export async function lookUp(
  { fs }: Pick<UndeleteContext, 'fs'>,
  parent: Fid,
  name: Buffer,
): Promise<There | undefined> {
  try {
    return await fs.files.get({ path: joinBytes(Buffer.from(fs.fidPath(parent)), name) }, { parts: ['stat'] });
  } catch (error) {
    if (error instanceof ErrnoError && error.errno === ERRNO.ENOENT) return undefined;
    throw error;
  }
}

export function split(path: Buffer): { parent: Buffer; name: Buffer } {
  const slash = path.lastIndexOf(SLASH);
  return { parent: path.subarray(0, Math.max(slash, 0)), name: path.subarray(slash + 1) };
}
