import { parseXML } from '@azure/core-xml';
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
  return pages(store, options, {});
}

/** One level: the blobs, and the beginnings of the names of what lies deeper. */
export function listLevel(store: BlobStore, options: ListOptions = {}): AsyncGenerator<ListPage> {
  return pages(store, options, { delimiter: '/' });
}

async function* pages(store: BlobStore, options: ListOptions, extra: Record<string, string>): AsyncGenerator<ListPage> {
  let marker = options.from;
  do {
    const xml = await store.listXml(
      {
        include: 'metadata,copy',
        ...extra,
        ...(options.startsWith === undefined ? {} : { prefix: options.startsWith }),
        ...(options.pageSize === undefined ? {} : { maxresults: String(options.pageSize) }),
        ...(marker === undefined ? {} : { marker }),
      },
      options.signal,
    );
    const page = parsePage((await parseXML(xml)) as XmlListing);
    yield page;
    marker = page.next;
  } while (marker !== undefined);
}

type Text = string | { readonly _: string; readonly $: Readonly<Record<string, string>> };

interface XmlListing {
  readonly NextMarker?: Text;
  readonly Blobs?:
    | { readonly Blob?: XmlBlob | readonly XmlBlob[]; readonly BlobPrefix?: XmlPrefix | readonly XmlPrefix[] }
    | '';
}

interface XmlPrefix {
  readonly Name: Text;
}

interface XmlBlob extends XmlPrefix {
  readonly Properties: Readonly<Record<string, string | undefined>>;
  readonly Metadata?: Readonly<Record<string, Text>> | '';
}

function parsePage(listing: XmlListing): ListPage {
  const content = listing.Blobs === undefined || listing.Blobs === '' ? {} : listing.Blobs;
  const next = listing.NextMarker === undefined ? '' : textOf(listing.NextMarker);
  return {
    blobs: asList(content.Blob).map(parseBlob),
    directories: asList(content.BlobPrefix).map(({ Name }) => textOf(Name)),
    ...(next === '' ? {} : { next }),
  };
}

function parseBlob({ Name, Properties, Metadata }: XmlBlob): BlobState {
  const metadata = Metadata === undefined || Metadata === '' ? {} : Metadata;
  return blobState({
    name: textOf(Name),
    etag: quoted(Properties['Etag'] ?? ''),
    length: BigInt(Properties['Content-Length'] ?? '0'),
    metadata: Object.fromEntries(
      Object.entries(metadata)
        .filter(([key]) => key !== '$')
        .map(([key, value]) => [key, textOf(value)]),
    ),
    lastModified: new Date(Properties['Last-Modified'] ?? 0),
    blobType: Properties['BlobType'] ?? 'BlockBlob',
    copyStatus: Properties['CopyStatus'],
    accessTier: Properties['AccessTier'],
    archiveStatus: Properties['ArchiveStatus'],
    leaseState: Properties['LeaseState'],
  });
}

/** A listing gives ETags without the quotes that a condition needs. */
function quoted(etag: string): string {
  return etag.startsWith('"') ? etag : `"${etag}"`;
}

/** Names that XML can't hold come percent-encoded, and say so. */
function textOf(text: Text): string {
  if (typeof text === 'string') return text;
  return text.$?.['Encoded'] === 'true' ? decodeURIComponent(text._) : (text._ ?? '');
}

function asList<T>(value: T | readonly T[] | undefined): readonly T[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? value : [value as T];
}
