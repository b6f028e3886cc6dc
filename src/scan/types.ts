import type { Fid } from '../identity/fid.ts';
import type { FileType } from '../lustre/attributes.ts';
import type { AdoptionCounts } from './adopt.ts';

/** What is scanned: everything, or a directory and what is below it. */
export interface ScanTarget {
  readonly directory: Fid;
  /** Relative to the root of the file system, which is empty. */
  readonly path: Buffer;
  /** The directories above it, from the root's child on. */
  readonly above: readonly Fid[];
}

/** `walk`: through the directories; `look`: at what the walk did not meet, by FID. */
export type ScanPhase = 'walk' | 'look';

/** What has been seen so far, by this run: what a run before it had seen, which was stopped, is not counted again. */
export interface ScanCounts {
  /** Directory entries by type: a file counts once for each of its names. */
  readonly entries: Readonly<Record<FileType, number>>;
  readonly total: number;
  readonly directories: number;
  /** Files that the catalog did not have, or had otherwise. */
  readonly added: number;
  readonly changed: number;
  /** Files that are dead: ENOENT by their FID. */
  readonly vanished: number;
  /** Directories that could not be read to their end. */
  readonly unreadable: number;
  /** Names whose file could not be looked at. */
  readonly failed: number;
}

export interface ScanProgress extends ScanCounts {
  readonly phase: ScanPhase;
  /** Milliseconds since this run began. */
  readonly elapsed: number;
}

export type ScanOutcome = 'complete' | 'partial' | 'stopped';

export interface ScanSummary extends ScanCounts {
  /** Of a scan that adopts. */
  readonly adoption?: AdoptionCounts;
  readonly path: Buffer;
  /** A scan that had been stopped, or killed, went on. */
  readonly resumed: boolean;
  readonly outcome: ScanOutcome;
  /** Milliseconds since 1970. */
  readonly started: number;
  /** Milliseconds. */
  readonly elapsed: number;
}

/** A directory or entry that could not be read. */
export interface ScanProblem {
  readonly directory: Fid;
  /** Of an entry in it; undefined: the directory itself. */
  readonly name?: Buffer;
  readonly errno: number;
}
