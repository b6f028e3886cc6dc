/** Steps of a run at which tests hold or kill it, each named by what has just been done. */
export const RUN_STEPS = [
  /** The run has its row. */
  'policy.begun',
  /** What is about to be asked for is in the catalog; nothing is asked. */
  'policy.intended',
  /** The coordinator has taken it (or the files are released); nothing is noted. */
  'policy.asked',
  /** A clean file that can't be released is marked dirty; nothing is noted. */
  'policy.marked-dirty',
  /** Archives were seen to have ended; nothing is noted. */
  'policy.ended',
  /** Everything is done; the row does not say so. */
  'policy.done',
] as const;

export type RunStep = (typeof RUN_STEPS)[number];
