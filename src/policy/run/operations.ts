import { blockSizeFor } from '../../blob/blocks.ts';

/** Requests to the storage service that an archive of a file makes: writes (Put Blob, or blocks and their list) and reads. */
export function archiveOperations(size: bigint, blockSize: number | 'auto'): { writes: number; reads: number } {
  // What stands at the destination is asked for before, and the copy after.
  const reads = 2;
  try {
    const block = BigInt(blockSizeFor(size, blockSize));
    return { writes: size <= block ? 1 : Number((size + block - 1n) / block) + 1, reads };
  } catch {
    return { writes: 0, reads };
  }
}
