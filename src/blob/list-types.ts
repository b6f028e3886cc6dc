import type { BlobState } from './state.ts';

export interface ListOptions {
  /** Names that begin with this; a directory's is written with its slash, or it finds its neighbours too. */
  readonly startsWith?: string;
  /**
   * Names that are not before this. Of services and emulators that do not know it yet, some refuse it (INVALID), others may list
   * from the beginning.
   */
  readonly startFrom?: string | undefined;
  /** Entries per page, at most 5,000. */
  readonly pageSize?: number;
  /** Where to go on: the `next` of an earlier page. */
  readonly from?: string | undefined;
  readonly signal?: AbortSignal;
}

export interface ListPage {
  readonly blobs: readonly BlobState[];
  /** With a hierarchical listing: what lies below, each ending in a slash. */
  readonly directories: readonly string[];
  /** Where the next page begins; absent on the last. */
  readonly next?: string;
}

export type ListDepth = 'flat' | 'level';

/** One entry of a listing with everything. */
export interface KeptEntry {
  readonly state: BlobState;
  /** Soft-deleted. */
  readonly deleted: boolean;
  /** With versions: the one that the blob is now. */
  readonly current: boolean;
  /** When it was made: it is a snapshot. */
  readonly snapshot?: string;
  /** When it was written: a version, or what is to become one. */
  readonly version?: string;
  /** Of what is soft-deleted. */
  readonly deletedAt?: Date;
  /** Days until what is soft-deleted is gone. */
  readonly daysLeft?: number;
}

export interface KeptPage {
  readonly entries: readonly KeptEntry[];
  readonly next?: string;
}
