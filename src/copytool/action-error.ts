import { BlobError, type BlobErrorCode } from '../blob/errors.ts';
import { ERRNO, errnoName } from '../lustre/errno.ts';
import { ErrnoError } from '../service/errors.ts';
import { ThreadLostError } from '../transfer/thread-lost.ts';

/** Why an action can't be carried out, with the errno that Lustre and the waiting program are told. */
export class ActionError extends Error {
  readonly errno: number;
  /** A stable name for the log, the counters and tests. */
  readonly code: string;
  /** Whether the same request may succeed later without anybody's help. */
  readonly again: boolean;

  constructor(code: string, errno: number, message: string, options: { again?: boolean; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'ActionError';
    this.code = code;
    this.errno = errno;
    this.again = options.again ?? false;
  }
}

/** Why an action was stopped from outside; the reason of its signal. */
export class ActionStopped extends Error {
  readonly errno: number;
  readonly code: 'cancelled' | 'forgotten' | 'shutdown' | 'helper-gone';
  readonly again: boolean;

  constructor(code: ActionStopped['code'], message: string) {
    super(message);
    this.name = 'ActionStopped';
    this.code = code;
    this.again = code === 'shutdown';
    this.errno = code === 'shutdown' ? ERRNO.EAGAIN : ERRNO.ECANCELED;
  }
}

/** How an action that failed is ended. */
export interface FailedEnding {
  /** Positive, below 127: Lustre's changelog has seven bits for it. */
  readonly errno: number;
  readonly code: string;
  readonly again: boolean;
}

/** The one table from what went wrong to what Lustre is told. */
export function endingOf(error: unknown): FailedEnding {
  if (error instanceof ActionError || error instanceof ActionStopped) {
    return { errno: error.errno, code: error.code, again: error.again };
  }
  if (error instanceof BlobError) return blobEnding(error);
  // Nothing is known of the file or the container: the same request may well succeed.
  if (error instanceof ThreadLostError) return { errno: ERRNO.EAGAIN, code: error.code, again: true };
  const errno = systemErrno(error);
  if (errno === undefined) return { errno: ERRNO.EIO, code: 'unexpected', again: false };
  return { errno: errno < 127 ? errno : ERRNO.EIO, code: errnoName(errno), again: errno === ERRNO.EAGAIN };
}

/** The positive errno of a failed system or Lustre call; undefined for every other error. */
export function systemErrno(error: unknown): number | undefined {
  if (error instanceof ErrnoError) return error.errno;
  if (!(error instanceof Error) || !('syscall' in error)) return undefined;
  const { errno } = error as NodeJS.ErrnoException;
  return typeof errno === 'number' ? Math.abs(errno) : undefined;
}

export function hasErrno(error: unknown, errno: number): boolean {
  return systemErrno(error) === errno;
}

const BLOB_ERRNO: Readonly<Record<BlobErrorCode, number>> = {
  CONDITION: ERRNO.EAGAIN,
  SOURCE_CONDITION: ERRNO.EAGAIN,
  NOT_FOUND: ERRNO.ENODATA,
  CONTAINER_NOT_FOUND: ERRNO.ENXIO,
  AUTH: ERRNO.EACCES,
  THROTTLED: ERRNO.EAGAIN,
  LEASED: ERRNO.EBUSY,
  ARCHIVED: ERRNO.ENODATA,
  PENDING_COPY: ERRNO.EAGAIN,
  IMMUTABLE: ERRNO.EPERM,
  SNAPSHOTS: ERRNO.EBUSY,
  CHECKSUM: ERRNO.EIO,
  BLOCKS_GONE: ERRNO.EAGAIN,
  BLOCK_IDS: ERRNO.EAGAIN,
  BLOB_TYPE: ERRNO.EEXIST,
  FILE_CHANGED: ERRNO.EBUSY,
  LENGTH: ERRNO.EIO,
  NETWORK: ERRNO.EIO,
  SERVER: ERRNO.EIO,
  INVALID: ERRNO.EINVAL,
};

function blobEnding(error: BlobError): FailedEnding {
  return { errno: BLOB_ERRNO[error.code], code: `blob-${error.code.toLowerCase()}`, again: error.retriable };
}
