import type { Downloaded } from '../blob/download.ts';
import type { EndpointEvent } from '../blob/endpoint.ts';
import type { MemoryLimits } from '../blob/memory-account.ts';
import type { RetryPolicy } from '../blob/retry.ts';
import type { StoreConfig } from '../blob/store.ts';
import type { CommitDecision, UploadContent, Uploaded } from '../blob/upload.ts';
import type { Generation } from '../identity/generation.ts';

/** How data is moved. Plain values: they go to every thread. */
export interface TransferSettings {
  /** Containers by archive id. */
  readonly archives: ReadonlyMap<number, StoreConfig>;
  /** Bytes per block of an upload; `auto`: from the file's size. */
  readonly blockSize: number | 'auto';
  /** Bytes per range of a download. */
  readonly rangeSize: number;
  /** Blocks or ranges of one file on the way at the same time. */
  readonly concurrency: number;
  /** Bytes on the way at most, of all threads together. */
  readonly memory: MemoryLimits;
  /** The memory of the rate buckets that each block goes through. */
  readonly limits?: { readonly archive: readonly SharedArrayBuffer[]; readonly restore: readonly SharedArrayBuffer[] };
  readonly retry?: Partial<RetryPolicy>;
  /** Milliseconds without a byte after which a connection is given up. */
  readonly idleTimeout?: number;
}

/** What the stores of the transfers tell. */
export interface TransferEvents {
  /** @param thread which thread's store it was */
  readonly onEndpoint?: (archive: number, event: EndpointEvent, thread: string) => void;
  /** A request failed and is tried again. @param code of the BlobError */
  readonly onRetry?: (archive: number, code: string, message: string, delay: number) => void;
}

/** One file to a blob. */
export interface UploadJob {
  readonly archive: number;
  readonly name: string;
  /** The file, opened without touching its access time. */
  readonly path: string;
  /** Bytes, by stat. */
  readonly size: bigint;
  /** Must be fresh, see uploadFile. */
  readonly generation: Generation;
  /** Access tier; undefined: the archive's. */
  readonly tier?: string | undefined;
  /** As in uploadFile. Called in the thread that asked for the upload. */
  readonly beforeCommit: (content: UploadContent) => Promise<CommitDecision>;
  readonly signal?: AbortSignal | undefined;
  readonly onBytes?: ((bytes: number) => void) | undefined;
}

/** One version of a blob to a file. */
export interface DownloadJob {
  readonly archive: number;
  readonly name: string;
  /** The file: empty, or with what an earlier download has left in it. */
  readonly path: string;
  /** Whether it may hold something. */
  readonly again: boolean;
  readonly etag: string;
  /** Length of the blob in bytes. */
  readonly length: bigint;
  /** As in downloadBlob. Called in the thread that asked for the download. */
  readonly onEtagChanged?: (() => Promise<string | undefined>) | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onBytes?: ((bytes: number) => void) | undefined;
}

/** Moves file contents to and from containers. */
export interface Transfers {
  /** As uploadFile; rejects with system errors, too. The file is closed when it settles. */
  upload(job: UploadJob): Promise<Uploaded>;
  /** As downloadBlob. When it resolves, the file has the blob's length and is synced; when it settles, it is closed. */
  download(job: DownloadJob): Promise<Downloaded>;
  /** From now on work is held for so many milliseconds while an endpoint does not answer, see BlobStore.holdFor. */
  holdFor(milliseconds: number): void;
  /** Reads the credentials again. */
  refresh(): void;
  /** Ends connections and threads. What is at work fails. */
  close(): Promise<void>;
}
