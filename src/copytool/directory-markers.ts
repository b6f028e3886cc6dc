import { isBlobError } from '../blob/errors.ts';
import { putDirectoryMarker } from '../blob/markers.ts';
import { blobNameOf } from '../blob/naming.ts';
import type { BlobStore } from '../blob/store.ts';
import { decideDestination } from '../identity/destination.ts';
import type { Fid } from '../identity/fid.ts';
import type { LustreFileSystem } from '../lustre/file-system.ts';
import type { AuditLog } from '../service/audit.ts';
import type { Log } from '../service/log.ts';
import { fateAt } from './fate.ts';

const SLASH = 0x2f;
/** Directories remembered as marked. */
const REMEMBERED = 10_000;

export interface DirectoryMarkersOptions {
  readonly archive: number;
  readonly store: BlobStore;
  readonly fs: LustreFileSystem;
  readonly fsUuid: string;
  readonly audit: AuditLog;
  readonly log: Log;
}

/**
 * Sees to it that the directories above an archived file have their markers. Markers that are there are left as they
 * are: their metadata is the follower's. Nothing here is needed for a restore, so nothing here fails an archive.
 */
export class DirectoryMarkers {
  readonly #options: DirectoryMarkersOptions;
  /** Name of the marker → FID of the directory, least recently used first. */
  readonly #marked = new Map<string, Promise<Fid | undefined>>();

  constructor(options: DirectoryMarkersOptions) {
    this.#options = options;
  }

  /** Marks every directory above the file at `path` (relative to the root). Never rejects. */
  async ensureAbove(path: Buffer, signal: AbortSignal): Promise<void> {
    const parents = parentsOf(path);
    await Promise.all(parents.map((parent) => this.#ensure(parent, signal)));
  }

  /** Forgets that this name holds a marker: something else was written there. */
  forget(name: string): void {
    this.#marked.delete(name);
  }

  async #ensure(path: Buffer, signal: AbortSignal): Promise<void> {
    const named = blobNameOf(path, this.#options.store.prefix);
    if (!named.ok) return;
    const known = this.#marked.get(named.name);
    if (known !== undefined) {
      this.#marked.delete(named.name);
      this.#marked.set(named.name, known);
      await known;
      return;
    }
    const marking = this.#mark(path, named.name, signal).catch((error: unknown) => {
      this.#marked.delete(named.name);
      if (!signal.aborted) this.#options.log.warn('directory marker not written', { blob: named.name, err: error });
      return undefined;
    });
    this.#marked.set(named.name, marking);
    const oldest = this.#marked.keys().next();
    if (this.#marked.size > REMEMBERED && !oldest.done) this.#marked.delete(oldest.value);
    await marking;
  }

  async #mark(path: Buffer, name: string, signal: AbortSignal): Promise<Fid | undefined> {
    const { store, fs, fsUuid, log } = this.#options;
    const directory = await fs.files.get({ path }, { parts: ['stat'] });
    if (directory.stat?.type !== 'dir') return undefined;
    const { fid, stat } = directory;
    const there = await store.head(name, { signal });
    const { identity } = there ?? {};
    if (identity?.fs === fsUuid && identity.fid === fid && identity.kind === 'dir') return fid;
    // A stranger's directory marker does as well, and is not ours to replace; a stranger's file is the follower's to report.
    const newcomer = { fsUuid, fid, generation: { seq: 0, uuid: '' } };
    const decision = await decideDestination(there, newcomer, { stranger: 'fail', dead: 'fail' }, (other) =>
      fateAt(fs, fsUuid, other, name, store.prefix),
    );
    if (decision.do !== 'commit') {
      const reason = decision.do === 'refuse' ? decision.reason : 'it is there';
      log.debug('directory marker left alone', { blob: name, fid, reason });
      return fid;
    }
    if ('ifMatch' in decision.condition && there !== undefined) {
      await this.#options.audit.record({
        action: 'overwrite',
        archive: this.#options.archive,
        blob: name,
        etag: there.etag,
        fs: identity?.fs,
        fid: identity?.fid,
        reason: `marker of ${decision.replaces === 'marker' ? 'an object that is gone' : decision.replaces}, replaced by that of directory ${fid}`,
      });
    }
    try {
      await putDirectoryMarker(
        store,
        name,
        { fs: fsUuid, fid, attributes: stat },
        { condition: decision.condition, signal },
      );
    } catch (error) {
      if (!isBlobError(error, 'CONDITION')) throw error; // another copytool was faster
    }
    return fid;
  }
}

/** `a`, `a/b` for `a/b/c`. */
function parentsOf(path: Buffer): Buffer[] {
  const parents: Buffer[] = [];
  for (let slash = path.indexOf(SLASH); slash !== -1; slash = path.indexOf(SLASH, slash + 1)) {
    parents.push(path.subarray(0, slash));
  }
  return parents;
}
