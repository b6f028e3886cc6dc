import { blockSizeFor } from '../../blob/blocks.ts';

/**
 * Requests to the storage service, in the classes of its price list. Get Blob Properties is `other`, and Delete Blob is free
 * (general-purpose v2 accounts: https://learn.microsoft.com/azure/storage/blobs/map-rest-apis-transaction-categories).
 */
export interface Operations {
  readonly writes: number;
  readonly reads: number;
  readonly other: number;
  readonly deletes: number;
}

export const NO_OPERATIONS: Operations = { writes: 0, reads: 0, other: 0, deletes: 0 };

/** Files up to this are archived without a look at the destination before they are read (src/copytool/archive.ts). */
const UNSEEN = 1n << 20n;

/**
 * Of an archive that nothing gets in the way of: Put Blob, or blocks and their list; what stands at the destination is asked for before
 * the commit (of larger files before they are read, too), and the copy after it.
 */
export function archiveOperations(size: bigint, blockSize: number | 'auto'): Operations {
  try {
    const block = BigInt(blockSizeFor(size, blockSize));
    const writes = size <= block ? 1 : partsOf(size, block) + 1;
    return { ...NO_OPERATIONS, writes, other: size > UNSEEN ? 3 : 2 };
  } catch {
    // Larger than a blob can be: refused before anything is sent.
    return NO_OPERATIONS;
  }
}

/** Of a restore: the copy is looked for, and read in ranges. */
export function recallOperations(size: bigint, rangeSize: number): Operations {
  return { ...NO_OPERATIONS, reads: partsOf(size, BigInt(rangeSize)), other: 1 };
}

/** Of a look at one copy before a release. */
export const VERIFICATION: Operations = { ...NO_OPERATIONS, other: 1 };

/** Of the removal of what a dead file left: its name and the staging name are looked at in each container. */
export function removalOperations(archives: number): Operations {
  return { ...NO_OPERATIONS, other: 2 * archives, deletes: 1 };
}

export function sumOf(a: Operations, b: Operations): Operations {
  return {
    writes: a.writes + b.writes,
    reads: a.reads + b.reads,
    other: a.other + b.other,
    deletes: a.deletes + b.deletes,
  };
}

const partsOf = (size: bigint, part: bigint): number => Number((size + part - 1n) / part);
