import { READ_DEFAULTS, readBlob } from '../blob/reading.ts';
import type { ReadAs, ReadAttributes } from '../blob/reading-types.ts';
import type { BlobState } from '../blob/state.ts';
import type { BlobStore } from '../blob/store.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { nameLinks } from '../copies/names.ts';
import type { Fid } from '../identity/fid.ts';
import { formatBinding, formatFileRecord, RECORD_XATTR } from '../identity/file-record.ts';
import type { FileAttributes, FileStat, LustreFiles } from '../lustre/attributes.ts';
import { ERRNO } from '../lustre/errno.ts';
import { HSM, isClean } from '../lustre/hsm-state.ts';
import type { ScanEntry } from '../lustre/scan-entry.ts';
import { forEachBounded } from '../service/bounded.ts';
import { ErrnoError } from '../service/errors.ts';
import { lemurNames } from './lemur-names.ts';

/** Why a file that lemur archived was not adopted. */
export type RefusedAdoption =
  /** Nothing is at any name where lemur would have put it. */
  | 'no-blob'
  /** The blob has another size than the file. */
  | 'size'
  /** The blob says another modification time than the file's: it is another version, or another file's. */
  | 'mtime'
  /** The blob says no modification time, and it is not at the file's name, or older than the file. */
  | 'uncertain'
  /** Another file is bound to the blob. */
  | 'taken'
  /** It is one of ours, a marker, no block blob, or an unfinished copy. */
  | 'other-blob'
  /** lemur's record names another container. */
  | 'other-container'
  /** The file's archive id is not configured. */
  | 'other-archive'
  /** It changed while it was looked at, or could not be looked at. */
  | 'changed';

export interface AdoptionCounts {
  /** Files that carry lemur's record and none of ours, archived and not modified since. */
  readonly found: number;
  readonly adopted: number;
  /** Bytes of those. */
  readonly bytes: bigint;
  readonly refused: Readonly<Partial<Record<RefusedAdoption, number>>>;
}

/** A file that was not adopted. */
export interface AdoptionProblem {
  readonly fid: Fid;
  readonly reason: RefusedAdoption;
  /** What was looked at; undefined: nothing. */
  readonly blob?: string;
}

export interface AdopterOptions {
  readonly files: LustreFiles;
  /** By archive id; they belong to the file system. */
  readonly archives: ReadonlyMap<number, BlobStore>;
  readonly catalog: Catalog;
  /** Files at the same time. */
  readonly parallel: number;
  readonly onProblem: (problem: AdoptionProblem) => void;
  readonly signal: AbortSignal;
}

/** Sets an attribute only where there is none. */
const XATTR_CREATE = 1;
const NOT_CLEAN = HSM.LOST;
/** Keys by which blobs say a modification time, of whatever tool. */
const TIME_KEY = /^(?:modtime|.*mtime)$/i;

/**
 * Binds files that lemur archived to the blobs that it wrote: the record on the file names the very version (its ETag) that was
 * seen, and was seen to be a plausible copy. Files with a record of ours are left alone, and so are modified ones: their next
 * archive makes a copy of our own. Nothing in the container is changed. Doing it again changes nothing.
 */
export class Adopter {
  readonly #options: AdopterOptions;
  readonly #refused: Partial<Record<RefusedAdoption, number>> = {};
  #found = 0;
  #adopted = 0;
  #bytes = 0n;

  constructor(options: AdopterOptions) {
    this.#options = options;
  }

  counts(): AdoptionCounts {
    return { found: this.#found, adopted: this.#adopted, bytes: this.#bytes, refused: { ...this.#refused } };
  }

  /** Adopts what there is to adopt among these, before the scan puts them into the catalog. */
  async take(entries: readonly ScanEntry[]): Promise<void> {
    const { parallel, signal } = this.#options;
    const candidates = new Map<Fid, ScanEntry>();
    for (const entry of entries) if (isCandidate(entry)) candidates.set(entry.fid, entry);
    await forEachBounded(candidates.values(), (entry) => this.#adopt(entry), { concurrency: parallel, signal });
  }

  async #adopt({ fid, archive, lemur }: ScanEntry): Promise<void> {
    const store = this.#options.archives.get(archive);
    const found = await this.#look(fid);
    // It has one of ours by now, was modified, or is gone: nothing that lemur left is to be adopted.
    if (found === undefined) return;
    this.#found += 1;
    if (store === undefined) return this.#refuse(fid, 'other-archive');
    const { paths, stat } = found;
    const names = lemurNames(lemur ?? Buffer.alloc(0), store);
    if (names === 'other-container') return this.#refuse(fid, 'other-container');
    const current = nameLinks(paths, store.prefix).named.map(({ name }) => name);
    for (const name of new Set([...names, ...current])) {
      const blob = await store.head(name, { signal: this.#options.signal });
      if (blob === undefined) continue;
      const read = readBlob(blob, { prefix: store.prefix, defaults: READ_DEFAULTS });
      const problem = await this.#problemOf(fid, archive, stat, blob, read, current.includes(name));
      if (problem !== undefined) return this.#refuse(fid, problem, name);
      return await this.#bind(fid, archive, blob, read);
    }
    this.#refuse(fid, 'no-blob');
  }

  /** The file as it is now; undefined: it is no candidate any more. */
  async #look(fid: Fid): Promise<{ paths: readonly Buffer[]; stat: FileStat } | undefined> {
    const parts = ['stat', 'hsm', 'paths', 'xattrs'] as const;
    const found = await this.#options.files
      .get({ fid }, { parts: [...parts], xattrs: [RECORD_XATTR] })
      .catch((error: unknown): FileAttributes | undefined => {
        if (error instanceof ErrnoError) return undefined;
        throw error;
      });
    if (found?.stat === undefined || found.hsm === undefined || found.paths === undefined) return undefined;
    if (found.errors.size > 0 || found.xattrs?.has(RECORD_XATTR) === true) return undefined;
    if (!isClean(found.hsm) || (found.hsm.states & NOT_CLEAN) !== 0) return undefined;
    return { paths: found.paths, stat: found.stat };
  }

  async #problemOf(
    fid: Fid,
    archive: number,
    stat: FileStat,
    blob: BlobState,
    read: ReadAs,
    isCurrent: boolean,
  ): Promise<RefusedAdoption | undefined> {
    if (blob.identity !== undefined || blob.blobType !== 'BlockBlob') return 'other-blob';
    if (read.kind !== 'file') return 'other-blob';
    if (blob.length !== stat.size) return 'size';
    const bound = (await this.#options.catalog.boundAt(archive, [blob.name])).get(blob.name) ?? [];
    if (bound.some((binding) => binding.fid !== fid)) return 'taken';
    if (Object.keys(blob.metadata).some((key) => TIME_KEY.test(key)))
      return seconds(read.attributes.mtime) === seconds(stat.mtime) ? undefined : 'mtime';
    // It says no time: then only a file that is still where it was when it was archived can be told from another.
    const written = BigInt(blob.lastModified.getTime()) * 1_000_000n;
    return isCurrent && seconds(written) >= seconds(stat.mtime) ? undefined : 'uncertain';
  }

  async #bind(fid: Fid, archive: number, { name, etag, length: size }: BlobState, read: ReadAs): Promise<void> {
    const { files, catalog, signal } = this.#options;
    signal.throwIfAborted();
    const bind = { etag };
    // As long as the file is what its blob says, there is nothing to say to the container.
    const given = read.kind === 'file' ? { given: givenBy(read.attributes) } : {};
    try {
      await files.setXattr(fid, RECORD_XATTR, formatFileRecord({ fid, size, bind, at: name, ...given }), XATTR_CREATE);
    } catch (error) {
      if (!(error instanceof ErrnoError)) throw error;
      // A copytool's archive was faster, or the file is gone.
      if (error.errno === ERRNO.EEXIST || error.errno === ERRNO.ENOENT) return this.#refuse(fid, 'changed', name);
      throw error;
    }
    await catalog.apply({
      bindings: [{ fid, archive, name, bind: formatBinding(bind), size }],
      blobs: [{ fid, blob: { archive, name, kind: 'file', size, etag } }],
    });
    this.#adopted += 1;
    this.#bytes += size;
  }

  #refuse(fid: Fid, reason: RefusedAdoption, blob?: string): void {
    this.#refused[reason] = (this.#refused[reason] ?? 0) + 1;
    this.#options.onProblem({ fid, reason, ...(blob === undefined ? {} : { blob }) });
  }
}

function givenBy({ uid, gid, mode, mtime }: ReadAttributes) {
  return { uid, gid, mode, mtime: Number(seconds(mtime)) };
}

function isCandidate({ type, hsm, archive, lemur, record }: ScanEntry): boolean {
  if (type !== 'file' || lemur === null || record !== null || hsm === null) return false;
  return isClean({ states: hsm, archive }) && (hsm & NOT_CLEAN) === 0;
}

const seconds = (time: bigint) => (time >= 0n ? time / 1_000_000_000n : -((-time + 999_999_999n) / 1_000_000_000n));
