import type { Change } from '../config/setting-changes.ts';
import type { Rates } from '../service/rates.ts';
import type { BrakeFigures } from './brake.ts';

/**
 * What a running follower tells about itself. docs/follower.md is the contract: fields are added, never changed. Times are
 * ISO 8601, counters begin with the process.
 */
export interface FollowFigures {
  readonly schema: 1;
  readonly service: 'changelog-follow';
  readonly time: string;
  readonly process: {
    readonly pid: number;
    readonly version: string;
    readonly startedAt: string;
    readonly uptimeSeconds: number;
    readonly cpuSeconds: number;
    readonly memory: { readonly rss: number; readonly heapUsed: number };
  };
  readonly lustre: { readonly mount: string; readonly fsname: string; readonly uuid: string };
  readonly catalog: string;
  /** `starting`: the catalog is being opened; `once`: it catches up and leaves. */
  readonly state: 'starting' | 'following' | 'once' | 'stopping';
  readonly paused: { readonly since: string } | null;
  /** Not held: the containers could not be reached for long; records are taken in nevertheless. */
  readonly lease: { readonly held: boolean };
  readonly mdts: readonly MdtFigures[];
  /** The oldest change that is not yet in the container, apart from what is given up for now; null: there is none. */
  readonly recoveryPoint: { readonly since: string; readonly ageSeconds: number } | null;
  /** Files to be looked at in Lustre. */
  readonly marks: { readonly count: number; readonly oldest: string | null };
  readonly journal: {
    /** To be put right in the container. */
    readonly waiting: number;
    readonly atWork: number;
    /** Given up for now. */
    readonly quarantined: number;
    readonly oldest: string | null;
  };
  /** The dead whose copies are kept until the grace period is over, or until somebody else removes them. */
  readonly tombstones: { readonly count: number; readonly bytes: number; readonly oldest: string | null };
  readonly brake: BrakeFigures;
  /** Neither archived nor carried to the container. */
  readonly specialFiles: { readonly fifo: number; readonly chr: number; readonly blk: number; readonly sock: number };
  /** In the quarantine because no blob can have their name. `atLeast`: not all were looked at. */
  readonly unnameable: { readonly count: number; readonly atLeast: boolean };
  readonly archives: Readonly<Record<string, FollowArchiveFigures>>;
  readonly counters: Readonly<Record<FollowCounter, number>>;
  readonly rates: Readonly<Record<'records' | 'looked' | 'reconciled' | 'buried', Rates>>;
  /** The scan under way, or why everything is to be scanned. */
  readonly scan: {
    readonly running: boolean;
    readonly reason: string | null;
    readonly entries: number | null;
    readonly last: { readonly at: string; readonly outcome: string; readonly seconds: number } | null;
  };
  readonly sweep: { readonly last: { readonly at: string; readonly outcome: string } | null };
  readonly settings: readonly { readonly setting: string; readonly value: string; readonly live: boolean }[];
  /** Changed in the configuration, and in force after a restart. */
  readonly restart: readonly Change[];
}

export interface MdtFigures {
  readonly mdt: string;
  readonly user: string;
  /** The last record in the catalog, and the last that the MDT was told to forget. */
  readonly applied: number | null;
  readonly cleared: number | null;
  readonly lag: {
    /** Known to be there and not taken in. `caughtUp`: nothing was left at the last look. */
    readonly records: number;
    readonly caughtUp: boolean;
    /** Of the last record taken in, while more are to come; 0 otherwise. */
    readonly seconds: number;
  };
  readonly recordTime: string | null;
  /** Since when the MDT does not answer. */
  readonly lostSince: string | null;
  /** Why everything must be scanned. */
  readonly rescan: string | null;
  /** Types that never came among many records, and what is missed without them. */
  readonly missingTypes: readonly { readonly type: string; readonly missed: string }[];
  /** Numbers of types that this version does not know. */
  readonly unknownTypes: readonly number[];
}

export interface FollowArchiveFigures {
  readonly container: string;
  readonly endpoint: string;
  readonly outage?: { readonly since: string; readonly reason: string };
  readonly sasExpires?: string;
}

export type FollowCounter =
  | 'records'
  | 'looked'
  | 'changed'
  | 'died'
  | 'reconciled'
  | 'later'
  | 'failed'
  | 'givenUp'
  | 'buried'
  | 'archivesAskedAgain'
  | 'leaseLosses'
  | 'catalogsSetAside';
