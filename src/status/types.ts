import type { CatalogEvent, Run } from '../catalog/types.ts';
import type { CopytoolFigures } from '../copytool/figures.ts';
import type { FollowFigures } from '../follow/figures.ts';
import type { OstUsage } from '../lustre/ost-usage.ts';
import type { RunHolder } from '../service/control/run-lock.ts';
import type { JournalRow } from './journal.ts';
import type { Part } from './part.ts';

/*
 * What `lfsazsync status` shows and `--json` prints: docs/status.md is the contract. Plain data, gathered once; whatever
 * renders it asks for nothing more. Times are ISO 8601, bytes and counts whole numbers (exact up to 2^53).
 */

/** A service of this machine, asked through its control socket. */
export type Service<F extends object> =
  | { readonly state: 'running'; readonly figures: F }
  | { readonly state: 'not-running' }
  | { readonly state: 'unavailable'; readonly code: string; readonly reason: string; readonly hint?: string };

/** Work of which there is one at a time for a catalog, begun by hand, by a timer or by a service. */
export const RUN_NAMES = ['scan', 'sweep', 'import', 'verify'] as const;
export type RunName = (typeof RUN_NAMES)[number];
export const isRun = (name: string): name is RunName => (RUN_NAMES as readonly string[]).includes(name);

export interface StatusSnapshot {
  readonly schema: 1;
  readonly time: string;
  readonly host: string;
  /** Of this program. */
  readonly version: string;
  readonly mount: string;
  readonly health: Health;
  readonly services: {
    readonly copytool: Service<CopytoolFigures>;
    readonly 'changelog-follow': Service<FollowFigures>;
  } & Readonly<Record<RunName, Service<RunHolder>>>;
  readonly fileSystem: Part<{ readonly fsname: string; readonly llapi: string; readonly uuid: string | null }>;
  readonly coordinator: Part<CoordinatorStatus>;
  readonly containers: readonly ContainerStatus[];
  readonly changelogs: readonly ChangelogStatus[];
  readonly recoveryPoint: RecoveryPoint;
  /** In the configuration's order. */
  readonly policies: readonly PolicyStatus[];
  readonly catalog: Part<CatalogStatus>;
  readonly osts: Part<{
    readonly targets: readonly OstStatus[];
    readonly high: number | null;
    readonly low: number | null;
  }>;
}

export interface Health {
  /** The worst of the problems. */
  readonly state: 'ok' | 'warning' | 'error';
  /** Errors first. */
  readonly problems: readonly Problem[];
}

export interface Problem {
  readonly severity: 'error' | 'warning';
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
}

/** Lustre's HSM coordinator, where this machine shows the metadata servers' parameters; a client does not. */
export interface CoordinatorStatus {
  readonly mdts: readonly {
    readonly mdt: string;
    /** `enabled`, `disabled`, `stopped`. */
    readonly control: string | null;
    /** Actions at work, of all copytools together, and how many may be. */
    readonly active: number | null;
    readonly maxRequests: number | null;
  }[];
  /** Machines with a copytool for an archive, where MDTs differ the fewest; null: not to be seen. */
  readonly agents: readonly { readonly archive: number; readonly count: number }[] | null;
}

/** An archive's container: as the copytool has it, or as a request of ours has found it. */
export interface ContainerStatus {
  readonly archive: number;
  readonly endpoint: string;
  readonly container: string;
  readonly state: 'ok' | 'unreachable';
  readonly since?: string;
  readonly code?: string;
  readonly reason?: string;
  readonly hint?: string;
  /** End of the shared access signature in use. */
  readonly sasExpires?: string;
}

export interface ChangelogStatus {
  readonly mdt: string;
  readonly user: string | null;
  /** The last record in the catalog; null: none. */
  readonly applied: number | null;
  /** Who says so: the running follower, or the MDT itself. */
  readonly from: 'changelog-follow' | 'mdt';
  readonly lag: Part<{
    readonly records: number;
    /** Of the oldest record that is not taken in; 0: there is none. */
    readonly seconds: number;
  }>;
  /** Why everything must be scanned again. */
  readonly rescan: string | null;
}

/** Everything older than this is in the container, apart from what is given up for now and from what policies leave for later. */
export interface RecoveryPoint {
  /** When the oldest change that is not there was made; null: nothing is known to be missing. */
  readonly since: string | null;
  readonly ageSeconds: number;
  /** Some part of it is not known. */
  readonly partial: boolean;
}

export interface Amount {
  readonly count: number;
  readonly bytes: number;
}

export const FILE_STATES = ['new', 'modified', 'archived', 'released', 'unfinished', 'lost'] as const;
/**
 * Of files, each in one: `lost` from the archive (by its flag); `released`; `modified` since its archive; `archived`, its
 * data still in Lustre; `unfinished`: an archive was begun, and no end is known; `new`: never archived.
 */
export type FileState = (typeof FILE_STATES)[number];

export interface CatalogStatus {
  readonly file: string;
  readonly uuid: string | null;
  /** When the last scan that saw everything began. */
  readonly scanned: string | null;
  /** When the scan began that is under way, or was when it was killed. */
  readonly scanning: string | null;
  /** When the import began that is under way, or was stopped and is not at its end. */
  readonly importing: string | null;
  readonly files: Readonly<Record<FileState, Amount>>;
  readonly directories: number;
  readonly symlinks: number;
  /** Fifos, devices, sockets: neither archived nor carried over. */
  readonly special: number;
  /** To be looked at in Lustre. */
  readonly marks: { readonly count: number; readonly oldest: string | null };
  /** To be put right in the container. */
  readonly journal: { readonly waiting: number; readonly quarantined: number; readonly oldest: string | null };
  /** The first of the quarantine. */
  readonly quarantine: readonly JournalRow[];
  /** The dead whose blobs are not removed yet. */
  readonly tombstones: Amount & { readonly oldest: string | null };
  /** The latest first. */
  readonly runs: readonly RunStatus[];
  /** The last that has ended of each kind, and of each policy, however long ago. */
  readonly lastRuns: readonly RunStatus[];
  readonly events: readonly EventStatus[];
}

export interface RunStatus extends Pick<Run, 'id' | 'kind' | 'name' | 'detail'> {
  readonly started: string;
  readonly ended: string | null;
  readonly outcome: string | null;
}

/** A policy of the configuration: what of it runs, ran and will run on this machine. */
export interface PolicyStatus {
  readonly policy: string;
  /** Its triggers for people: `every 5m`, `an OST at 85 %`, `manual`. */
  readonly triggers: readonly string[];
  /** The run under way: its process, and since when. */
  readonly running: { readonly pid: number; readonly since: string } | null;
  /** The last run that the catalog knows of. */
  readonly last: Pick<RunStatus, 'started' | 'ended' | 'outcome'> | null;
  /** When its triggers are looked at next, or would fire at the earliest if that is later; null: nobody here knows. */
  readonly next: string | null;
  /** Who will: a resident `policy-run`, or systemd's timer. */
  readonly by: 'policy-run' | 'timer' | null;
}

export interface EventStatus extends Pick<CatalogEvent, 'level' | 'kind' | 'message'> {
  readonly at: string;
  readonly run?: number;
  readonly fid?: string;
}

export interface OstStatus extends OstUsage {
  /** 0 to 100. */
  readonly percent: number;
}
