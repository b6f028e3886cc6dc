import type { BlobStore } from '../../blob/store.ts';
import type { Catalog } from '../../catalog/catalog.ts';
import type { Fid } from '../../identity/fid.ts';
import type { LustreFileSystem } from '../../lustre/file-system.ts';
import type { AuditLog } from '../../service/audit.ts';
import type { Log } from '../../service/log.ts';
import type { ByRestore } from './by-restore.ts';
import type { ReconcileStep } from './steps.ts';

/** All that the reconciler works with. */
export interface ReconcileContext {
  readonly fs: LustreFileSystem;
  readonly fsUuid: string;
  /** By archive id. */
  readonly archives: ReadonlyMap<number, BlobStore>;
  readonly catalog: Catalog;
  readonly audit: AuditLog;
  readonly log: Log;
  /** Asks the coordinator anew for an archive that ended because its name was taken. */
  readonly archiveAgain: (fid: Fid) => Promise<void>;
  /** Renamed files' copies are not copied, but restored and archived anew. */
  readonly byRestore?: ByRestore | undefined;
  /** Called after each step; it goes on when the promise is fulfilled. */
  readonly step: (step: ReconcileStep) => Promise<void>;
  /** Ends the work at once: the service ends, or the lease is lost. */
  readonly signal: AbortSignal;
}

/** One archive's container, for one piece of work. */
export interface Place {
  readonly archive: number;
  readonly store: BlobStore;
}
