import { open } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { BlobError, type BlobErrorCode } from '../blob/errors.ts';
import { ERRNO } from '../lustre/errno.ts';
import { ErrnoError } from '../service/errors.ts';
import { ActionError, ActionStopped, endingOf } from './action-error.ts';

test('what we decided ends as we decided', () => {
  expect(endingOf(new ActionError('changed', ERRNO.EBUSY, 'x'))).toEqual({ errno: 16, code: 'changed', again: false });
  expect(endingOf(new ActionStopped('cancelled', 'x'))).toEqual({ errno: 125, code: 'cancelled', again: false });
  expect(endingOf(new ActionStopped('shutdown', 'x'))).toEqual({ errno: 11, code: 'shutdown', again: true });
});

test('a failed system or Lustre call keeps its errno', async () => {
  const missing = await open('/nonexistent/file', 'r').catch((error: unknown) => error);
  expect(endingOf(missing)).toEqual({ errno: 2, code: 'ENOENT', again: false });
  expect(endingOf(new ErrnoError(ERRNO.ENOSPC, 'write'))).toEqual({ errno: 28, code: 'ENOSPC', again: false });
});

test('an errno that Lustre’s changelog has no room for becomes EIO', () => {
  expect(endingOf(new ErrnoError(131, 'x')).errno).toBe(ERRNO.EIO);
});

test.each<[BlobErrorCode, number]>([
  ['AUTH', ERRNO.EACCES],
  ['THROTTLED', ERRNO.EAGAIN],
  ['ARCHIVED', ERRNO.ENODATA],
  ['LEASED', ERRNO.EBUSY],
  ['IMMUTABLE', ERRNO.EPERM],
  ['NETWORK', ERRNO.EIO],
])('the endpoint’s %s has an errno of its own', (code, errno) => {
  expect(endingOf(new BlobError('x', { code, retriable: code === 'THROTTLED' }))).toEqual({
    errno,
    code: `blob-${code.toLowerCase()}`,
    again: code === 'THROTTLED',
  });
});

test('what nobody expected is EIO', () => {
  expect(endingOf(new TypeError('x'))).toEqual({ errno: ERRNO.EIO, code: 'unexpected', again: false });
  expect(endingOf('x').errno).toBe(ERRNO.EIO);
});
