import type { ExitName } from '../service/exit-code.ts';
import { redact } from '../service/redact.ts';

/** What went wrong, by kinds that callers treat differently. */
export type BlobErrorCode =
  /** The blob is not in the state that the request was made for: it exists, or its ETag is another. */
  | 'CONDITION'
  /** The condition on the source of a copy did not hold. */
  | 'SOURCE_CONDITION'
  | 'NOT_FOUND'
  | 'CONTAINER_NOT_FOUND'
  /** Not allowed; {@link BlobError.authReason} says which way. */
  | 'AUTH'
  | 'THROTTLED'
  | 'LEASED'
  /** In the Archive tier, or on its way back from it. */
  | 'ARCHIVED'
  | 'PENDING_COPY'
  | 'IMMUTABLE'
  | 'SNAPSHOTS'
  /** The service received other bytes than were sent, or we did. */
  | 'CHECKSUM'
  /** Staged blocks are gone: another writer's commit under the same name discarded them. */
  | 'BLOCKS_GONE'
  /** Uncommitted blocks of another program with IDs of another length are in the way. */
  | 'BLOCK_IDS'
  /** A page or append blob is at this name. */
  | 'BLOB_TYPE'
  /** The source was not as long as its stat said, or changed while it was read. */
  | 'FILE_CHANGED'
  /** The blob is not as long as expected. */
  | 'LENGTH'
  | 'NETWORK'
  | 'SERVER'
  /** The service did not understand the request, or a check of ours refused to send it. */
  | 'INVALID';

/** Why a request was not allowed. */
export type AuthReason =
  | 'expired'
  /** This credential does not allow this operation. */
  | 'permission'
  /** The same of an identity: it has no role on the container, or not yet. */
  | 'role'
  | 'clock'
  | 'signature'
  /** Network rules of the account, or an address range in the SAS. */
  | 'network'
  /** No token could be had. */
  | 'credential'
  /** The SAS, or the account, allows https only. */
  | 'protocol'
  /** The account or the container is disabled. */
  | 'disabled'
  | 'refused';

export interface BlobErrorDetails {
  readonly code: BlobErrorCode;
  readonly hint?: string;
  readonly status?: number;
  /** Azure's own error code, such as `BlobAlreadyExists`. */
  readonly azureCode?: string;
  /** The service's request id, for Microsoft's support. */
  readonly requestId?: string;
  readonly retriable?: boolean;
  /** Milliseconds that the service asked to wait. */
  readonly retryAfter?: number;
  readonly authReason?: AuthReason;
  readonly ambiguous?: boolean;
  readonly cause?: unknown;
}

/** A failed request to Azure, free of secrets, with account, container and blob in its message. */
export class BlobError extends Error {
  readonly code: BlobErrorCode;
  readonly hint: string | undefined;
  readonly exit: ExitName;
  readonly status: number | undefined;
  readonly azureCode: string | undefined;
  readonly requestId: string | undefined;
  /** The same request may succeed later without anybody doing anything. */
  readonly retriable: boolean;
  readonly retryAfter: number | undefined;
  readonly authReason: AuthReason | undefined;
  /** An earlier try of this request may have been carried out although its answer never came. */
  readonly ambiguous: boolean;

  constructor(message: string, details: BlobErrorDetails) {
    super(redact(message), details.cause === undefined ? undefined : { cause: safeCause(details.cause) });
    this.name = 'BlobError';
    this.code = details.code;
    this.hint = details.hint;
    this.status = details.status;
    this.azureCode = details.azureCode;
    this.requestId = details.requestId;
    this.retriable = details.retriable ?? false;
    this.retryAfter = details.retryAfter;
    this.authReason = details.authReason;
    this.ambiguous = details.ambiguous ?? false;
    this.exit = details.code === 'AUTH' ? 'notAuthorised' : this.retriable ? 'tryAgain' : 'failed';
  }

  /** The same error, with the knowledge that an earlier try may have been carried out. */
  asAmbiguous(): BlobError {
    if (this.ambiguous) return this;
    return new BlobError(this.message, { ...this.details(), ambiguous: true });
  }

  /** The same error with another sentence on what to do, and maybe with a more precise reason. */
  withHint(hint: string, authReason = this.authReason): BlobError {
    return new BlobError(this.message, {
      ...this.details(),
      hint,
      ...(authReason === undefined ? {} : { authReason }),
    });
  }

  private details(): BlobErrorDetails {
    const { code, hint, status, azureCode, requestId, retriable, retryAfter, authReason, ambiguous, cause } = this;
    return Object.fromEntries(
      Object.entries({
        code,
        hint,
        status,
        azureCode,
        requestId,
        retriable,
        retryAfter,
        authReason,
        ambiguous,
        cause,
      }).filter(([, value]) => value !== undefined),
    ) as unknown as BlobErrorDetails;
  }
}

/** Whether the error is of one of these kinds, or without kinds, a BlobError at all. */
export function isBlobError(error: unknown, ...codes: readonly BlobErrorCode[]): error is BlobError {
  return error instanceof BlobError && (codes.length === 0 || codes.includes(error.code));
}

/**
 * Whether it is the endpoint that fails, or the credential that is refused, whatever is asked for: the same request will
 * do when that is over. A permission that a SAS lacks is about the request; a role is for all of them.
 */
export function isOutage(error: BlobError): boolean {
  if (error.code === 'AUTH') return error.authReason !== 'permission' && error.authReason !== 'protocol';
  return error.code === 'NETWORK' || error.code === 'SERVER' || error.code === 'THROTTLED';
}

/** Whether trying again later may help, looked for along the chain of causes. */
export function isRetriable(error: unknown): boolean {
  for (let link = error, depth = 0; link instanceof Error && depth < 8; link = link.cause, depth++) {
    if (link instanceof BlobError) return link.retriable;
  }
  return false;
}

/** What was asked for, for messages. */
export interface RequestSubject {
  /** `write`, `read`, `delete` and the like: follows "can't". */
  readonly verb: string;
  readonly account: string;
  readonly container: string;
  readonly blob?: string;
}

/** The beginning of a message: what could not be done, to what. */
export function describeSubject(subject: RequestSubject): string {
  const where = `container ${subject.container} of account ${subject.account}`;
  return subject.blob === undefined
    ? `can't ${subject.verb} ${where}`
    : `can't ${subject.verb} blob ${JSON.stringify(subject.blob)} in ${where}`;
}

/** Keeps name, message and code of a foreign error; its request and headers, where signatures are, stay behind. */
function safeCause(cause: unknown): unknown {
  if (cause instanceof BlobError) return cause;
  if (!(cause instanceof Error)) return redact(String(cause));
  const safe = new Error(redact(cause.message));
  safe.name = cause.name;
  const code = (cause as NodeJS.ErrnoException).code;
  return code === undefined ? safe : Object.assign(safe, { code });
}
