import type {
  BlobItem,
  ContainerClient,
  ContainerListBlobFlatSegmentResponse,
  ContainerListBlobHierarchySegmentResponse,
} from '@azure/storage-blob';
import { type BlobState, blobState } from './state.ts';
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
  container: ContainerClient,
  depth: ListDepth,
  { startsWith, pageSize, from, signal }: ListOptions,
): Promise<ListPage> {
  const options = {
    includeMetadata: true,
    includeCopy: true,
    ...(startsWith === undefined ? {} : { prefix: startsWith }),
    ...(signal === undefined ? {} : { abortSignal: signal }),
  };
  const place = {
    ...(pageSize === undefined ? {} : { maxPageSize: pageSize }),
    ...(from === undefined ? {} : { continuationToken: from }),
  };
  if (depth === 'flat') {
    const { value } = await container.listBlobsFlat(options).byPage(place).next();
    return pageOf(value);
  }
  const { value } = await container.listBlobsByHierarchy('/', options).byPage(place).next();
  return pageOf(value);
}

function pageOf(page: ContainerListBlobFlatSegmentResponse | ContainerListBlobHierarchySegmentResponse): ListPage {
  const { segment, continuationToken } = page;
  const prefixes = 'blobPrefixes' in segment ? (segment.blobPrefixes ?? []) : [];
  return {
    blobs: segment.blobItems.map(stateFromItem),
    directories: prefixes.map(({ name }) => name),
    ...(continuationToken === undefined || continuationToken === '' ? {} : { next: continuationToken }),
  };
}

function stateFromItem({ name, properties, metadata }: BlobItem): BlobState {
  return blobState({
    name,
    etag: quoted(properties.etag),
    length: BigInt(properties.contentLength ?? 0),
    metadata: metadata ?? {},
    lastModified: properties.lastModified,
    blobType: properties.blobType ?? 'BlockBlob',
    copyStatus: properties.copyStatus,
    accessTier: properties.accessTier,
    archiveStatus: properties.archiveStatus,
    leaseState: properties.leaseState,
    customerKey: properties.customerProvidedKeySha256,
  });
}

/** A listing gives ETags without the quotes that a condition needs. */
function quoted(etag: string): string {
  return etag.startsWith('"') ? etag : `"${etag}"`;
}
