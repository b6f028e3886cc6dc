import { copyBlob } from './copy.ts';
import type { KeptEntry } from './list-types.ts';
import type { BlobState } from './state.ts';
import type { BlobStore } from './store.ts';

/**
 * What a storage account keeps of blobs that are deleted. With *soft delete*, a deleted blob stays for the days of the
 * account's setting, and Undelete Blob makes it what it was; what was written over is a soft-deleted snapshot. With
 * *versioning*, deleting makes the blob its latest previous version, which is copied over the name; a version that was
 * itself deleted is soft-deleted, and undeleted first.
 * https://learn.microsoft.com/azure/storage/blobs/soft-delete-blob-overview, …/versioning-overview
 */

/** A blob that is not there any more, and what is kept of it. */
export interface KeptBlob {
  readonly how: 'soft-deleted' | 'version';
  /** What it would be again. */
  readonly state: BlobState;
  /** Undelete Blob is necessary; a version may be soft-deleted, too. */
  readonly deleted: boolean;
  readonly version?: string;
  readonly deletedAt?: Date;
  readonly daysLeft?: number;
  /** Soft-deleted snapshots, which Undelete Blob brings along. */
  readonly snapshots: readonly string[];
}

/** What has a name: the blob, or what is kept of it. `taken`: there is a blob, and what was asked for is only a version of it. */
export type Named =
  | { readonly live: BlobState; readonly taken?: KeptBlob }
  | { readonly live?: undefined; readonly kept: KeptBlob };

export interface KeptOptions {
  /** Beginning of names. */
  readonly startsWith: string;
  /** Of the versions of one name, the latest such one counts. */
  readonly wanted: (state: BlobState) => boolean;
  readonly pageSize?: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Everything below a beginning of names, whether it is there or only kept, a page at a time; names that nothing wanted is
 * kept of are left out. A listing with versions has as many entries as there are versions.
 */
export async function* listKept(store: BlobStore, options: KeptOptions): AsyncGenerator<readonly Named[]> {
  const { startsWith, wanted, pageSize, signal } = options;
  let group: Group | undefined;
  let from: string | undefined;
  do {
    const asked = { startsWith, from, ...(pageSize === undefined ? {} : { pageSize }) };
    const page = await store.keptPage(signal === undefined ? asked : { ...asked, signal });
    const done: Named[] = [];
    // Entries of one name come one after the other; the last name of a page may go on in the next.
    for (const entry of page.entries) {
      if (group === undefined || group.name !== entry.state.name) {
        done.push(...(group?.named() ?? []));
        group = new Group(entry.state.name, wanted);
      }
      group.add(entry);
    }
    from = page.next;
    if (from === undefined) done.push(...(group?.named() ?? []));
    yield done;
  } while (from !== undefined);
}

/** The same of one name. */
export async function keptAt(
  store: BlobStore,
  name: string,
  wanted: (state: BlobState) => boolean,
  signal?: AbortSignal,
): Promise<Named | undefined> {
  const group = new Group(name, wanted);
  let from: string | undefined;
  do {
    const page = await store.keptPage({
      startsWith: name,
      from,
      pageSize: 100,
      ...(signal === undefined ? {} : { signal }),
    });
    for (const entry of page.entries) {
      // In the order of names the shortest comes first.
      if (entry.state.name !== name) return group.named()[0];
      group.add(entry);
    }
    from = page.next;
  } while (from !== undefined);
  return group.named()[0];
}

/**
 * Makes a kept blob the blob of its name again, unless there is one by now. Snapshots that Undelete Blob brought along are
 * deleted again, or the blob could not be deleted any more. It may be killed at any moment, and be called again.
 * @returns what is there now: maybe another's; undefined: nothing
 */
export async function bringBack(
  store: BlobStore,
  kept: KeptBlob,
  signal?: AbortSignal,
): Promise<BlobState | undefined> {
  const { state, deleted, version, snapshots } = kept;
  if (deleted) {
    await store.undelete(state.name, signal);
    for (const snapshot of snapshots) await store.deleteSnapshot(state.name, snapshot, signal);
  }
  const there = await store.head(state.name, { signal });
  if (version === undefined || there !== undefined) return there;
  const { metadata } = state;
  return await copyBlob(store, state, state.name, { version, condition: { ifNoneMatch: '*' }, metadata, signal });
}

/** What a listing has of one name. Only the latest wanted version is remembered: there may be thousands. */
class Group {
  readonly name: string;
  readonly #wanted: KeptOptions['wanted'];
  readonly #snapshots: string[] = [];
  #live: BlobState | undefined;
  #base: KeptEntry | undefined;
  #version: KeptEntry | undefined;

  constructor(name: string, wanted: KeptOptions['wanted']) {
    this.name = name;
    this.#wanted = wanted;
  }

  add(entry: KeptEntry): void {
    const { snapshot, version, deleted, current, state } = entry;
    if (snapshot !== undefined) {
      if (deleted) this.#snapshots.push(snapshot);
    } else if (current || (version === undefined && !deleted)) {
      this.#live = state;
    } else if (!this.#wanted(state)) {
      return;
    } else if (version === undefined) {
      this.#base = entry;
    } else if (version > (this.#version?.version ?? '')) {
      // Times of one form: their order is that of the texts.
      this.#version = entry;
    }
  }

  named(): Named[] {
    // Without a current version, a deleted blob is from the time before versioning, or its successor.
    const newest = [this.#base, this.#version]
      .filter((one) => one !== undefined)
      .sort((a, b) => b.state.lastModified.getTime() - a.state.lastModified.getTime())[0];
    const kept = newest === undefined ? undefined : this.#kept(newest);
    if (this.#live !== undefined) return [{ live: this.#live, ...(kept === undefined ? {} : { taken: kept }) }];
    return kept === undefined ? [] : [{ kept }];
  }

  #kept({ state, deleted, version, deletedAt, daysLeft }: KeptEntry): KeptBlob {
    return {
      ...{ state, deleted, how: version === undefined ? 'soft-deleted' : 'version', snapshots: this.#snapshots },
      ...(version === undefined ? {} : { version }),
      ...(deletedAt === undefined ? {} : { deletedAt }),
      ...(daysLeft === undefined ? {} : { daysLeft }),
    };
  }
}
