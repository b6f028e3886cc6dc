/**
 * The named steps of putting one file right. Between any two of them the process may be killed; doing it again from the
 * beginning must come to the same end. A step is named for what has just been done.
 */
export const RECONCILE_STEPS = [
  'looked',
  'imported.stamped',
  'copy.decided',
  'copy.remembered',
  'copy.copied',
  'copy.hinted',
  'move.noted',
  'move.dirtied',
  'old.examined',
  'old.deleted',
  'old.forgotten',
  'marker.remembered',
  'marker.written',
  'marker.deleted',
  'done',
] as const;

export type ReconcileStep = (typeof RECONCILE_STEPS)[number];
