import type { BlobStore } from '../blob/store.ts';
import type { LustreFileSystem } from '../lustre/file-system.ts';

/** What a step found at one thing, and what it will do about it. */
export interface Finding {
  /** Which step. */
  readonly step: string;
  /** Which thing: a mount, an archive, a file. */
  readonly subject: string;
  /** How it is, when nothing is to be done; else what is to be done, as `give it a UUID`. */
  readonly detail: string;
  /** Absent: nothing is to be done. Resolves with how it is then. */
  readonly apply?: () => Promise<string>;
}

/**
 * A part of setting up. Looking changes nothing and throws when the step can't or must not be done; all steps look
 * before the first one does anything. Doing it again, after it was killed too, changes nothing that is right.
 */
export interface SetupStep {
  look(): Promise<readonly Finding[]>;
}

/** What steps work with. */
export interface SetupContext {
  readonly fs: LustreFileSystem;
  /** By archive id. */
  readonly stores: ReadonlyMap<number, BlobStore>;
  readonly stateDir: string;
  /** The UUID of the file system that is gone, whose containers are to be taken over. */
  readonly takeOver: string | undefined;
  readonly signal: AbortSignal;
  /** Puts a line into the audit log, before something is overwritten. */
  readonly audit: (archive: number, blob: string, etag: string, reason: string) => Promise<void>;
  /** The file system's UUID: known after the first step has been applied, or before, if it has one. */
  readonly identity: { uuid: string | undefined };
}

export interface SetupResult {
  readonly step: string;
  readonly subject: string;
  readonly state: 'unchanged' | 'done' | 'would';
  readonly detail: string;
}
