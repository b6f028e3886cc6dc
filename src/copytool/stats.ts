/** What one copytool has done since it started; plain numbers, for status and metrics. */
export interface CopytoolStats {
  readonly startedAt: Date;
  /** By archive id (0: removals from all of them): how many actions were taken, and how each ended. */
  readonly archives: Map<number, ActionFigures>;
  /** CANCELs that named an action of ours. */
  cancels: number;
  /** Failed actions by the code of the failure, as in the log. */
  readonly errors: Map<string, number>;
  /** The latest failed actions, the latest last. */
  readonly lastFailures: FailureNote[];
  /** Requests that were made again, by the code of what went wrong. */
  readonly retries: Map<string, number>;
  /** Files whose copy was recognised without a record of their own. */
  fallbacks: number;
  /** Files whose location must be looked at by the follower. */
  needsLook: number;
  /** Orphans of files that were unlinked during their archive, removed. */
  orphansRemoved: number;
  /** Files marked dirty again because they changed at the very end of their archive. */
  markedDirty: number;
  /** Restores into the directory's default layout, because the file's own could not be given. */
  layoutsLost: number;
  /** Extended attributes of archived files that did not fit into the metadata of their blobs. */
  xattrsLeftOut: number;
  heartbeats: number;
  /** Actions of an earlier process or helper: taken over, ended with an error because they could not be, and unknown to Lustre. */
  readonly adoption: { adopted: number; ended: number; dropped: number };
  /** How often the native helper had to be started again. */
  helperRestarts: number;
  /** Since when the coordinator knows us, or knows us no more. */
  registration: { readonly registered: boolean; readonly since: Date };
}

/** A failed action, for who looks at the status; the log has all of them. */
export interface FailureNote {
  readonly at: Date;
  readonly kind: ActionKind;
  readonly archive: number;
  readonly fid: string;
  /** Printable; absent when none is known. */
  readonly path?: string;
  readonly code: string;
  readonly reason: string;
  readonly hint?: string;
}

const FAILURES_KEPT = 20;

export const ACTION_KINDS = ['archive', 'restore', 'remove'] as const;

export type ActionKind = (typeof ACTION_KINDS)[number];

export type ActionFigures = Readonly<Record<ActionKind, ActionCounters>>;

/** Every action that was taken is ended exactly once: `taken` is the sum of all others but the bytes. */
export interface ActionCounters {
  taken: number;
  queued: number;
  running: number;
  succeeded: number;
  failed: number;
  cancelled: number;
  /** Bytes moved by those that succeeded. */
  bytes: bigint;
  /** Bytes moved altogether: what is on its way, was given up or had to be moved again counts, too. */
  moved: bigint;
}

export function newStats(): CopytoolStats {
  const startedAt = new Date();
  return {
    startedAt,
    archives: new Map(),
    cancels: 0,
    errors: new Map(),
    lastFailures: [],
    retries: new Map(),
    fallbacks: 0,
    needsLook: 0,
    orphansRemoved: 0,
    markedDirty: 0,
    layoutsLost: 0,
    xattrsLeftOut: 0,
    heartbeats: 0,
    adoption: { adopted: 0, ended: 0, dropped: 0 },
    helperRestarts: 0,
    registration: { registered: false, since: startedAt },
  };
}

/** The counters of one kind of action with one archive, to be counted up. */
export function countersOf(stats: CopytoolStats, kind: ActionKind, archive: number): ActionCounters {
  const found = stats.archives.get(archive) ?? newFigures();
  stats.archives.set(archive, found);
  return found[kind];
}

/** The sums over all archives. */
export function totalsOf(stats: CopytoolStats): ActionFigures {
  const totals = newFigures();
  for (const figures of stats.archives.values()) {
    for (const kind of ACTION_KINDS) addTo(totals[kind], figures[kind]);
  }
  return totals;
}

export function countError(stats: CopytoolStats, code: string): void {
  countIn(stats.errors, code);
}

export function noteFailure({ lastFailures }: CopytoolStats, note: FailureNote): void {
  lastFailures.push(note);
  if (lastFailures.length > FAILURES_KEPT) lastFailures.shift();
}

/** @param code of the BlobError */
export function countRetry(stats: CopytoolStats, code: string): void {
  countIn(stats.retries, `blob-${code.toLowerCase()}`);
}

function newFigures(): ActionFigures {
  return { archive: newCounters(), restore: newCounters(), remove: newCounters() };
}

function newCounters(): ActionCounters {
  return { taken: 0, queued: 0, running: 0, succeeded: 0, failed: 0, cancelled: 0, bytes: 0n, moved: 0n };
}

function addTo(sum: ActionCounters, more: ActionCounters): void {
  sum.taken += more.taken;
  sum.queued += more.queued;
  sum.running += more.running;
  sum.succeeded += more.succeeded;
  sum.failed += more.failed;
  sum.cancelled += more.cancelled;
  sum.bytes += more.bytes;
  sum.moved += more.moved;
}

function countIn(counts: Map<string, number>, code: string): void {
  counts.set(code, (counts.get(code) ?? 0) + 1);
}
