import { Worker } from 'node:worker_threads';
import type { Downloaded } from '../blob/download.ts';
import { MemoryAccount } from '../blob/memory-account.ts';
import type { CommitDecision, Uploaded } from '../blob/upload.ts';
import { BatchedPort } from './batched-port.ts';
import { fromPlainError } from './plain-error.ts';
import type { FromThread, ThreadData, ToThread } from './protocol.ts';
import { ThreadLostError } from './thread-lost.ts';
import type { DownloadJob, TransferEvents, TransferSettings, Transfers, UploadJob } from './types.ts';

// The same file seen from src/transfer/ and from dist/src/transfer/.
const THREAD = new URL(import.meta.url.endsWith('.ts') ? './thread.ts' : './thread.js', import.meta.url);

export interface ThreadPoolOptions extends TransferEvents {
  readonly settings: TransferSettings;
  /** How many threads. */
  readonly threads: number;
  /** A thread is gone, with what it was doing; the next job gets a new one. @param thread its name in other events */
  readonly onLost?: (error: ThreadLostError, jobs: number, thread: string) => void;
}

/** Moves data in threads, each with its own connections, and one memory for all. A job stays where it began. */
export class TransferThreads implements Transfers {
  readonly #options: ThreadPoolOptions;
  /** By place; undefined where one was lost, or none was needed yet. */
  readonly #threads: (Thread | undefined)[];
  readonly #memory: MemoryAccount;
  #hold: number | undefined;
  #closed = false;

  constructor(options: ThreadPoolOptions) {
    this.#options = options;
    this.#threads = new Array<Thread | undefined>(Math.max(1, options.threads)).fill(undefined);
    this.#memory = MemoryAccount.create(options.settings.memory, this.#threads.length);
  }

  async upload(job: UploadJob): Promise<Uploaded> {
    const { archive, name, path, size, generation, tier } = job;
    const result = await this.#run(size, {
      signal: job.signal,
      onBytes: job.onBytes,
      begin: (id) => ({ t: 'upload', id, job: { archive, name, path, size, generation, tier } }),
      commit: job.beforeCommit,
    });
    return result as Uploaded;
  }

  async download(job: DownloadJob): Promise<Downloaded> {
    const { archive, name, path, again, etag, length, onEtagChanged } = job;
    const result = await this.#run(length, {
      signal: job.signal,
      onBytes: job.onBytes,
      begin: (id) => ({
        t: 'download',
        id,
        job: { archive, name, path, again, etag, length, asks: onEtagChanged !== undefined },
      }),
      etag: onEtagChanged,
    });
    return result as Downloaded;
  }

  holdFor(milliseconds: number): void {
    this.#hold = milliseconds;
    for (const thread of this.#threads) thread?.send({ t: 'hold', milliseconds });
  }

  refresh(): void {
    for (const thread of this.#threads) thread?.send({ t: 'refresh' });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#threads.map((thread) => thread?.end()));
  }

  #run(size: bigint, work: Work): Promise<Uploaded | Downloaded> {
    if (this.#closed) return Promise.reject(new Error('the transfers have been closed'));
    return this.#pick().run(size, work);
  }

  /** The thread with the least to do; one that has not been started yet counts as idle. */
  #pick(): Thread {
    let least = 0;
    for (let place = 0; place < this.#threads.length; place++) {
      if ((this.#threads[place]?.jobs ?? 0) < (this.#threads[least]?.jobs ?? 0)) least = place;
    }
    return this.#threads[least] ?? this.#start(least);
  }

  #start(place: number): Thread {
    const { settings, onLost, ...events } = this.#options;
    const name = `thread ${place}`;
    const thread = new Thread({
      ...events,
      data: { settings, thread: name, memory: this.#memory.shared, place },
      onLost: (error, jobs) => {
        // Only then does the place have another thread.
        if (this.#threads[place] === thread) {
          this.#threads[place] = undefined;
          this.#memory.clear(place);
        }
        if (!this.#closed) onLost?.(error, jobs, name);
      },
    });
    this.#threads[place] = thread;
    if (this.#hold !== undefined) thread.send({ t: 'hold', milliseconds: this.#hold });
    return thread;
  }
}

interface Work {
  readonly signal: AbortSignal | undefined;
  readonly onBytes: ((bytes: number) => void) | undefined;
  readonly begin: (id: number) => ToThread;
  readonly commit?: UploadJob['beforeCommit'];
  readonly etag?: DownloadJob['onEtagChanged'];
}

interface OpenJob extends Work {
  readonly size: bigint;
  told: number;
  /** What a decision failed with: the reason why the job fails. */
  failure: { readonly reason: unknown } | undefined;
  readonly resolve: (result: Uploaded | Downloaded) => void;
  readonly reject: (reason: unknown) => void;
}

interface ThreadOptions extends TransferEvents {
  readonly data: ThreadData;
  readonly onLost: (error: ThreadLostError, jobs: number) => void;
}

class Thread {
  readonly #options: ThreadOptions;
  readonly #worker: Worker;
  readonly #port: BatchedPort<ToThread, FromThread>;
  readonly #jobs = new Map<number, OpenJob>();
  #serial = 0;
  #lost: ThreadLostError | undefined;

  constructor(options: ThreadOptions) {
    this.#options = options;
    this.#worker = new Worker(THREAD, { name: options.data.thread, workerData: options.data });
    this.#port = new BatchedPort(this.#worker, (message) => this.#receive(message));
    this.#worker.on('error', (error) => this.#end(error));
    this.#worker.on('exit', (code) => this.#end(new Error(`exit code ${code}`)));
  }

  get jobs(): number {
    return this.#jobs.size;
  }

  send(message: ToThread): void {
    this.#port.send(message);
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
    this.#end(new Error('closed'));
  }

  run(size: bigint, work: Work): Promise<Uploaded | Downloaded> {
    const { signal } = work;
    if (signal?.aborted === true) return Promise.reject(signal.reason);
    if (this.#lost !== undefined) return Promise.reject(this.#lost);
    this.#serial += 1;
    const id = this.#serial;
    return new Promise((resolve, reject) => {
      const onAbort = () => this.send({ t: 'abort', id });
      const settled = () => {
        signal?.removeEventListener('abort', onAbort);
        this.#jobs.delete(id);
      };
      signal?.addEventListener('abort', onAbort);
      this.#jobs.set(id, {
        ...work,
        size,
        told: 0,
        failure: undefined,
        resolve: (result) => {
          settled();
          resolve(result);
        },
        reject: (reason) => {
          settled();
          reject(signal?.aborted === true ? signal.reason : reason);
        },
      });
      this.send(work.begin(id));
    });
  }

  #receive(message: FromThread): void {
    if (message.t === 'endpoint') {
      this.#options.onEndpoint?.(message.archive, message.event, this.#options.data.thread);
      return;
    }
    if (message.t === 'retry') {
      this.#options.onRetry?.(message.archive, message.code, message.message, message.delay);
      return;
    }
    const job = this.#jobs.get(message.id);
    if (job === undefined) return;
    switch (message.t) {
      case 'done': {
        const rest = Number(job.size) - job.told;
        if (rest > 0) job.onBytes?.(rest);
        job.resolve(message.result);
        return;
      }
      case 'failed':
        job.reject(job.failure === undefined ? fromPlainError(message.error) : job.failure.reason);
        return;
      case 'bytes':
        job.told += message.bytes;
        job.onBytes?.(message.bytes);
        return;
      case 'commit?':
        void this.#decide(message.id, job, async () => {
          const decision: CommitDecision | undefined = await job.commit?.(message.content);
          this.send({ t: 'commit', id: message.id, decision });
        });
        return;
      case 'etag?':
        void this.#decide(message.id, job, async () => {
          this.send({ t: 'etag', id: message.id, etag: await job.etag?.(), failed: false });
        });
        return;
    }
  }

  /** A decision that fails fails the job, with what it failed with; the thread only hears that there is none. */
  async #decide(id: number, job: OpenJob, decide: () => Promise<void>): Promise<void> {
    try {
      await decide();
    } catch (reason) {
      job.failure = { reason };
      this.send(
        job.commit === undefined
          ? { t: 'etag', id, etag: undefined, failed: true }
          : { t: 'commit', id, decision: undefined },
      );
    }
  }

  #end(cause: unknown): void {
    if (this.#lost !== undefined) return;
    this.#lost = new ThreadLostError(cause);
    const jobs = [...this.#jobs.values()];
    this.#options.onLost(this.#lost, jobs.length);
    for (const job of jobs) job.reject(this.#lost);
  }
}
