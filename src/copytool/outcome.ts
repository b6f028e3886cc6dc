import type { Recognition } from '../identity/copy-of.ts';

/** How an action that succeeded went, for the log and the counters. */
export interface Outcome {
  /** Content moved. */
  readonly bytes: bigint;
  /** What was done, where it is not the plain thing. */
  readonly note?: 'already archived' | 'no copy found';
  readonly recognised?: Recognition;
}
