import type { BlobKind } from '../identity/blob-identity.ts';
import type { Fid } from '../identity/fid.ts';
import type { Difference } from './judge.ts';

/**
 * What a sweep finds: how a blob differs from what its file asks for, and besides `missing`: a blob that should be there is
 * not; `names`: a hard link without its marker; `bound`: what an imported file was bound to is not there as it was; `dead`: of a
 * file that is known to be dead; `unknown`: of a file that the catalog does not have.
 */
export type FindingCode = Difference | 'missing' | 'names' | 'bound' | 'dead' | 'unknown';

/** Differences that the follower has nothing to do about. */
export const ONLY_TOLD: ReadonlySet<FindingCode> = new Set<FindingCode>(['archive', 'unclaimed', 'dead']);

export interface SweepFinding {
  readonly code: FindingCode;
  readonly fid: Fid;
  readonly archive: number;
  /** Of the blob, or of the one that should be there; undefined where no name is known for it. */
  readonly name?: string;
}

export interface Amount {
  readonly count: number;
  readonly bytes: bigint;
}

/** `list`: the container's listing; `blobs`: what the catalog knows and the listing did not have; `entries`: what has no blob. */
export type SweepPhase = 'list' | 'blobs' | 'entries';

export interface SweepCounts {
  /** Everything that was listed. */
  readonly listed: Amount;
  /** Pages of the listing. */
  readonly pages: number;
  /** Ours, by what they stand for. */
  readonly own: Readonly<Record<BlobKind, Amount>>;
  /** Blobs of ours in staging, among those above. */
  readonly staged: number;
  /** The control blob, the claims and the like. */
  readonly reserved: number;
  /** Blobs without an identity. */
  readonly strangers: Amount;
  /** Blobs of other file systems, by their UUID; of the first hundred. */
  readonly others: Readonly<Record<string, number>>;
  /** All blobs of other file systems. */
  readonly othersTotal: Amount;
  /** Blobs of the two that files were imported from. */
  readonly bound: number;
  /** Entries of the catalog that were looked at for want of a blob. */
  readonly checked: number;
  readonly findings: Readonly<Partial<Record<FindingCode, number>>>;
  /** Files that were put into the journal, or marked to be looked at. */
  readonly journaled: number;
  readonly marked: number;
  /** Of those, files that were in the journal already. */
  readonly pending: number;
  /** Names that no blob can have. */
  readonly unnameable: number;
  /** Files, by names of theirs, of which the catalog does not know where they are. */
  readonly unplaced: number;
  /** Blobs that the catalog knows in archives that are not configured. */
  readonly unconfigured: number;
}

export interface SweepProgress extends SweepCounts {
  readonly phase: SweepPhase;
  /** Milliseconds since this run began. */
  readonly elapsed: number;
}

export type SweepOutcome = 'complete' | 'stopped';

export interface SweepSummary extends SweepCounts {
  readonly outcome: SweepOutcome;
  /** A sweep that had been stopped, or killed, went on: its counts are of the whole sweep. */
  readonly resumed: boolean;
  /** Milliseconds since 1970: of the sweep, which an earlier run may have begun. */
  readonly started: number;
  /** Milliseconds that this run took. */
  readonly elapsed: number;
}
