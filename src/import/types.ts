import type { ReadDefaults, RefusalCode, WarningCode } from '../blob/reading-types.ts';

export type OnConflict = 'fail' | 'skip' | 'overwrite-dirty' | 'overwrite-always';

/** What is asked for. */
export interface ImportRequest {
  readonly archive: number;
  /** Directories in the container, as in names of blobs, without the archive's prefix and slashes at the ends; empty: all. */
  readonly prefixes: readonly string[];
  /** Where they go, relative to the root; empty: the root itself. */
  readonly to: Buffer;
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  readonly defaults: ReadDefaults;
  /** Of released files: 0: Lustre's default, -1: all OSTs. */
  readonly stripeCount: number;
  readonly pool: string | undefined;
  readonly onConflict: OnConflict;
  /** Files whose blob has changed since they were imported are bound to the new version. */
  readonly refresh: boolean;
  /** What was imported goes when its blob is gone. */
  readonly delete: boolean;
  /** Nothing is removed when more than this share (percent) of all that was imported would go, and more than `free`. */
  readonly maxDelete: { readonly share: number; readonly free: number };
  /** Blobs that could not be imported (conflicts apart) before the import stops; undefined: any number. */
  readonly maxErrors: number | undefined;
}

/** How many, by what came of them. */
export interface ImportCounts {
  /** Blobs that were listed. */
  listed: number;
  /** Made. */
  files: number;
  /** Of these files, what they have in the container. */
  bytes: bigint;
  empty: number;
  directories: number;
  symlinks: number;
  links: number;
  /** Bound to a newer version. */
  refreshed: number;
  /** There already, as the blob says. */
  present: number;
  /** Copies and markers of this very file system. */
  own: number;
  /** Not asked for, or our own control blobs. */
  passedOver: number;
  conflicts: number;
  refused: number;
  failed: number;
  /** Removed because their blobs are gone. */
  removed: number;
  warnings: number;
}

export const noCounts = (): ImportCounts => ({
  ...{ listed: 0, files: 0, bytes: 0n, empty: 0, directories: 0, symlinks: 0, links: 0, refreshed: 0, present: 0 },
  ...{ own: 0, passedOver: 0, conflicts: 0, refused: 0, failed: 0, removed: 0, warnings: 0 },
});

export type ConflictCode =
  /** Something of another kind has the name. */
  | 'type'
  /** The file was modified since it was imported. */
  | 'dirty'
  /** The file was given a time later than the blob's since it was imported. */
  | 'newer'
  /** It was not imported from this blob, or was archived since. */
  | 'not-imported'
  /** The blob has changed since the import: --refresh. */
  | 'changed'
  /** A blob that this one would lie below stands for a file. */
  | 'below-a-file'
  /** A directory that is in the way, or whose marker is gone, has something in it. */
  | 'not-empty'
  /** So much seems to be gone from the container that nothing is removed for it. */
  | 'too-many-gone';

export type FailureCode = 'lustre' | 'blob' | 'link-target' | 'busy';

/** One line of the report: what was not imported and why, or what is to be known of what was. */
export interface ImportProblem {
  readonly outcome: 'refused' | 'conflict' | 'failed' | 'warning' | 'removed' | 'overwritten';
  readonly blob: string;
  readonly code:
    | RefusalCode
    | ConflictCode
    | FailureCode
    | WarningCode
    | 'gone'
    | 'replaced'
    | 'staged'
    | 'older-version'
    | 'xattrs';
  readonly detail: string;
}

export type ImportPhase = 'list' | 'links' | 'remove' | 'directories';

export interface ImportProgress extends ImportCounts {
  readonly phase: ImportPhase;
  /** Ranges of the container that are not listed to their end. */
  readonly ranges: number;
  /** Milliseconds. */
  readonly elapsed: number;
}

/** `stopped`: by a signal; `partial`: something was left out. */
export type ImportOutcome = 'complete' | 'partial' | 'stopped';

export interface ImportSummary extends ImportCounts {
  readonly outcome: ImportOutcome;
  /** One that had been stopped, or killed, went on; what that one had made is not counted, what it had left out is. */
  readonly resumed: boolean;
  readonly dryRun: boolean;
  /** Milliseconds since 1970. */
  readonly started: number;
  readonly elapsed: number;
}
