/** What one copytool has done since it started; plain numbers, for status and metrics. */
export interface CopytoolStats {
  readonly startedAt: Date;
  /** By action: how many were taken, and how each ended. Every one that was taken is ended exactly once. */
  readonly actions: Readonly<Record<ActionKind, ActionCounters>>;
  /** CANCELs that named an action of ours. */
  cancels: number;
  /** By the code of the failure, as in the log. */
  readonly errors: Map<string, number>;
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
  heartbeats: number;
  /** Actions of an earlier process or helper: taken over, ended with an error because they could not be, and unknown to Lustre. */
  readonly adoption: { adopted: number; ended: number; dropped: number };
  /** How often the native helper had to be started again. */
  helperRestarts: number;
  registered: boolean;
}

export type ActionKind = 'archive' | 'restore' | 'remove';

export interface ActionCounters {
  taken: number;
  queued: number;
  running: number;
  succeeded: number;
  failed: number;
  cancelled: number;
  /** Bytes moved by those that succeeded. */
  bytes: bigint;
}

export function newStats(): CopytoolStats {
  const counters = (): ActionCounters => ({
    taken: 0,
    queued: 0,
    running: 0,
    succeeded: 0,
    failed: 0,
    cancelled: 0,
    bytes: 0n,
  });
  return {
    startedAt: new Date(),
    actions: { archive: counters(), restore: counters(), remove: counters() },
    cancels: 0,
    errors: new Map(),
    fallbacks: 0,
    needsLook: 0,
    orphansRemoved: 0,
    markedDirty: 0,
    layoutsLost: 0,
    heartbeats: 0,
    adoption: { adopted: 0, ended: 0, dropped: 0 },
    helperRestarts: 0,
    registered: false,
  };
}

export function countError(stats: CopytoolStats, code: string): void {
  stats.errors.set(code, (stats.errors.get(code) ?? 0) + 1);
}
