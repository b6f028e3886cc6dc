import { BufferPool } from '../blob/buffers.ts';
import { type Downloaded, downloadBlob } from '../blob/download.ts';
import { type Direction, MemoryAccount } from '../blob/memory-account.ts';
import { BlobStore } from '../blob/store.ts';
import { type Uploaded, uploadFile } from '../blob/upload.ts';
import { RateBucket } from '../service/rate-bucket.ts';
import { openSink, openSource } from './local-files.ts';
import type { DownloadJob, TransferEvents, TransferSettings, Transfers, UploadJob } from './types.ts';

export interface EngineOptions extends TransferEvents {
  readonly settings: TransferSettings;
  /** For the events; empty where there is one only. */
  readonly thread: string;
  /** The thread's place in the memory of all; without it, there is this one only. */
  readonly memory?: { readonly account: MemoryAccount; readonly place: number };
}

/** Moves data in the thread that it was made in. */
export class TransferEngine implements Transfers {
  readonly #settings: TransferSettings;
  readonly #stores: ReadonlyMap<number, BlobStore>;
  readonly #buffers: BufferPool;
  readonly #limits: Readonly<Record<Direction, readonly RateBucket[]>>;
  readonly #closed: AbortController;

  /**
   * Opens the containers; sends no request yet.
   * @throws OperatorError when a credential can't be used
   */
  static async open({ settings, thread, memory, onEndpoint, onRetry }: EngineOptions): Promise<TransferEngine> {
    const stores = new Map<number, BlobStore>();
    const closed = new AbortController();
    for (const [id, archive] of settings.archives) {
      const store = await BlobStore.open(archive, {
        // A thread is ended as a whole; joining two signals for every request costs a twentieth of a small upload.
        ...(thread === '' ? { signal: closed.signal } : {}),
        ...(settings.retry === undefined ? {} : { retry: settings.retry }),
        ...(settings.idleTimeout === undefined ? {} : { idleTimeout: settings.idleTimeout }),
        onEndpoint: (event) => onEndpoint?.(id, event, thread),
        onRetry: (error, delay) => onRetry?.(id, error.code, error.message, delay),
      });
      stores.set(id, store);
    }
    const account = memory ?? { account: MemoryAccount.create(settings.memory, 1), place: 0 };
    return new TransferEngine(settings, stores, new BufferPool(account), closed);
  }

  private constructor(
    settings: TransferSettings,
    stores: ReadonlyMap<number, BlobStore>,
    buffers: BufferPool,
    closed: AbortController,
  ) {
    const { limits } = settings;
    const buckets = (shared: readonly SharedArrayBuffer[] = []) => shared.map((one) => new RateBucket(one));
    this.#settings = settings;
    this.#stores = stores;
    this.#closed = closed;
    this.#buffers = buffers;
    this.#limits = { archive: buckets(limits?.archive), restore: buckets(limits?.restore) };
  }

  async upload(job: UploadJob): Promise<Uploaded> {
    const { blockSize, concurrency } = this.#settings;
    const whole = blockSize === 'auto' || job.size <= blockSize;
    const source = await openSource(job.path, job.size, whole);
    try {
      return await uploadFile(this.#store(job.archive), job.name, source, {
        generation: job.generation,
        blockSize,
        concurrency,
        buffers: this.#buffers,
        limits: this.#limits.archive,
        metadata: {},
        tier: job.tier,
        beforeCommit: job.beforeCommit,
        signal: job.signal,
        onBytes: job.onBytes,
      });
    } finally {
      await source.close();
    }
  }

  async download(job: DownloadJob): Promise<Downloaded> {
    const { rangeSize, concurrency } = this.#settings;
    const sink = await openSink(job.path, job.length, { whole: job.length <= rangeSize, again: job.again });
    try {
      const done = await downloadBlob(this.#store(job.archive), job.name, {
        etag: job.etag,
        length: job.length,
        into: sink,
        blockSize: rangeSize,
        concurrency,
        buffers: this.#buffers,
        limits: this.#limits.restore,
        signal: job.signal,
        onBytes: job.onBytes,
        onEtagChanged: job.onEtagChanged,
      });
      await sink.finish();
      return done;
    } finally {
      await sink.close();
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

  #store(archive: number): BlobStore {
    const store = this.#stores.get(archive);
    if (store === undefined) throw new RangeError(`no archive ${archive}`);
    return store;
  }
}
