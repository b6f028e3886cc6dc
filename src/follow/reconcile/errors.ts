import type { Fid } from '../../identity/fid.ts';

/**
 * `soon`: something passing is in the way; it does not count as a failure. `later`: tried again, ever more seldom, and
 * given up for now after a number of tries. `never`: only an operator can do something about it.
 */
export type Again = 'soon' | 'later' | 'never';

export type ReconcileCode =
  /** Another worker has this file, or it changed while it was looked at. */
  | 'busy'
  | 'in-the-way'
  /** A blob that is not of lfsazsync is in the way. */
  | 'stranger'
  /** The name can't be that of a blob. */
  | 'name'
  /** The copy of an archived file is nowhere. */
  | 'copy-missing'
  /** The copy is in the Archive tier: it can't be moved. */
  | 'archive-tier'
  /** Lustre did not tell all of it. */
  | 'incomplete'
  /** The coordinator was asked for something, and it is not done yet. */
  | 'asked';

/** Why the container can't be made right for a file just now. */
export class ReconcileError extends Error {
  readonly code: ReconcileCode;
  readonly again: Again;
  /** Of `soon`: milliseconds after which it is looked at again; undefined: a moment. */
  readonly after: number | undefined;

  constructor(code: ReconcileCode, again: Again, message: string, after?: number) {
    super(message);
    this.name = 'ReconcileError';
    this.code = code;
    this.again = again;
    this.after = after;
  }
}

/** A name that is needed holds something of another file of ours, which is to be put right first. */
export class Occupied extends Error {
  readonly by: Fid;
  readonly blob: string;
  readonly archive: number;

  constructor(by: Fid, blob: string, archive: number) {
    super(`${JSON.stringify(blob)} holds something of ${by}`);
    this.name = 'Occupied';
    this.by = by;
    this.blob = blob;
    this.archive = archive;
  }
}

/** How the message begins of names that no blob can have. */
export const UNNAMEABLE = 'it can’t be in the container';
