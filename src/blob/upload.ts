import { crc64Hex, EMPTY_CRC64 } from '../checksum/crc64.ts';
import { formatGeneration, type Generation } from '../identity/generation.ts';
import { type RateBucket, takeAll } from '../service/rate-bucket.ts';
import { blockId, blockSizeFor } from './blocks.ts';
import type { BufferPool } from './buffers.ts';
import { BlobError, describeSubject, isBlobError, isOutage } from './errors.ts';
import { type BlobMetadata, mergeMetadata } from './metadata.ts';
import type { BlobStore, PutOptions, WriteCondition } from './store.ts';

/** Where the bytes come from. */
export interface UploadSource {
  /**
   * Reads at `position` into `buffer`; the number of bytes, 0 only at the end. May read less than there is room for.
   * With a checksum in the answer, it has read all that there is room for, or all that there is.
   */
  read(position: number, buffer: Buffer): Promise<number | SummedBytes>;
  /** Bytes, by stat. */
  readonly size: bigint;
}

/** Bytes whose CRC-64/NVME was taken where they were read. */
export interface SummedBytes {
  readonly bytes: number;
  readonly crc64: bigint;
}

/** What was read and sent: what the commit will make of it. */
export interface UploadContent {
  readonly bytes: bigint;
  /** CRC-64/NVME of the content. */
  readonly crc64: bigint;
}

/** The decision to commit, taken after the last byte was read. */
export interface CommitDecision {
  readonly condition: WriteCondition;
  /** In place of the metadata in the options. */
  readonly metadata?: BlobMetadata;
}

export interface UploadOptions {
  /** Must be fresh: never used for an upload before, not even a failed one. */
  readonly generation: Generation;
  /** Bytes per block; raised where the file needs it. Default `auto`. */
  readonly blockSize?: number | 'auto';
  /** Blocks of this file on the way at the same time. */
  readonly concurrency: number;
  readonly buffers: BufferPool;
  /** What every block waits for before it is sent, and the commit before it is decided. */
  readonly limits?: readonly RateBucket[] | undefined;
  /** `lfsazsync_gen`, `lfsazsync_size` and `lfsazsync_crc64` are added here. */
  readonly metadata: BlobMetadata;
  readonly tier?: string | undefined;
  /**
   * Called when everything is read, and for larger files staged; again when the condition it gave does not hold any
   * more. Here the caller reads the destination's state, then
   * checks the data version and that the action is still its own, and answers with the condition of the state that it
   * read. Throws when it must not be committed.
   */
  readonly beforeCommit: (content: UploadContent) => Promise<CommitDecision>;
  readonly signal?: AbortSignal | undefined;
  /** Called with the number of bytes that the service has accepted. */
  readonly onBytes?: ((bytes: number) => void) | undefined;
}

export interface Uploaded extends UploadContent {
  readonly etag: string;
}

/** Put Blob takes up to 5,000 MiB, but a try of it is all or nothing. */
const MAX_SINGLE_PUT = 64 << 20;
/** How often the destination may change between the decision and the commit. */
const MAX_DECISIONS = 5;

/**
 * Makes a blob of a file: Put Blob when it fits one block, otherwise staged blocks and one commit. Nothing can be seen
 * in the container before the commit, which happens under the condition that `beforeCommit` gives, and never
 * after an abort. Blocks of an upload that was given up vanish by themselves: with the next commit under the name, or
 * after a week.
 *
 * A commit whose answer was lost is resolved by looking at the blob: it is done when it carries our generation.
 *
 * @throws BlobError FILE_CHANGED when the source is shorter or longer than its size; CONDITION when the destination is
 *   again and again not in the state of the condition any more; BLOCKS_GONE when another writer's commit discarded our blocks;
 *   otherwise as the service answered. `ambiguous` when a commit may have been carried out nevertheless
 */
export async function uploadFile(
  store: BlobStore,
  name: string,
  source: UploadSource,
  options: UploadOptions,
): Promise<Uploaded> {
  const blockSize = blockSizeFor(source.size, options.blockSize);
  const single = source.size <= BigInt(Math.min(blockSize, MAX_SINGLE_PUT));
  const upload = single
    ? await readWhole(store, name, source, options)
    : await stageBlocks(store, name, source, options, blockSize);
  try {
    const { content } = upload;
    await takeAll(options.limits ?? [], single ? Number(content.bytes) : 0, options.signal);
    const etag = await commitDecided(store, name, options, upload);
    if (single) options.onBytes?.(Number(content.bytes));
    return { ...content, etag };
  } finally {
    upload.release();
  }
}

/** Decides and commits; decides again where the destination has changed in between, as long as our blocks are there. */
async function commitDecided(
  store: BlobStore,
  name: string,
  options: UploadOptions,
  upload: Prepared,
): Promise<string> {
  for (let round = 1; ; round++) {
    try {
      // What was decided before an outage need not hold any more after it: each try has its own decision.
      return await store.hold('write', options.signal, () => decideAndCommit(store, name, options, upload));
    } catch (error) {
      if (round >= MAX_DECISIONS || !isBlobError(error, 'CONDITION') || error.ambiguous) throw error;
    }
  }
}

async function decideAndCommit(
  store: BlobStore,
  name: string,
  options: UploadOptions,
  { content, commit, park }: Prepared,
): Promise<string> {
  const decision = await options.beforeCommit(content);
  options.signal?.throwIfAborted();
  const metadata = mergeMetadata(decision.metadata ?? options.metadata, {
    lfsazsync_gen: formatGeneration(options.generation),
    lfsazsync_size: content.bytes.toString(),
    lfsazsync_crc64: crc64Hex(content.crc64),
  });
  const { condition } = decision;
  return await resolved(store, name, options, content, async () => {
    try {
      return await commit({ condition, metadata, tier: options.tier, held: false, signal: options.signal });
    } catch (error) {
      if (error instanceof BlobError && isOutage(error)) park();
      throw error;
    }
  });
}

/** A file that is read and, in blocks, staged; `commit` makes it visible. */
interface Prepared {
  readonly content: UploadContent;
  readonly commit: (options: PutOptions) => Promise<{ etag: string }>;
  /** Gives the memory back for the time of an outage; the next commit reads the file again. */
  readonly park: () => void;
  readonly release: () => void;
}

async function readWhole(
  store: BlobStore,
  name: string,
  source: UploadSource,
  options: UploadOptions,
): Promise<Prepared> {
  let whole: Whole | undefined = await readOnce(store, name, source, options);
  const { crc64 } = whole;
  const park = () => {
    whole?.release();
    whole = undefined;
  };
  return {
    content: { bytes: source.size, crc64 },
    async commit(put) {
      whole ??= await readOnce(store, name, source, options);
      if (whole.crc64 !== crc64) throw fileChanged(store, name, source.size, 'with other content');
      return await store.put(name, whole.body, { ...put, crc64 });
    },
    park,
    release: park,
  };
}

interface Whole {
  readonly body: Buffer;
  readonly crc64: bigint;
  readonly release: () => void;
}

async function readOnce(
  store: BlobStore,
  name: string,
  source: UploadSource,
  { buffers, signal }: UploadOptions,
): Promise<Whole> {
  const size = Number(source.size);
  // One more byte, to see a file that has grown. A whole number of pages lets buffers be used again.
  const loan = await buffers.forFile('archive').acquire(roundUp(size + 1, 4096), signal);
  try {
    const { bytes, crc64 } = await readFully(store, source, 0, loan.buffer.subarray(0, size + 1), signal);
    if (bytes !== size) throw fileChanged(store, name, source.size, bytes > size ? 'longer' : `${bytes} bytes`);
    return { body: loan.buffer.subarray(0, size), crc64, release: loan.release };
  } catch (error) {
    loan.release();
    throw error;
  }
}

async function stageBlocks(
  store: BlobStore,
  name: string,
  source: UploadSource,
  options: UploadOptions,
  blockSize: number,
): Promise<Prepared> {
  const { generation, buffers, limits = [], onBytes } = options;
  const memory = buffers.forFile('archive');
  const count = Number((source.size + BigInt(blockSize) - 1n) / BigInt(blockSize));
  const crcs: bigint[] = new Array<bigint>(count).fill(EMPTY_CRC64);
  const lengthOf = (index: number) =>
    index < count - 1 ? blockSize : Number(source.size - BigInt(blockSize) * BigInt(count - 1));

  await inParallel(count, options.concurrency, options.signal, async (index, signal) => {
    const length = lengthOf(index);
    // While the endpoint is out of reach, the memory is for others; the block is read again afterwards.
    await store.hold('write', signal, async (turn) => {
      const loan = await memory.acquire(length, signal);
      try {
        const position = index * blockSize;
        const { bytes, crc64 } = await readFully(store, source, position, loan.buffer, signal);
        if (bytes !== length) throw fileChanged(store, name, source.size, `${position + bytes} bytes`);
        crcs[index] = crc64;
        if (await takeAll(limits, length, signal)) turn.renew();
        await store.putBlock(name, blockId(generation, index), loan.buffer, { crc64, held: false, signal });
        onBytes?.(length);
      } finally {
        loan.release();
      }
    });
  });
  const beyond = await readFully(store, source, Number(source.size), Buffer.alloc(1), options.signal);
  if (beyond.bytes !== 0) throw fileChanged(store, name, source.size, 'longer');

  const crc64 = crcs.reduce((sum, crc, index) => store.crc64.combine(sum, crc, BigInt(lengthOf(index))), EMPTY_CRC64);
  const ids = crcs.map((_, index) => blockId(generation, index));
  return {
    content: { bytes: source.size, crc64 },
    commit: (put) => store.commitBlocks(name, ids, put),
    park: () => {},
    release: () => {},
  };
}

/** Runs the commit; where its outcome is in doubt, asks the blob itself. */
async function resolved(
  store: BlobStore,
  name: string,
  { generation, signal }: UploadOptions,
  content: UploadContent,
  commit: () => Promise<{ etag: string }>,
): Promise<string> {
  try {
    return (await commit()).etag;
  } catch (error) {
    // A repeated commit finds its blob there (CONDITION), or its blocks used up (BLOCKS_GONE).
    if (!(error instanceof BlobError && error.ambiguous) && !isBlobError(error, 'CONDITION', 'BLOCKS_GONE'))
      throw error;
    const state = await store.head(name, { signal }).catch(() => undefined);
    const ours = state?.identity?.generation?.uuid === generation.uuid && state.length === content.bytes;
    if (ours) return state.etag;
    throw error;
  }
}

/** Fills the buffer from `position` on; less only at the end of the source. The checksum is of what was read. */
async function readFully(
  store: BlobStore,
  source: UploadSource,
  position: number,
  buffer: Buffer,
  signal: AbortSignal | undefined,
): Promise<SummedBytes> {
  let filled = 0;
  while (filled < buffer.length) {
    signal?.throwIfAborted();
    const read = await source.read(position + filled, filled === 0 ? buffer : buffer.subarray(filled));
    if (typeof read === 'object') return read;
    if (read === 0) break;
    filled += read;
  }
  return { bytes: filled, crc64: store.crc64.of(buffer.subarray(0, filled)) };
}

/**
 * Runs `work` for 0 … count − 1, so many at the same time. The first failure aborts the others; it is thrown when all
 * have ended, so that no buffer is in use any more.
 */
export async function inParallel(
  count: number,
  concurrency: number,
  signal: AbortSignal | undefined,
  work: (index: number, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const failed = new AbortController();
  const both = signal === undefined ? failed.signal : AbortSignal.any([signal, failed.signal]);
  let next = 0;
  const worker = async () => {
    while (next < count && !both.aborted) {
      try {
        await work(next++, both);
      } catch (error) {
        failed.abort(error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(count, Math.max(1, concurrency)) }, worker));
  both.throwIfAborted();
}

function fileChanged(store: BlobStore, name: string, size: bigint, found: string): BlobError {
  const subject = describeSubject({ verb: 'write', account: store.account, container: store.container, blob: name });
  return new BlobError(`${subject}: the file has changed while it was read: ${size} bytes by stat, now ${found}`, {
    code: 'FILE_CHANGED',
    retriable: true,
    hint: 'It is archived again when it has come to rest.',
  });
}

function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple;
}
