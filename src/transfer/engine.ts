import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { BufferPool } from '../blob/buffers.ts';
import { type Downloaded, downloadBlob } from '../blob/download.ts';
import { BlobStore } from '../blob/store.ts';
import { type Uploaded, uploadFile } from '../blob/upload.ts';
import { RateBucket } from '../service/rate-bucket.ts';
import { SparseWriter } from './sparse-writer.ts';
import type { DownloadJob, TransferEvents, TransferSettings, Transfers, UploadJob } from './types.ts';

type Direction = 'archive' | 'restore';

export interface EngineOptions extends TransferEvents {
  readonly settings: TransferSettings;
  /** For the events; empty where there is one only. */
  readonly thread: string;
}

/** Moves data in the thread that it was made in. */
export class TransferEngine implements Transfers {
  readonly #settings: TransferSettings;
  readonly #stores: ReadonlyMap<number, BlobStore>;
  readonly #buffers: Readonly<Record<Direction, BufferPool>>;
  readonly #limits: Readonly<Record<Direction, readonly RateBucket[]>>;
  readonly #closed: AbortController;

  /**
   * Opens the containers; sends no request yet.
   * @throws OperatorError when a credential can't be used
   */
  static async open({ settings, thread, onEndpoint, onRetry }: EngineOptions): Promise<TransferEngine> {
    const stores = new Map<number, BlobStore>();
    const closed = new AbortController();
    for (const [id, archive] of settings.archives) {
      const store = await BlobStore.open(archive, {
        signal: closed.signal,
        ...(settings.retry === undefined ? {} : { retry: settings.retry }),
        ...(settings.idleTimeout === undefined ? {} : { idleTimeout: settings.idleTimeout }),
        onEndpoint: (event) => onEndpoint?.(id, event, thread),
        onRetry: (error, delay) => onRetry?.(id, error.code, error.message, delay),
      });
      stores.set(id, store);
    }
    return new TransferEngine(settings, stores, closed);
  }

  private constructor(settings: TransferSettings, stores: ReadonlyMap<number, BlobStore>, closed: AbortController) {
    const { memory, limits } = settings;
    const buckets = (shared: readonly SharedArrayBuffer[] = []) => shared.map((one) => new RateBucket(one));
    this.#settings = settings;
    this.#stores = stores;
    this.#closed = closed;
    this.#buffers = { archive: new BufferPool(memory.archive), restore: new BufferPool(memory.restore) };
    this.#limits = { archive: buckets(limits?.archive), restore: buckets(limits?.restore) };
  }

  async upload(job: UploadJob): Promise<Uploaded> {
    const { blockSize, concurrency } = this.#settings;
    const handle = await open(job.path, constants.O_RDONLY | constants.O_NOATIME);
    try {
      const source = {
        size: job.size,
        read: async (at: number, buffer: Buffer) => (await handle.read(buffer, 0, buffer.length, at)).bytesRead,
      };
      return await uploadFile(this.#store(job.archive), job.name, source, {
        generation: job.generation,
        blockSize,
        concurrency,
        buffers: this.#buffers.archive,
        limits: this.#limits.archive,
        metadata: {},
        beforeCommit: job.beforeCommit,
        signal: job.signal,
        onBytes: job.onBytes,
      });
    } finally {
      await handle.close();
    }
  }

  async download(job: DownloadJob): Promise<Downloaded> {
    const handle = await open(job.path, constants.O_WRONLY);
    try {
      if (job.again) await handle.truncate(0);
      const done = await this.#download(handle, job);
      await handle.truncate(Number(job.length));
      // Errors of the servers (no space, a lost target) may only show here.
      await handle.sync();
      return done;
    } finally {
      await handle.close();
    }
  }

  holdFor(milliseconds: number): void {
    for (const store of this.#stores.values()) store.holdFor(milliseconds);
  }

  refresh(): void {
    // What can't be read now is read when a request is refused.
    for (const store of this.#stores.values()) store.refresh().catch(() => {});
  }

  async close(): Promise<void> {
    this.#closed.abort(new Error('the transfers have been closed'));
    for (const store of this.#stores.values()) store.close();
  }

  #download(handle: FileHandle, job: DownloadJob): Promise<Downloaded> {
    const { rangeSize, concurrency } = this.#settings;
    return downloadBlob(this.#store(job.archive), job.name, {
      etag: job.etag,
      length: job.length,
      into: new SparseWriter(handle),
      blockSize: rangeSize,
      concurrency,
      buffers: this.#buffers.restore,
      limits: this.#limits.restore,
      signal: job.signal,
      onBytes: job.onBytes,
      onEtagChanged: job.onEtagChanged,
    });
  }

  #store(archive: number): BlobStore {
    const store = this.#stores.get(archive);
    if (store === undefined) throw new RangeError(`no archive ${archive}`);
    return store;
  }
}
