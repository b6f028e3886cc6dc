import type { Link } from '../catalog/types.ts';
import type { Fid } from '../identity/fid.ts';
import { type ChangelogRecord, RecordType } from '../lustre/changelog-record.ts';

/** Directories whose names are remembered, the latest ones. */
const MOST = 20_000;

/**
 * The names that records told of directories which were made not long ago. Of one that is gone before anybody looked at it
 * they are all that is known, and so of what was archived in it. In memory alone: what is forgotten is found by the sweep.
 */
export class ToldDirectories {
  /** Names as latin1 text: a small buffer would keep the larger one that it was cut from. */
  readonly #names = new Map<Fid, { readonly parent: Fid; readonly name: string }>();

  /** Takes what a record says of the name of a directory. */
  learn({ type, fid, parent, name, sourceFid }: ChangelogRecord): void {
    if (parent === null || name === null) return;
    const isDirectory = type === RecordType.MKDIR || type === RecordType.RMDIR;
    if (isDirectory && fid !== null) this.#told(fid, parent, name);
    // Whether it is a directory, the record does not say.
    else if (type === RecordType.RENME && sourceFid !== null && this.#names.has(sourceFid))
      this.#told(sourceFid, parent, name);
  }

  has(directory: Fid): boolean {
    return this.#names.has(directory);
  }

  /** The last name that it was told to have. */
  nameOf(directory: Fid): Link | undefined {
    const told = this.#names.get(directory);
    return told === undefined ? undefined : { parent: told.parent, name: Buffer.from(told.name, 'latin1') };
  }

  #told(directory: Fid, parent: Fid, name: Buffer): void {
    this.#names.delete(directory);
    this.#names.set(directory, { parent, name: name.toString('latin1') });
    if (this.#names.size <= MOST) return;
    const oldest = this.#names.keys().next();
    if (!oldest.done) this.#names.delete(oldest.value);
  }
}
