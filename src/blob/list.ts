import type { HotRequests } from './hot-requests.ts';
import { parseListing } from './list-xml.ts';
import type { BlobState } from './state.ts';
import type { BlobStore } from './store.ts';

export interface ListOptions {
  /** Names that begin with this; a directory's is written with its slash, or it finds its neighbours too. */
  readonly startsWith?: string;
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

export type ListDepth = 'flat' | 'level';

/** One page, in one request. */
export async function readPage(
  hot: Pick<HotRequests, 'listBlobs'>,
  depth: ListDepth,
  { startsWith, pageSize, from, signal }: ListOptions,
): Promise<ListPage> {
  const query = {
    include: 'copy,metadata',
    ...(startsWith === undefined || startsWith === '' ? {} : { prefix: startsWith }),
    ...(depth === 'flat' ? {} : { delimiter: '/' }),
    ...(pageSize === undefined ? {} : { maxresults: String(pageSize) }),
    ...(from === undefined ? {} : { marker: from }),
  };
  return parseListing(await hot.listBlobs(query, signal));
}
