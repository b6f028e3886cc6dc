import type { KeptBlob } from '../blob/kept.ts';
import type { BlobStore } from '../blob/store.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { Fid } from '../identity/fid.ts';
import type { FileType } from '../lustre/attributes.ts';
import type { LustreFileSystem } from '../lustre/file-system.ts';
import type { Importer } from '../lustre/importer.ts';
import type { Log } from '../service/log.ts';

/**
 * What bringing one thing back goes through, named for what has just been done. Killed between any two of them, it is
 * completed by being asked for again.
 */
export const UNDELETE_STEPS = ['held', 'touched', 'made', 'stamped', 'done'] as const;
/** Between `held` and `touched`, if the blob itself was deleted and is there again. */
export const RECALLED = 'recalled';
export type UndeleteStep = (typeof UNDELETE_STEPS)[number] | typeof RECALLED;

export interface UndeleteContext {
  readonly fs: LustreFileSystem;
  readonly fsUuid: string;
  /** By archive id. */
  readonly archives: ReadonlyMap<number, BlobStore>;
  readonly catalog: Catalog;
  readonly importer: Importer;
  readonly log: Log;
  readonly step: (step: UndeleteStep) => Promise<void>;
  readonly signal: AbortSignal;
}

/**
 * - `restored`: it is there again
 * - `would`: a dry run would bring it back
 * - `exists`: something has its name
 * - `gone`: nothing is left of it in the container
 * - `failed`
 */
export type UndeleteOutcome = 'restored' | 'would' | 'exists' | 'gone' | 'failed';

/** What came of one thing. */
export interface Undeleted {
  /** As it was when it was removed. */
  readonly fid: Fid;
  readonly type: FileType;
  /** Relative to the root; undefined: nobody knows. */
  readonly path: Buffer | undefined;
  readonly outcome: UndeleteOutcome;
  /** Its FID now. */
  readonly now?: Fid;
  /** Bytes, of files. */
  readonly size?: bigint;
  /** Its blob itself was deleted, and this is kept of it. */
  readonly kept?: KeptBlob;
  /** Why not, or what is not as it was. */
  readonly detail?: string;
}
