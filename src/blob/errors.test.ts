import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { errorOfAnswer, errorOfNetwork } from './error-classes.ts';
import { BlobError, isOutage, isRetriable } from './errors.ts';
import { waitAskedFor } from './wire.ts';

const subject = { verb: 'write', account: 'acct', container: 'cont', blob: 'a/b' };

test.each([
  [409, 'BlobAlreadyExists', 'CONDITION', false],
  [412, 'ConditionNotMet', 'CONDITION', false],
  [412, 'SourceConditionNotMet', 'SOURCE_CONDITION', false],
  [412, 'LeaseIdMissing', 'LEASED', true],
  [409, 'LeaseIdMismatchWithBlobOperation', 'LEASED', true],
  [409, 'BlobArchived', 'ARCHIVED', false],
  [409, 'BlobBeingRehydrated', 'ARCHIVED', false],
  [409, 'PendingCopyOperation', 'PENDING_COPY', true],
  [409, 'BlobImmutableDueToPolicy', 'IMMUTABLE', false],
  [409, 'SnapshotsPresent', 'SNAPSHOTS', false],
  [409, 'InvalidBlobType', 'BLOB_TYPE', false],
  [404, 'BlobNotFound', 'NOT_FOUND', false],
  [404, 'ContainerNotFound', 'CONTAINER_NOT_FOUND', false],
  [409, 'ContainerBeingDeleted', 'CONTAINER_NOT_FOUND', false],
  [400, 'Crc64Mismatch', 'CHECKSUM', true],
  [400, 'InvalidBlockList', 'BLOCKS_GONE', true],
  [400, 'InvalidBlobOrBlock', 'BLOCK_IDS', false],
  [503, 'ServerBusy', 'THROTTLED', true],
  [500, 'OperationTimedOut', 'SERVER', true],
  [502, undefined, 'SERVER', true],
  [429, undefined, 'THROTTLED', true],
  [412, undefined, 'CONDITION', false],
  [409, 'SomethingNew', 'INVALID', false],
  [501, 'APINotImplemented', 'INVALID', false],
  [409, 'SystemInUse', 'THROTTLED', true],
  [409, 'AccountBeingCreated', 'SERVER', true],
  [409, 'BlobAccessTierNotSupportedForAccountType', 'INVALID', false],
  [409, 'BlobOperationNotSupported', 'BLOB_TYPE', false],
  [409, 'BlobModifiedWhileReading', 'THROTTLED', true],
  [500, 'CannotVerifyCopySource', 'SERVER', true],
  [404, 'CannotVerifyCopySource', 'NOT_FOUND', false],
  [412, 'CannotVerifyCopySource', 'SOURCE_CONDITION', false],
  [403, 'CannotVerifyCopySource', 'INVALID', false],
  [400, 'CannotVerifyCopySource', 'INVALID', false],
  [400, 'AccountRequiresHttps', 'AUTH', false],
  [407, undefined, 'NETWORK', false],
  [400, 'InvalidHeaderValue', 'INVALID', false],
])('%i %s is %s', (status, azureCode, code, retriable) => {
  const error = errorOfAnswer(subject, { status, ...(azureCode === undefined ? {} : { azureCode }), requestId: 'rid' });
  expect(error).toMatchObject({ code, retriable, status, ambiguous: code === 'SERVER' });
  expect(error.message).toMatch(/^can't write blob "a\/b" in container cont of account acct: /);
  expect(error.message).toContain('rid');
});

test('the header that is not taken is named, its value is not', () => {
  const body = '<Error><HeaderName>x-ms-version</HeaderName><HeaderValue>2023-11-03</HeaderValue></Error>';
  const { message } = errorOfAnswer(subject, { status: 400, azureCode: 'InvalidHeaderValue', body });
  expect(message).toContain('the header x-ms-version says');
  expect(message).not.toContain('2023');
});

test.each([
  [
    'AuthenticationFailed',
    '<AuthenticationErrorDetail>Signature not valid in the specified time frame: Start [x] - Expiry [y] - Current [z]',
    'expired',
  ],
  ['AuthenticationFailed', '<AuthenticationErrorDetail>Request date header too old: x', 'clock'],
  [
    'AuthenticationFailed',
    '<AuthenticationErrorDetail>Signature did not match. String to sign used was rw',
    'signature',
  ],
  ['AuthorizationPermissionMismatch', '', 'permission'],
  ['AuthorizationFailure', '', 'network'],
  ['KeyBasedAuthenticationNotPermitted', '', 'refused'],
])('403 %s %s is about %s', (azureCode, body, authReason) => {
  const error = errorOfAnswer(subject, { status: 403, azureCode, body });
  expect(error).toMatchObject({ code: 'AUTH', authReason, exit: 'notAuthorised', retriable: false });
  expect(error.hint).toBeTypeOf('string');
});

test.each([
  [503, 'ServerBusy', '', true],
  [500, undefined, '', true],
  [403, 'AuthenticationFailed', 'Signature did not match', true],
  [403, 'AuthenticationFailed', 'Signature not valid in the specified time frame', true],
  [403, 'AuthorizationFailure', '', true],
  [403, 'AccountIsDisabled', '', true],
  [403, 'ContainerDisabled', '', true],
  [403, 'AuthorizationPermissionMismatch', '', false],
  [403, 'AuthorizationProtocolMismatch', '', false],
  [404, 'ContainerNotFound', '', false],
  [409, 'ContainerBeingDeleted', '', false],
  [412, 'ConditionNotMet', '', false],
  [400, 'Crc64Mismatch', '', false],
])('%i %s %s: whether work is held for it', (status, azureCode, body, held) => {
  const error = errorOfAnswer(subject, { status, body, ...(azureCode === undefined ? {} : { azureCode }) });
  expect(isOutage(error)).toBe(held);
});

test('Retry-After is seconds or a date', () => {
  const now = Date.parse('2030-01-01T00:00:00Z');
  expect(waitAskedFor('7', now)).toBe(7_000);
  expect(waitAskedFor('Tue, 01 Jan 2030 00:00:09 GMT', now)).toBe(9_000);
  expect(waitAskedFor('Tue, 01 Jan 2019 00:00:09 GMT', now)).toBe(0);
  expect(waitAskedFor('soon', now)).toBeUndefined();
  expect(waitAskedFor(undefined, now)).toBeUndefined();
});

test('the network: worth trying again, but not a certificate that does not fit', () => {
  const failure = (code: string) => errorOfNetwork(subject, Object.assign(new Error('x'), { code }), 'host');
  expect(failure('ECONNREFUSED')).toMatchObject({ code: 'NETWORK', retriable: true, ambiguous: false });
  expect(failure('ECONNRESET')).toMatchObject({ code: 'NETWORK', retriable: true, ambiguous: true });
  expect(failure('DEPTH_ZERO_SELF_SIGNED_CERT')).toMatchObject({ code: 'NETWORK', retriable: false });
});

describe('a BlobError', () => {
  test('shows no signature, its causes neither', () => {
    const cause = Object.assign(new Error('GET https://x/?sv=1&sig=VERYSECRET%3D failed'), {
      request: { url: 'sig=VERYSECRET' },
    });
    const error = new BlobError('failed at ?sig=VERYSECRET', { code: 'NETWORK', cause });
    expect(inspect(error, { depth: 10, showHidden: true })).not.toContain('VERYSECRET');
  });

  test('is found retriable along the chain of causes', () => {
    const inner = new BlobError('x', { code: 'SERVER', retriable: true });
    expect(isRetriable(new Error('a', { cause: new Error('b', { cause: inner }) }))).toBe(true);
    expect(isRetriable(new Error('a', { cause: new BlobError('x', { code: 'INVALID' }) }))).toBe(false);
    expect(isRetriable(new Error('a'))).toBe(false);
  });
});
