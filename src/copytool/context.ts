import type { BlobState } from '../blob/state.ts';
import type { BlobStore } from '../blob/store.ts';
import type { ArchiveConfig, Config } from '../config/types.ts';
import type { Fid } from '../identity/fid.ts';
import type { HsmAction } from '../lustre/copytool-channel.ts';
import type { LustreFileSystem } from '../lustre/file-system.ts';
import type { AuditLog } from '../service/audit.ts';
import type { Log } from '../service/log.ts';
import type { Transfers } from '../transfer/types.ts';
import type { DirectoryMarkers } from './directory-markers.ts';
import type { EndpointWatch } from './endpoint-watch.ts';
import type { FileView } from './file-view.ts';
import type { CopytoolStats } from './stats.ts';
import type { StepHook } from './steps.ts';

/** One configured archive id: its settings and its container. */
export interface Archive {
  readonly config: ArchiveConfig;
  readonly store: BlobStore;
  readonly markers: DirectoryMarkers;
}

/** A file whose blob is, or may be, not where it belongs: work for the follower. */
export interface NeedsLook {
  readonly fid: Fid;
  readonly archive: number;
  readonly reason: 'renamed' | 'unlinked' | 'in-the-way' | 'not-ours-any-more';
  /** The blob that it is about. */
  readonly blob?: string;
}

/** An action that was taken and has not ended, and how often it was adopted since. */
export interface Unfinished {
  readonly action: HsmAction;
  readonly adoptions: number;
}

/**
 * Where the actions at work are written down before anything is done about them, so that a later process can adopt
 * them. What can't be written is no reason not to carry an action out.
 */
export interface ActionJournal {
  /** Those that were taken, by this process or an earlier one, and have not ended. */
  readonly unfinished: readonly Unfinished[];
  taken(action: HsmAction): void;
  /** One of the unfinished was adopted once more. */
  adopted(action: HsmAction): void;
  ended(action: Pick<HsmAction, 'cookie' | 'fid'>): void;
}

/** All that an action's engine works with. */
export interface CopytoolContext {
  readonly fs: LustreFileSystem;
  readonly fsUuid: string;
  readonly archives: ReadonlyMap<number, Archive>;
  readonly config: Config['copytool'];
  /** Moves the contents of files. */
  readonly transfers: Transfers;
  readonly endpoints: EndpointWatch;
  /** The access tier that a file's copy is written in; undefined: the archive's. */
  readonly tierOf: (file: FileView) => Promise<string | undefined>;
  readonly stats: CopytoolStats;
  readonly step: StepHook;
  readonly log: Log;
  readonly audit: AuditLog;
  readonly needsLook: (look: NeedsLook) => void;
  /** Whether it is known that no living file was imported from the blob of that name. */
  readonly isUnbound: (archive: number, name: string) => Promise<boolean>;
  /** Whether it is known that a file that was imported from this very blob, of a file system that was taken over, is dead. */
  readonly isLeftBehind: (archive: number, blob: BlobState) => Promise<boolean>;
}
