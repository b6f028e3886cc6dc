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
  /** The tier is that of the account, and changes with it: nobody has set one. */
  readonly tierInferred?: true;
  /** `rehydrate-pending-to-hot` and the like, while on the way back from the Archive tier. */
  readonly archiveStatus?: string;
  readonly lastModified: Date;
  /** `available`, `leased`, `expired`, `breaking`, `broken`. */
  readonly leaseState?: string;
  /** SHA-256 of the key that the writer gave with the blob, and without which the service does not read it. */
  readonly customerKey?: string;
}

const COPY_STATES = ['success', 'pending', 'failed', 'aborted'] as const;

const METADATA = 'x-ms-meta-';

/** The state from the header fields of an answer to a HEAD, names in lower case. */
export function stateFromHeaders(name: string, fields: Readonly<Record<string, string>>): BlobState {
  const metadata: BlobMetadata = {};
  for (const field in fields) {
    if (field.startsWith(METADATA)) metadata[field.slice(METADATA.length)] = fields[field] as string;
  }
  return blobState({
    name,
    etag: fields['etag'] ?? '',
    length: BigInt(fields['content-length'] ?? 0),
    metadata,
    lastModified: new Date(fields['last-modified'] ?? 0),
    blobType: fields['x-ms-blob-type'] ?? 'BlockBlob',
    copyStatus: fields['x-ms-copy-status'],
    accessTier: fields['x-ms-access-tier'],
    tierInferred: fields['x-ms-access-tier-inferred'] === 'true',
    archiveStatus: fields['x-ms-archive-status'],
    leaseState: fields['x-ms-lease-state'],
    customerKey: fields['x-ms-encryption-key-sha256'],
  });
}

type Parts = Pick<BlobState, 'name' | 'etag' | 'length' | 'metadata' | 'lastModified' | 'blobType'> & {
  readonly [Key in 'copyStatus' | 'accessTier' | 'archiveStatus' | 'leaseState' | 'customerKey']: string | undefined;
} & { readonly tierInferred?: boolean | undefined };

/** Puts a state together; reads the identity out of the metadata. */
export function blobState({
  copyStatus,
  accessTier,
  tierInferred,
  archiveStatus,
  leaseState,
  customerKey,
  ...certain
}: Parts): BlobState {
  const identity = identityFrom(certain.metadata);
  const copied = COPY_STATES.find((state) => state === copyStatus);
  return {
    ...certain,
    ...(identity === undefined ? {} : { identity }),
    ...(copied === undefined ? {} : { copyStatus: copied }),
    ...(accessTier === undefined ? {} : { accessTier }),
    ...(tierInferred === true ? { tierInferred } : {}),
    ...(archiveStatus === undefined || archiveStatus === '' ? {} : { archiveStatus }),
    ...(leaseState === undefined ? {} : { leaseState }),
    ...(customerKey === undefined || customerKey === '' ? {} : { customerKey }),
  };
}
