import type { Downloaded } from '../blob/download.ts';
import type { EndpointEvent } from '../blob/endpoint.ts';
import type { CommitDecision, UploadContent, Uploaded } from '../blob/upload.ts';
import type { Generation } from '../identity/generation.ts';
import type { TransferSettings } from './types.ts';

/**
 * What a thread and its owner say to each other. Everything is plain values; no data of files goes this way. Jobs have
 * numbers; `question` and `answer` are the decisions that are taken where the job came from.
 */
export type ToThread =
  | { readonly t: 'upload'; readonly id: number; readonly job: PlainUpload }
  | { readonly t: 'download'; readonly id: number; readonly job: PlainDownload }
  /** `decision` undefined: there is none, the job is given up. */
  | { readonly t: 'commit'; readonly id: number; readonly decision: CommitDecision | undefined }
  /** `failed`: the job is given up. */
  | { readonly t: 'etag'; readonly id: number; readonly etag: string | undefined; readonly failed: boolean }
  | { readonly t: 'abort'; readonly id: number }
  | { readonly t: 'hold'; readonly milliseconds: number }
  | { readonly t: 'refresh' };

export type FromThread =
  | { readonly t: 'done'; readonly id: number; readonly result: Uploaded | Downloaded }
  | { readonly t: 'failed'; readonly id: number; readonly error: PlainError }
  | { readonly t: 'bytes'; readonly id: number; readonly bytes: number }
  | { readonly t: 'commit?'; readonly id: number; readonly content: UploadContent }
  | { readonly t: 'etag?'; readonly id: number }
  | { readonly t: 'endpoint'; readonly archive: number; readonly event: EndpointEvent }
  | {
      readonly t: 'retry';
      readonly archive: number;
      readonly code: string;
      readonly message: string;
      readonly delay: number;
    };

export interface PlainUpload {
  readonly archive: number;
  readonly name: string;
  readonly path: string;
  readonly size: bigint;
  readonly generation: Generation;
  readonly tier: string | undefined;
}

export interface PlainDownload {
  readonly archive: number;
  readonly name: string;
  readonly path: string;
  readonly again: boolean;
  readonly etag: string;
  readonly length: bigint;
  readonly asks: boolean;
}

export interface ThreadData {
  readonly settings: TransferSettings;
  readonly thread: string;
  /** Of the MemoryAccount that all threads share, and which place in it is the thread's. */
  readonly memory: SharedArrayBuffer;
  readonly place: number;
}

/** An error between threads: see plain-error.ts. */
export type PlainError =
  | { readonly is: 'blob'; readonly message: string; readonly details: Readonly<Record<string, unknown>> }
  | {
      readonly is: 'system';
      readonly message: string;
      readonly code: string | undefined;
      readonly errno: number | undefined;
      readonly syscall: string;
    }
  | { readonly is: 'other'; readonly name: string; readonly message: string; readonly stack: string | undefined };
