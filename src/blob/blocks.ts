import type { Generation } from '../identity/generation.ts';
import { BlobError } from './errors.ts';

const MIB = 1 << 20;

/** https://learn.microsoft.com/rest/api/storageservices/put-block-list and scalability targets for Blob storage. */
export const MAX_BLOCKS = 50_000;
export const MAX_BLOCK_BYTES = 4000 * MIB;
/** 190.7 TiB. */
export const MAX_BLOB_BYTES = BigInt(MAX_BLOCKS) * BigInt(MAX_BLOCK_BYTES);

const DEFAULT_BLOCK_BYTES = 8 * MIB;

/**
 * Bytes per block of a file of `size` bytes: what is wished for (8 MiB for `auto`), or as much more, in whole MiB, as
 * 50,000 blocks need.
 * @throws BlobError INVALID when no block size is enough
 */
export function blockSizeFor(size: bigint, wished: number | 'auto' = 'auto'): number {
  if (size > MAX_BLOB_BYTES) {
    throw new BlobError(`a file of ${size} bytes is larger than a blob can be: ${MAX_BLOB_BYTES} bytes`, {
      code: 'INVALID',
    });
  }
  const least = (size + BigInt(MAX_BLOCKS) - 1n) / BigInt(MAX_BLOCKS);
  const chosen = Math.min(wished === 'auto' ? DEFAULT_BLOCK_BYTES : wished, MAX_BLOCK_BYTES);
  if (least <= BigInt(chosen)) return chosen;
  return Number((least + BigInt(MIB) - 1n) / BigInt(MIB)) * MIB;
}

/**
 * The ID of a block: base64 of 48 ASCII bytes made of the generation's uuid, the end of its sequence number and the
 * index. Two writers have different uuids, so a commit can't pick up the other's blocks. All IDs under one name must
 * have the same length; 48 bytes is also what AzCopy and Microsoft's SDKs use.
 */
export function blockId(generation: Generation, index: number): string {
  const uuid = generation.uuid.replaceAll('-', '');
  const seq = String(generation.seq % 1_000_000_000).padStart(9, '0');
  return Buffer.from(`${uuid}-${seq}-${String(index).padStart(5, '0')}`, 'ascii').toString('base64');
}
