import type { IncomingHttpHeaders } from 'node:http';
import type { BlobIdentity } from '../identity/blob-identity.ts';
import { type BlobMetadata, identityFrom } from './metadata.ts';

/** What a HEAD or a listing says of a blob. */
export interface BlobState {
  readonly name: string;
  /** With its quotes, as it goes into a condition. */
  readonly etag: string;
  readonly length: bigint;
  readonly metadata: BlobMetadata;
  /** Absent when the blob is not ours. */
  readonly identity?: BlobIdentity;
  /** Absent when the blob was never the destination of a copy. */
  readonly copyStatus?: 'success' | 'pending' | 'failed' | 'aborted';
  readonly blobType: string;
  /** `Hot`, `Cool`, `Cold`, `Archive` … */
  readonly accessTier?: string;
  /** `rehydrate-pending-to-hot` and the like, while on the way back from the Archive tier. */
  readonly archiveStatus?: string;
  readonly lastModified: Date;
  /** `available`, `leased`, `expired`, `breaking`, `broken`. */
  readonly leaseState?: string;
}

const COPY_STATES = ['success', 'pending', 'failed', 'aborted'] as const;

/** The state from the headers of a HEAD or GET of the whole blob. */
export function stateFromHeaders(name: string, headers: IncomingHttpHeaders): BlobState {
  const metadata: BlobMetadata = {};
  for (const [key, value] of Object.entries(headers)) {
    if (key.startsWith('x-ms-meta-') && typeof value === 'string') metadata[key.slice('x-ms-meta-'.length)] = value;
  }
  return blobState({
    name,
    etag: headers.etag ?? '',
    length: BigInt(headers['content-length'] ?? '0'),
    metadata,
    lastModified: new Date(headers['last-modified'] ?? 0),
    blobType: header(headers, 'x-ms-blob-type') ?? 'BlockBlob',
    copyStatus: header(headers, 'x-ms-copy-status'),
    accessTier: header(headers, 'x-ms-access-tier'),
    archiveStatus: header(headers, 'x-ms-archive-status'),
    leaseState: header(headers, 'x-ms-lease-state'),
  });
}

type Parts = Pick<BlobState, 'name' | 'etag' | 'length' | 'metadata' | 'lastModified' | 'blobType'> & {
  readonly [Key in 'copyStatus' | 'accessTier' | 'archiveStatus' | 'leaseState']: string | undefined;
};

/** Puts a state together; reads the identity out of the metadata. */
export function blobState({ copyStatus, accessTier, archiveStatus, leaseState, ...certain }: Parts): BlobState {
  const identity = identityFrom(certain.metadata);
  const copied = COPY_STATES.find((state) => state === copyStatus);
  return {
    ...certain,
    ...(identity === undefined ? {} : { identity }),
    ...(copied === undefined ? {} : { copyStatus: copied }),
    ...(accessTier === undefined ? {} : { accessTier }),
    ...(archiveStatus === undefined || archiveStatus === '' ? {} : { archiveStatus }),
    ...(leaseState === undefined ? {} : { leaseState }),
  };
}

function header(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name];
  return typeof value === 'string' ? value : undefined;
}
