import type { HotRequests } from './hot-requests.ts';
import type { KeptPage } from './kept.ts';
import { parseKeptListing, parseListing } from './list-xml.ts';
import type { BlobState } from './state.ts';
import type { BlobStore } from './store.ts';

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

/** All blobs in the order of their names, with metadata, page by page. Uncommitted blobs are not among them. */
export function listFlat(store: BlobStore, options: ListOptions = {}): AsyncGenerator<ListPage> {
  return pages(store, 'flat', options);
}

/** One level: the blobs, and the beginnings of the names of what lies deeper. */
export function listLevel(store: BlobStore, options: ListOptions = {}): AsyncGenerator<ListPage> {
  return pages(store, 'level', options);
}

async function* pages(store: BlobStore, depth: ListDepth, options: ListOptions): AsyncGenerator<ListPage> {
  let from = options.from;
  do {
    const page = await store.listPage(depth, { ...options, from });
    yield page;
    from = page.next;
  } while (from !== undefined);
}

/** The first version of the service that is sure to know `startFrom`. */
const START_FROM_VERSION = '2026-02-06';

export type ListDepth = 'flat' | 'level';

/** One page, in one request. */
export async function readPage(
  hot: Pick<HotRequests, 'listBlobs'>,
  depth: ListDepth,
  options: ListOptions,
): Promise<ListPage> {
  const query = { include: 'copy,metadata', ...(depth === 'flat' ? {} : { delimiter: '/' }), ...queryOf(options) };
  if (options.startFrom === undefined) return parseListing(await hot.listBlobs(query, options.signal));
  return parseListing(
    await hot.listBlobs({ ...query, startFrom: options.startFrom }, options.signal, START_FROM_VERSION),
  );
}

/**
 * One page with all that the account keeps: blobs, what is soft-deleted, snapshots, versions. What an account does not
 * have turned on, it has none of.
 */
export async function readKeptPage(hot: Pick<HotRequests, 'listBlobs'>, options: ListOptions): Promise<KeptPage> {
  const query = { include: 'copy,deleted,metadata,snapshots,versions', ...queryOf(options) };
  return parseKeptListing(await hot.listBlobs(query, options.signal));
}

function queryOf({ startsWith, pageSize, from }: ListOptions): Record<string, string> {
  return {
    ...(startsWith === undefined || startsWith === '' ? {} : { prefix: startsWith }),
    ...(pageSize === undefined ? {} : { maxresults: String(pageSize) }),
    ...(from === undefined ? {} : { marker: from }),
  };
}
