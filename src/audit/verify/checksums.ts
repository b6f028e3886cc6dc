import { BufferPool } from '../../blob/buffers.ts';
import { downloadBlob } from '../../blob/download.ts';
import { isBlobError } from '../../blob/errors.ts';
import type { BlobStore } from '../../blob/store.ts';
import { crc64Hex, EMPTY_CRC64 } from '../../checksum/crc64.ts';
import type { Fid } from '../../identity/fid.ts';
import { ERRNO } from '../../lustre/errno.ts';
import type { LustreFileSystem } from '../../lustre/file-system.ts';
import { isClean, isReleased } from '../../lustre/hsm-state.ts';
import { ErrnoError } from '../../service/errors.ts';
import { openSource } from '../../transfer/local-files.ts';
import type { OwnBlob } from './blob-codes.ts';

const BLOCK = 4 << 20;
const RANGES_EACH = 4;
const MEMORY = 128 << 20;

/** Reads contents: of blobs in ranges, of files as long as their data are in Lustre. */
export class Checksums {
  readonly #fs: Pick<LustreFileSystem, 'files' | 'dataPath'>;
  readonly #buffers = new BufferPool(MEMORY);
  readonly #signal: AbortSignal;

  constructor(fs: Pick<LustreFileSystem, 'files' | 'dataPath'>, signal: AbortSignal) {
    this.#fs = fs;
    this.#signal = signal;
  }

  /** The checksum of a blob's content, 16 hexadecimal digits; undefined: it can't be read just now, or changed meanwhile. */
  async ofBlob(store: BlobStore, { name, etag, length }: OwnBlob): Promise<string | undefined> {
    try {
      const { crc64 } = await downloadBlob(store, name, {
        ...{ etag, length, blockSize: BLOCK, concurrency: RANGES_EACH, buffers: this.#buffers, signal: this.#signal },
        into: { write: () => Promise.resolve(undefined) },
      });
      return crc64Hex(crc64);
    } catch (error) {
      if (isBlobError(error, 'ARCHIVED', 'CONDITION', 'NOT_FOUND')) return undefined;
      throw error;
    }
  }

  /**
   * The checksum of a file's content, with its access time as it was. Its state is asked for before each block, and nothing
   * is read of a file that is released, so that none is restored.
   * @returns undefined: it is modified, released, changed meanwhile or gone. What can't be read rejects
   */
  async ofFile(fid: Fid, size: bigint, store: BlobStore): Promise<string | undefined> {
    try {
      const before = await this.#dataVersion(fid);
      if (before === undefined) return undefined;
      const crc64 = await this.#read(fid, size, store);
      return crc64 !== undefined && (await this.#dataVersion(fid)) === before ? crc64Hex(crc64) : undefined;
    } catch (error) {
      if (error instanceof ErrnoError && error.errno === ERRNO.ENOENT) return undefined;
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  async #read(fid: Fid, size: bigint, store: BlobStore): Promise<bigint | undefined> {
    const source = await openSource(this.#fs.dataPath(fid), size, false);
    const loan = await this.#buffers.acquire(BLOCK, this.#signal);
    try {
      let crc64 = EMPTY_CRC64;
      for (let at = 0n; at < size; ) {
        this.#signal.throwIfAborted();
        if (!(await this.#isResident(fid))) return undefined;
        const wanted = loan.buffer.subarray(0, Number(size - at < BigInt(BLOCK) ? size - at : BigInt(BLOCK)));
        const read = await source.read(Number(at), wanted);
        const bytes = typeof read === 'number' ? read : read.bytes;
        if (bytes === 0) return undefined;
        crc64 = store.crc64.combine(crc64, store.crc64.of(wanted.subarray(0, bytes)), BigInt(bytes));
        at += BigInt(bytes);
      }
      return crc64;
    } finally {
      loan.release();
      await source.close();
    }
  }

  async #isResident(fid: Fid): Promise<boolean> {
    const { hsm } = await this.#fs.files.get({ fid }, { parts: ['hsm'] });
    return hsm !== undefined && isClean(hsm) && !isReleased(hsm);
  }

  async #dataVersion(fid: Fid): Promise<bigint | undefined> {
    return (await this.#isResident(fid)) ? await this.#fs.files.dataVersion(fid, { flush: true }) : undefined;
  }
}
