/** What one follower has done since it started; plain numbers, for figures. */
export interface FollowStats {
  readonly startedAt: Date;
  records: number;
  /** Files that were looked at in Lustre, and what came of it. */
  looked: number;
  changed: number;
  died: number;
  /** Files put right in the container, put off, and failed. */
  reconciled: number;
  later: number;
  failed: number;
  givenUp: number;
  /** Dead of which nothing is left. */
  buried: number;
  archivesAskedAgain: number;
  leaseLosses: number;
  catalogsSetAside: number;
}

export function newStats(): FollowStats {
  return {
    startedAt: new Date(),
    records: 0,
    looked: 0,
    changed: 0,
    died: 0,
    reconciled: 0,
    later: 0,
    failed: 0,
    givenUp: 0,
    buried: 0,
    archivesAskedAgain: 0,
    leaseLosses: 0,
    catalogsSetAside: 0,
  };
}
