import { type Fid, parseFid } from './fid.ts';
import { formatGeneration, type Generation, parseGeneration } from './generation.ts';

/** What a blob of ours stands for. */
export type BlobKind = 'file' | 'dir' | 'symlink' | 'link';

/** What the `lfsazsync_*` keys of a blob's metadata say about whose it is. */
export interface BlobIdentity {
  /** UUID of the file system, lower case. */
  readonly fs: string;
  readonly fid: Fid;
  readonly kind: BlobKind;
  /** Of files: which version the blob holds. */
  readonly generation?: Generation;
  /** Of files: length of the content in bytes. */
  readonly size?: bigint;
  /** Of files: CRC-64/NVME of the content, 16 hexadecimal digits, lower case. */
  readonly crc64?: string;
  /** What the blob was bound to before our first own write to it. */
  readonly from?: string;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const KINDS: readonly string[] = ['file', 'dir', 'symlink', 'link'] satisfies BlobKind[];

/**
 * The identity that a blob's metadata declares; undefined when the blob is not ours: one of the keys is missing or
 * does not read. Keys are found whatever their case, as the service treats them.
 */
export function blobIdentityOf(metadata: Readonly<Record<string, string>>): BlobIdentity | undefined {
  const keys = lowerCased(metadata);
  const fs = keys.get('lfsazsync_fs')?.toLowerCase();
  const fid = parseFid(keys.get('lfsazsync_fid') ?? '');
  const kind = keys.get('lfsazsync_kind');
  if (fs === undefined || !UUID.test(fs) || fid === undefined || kind === undefined || !KINDS.includes(kind)) {
    return undefined;
  }
  const generation = parseGeneration(keys.get('lfsazsync_gen') ?? '');
  const size = keys.get('lfsazsync_size') ?? '';
  const crc64 = (keys.get('lfsazsync_crc64') ?? '').toLowerCase();
  const from = keys.get('lfsazsync_from');
  return {
    fs,
    fid,
    kind: kind as BlobKind,
    ...(generation === undefined ? {} : { generation }),
    ...(/^\d{1,19}$/.test(size) ? { size: BigInt(size) } : {}),
    ...(/^[0-9a-f]{16}$/.test(crc64) ? { crc64 } : {}),
    ...(from === undefined || from === '' ? {} : { from }),
  };
}

/** The metadata keys that {@link blobIdentityOf} reads. */
export function identityMetadata(identity: BlobIdentity): Record<string, string> {
  return {
    lfsazsync_fs: identity.fs,
    lfsazsync_fid: identity.fid,
    lfsazsync_kind: identity.kind,
    ...(identity.generation === undefined ? {} : { lfsazsync_gen: formatGeneration(identity.generation) }),
    ...(identity.size === undefined ? {} : { lfsazsync_size: identity.size.toString() }),
    ...(identity.crc64 === undefined ? {} : { lfsazsync_crc64: identity.crc64 }),
    ...(identity.from === undefined ? {} : { lfsazsync_from: identity.from }),
  };
}

function lowerCased(metadata: Readonly<Record<string, string>>): Map<string, string> {
  return new Map(Object.entries(metadata).map(([key, value]) => [key.toLowerCase(), value]));
}
