import type { Fid } from '../../identity/fid.ts';
import type { Difference } from '../judge.ts';

/**
 * What verify finds. Of blobs: how one differs from what its file asks for (`Difference`); `orphan`: of a file that is dead;
 * `missing`: a marker, a further link's marker or a resident file's copy is not there; `lost`: a released file's copy is not
 * there, or not the one; `checksum-blob`: its content is not what its metadata say; `checksum-file`: a resident file is not what
 * its copy holds. Of the catalog: `catalog-missing`: it lacks a file; `catalog-stale`: it has it otherwise; `catalog-dead`: it has one
 * that is gone; `catalog-blob`: it has a blob that is not there, and need not be.
 */
export type VerifyCode =
  | Difference
  | 'orphan'
  | 'missing'
  | 'lost'
  | 'checksum-blob'
  | 'checksum-file'
  | 'catalog-missing'
  | 'catalog-stale'
  | 'catalog-dead'
  | 'catalog-blob';

/** `follower`: it is put right by looking at the file anew; `archive`: by archiving it anew; `none`: nobody can, or needs to. */
export type Remedy = 'follower' | 'archive' | 'none';

export interface VerifyFinding {
  readonly code: VerifyCode;
  readonly fid: Fid;
  /** Of its names, relative to the mount. */
  readonly path?: Buffer | undefined;
  readonly archive?: number;
  /** Name of the blob, or of the one that should be there. */
  readonly blob?: string;
  /** More for people. */
  readonly detail?: string;
  readonly remedy: Remedy;
  /** With `repair`: whether it was done. */
  readonly repaired: boolean;
}

/** `list`: the container's blobs against Lustre; `blobs`, `entries`: the catalog against both; `walk`: Lustre against the catalog. */
export type VerifyPhase = 'list' | 'blobs' | 'entries' | 'walk';

export interface VerifyCounts {
  readonly blobs: number;
  readonly bytes: bigint;
  /** Blobs that are not of this file system. */
  readonly others: number;
  /** Entries of the catalog that were held against Lustre. */
  readonly entries: number;
  /** Names that were met in Lustre. */
  readonly walked: number;
  readonly findings: Readonly<Partial<Record<VerifyCode, number>>>;
  readonly repaired: number;
  /** Differences of files that are in the journal: the follower is about to look at them. */
  readonly pending: number;
  /** What could not be looked at. */
  readonly failed: number;
  /** With `checksum`: blobs and files that were read, and bytes of both; blobs that can't be read or say no checksum. */
  readonly read: { readonly blobs: number; readonly files: number; readonly bytes: bigint; readonly skipped: number };
}

export interface VerifyProgress extends VerifyCounts {
  readonly phase: VerifyPhase;
  /** Milliseconds since it began. */
  readonly elapsed: number;
}

export interface VerifySummary extends VerifyCounts {
  readonly outcome: 'complete' | 'stopped';
  /** Milliseconds since 1970. */
  readonly started: number;
  /** Milliseconds. */
  readonly elapsed: number;
}
