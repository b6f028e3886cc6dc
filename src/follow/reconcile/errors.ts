import { isBlobError, isOutage } from '../../blob/errors.ts';
import type { Fid } from '../../identity/fid.ts';
import { ERRNO } from '../../lustre/errno.ts';
import { ErrnoError } from '../../service/errors.ts';

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

/** After something passing that does not say when, it is looked again after this, milliseconds. */
const SOON_MS = 100;
/** After an outage of Lustre, or while there is no room on a disk: everything fails then, and need not do so all the time. */
const OUTAGE_MS = 15_000;
/** How a metadata server that is away shows, and a disk that is full: the file system's, or the one of the audit log. */
const OUTAGES: ReadonlySet<number> = new Set([
  ...[ERRNO.ENODEV, ERRNO.ENOTCONN, ERRNO.ETIMEDOUT, ERRNO.EINTR, ERRNO.ENOSPC, ERRNO.EDQUOT, ERRNO.EROFS],
  108, // ESHUTDOWN, which Node has no name for
]);

/** Of an error that is over by itself, and says nothing of the file: milliseconds until it is tried again; else undefined. */
export function passesIn(error: unknown): number | undefined {
  if (error instanceof ReconcileError) return error.again === 'soon' ? (error.after ?? SOON_MS) : undefined;
  if (error instanceof ErrnoError) return OUTAGES.has(error.errno) ? OUTAGE_MS : undefined;
  return isBlobError(error) && (isOutage(error) || error.code === 'PENDING_COPY') ? SOON_MS : undefined;
}
