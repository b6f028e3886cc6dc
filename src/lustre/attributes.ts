import { type Fid, parseFid } from '../identity/fid.ts';
import { BugError, ErrnoError } from '../service/errors.ts';
import { fieldOfPath, type PathField, pathFromField } from './bytes.ts';
import { type EntryRow, type RawAction, stateOf, stateWithAction } from './entry-row.ts';
import { ERRNO, errnoText } from './errno.ts';
import type { HelperProcess } from './helper.ts';
import type { CurrentAction, HsmState } from './hsm-state.ts';
import type { EntryState } from './scan-entry.ts';

export type FileType = 'file' | 'dir' | 'symlink' | 'fifo' | 'chr' | 'blk' | 'sock';

export interface FileStat {
  readonly type: FileType;
  /** The low 12 bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: bigint;
  /** Units of 512 bytes. */
  readonly blocks: bigint;
  readonly nlink: number;
  /** Nanoseconds since 1970; Lustre keeps whole seconds. */
  readonly atime: bigint;
  readonly mtime: bigint;
  readonly ctime: bigint;
  readonly rdev: bigint;
  /** Of a symlink. */
  readonly target?: Buffer;
  /** `user.*` and POSIX ACLs, where they are kept; without a value: longer than 3 KiB, or after 64 KiB of others. */
  readonly userXattrs?: readonly { readonly name: Buffer; readonly value?: Buffer | undefined }[];
}

export interface FileLayout {
  readonly stripeCount: number;
  readonly stripeSize: number;
  /** Such as `raid0`, `released`. */
  readonly pattern: readonly string[];
  readonly pool: string;
  readonly composite: boolean;
  /** OSTs that have objects of it, ascending. */
  readonly osts: readonly number[];
}

export type Part = 'stat' | 'hsm' | 'action' | 'dv' | 'paths' | 'xattrs' | 'layout' | 'user_xattrs';

export interface Want {
  readonly parts: readonly Part[];
  /** Names, when `xattrs` is among the parts. */
  readonly xattrs?: readonly string[];
  /** Flush clients' caches for the data version. */
  readonly flush?: boolean;
}

/** What was asked for. A part that failed is missing, and its errno (positive) is in `errors`. */
export interface FileAttributes {
  readonly fid: Fid;
  readonly stat?: FileStat;
  readonly hsm?: HsmState;
  readonly action?: CurrentAction;
  readonly dataVersion?: bigint;
  /** Every link, relative to the root of the file system; empty: unlinked. */
  readonly paths?: readonly Buffer[];
  readonly xattrs?: ReadonlyMap<string, Buffer>;
  readonly layout?: FileLayout;
  readonly errors: ReadonlyMap<Part, number>;
}

/** A file by its FID, or by a path: absolute or relative to the mount; a last symlink is not followed. */
export type Target = { readonly fid: Fid } | { readonly path: Buffer };

/** Bytes of paths in one request line, far below the protocol's 1 MiB. */
const REQUEST_BYTES = 256 * 1024;
const REQUEST_ITEMS = 500;
/** Paths and layouts make long replies. */
const REQUEST_ITEMS_LONG = 100;

/** Whoever answers requests: a helper, or one that is started again when it dies. */
export type Requests = Pick<HelperProcess, 'request'>;

/**
 * Attributes of files in Lustre, by the helper (in its mode `attrs` or `copytool`). Rejections are ErrnoError where
 * Lustre refused, other errors where the helper is gone.
 */
export class LustreFiles {
  readonly #helper: Requests;
  /** Users' extended attributes belong to what `get` says of a file: they come with `stat`. */
  readonly keepsXattrs: boolean;

  constructor(helper: Requests, keepsXattrs = false) {
    this.#helper = helper;
    this.keepsXattrs = keepsXattrs;
  }

  /** Rejects with ENOENT when there is no such file. */
  async get(target: Target, want: Want): Promise<FileAttributes> {
    const { parts } = want;
    const all =
      this.keepsXattrs && parts.includes('stat') ? { ...want, parts: [...parts, 'user_xattrs'] as Part[] } : want;
    return attributesOf(await this.#helper.request<RawItem>('get', { ...targetFields(target), ...wantFields(all) }));
  }

  /** As `get` for many, in the order of the targets. Rejects only when the helper is gone. */
  async getMany(targets: readonly Target[], want: Want): Promise<(FileAttributes | ErrnoError)[]> {
    const limit = want.parts.includes('paths') || want.parts.includes('layout') ? REQUEST_ITEMS_LONG : REQUEST_ITEMS;
    const results: (FileAttributes | ErrnoError)[] = [];
    const full: number[] = [];
    for (const chunk of chunksOf(targets, limit)) {
      const reply = await this.#helper.request<{ items: RawItem[] }>('get_many', {
        ...manyFields(chunk),
        ...wantFields(want),
      });
      if (reply.items.length !== chunk.length) {
        throw new BugError(`the helper answered ${reply.items.length} items to ${chunk.length}`);
      }
      for (const item of reply.items) {
        if (item.rc === -ERRNO.E2BIG) full.push(results.length);
        results.push(itemOf(item));
      }
    }
    // What did not fit into the line beside the others is asked for again.
    if (full.length === 0 || full.length === targets.length) return results;
    const again = await this.getMany(
      full.map((at) => targets[at] as Target),
      want,
    );
    for (const [index, at] of full.entries()) results[at] = again[index] as FileAttributes | ErrnoError;
    return results;
  }

  /**
   * What the catalog keeps, of many files: with all their names and with HSM states that are asked for anew. In the
   * order of the FIDs; an ErrnoError for a file that is gone (ENOENT). Rejects only when the helper is gone.
   * @param options.actions with what the coordinator has under way for each, asked before its state
   */
  async entries(
    fids: readonly Fid[],
    { actions = false }: { readonly actions?: boolean } = {},
  ): Promise<(EntryState | ErrnoError)[]> {
    const read = actions ? stateWithAction : stateOf;
    const results: (EntryState | ErrnoError)[] = [];
    while (results.length < fids.length) {
      const asked = fids.slice(results.length, results.length + REQUEST_ITEMS);
      const { list } = await this.#helper.request<{ list: (EntryRow | number)[] }>('entries', {
        fids: asked,
        ...(actions ? { actions } : {}),
      });
      if (list.length !== asked.length)
        throw new BugError(`the helper answered ${list.length} entries to ${asked.length}`);
      for (const [i, row] of list.entries()) {
        if (row === -ERRNO.E2BIG && i > 0) break; // the line is full: the rest is asked for again
        results.push(typeof row === 'number' ? new ErrnoError(-row, 'entries', errnoText(-row)) : read(row));
      }
    }
    return results;
  }

  /** The data version, which changes with every write. @param flush let clients write back first */
  async dataVersion(fid: Fid, { flush }: { flush: boolean }): Promise<bigint> {
    return BigInt((await this.#helper.request<{ dv: string }>('data_version', { fid, flush })).dv);
  }

  /** @param flags 0: set, 1: create (EEXIST when it is there), 2: replace (ENODATA when it is not) */
  async setXattr(fid: Fid, name: string, value: Buffer, flags: 0 | 1 | 2 = 0): Promise<void> {
    await this.#helper.request('set_xattr', { fid, name, value: value.toString('base64'), flags });
  }

  /** Rejects with ENODATA when it is not there. */
  async removeXattr(fid: Fid, name: string): Promise<void> {
    await this.#helper.request('remove_xattr', { fid, name });
  }

  /** Changes HSM flags. @param archive 0: leave the archive id as it is */
  async setHsm(fid: Fid, change: { set?: number; clear?: number; archive?: number }): Promise<void> {
    const { set = 0, clear = 0, archive = 0 } = change;
    await this.#helper.request('hsm_set', { fid, set, clear, archive });
  }
}

interface Failed {
  readonly rc: number;
  readonly error?: string;
}

interface RawStat extends PathField {
  readonly type: FileType;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: string;
  readonly blocks: string;
  readonly nlink: number;
  readonly atime: string;
  readonly mtime: string;
  readonly ctime: string;
  readonly rdev: string;
  readonly target_b64?: string;
}

interface RawItem {
  readonly rc?: number;
  readonly error?: string;
  readonly fid?: string;
  readonly stat?: RawStat | Failed;
  readonly hsm?: HsmState | Failed;
  readonly action?: RawAction | Failed;
  readonly dv?: string | Failed;
  readonly paths?: readonly PathField[] | Failed;
  readonly xattrs?: Readonly<Record<string, string>> | Failed;
  /** Name and value, in base64. */
  readonly user_xattrs?: readonly (readonly [string, string | null])[] | Failed;
  readonly layout?:
    | {
        stripe_count: number;
        stripe_size: number;
        pattern: readonly string[];
        pool: string;
        composite: boolean;
        osts: readonly number[];
      }
    | Failed;
}

const isFailed = (part: unknown): part is Failed =>
  typeof part === 'object' && part !== null && typeof (part as Failed).rc === 'number';

function itemOf(raw: RawItem): FileAttributes | ErrnoError {
  if (raw.rc === undefined || raw.rc === 0) return attributesOf(raw);
  const what = raw.error ?? 'get';
  return new ErrnoError(-raw.rc, what, `${what}: ${errnoText(-raw.rc)}`);
}

function attributesOf(raw: RawItem): FileAttributes {
  const fid = raw.fid === undefined ? undefined : parseFid(raw.fid);
  if (fid === undefined) throw new BugError(`the helper gave no FID: ${JSON.stringify(raw).slice(0, 200)}`);
  const errors = new Map<Part, number>();
  const part = <Raw, Value>(name: Part, value: Raw | Failed | undefined, read: (raw: Raw) => Value) => {
    if (value === undefined) return {};
    if (isFailed(value)) {
      errors.set(name, -value.rc);
      return {};
    }
    return { [name === 'dv' ? 'dataVersion' : name]: read(value) };
  };
  return {
    fid,
    ...part('stat', raw.stat, (stat: RawStat) => ({ ...statOf(stat), ...userXattrsOf(raw.user_xattrs) })),
    ...part('hsm', raw.hsm, (hsm: HsmState) => ({ states: hsm.states, archive: hsm.archive })),
    ...part('action', raw.action, (action) => ({ ...action, done: BigInt(action.done) })),
    ...part('dv', raw.dv, (dv: string) => BigInt(dv)),
    ...part('paths', raw.paths, (paths: readonly PathField[]) =>
      paths.map((path) => pathFromField(path) ?? Buffer.alloc(0)),
    ),
    ...part('xattrs', raw.xattrs, xattrsOf),
    ...part('layout', raw.layout, (layout) => ({
      stripeCount: layout.stripe_count,
      stripeSize: layout.stripe_size,
      pattern: layout.pattern,
      pool: layout.pool,
      composite: layout.composite,
      osts: layout.osts,
    })),
    errors,
  };
}

function statOf(raw: RawStat): FileStat {
  const { type, mode, uid, gid, nlink } = raw;
  const numbers = {
    size: BigInt(raw.size),
    blocks: BigInt(raw.blocks),
    atime: BigInt(raw.atime),
    mtime: BigInt(raw.mtime),
    ctime: BigInt(raw.ctime),
    rdev: BigInt(raw.rdev),
  };
  const target = raw.target_b64 === undefined ? {} : { target: Buffer.from(raw.target_b64, 'base64') };
  return { type, mode, uid, gid, nlink, ...numbers, ...target };
}

/** What could not be read is as if it were not kept: nothing is said of it. */
function userXattrsOf(raw: RawItem['user_xattrs']): Pick<FileStat, 'userXattrs'> {
  if (raw === undefined || isFailed(raw)) return {};
  const bytes = (text: string) => Buffer.from(text, 'base64');
  return {
    userXattrs: raw.map(([name, value]) => ({ name: bytes(name), ...(value === null ? {} : { value: bytes(value) }) })),
  };
}

function xattrsOf(raw: Readonly<Record<string, string>>): ReadonlyMap<string, Buffer> {
  return new Map(Object.entries(raw).map(([name, value]) => [name, Buffer.from(value, 'base64')]));
}

function wantFields(want: Want): object {
  return {
    want: want.parts,
    ...(want.xattrs === undefined ? {} : { xattrs: want.xattrs }),
    ...(want.flush === undefined ? {} : { dv_flush: want.flush }),
  };
}

function targetFields(target: Target): object {
  return 'fid' in target ? { fid: target.fid } : fieldOfPath(target.path);
}

/** One field for all: `fids`, `paths`, or `paths_b64` as soon as one path is not UTF-8. */
function manyFields(chunk: Chunk): object {
  if (chunk.kind === 'fid') return { fids: chunk.targets.map((target) => (target as { fid: Fid }).fid) };
  const paths = chunk.targets.map((target) => (target as { path: Buffer }).path);
  const fields = paths.map(fieldOfPath);
  return fields.every((field) => field.path !== undefined)
    ? { paths: fields.map((field) => field.path) }
    : { paths_b64: paths.map((path) => path.toString('base64')) };
}

interface Chunk {
  readonly kind: 'fid' | 'path';
  readonly targets: Target[];
  readonly length: number;
}

/** Runs of targets of one kind, bounded in number and bytes. */
function* chunksOf(targets: readonly Target[], limit: number): Generator<Chunk> {
  let run: Target[] = [];
  let kind: Chunk['kind'] = 'fid';
  let bytes = 0;
  for (const target of targets) {
    const next = 'fid' in target ? 'fid' : 'path';
    const length = 'fid' in target ? target.fid.length : target.path.length;
    if (run.length > 0 && (next !== kind || run.length === limit || bytes + length > REQUEST_BYTES)) {
      yield { kind, targets: run, length: run.length };
      run = [];
      bytes = 0;
    }
    kind = next;
    run.push(target);
    bytes += length;
  }
  if (run.length > 0) yield { kind, targets: run, length: run.length };
}
