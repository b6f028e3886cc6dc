import type { BlobGetPropertiesResponse } from '@azure/storage-blob';
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

/** The state from the answer to a HEAD. */
export function stateFromProperties(name: string, properties: BlobGetPropertiesResponse): BlobState {
  return blobState({
    name,
    etag: properties.etag ?? '',
    length: BigInt(properties.contentLength ?? 0),
    metadata: properties.metadata ?? {},
    lastModified: properties.lastModified ?? new Date(0),
    blobType: properties.blobType ?? 'BlockBlob',
    copyStatus: properties.copyStatus,
    accessTier: properties.accessTier,
    archiveStatus: properties.archiveStatus,
    leaseState: properties.leaseState,
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
