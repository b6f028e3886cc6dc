import { type AuthReason, BlobError, type BlobErrorCode, describeSubject, type RequestSubject } from './errors.ts';

/** An answer of the service that is an error. */
export interface ErrorAnswer {
  readonly status: number;
  /** Header `x-ms-error-code`, or the code in the body. */
  readonly azureCode?: string;
  readonly requestId?: string;
  readonly retryAfter?: number;
  /** The XML body, when there was one. */
  readonly body?: string;
}

interface ErrorClass {
  readonly code: BlobErrorCode;
  readonly says: string;
  readonly hint?: string;
  readonly retriable?: boolean;
  readonly authReason?: AuthReason;
}

const auth = (authReason: AuthReason, says: string, hint: string): ErrorClass => ({
  code: 'AUTH',
  authReason,
  says,
  hint,
});

const EXPIRED = auth(
  'expired',
  'the shared access signature has expired or is not valid yet',
  'Put a new one where the archive’s credential names it.',
);
const CLOCK = auth(
  'clock',
  "this machine's clock is too far from the service's",
  'Set the clock (chronyc makestep), then try again.',
);
const SIGNATURE = auth(
  'signature',
  'the credential is not accepted',
  'Check that the credential belongs to this account and was not revoked by a key rotation.',
);
const PERMISSION = auth(
  'permission',
  'the credential lacks a permission for this',
  'A SAS needs r, w, d and l; an identity the role Storage Blob Data Contributor.',
);
const NETWORK_RULE = auth(
  'network',
  "the account's network rules or the SAS's address range do not let this machine in",
  'Add a private endpoint or this network to the account, or widen the SAS.',
);
const CONDITION: ErrorClass = { code: 'CONDITION', says: 'it is not in the state that was expected' };
const SOURCE_CHANGED: ErrorClass = { code: 'SOURCE_CONDITION', says: 'the source of the copy has changed' };
const SERVER: ErrorClass = { code: 'SERVER', says: 'the service failed', retriable: true };
const THROTTLED: ErrorClass = { code: 'THROTTLED', says: 'the service is busy', retriable: true };
const CHECKSUM: ErrorClass = {
  code: 'CHECKSUM',
  says: 'the bytes that arrived are not those that were sent',
  retriable: true,
};
const LEASED: ErrorClass = {
  code: 'LEASED',
  says: 'it is leased by another program',
  hint: 'Release or break the lease, or wait until it ends.',
  retriable: true,
};
const IMMUTABLE: ErrorClass = {
  code: 'IMMUTABLE',
  says: 'an immutability policy or legal hold protects it',
  hint: 'Wait for the policy to end, or lift it.',
};
const ARCHIVED: ErrorClass = {
  code: 'ARCHIVED',
  says: 'it is in the Archive tier',
  hint: 'Set `rehydrate` for this archive, or change the tier to Hot, Cool or Cold, and wait some hours.',
};
const INVALID: ErrorClass = { code: 'INVALID', says: 'the service refused the request' };
const CONTAINER_NOT_FOUND: ErrorClass = {
  code: 'CONTAINER_NOT_FOUND',
  says: 'there is no such container',
  hint: 'Create it, or correct the archive’s `container`; a container that was deleted may be restored (soft delete).',
};
const TIER: ErrorClass = {
  code: 'INVALID',
  says: 'the account does not take this blob in the access tier that is asked for',
  hint: 'Correct the archive’s `access_tier`.',
};

// https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes and …/common-rest-api-error-codes
const BY_CODE: Readonly<Record<string, ErrorClass>> = {
  BlobAlreadyExists: CONDITION,
  ConditionNotMet: CONDITION,
  TargetConditionNotMet: CONDITION,
  UnauthorizedBlobOverwrite: PERMISSION,
  SourceConditionNotMet: SOURCE_CHANGED,
  BlobNotFound: { code: 'NOT_FOUND', says: 'there is no such blob' },
  ResourceNotFound: { code: 'NOT_FOUND', says: 'there is no such blob or container' },
  ContainerNotFound: CONTAINER_NOT_FOUND,
  ContainerBeingDeleted: {
    code: 'CONTAINER_NOT_FOUND',
    says: 'the container is being deleted',
    hint: 'Restore it (soft delete), or create it anew.',
  },
  ContainerDisabled: auth('disabled', 'the container is disabled', 'Enable it; Azure’s support can say why it is.'),
  BlobArchived: ARCHIVED,
  BlobBeingRehydrated: {
    code: 'ARCHIVED',
    says: 'it is on its way back from the Archive tier',
    hint: 'Wait: this takes hours.',
  },
  PendingCopyOperation: { code: 'PENDING_COPY', says: 'a copy to it is not complete', retriable: true },
  BlobImmutableDueToPolicy: IMMUTABLE,
  BlobImmutableDueToLegalHold: IMMUTABLE,
  SnapshotsPresent: {
    code: 'SNAPSHOTS',
    says: 'it has snapshots',
    hint: 'Delete the snapshots, which are not ours to delete.',
  },
  SnapshotOperationRateExceeded: THROTTLED,
  // Another request of ours or of somebody else's holds the blob for a moment.
  SystemInUse: THROTTLED,
  OperationNotAllowedInCurrentState: {
    code: 'PENDING_COPY',
    says: 'another operation on it is not complete',
    retriable: true,
  },
  Crc64Mismatch: CHECKSUM,
  Md5Mismatch: CHECKSUM,
  InvalidBlockList: {
    code: 'BLOCKS_GONE',
    says: 'staged blocks are gone, as another writer committed under the same name',
    retriable: true,
  },
  InvalidBlobOrBlock: {
    code: 'BLOCK_IDS',
    says: 'uncommitted blocks of another program are in the way',
    hint: 'They vanish when that program commits, or a week after they were written.',
  },
  BlobTierInadequateForContentLength: TIER,
  BlobAccessTierNotSupportedForAccountType: TIER,
  InvalidBlobTier: TIER,
  CannotChangeToLowerTier: TIER,
  BlobUsesCustomerSpecifiedEncryption: {
    code: 'INVALID',
    says: 'it is encrypted with a key of somebody else',
    hint: 'Write it again without a customer-provided key; encryption scopes and keys of the account are fine.',
  },
  BlockCountExceedsLimit: {
    code: 'BLOCK_IDS',
    says: 'too many uncommitted blocks of given-up uploads are in the way',
    hint: 'They vanish a week after they were written, or when a blob of this name is committed.',
  },
  BlobOperationNotSupported: {
    code: 'BLOB_TYPE',
    says: 'it was made by the Data Lake interface, which keeps it from being written as a blob',
    hint: 'Move or delete it.',
  },
  InvalidBlobType: { code: 'BLOB_TYPE', says: 'a page or append blob has this name', hint: 'Move or delete it.' },
  AuthorizationPermissionMismatch: PERMISSION,
  InsufficientAccountPermissions: PERMISSION,
  AuthorizationFailure: NETWORK_RULE,
  AuthorizationSourceIPMismatch: NETWORK_RULE,
  AuthorizationProtocolMismatch: auth('protocol', 'the SAS allows https only', 'Use an https endpoint.'),
  AccountRequiresHttps: auth('protocol', 'the account allows https only', 'Use an https endpoint.'),
  AuthorizationResourceTypeMismatch: auth(
    'permission',
    'the SAS is not for blobs and containers',
    'Make a container SAS, or an account SAS for containers and objects.',
  ),
  AuthorizationServiceMismatch: auth(
    'permission',
    'the SAS is not for the Blob service',
    'Make a SAS for the Blob service.',
  ),
  KeyBasedAuthenticationNotPermitted: auth(
    'refused',
    'the account does not allow keys and the SAS made with them',
    'Use a managed identity, or a user delegation SAS.',
  ),
  PublicAccessNotPermitted: SIGNATURE,
  NoAuthenticationInformation: SIGNATURE,
  InvalidAuthenticationInfo: SIGNATURE,
  AccountIsDisabled: auth(
    'disabled',
    'the storage account is disabled',
    'Enable it, or its subscription, in the portal.',
  ),
  AccountBeingCreated: { code: 'SERVER', says: 'the storage account is being created', retriable: true },
  ServerBusy: THROTTLED,
  TooManyRequests: THROTTLED,
  InternalError: SERVER,
  OperationTimedOut: SERVER,
  // The blob is being written while it is read: whoever asks again gets either version.
  BlobModifiedWhileReading: THROTTLED,
};

const PROXY_HINT = 'Put both into HTTPS_PROXY: http://USER:PASSWORD@HOST:PORT.';

/** The error for an answer of the service. Decided by Azure's error code; the status decides only without one. */
export function errorOfAnswer(subject: RequestSubject, answer: ErrorAnswer): BlobError {
  const found = classify(answer);
  const told = `${answer.status}${answer.azureCode === undefined ? '' : ` ${answer.azureCode}`}`;
  const id = answer.requestId === undefined ? '' : `, request ${answer.requestId}`;
  return new BlobError(`${describeSubject(subject)}: ${found.says} (${told}${id})`, {
    code: found.code,
    status: answer.status,
    retriable: found.retriable ?? false,
    // A service that fails may have done it before it failed.
    ambiguous: found.code === 'SERVER',
    ...(found.hint === undefined ? {} : { hint: found.hint }),
    ...(found.authReason === undefined ? {} : { authReason: found.authReason }),
    ...(answer.azureCode === undefined ? {} : { azureCode: answer.azureCode }),
    ...(answer.requestId === undefined ? {} : { requestId: answer.requestId }),
    ...(answer.retryAfter === undefined ? {} : { retryAfter: answer.retryAfter }),
  });
}

/** What the service met where it wanted to read the source of a copy is in the status alone. */
function ofCopySource(status: number): ErrorClass {
  if (status === 404) return { code: 'NOT_FOUND', says: 'the source of the copy is not there' };
  if (status === 412) return SOURCE_CHANGED;
  if (status >= 500) return { ...SERVER, says: 'the service could not read the source of the copy in time' };
  return {
    code: 'INVALID',
    says: 'the source of the copy can not be read by the service',
    hint: 'Network rules of the account, or an address range in the SAS, may keep the service from it; `follow.rename_mode: restore` does without copies.',
  };
}

function classify(answer: ErrorAnswer): ErrorClass {
  const { azureCode, status, body = '' } = answer;
  if (azureCode === 'CannotVerifyCopySource') return ofCopySource(status);
  if (azureCode === 'InvalidHeaderValue') {
    // Its value may be secret: the source of a copy has a signature.
    const [, header = 'of the request'] = /<HeaderName>([A-Za-z0-9-]{1,64})<\/HeaderName>/.exec(body) ?? [];
    return { ...INVALID, says: `the service does not take what the header ${header} says` };
  }
  if (azureCode === 'AuthenticationFailed') {
    if (/not valid in the specified time frame|expired/i.test(body)) return EXPIRED;
    if (/request date header|too old/i.test(body)) return CLOCK;
    return SIGNATURE;
  }
  const known = azureCode === undefined ? undefined : BY_CODE[azureCode];
  if (known !== undefined) return known;
  if (azureCode?.startsWith('Lease') === true) return LEASED;
  if (azureCode?.startsWith('BlobImmutable') === true) return IMMUTABLE;
  if (status === 401) return SIGNATURE;
  if (status === 403) return auth('refused', 'it is not allowed', 'Check the credential and its permissions.');
  if (status === 404) return { code: 'NOT_FOUND', says: 'there is no such blob or container' };
  if (status === 412) return CONDITION;
  if (status === 416) return { code: 'LENGTH', says: 'it is shorter than expected' };
  if (status === 429) return THROTTLED;
  if (status === 407) return { code: 'NETWORK', says: 'the proxy wants a user and a password', hint: PROXY_HINT };
  // Not implemented, HTTP version not supported: it will not be later either.
  if (status === 501 || status === 505) return INVALID;
  if (status === 408 || status >= 500) return SERVER;
  return INVALID;
}

const TLS_CODES = /^(?:ERR_TLS_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|ERR_SSL_)/;
/** Codes of failures before anything was sent. */
const NOT_CONNECTED = ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'];
const STATED: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nobody listens there',
  ENOTFOUND: 'its name is not known to DNS',
  EAI_AGAIN: 'DNS does not answer',
  ECONNRESET: 'the connection was reset',
  EPIPE: 'the connection was closed',
  ETIMEDOUT: 'no answer in time',
  EHOSTUNREACH: 'there is no route to it',
  ENETUNREACH: 'there is no route to it',
};

/** The error for a request that got no, or not the whole, answer. Certificates that do not fit are not retriable. */
export function errorOfNetwork(subject: RequestSubject, cause: Error, host: string): BlobError {
  const code = (cause as NodeJS.ErrnoException).code ?? '';
  const tls = TLS_CODES.test(code);
  const says = STATED[code] ?? (tls ? `its certificate is not accepted (${code})` : cause.message);
  return new BlobError(`${describeSubject(subject)}: ${host} could not be reached: ${says}`, {
    code: 'NETWORK',
    retriable: !tls,
    ambiguous: !tls && !NOT_CONNECTED.includes(code),
    hint: tls
      ? 'Check the endpoint, and the certificates of a proxy in between (NODE_EXTRA_CA_CERTS).'
      : 'Check the endpoint, the network and, where there is one, the proxy (HTTPS_PROXY).',
    cause,
  });
}
