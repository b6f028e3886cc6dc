import type { HotRequests } from './hot-requests.ts';
import type { KeptPage, ListDepth, ListOptions, ListPage } from './list-types.ts';
import { parseKeptListing, parseListing } from './list-xml.ts';

/** What gives pages of a listing. */
interface Lists {
  listPage(depth: ListDepth, options: ListOptions): Promise<ListPage>;
}

/** All blobs in the order of their names, with metadata, page by page. Uncommitted blobs are not among them. */
export function listFlat(store: Lists, options: ListOptions = {}): AsyncGenerator<ListPage> {
  return pages(store, 'flat', options);
}

/** One level: the blobs, and the beginnings of the names of what lies deeper. */
export function listLevel(store: Lists, options: ListOptions = {}): AsyncGenerator<ListPage> {
  return pages(store, 'level', options);
}

async function* pages(store: Lists, depth: ListDepth, options: ListOptions): AsyncGenerator<ListPage> {
  let from = options.from;
  do {
    const page = await store.listPage(depth, { ...options, from });
    yield page;
    from = page.next;
  } while (from !== undefined);
}

/** The first version of the service that is sure to know `startFrom`. */
const START_FROM_VERSION = '2026-02-06';

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
