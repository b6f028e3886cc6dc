import { expect, test } from 'vitest';
import { configured, expiry } from './container.ts';

test('no archive at all is a failure', () => {
  expect(configured(0)).toMatchObject({ status: 'failed', fix: expect.stringContaining('archives') });
  expect(configured(2)).toMatchObject({ status: 'ok', evidence: '2 archives' });
});

test('a signature is told of a week before its end', () => {
  const day = 86_400_000;
  expect(expiry(new Date(8 * day), 'renew', 0)).toMatchObject({ status: 'ok' });
  expect(expiry(new Date(6 * day), 'renew', 0)).toMatchObject({ status: 'warning', fix: 'renew' });
  expect(expiry(new Date(0), 'renew', 0)).toMatchObject({ status: 'failed', fix: 'renew' });
  expect(expiry(undefined, 'renew', 0)).toMatchObject({ status: 'ok' });
});
