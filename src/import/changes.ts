import type {
  CatalogBatch,
  Entry,
  EntryPut,
  ImportChanges,
  ImportDirectory,
  ImportLink,
  KnownBlob,
  Stamp,
} from '../catalog/types.ts';
import type { Fid } from '../identity/fid.ts';
import { directoryEntry, type MadeDirectory } from './directories.ts';
import type { Ledger } from './ledger.ts';
import { bindingOf, blobOf } from './things.ts';
import type { Wanted } from './wanted.ts';

interface Lists {
  readonly puts: EntryPut[];
  readonly blobs: NonNullable<CatalogBatch['blobs']>[number][];
  readonly blobsGone: NonNullable<CatalogBatch['blobsGone']>[number][];
  readonly bindings: NonNullable<CatalogBatch['bindings']>[number][];
  readonly bindingsGone: Fid[];
  readonly marks: NonNullable<CatalogBatch['marks']>[number][];
  readonly directories: ImportDirectory[];
  readonly links: ImportLink[];
  readonly seen: NonNullable<ImportChanges['seen']>[number][];
}

/**
 * What the catalog is to learn of some blobs, all at once. What the follower has seen of a file since `asOf` stays: it may
 * have been used already.
 */
export class Changes {
  readonly #lists: Lists = {
    ...{
      puts: [],
      blobs: [],
      blobsGone: [],
      bindings: [],
      bindingsGone: [],
      marks: [],
      directories: [],
      links: [],
      seen: [],
    },
  };
  readonly #archive: number;
  readonly #asOf: Stamp;
  readonly #now: number;

  constructor(archive: number, asOf: Stamp, now: number) {
    this.#archive = archive;
    this.#asOf = asOf;
    this.#now = now;
  }

  get now(): number {
    return this.#now;
  }

  put(entry: Entry, links?: EntryPut['links']): void {
    this.#lists.puts.push({ entry, ...(links === undefined ? {} : { links }), unlessSeenAfter: this.#asOf });
  }

  /** It stands for that blob. */
  bind(wanted: Wanted, fid: Fid): void {
    this.#lists.blobs.push({ fid, blob: blobOf(wanted, this.#archive, this.#now) });
    // A file's other names don't bind it.
    if (wanted.read.kind !== 'link') this.#lists.bindings.push(bindingOf(wanted, fid, this.#archive));
  }

  blob(fid: Fid, blob: KnownBlob): void {
    this.#lists.blobs.push({ fid, blob });
  }

  seen(fid: Fid, name: string): void {
    this.#lists.seen.push({ fid, archive: this.#archive, name });
  }

  /** One that was made: if nobody says more of it, it is from when the import began. */
  directory(made: MadeDirectory, began: number): void {
    this.put(directoryEntry(made, began, this.#now), [{ parent: made.parent, name: made.name }]);
    this.later({ fid: made.fid, ...made.attributes, mtime: began });
  }

  /** Its attributes are set when everything is in it. */
  later(directory: ImportDirectory): void {
    this.#lists.directories.push(directory);
  }

  link(link: ImportLink): void {
    this.#lists.links.push(link);
  }

  /** A name was removed from Lustre, and maybe what it was bound to; whether the file is dead is to be seen there. */
  removed(fid: Fid, blob?: { readonly name: string; readonly bound: boolean }): void {
    if (blob !== undefined) this.#lists.blobsGone.push({ fid, archive: this.#archive, name: blob.name });
    if (blob === undefined || blob.bound) this.#lists.bindingsGone.push(fid);
    this.mark(fid);
  }

  /** To be looked at. */
  mark(fid: Fid): void {
    this.#lists.marks.push({ fid, hints: 0, since: this.#now });
  }

  /**
   * Makes it durable; how far the import is comes last, so that a killed one does the same again. What binds a file is not
   * left out where the follower has seen the file meanwhile, so it goes without the entries.
   */
  async commit(ledger: Ledger, progress: ImportChanges): Promise<void> {
    const { puts, directories, links, seen, ...rest } = this.#lists;
    if (puts.length > 0) await ledger.commit({ puts });
    await ledger.commit({
      ...rest,
      imports: { ...progress, directories, links: [...(progress.links ?? []), ...links], seen },
    });
  }
}
