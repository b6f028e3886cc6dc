import { EMPTY_CRC64 } from '../checksum/crc64.ts';
import { type RateBucket, takeAll } from '../service/rate-bucket.ts';
import type { BufferPool } from './buffers.ts';
import { isBlobError } from './errors.ts';
import type { BlobStore } from './store.ts';
import { inParallel } from './upload.ts';

/** Where the bytes go. */
export interface DownloadSink {
  /**
   * Writes all of `buffer` at `position`; the buffer is used again when the promise settles. Called in any order.
   * Resolves with the buffer's CRC-64/NVME where that was taken on the way.
   */
  write(buffer: Buffer, position: number): Promise<bigint | undefined>;
}

export interface DownloadOptions {
  /** The version to read. */
  readonly etag: string;
  /** Length of the blob in bytes, as its state says. */
  readonly length: bigint;
  readonly into: DownloadSink;
  /** Bytes per range. */
  readonly blockSize: number;
  /** Ranges of this blob on the way at the same time. */
  readonly concurrency: number;
  readonly buffers: BufferPool;
  /** What every range waits for before it is asked for. */
  readonly limits?: readonly RateBucket[] | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called with the number of bytes that have been written. */
  readonly onBytes?: ((bytes: number) => void) | undefined;
  /**
   * Called when the blob is another version now. The ETag to go on with, when it holds the same copy (generation, size
   * and CRC64: a change of metadata); undefined when it doesn't. Without it, any change ends the download.
   */
  readonly onEtagChanged?: (() => Promise<string | undefined>) | undefined;
}

export interface Downloaded {
  readonly bytes: bigint;
  /** CRC-64/NVME of what was written, to be held against the file's record. */
  readonly crc64: bigint;
  /** Of the version that was read last. */
  readonly etag: string;
}

/** A blob whose metadata is changed more often than this during one download is not going to hold still. */
const MAX_ETAG_CHANGES = 1000;

/**
 * Reads a blob in ranges, several at the same time, each under the ETag. What arrives is written to the sink; what was
 * written is complete, or the promise rejects. The caller compares length and checksum before it calls it a restore.
 *
 * @throws BlobError CONDITION when the content is another one now; NOT_FOUND; LENGTH; ARCHIVED; or what the sink throws
 */
export async function downloadBlob(store: BlobStore, name: string, options: DownloadOptions): Promise<Downloaded> {
  const { length, into, blockSize, buffers, limits = [], onBytes } = options;
  const memory = buffers.forFile('restore');
  const version = new Version(options.etag, options.onEtagChanged);
  const count = Math.max(1, Number((length + BigInt(blockSize) - 1n) / BigInt(blockSize)));
  const lengthOf = (index: number) =>
    index < count - 1 ? blockSize : Number(length - BigInt(blockSize) * BigInt(count - 1));
  const crcs: bigint[] = new Array<bigint>(count).fill(EMPTY_CRC64);

  await inParallel(count, options.concurrency, options.signal, async (index, signal) => {
    const offset = index * blockSize;
    // While the endpoint is out of reach, the memory is for others.
    await store.hold('read', signal, async (turn) => {
      const loan = await memory.acquire(lengthOf(index), signal);
      try {
        if (await takeAll(limits, loan.buffer.length, signal)) turn.renew();
        await version.read((ifMatch) =>
          store.readRange(name, { offset, into: loan.buffer, ifMatch, blobLength: length, held: false, signal }),
        );
        if (loan.buffer.length > 0)
          crcs[index] = (await into.write(loan.buffer, offset)) ?? store.crc64.of(loan.buffer);
        onBytes?.(loan.buffer.length);
      } finally {
        loan.release();
      }
    });
  });

  const crc64 = crcs.reduce((sum, crc, index) => store.crc64.combine(sum, crc, BigInt(lengthOf(index))), EMPTY_CRC64);
  return { bytes: length, crc64, etag: version.etag };
}

/** The version that all ranges are read from, and how it changes: once for all of them. */
class Version {
  etag: string;
  readonly #onChanged: (() => Promise<string | undefined>) | undefined;
  #asking: Promise<string | undefined> | undefined;
  #changes = 0;

  constructor(etag: string, onChanged: (() => Promise<string | undefined>) | undefined) {
    this.etag = etag;
    this.#onChanged = onChanged;
  }

  async read(range: (ifMatch: string) => Promise<unknown>): Promise<void> {
    for (;;) {
      const asked = this.etag;
      try {
        await range(asked);
        return;
      } catch (error) {
        if (!isBlobError(error, 'CONDITION') || this.#onChanged === undefined) throw error;
        if (asked === this.etag && !(await this.#ask(asked))) throw error;
      }
    }
  }

  /** Whether there is another ETag to go on with. */
  async #ask(asked: string): Promise<boolean> {
    if (this.#changes >= MAX_ETAG_CHANGES) return false;
    this.#asking ??= (this.#onChanged as () => Promise<string | undefined>)().finally(() => {
      this.#asking = undefined;
    });
    const etag = await this.#asking;
    if (etag === undefined || etag === asked) return false;
    if (this.etag !== etag) {
      this.etag = etag;
      this.#changes += 1;
    }
    return true;
  }
}
