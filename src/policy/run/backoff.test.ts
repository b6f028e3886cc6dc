import { expect, test } from 'vitest';
import { notBefore, restOf } from './backoff.ts';
import { Suspension } from './suspension.ts';

const MINUTE = 60_000;
const backoff = { firstMs: 5 * MINUTE, longestMs: 24 * 60 * MINUTE, quarantineAfter: 10 };

test('a file that fails is left alone for twice as long each time, a day at most', () => {
  const waits = Array.from({ length: 12 }, (_, before) => notBefore(backoff, before, 0) / MINUTE);
  expect(waits).toEqual([5, 10, 20, 40, 80, 160, 320, 640, 1280, 1440, 1440, 1440]);
  expect(notBefore(backoff, 5_000, 0)).toBe(backoff.longestMs);
});

test('it rests until then, and for good after ten failures', () => {
  expect(restOf(backoff, undefined, 0)).toBe('none');
  expect(restOf(backoff, { count: 1, notBefore: 10 }, 9)).toBe('backoff');
  expect(restOf(backoff, { count: 9, notBefore: 10 }, 10)).toBe('none');
  expect(restOf(backoff, { count: 10, notBefore: 10 }, 1e15)).toBe('quarantine');
});

test('a run is suspended from 100 errors on when 50 % fail, not before', () => {
  const suspension = new Suspension({ errors: 100, share: 50 });
  for (let n = 0; n < 99; n++) suspension.count('error');
  expect(suspension.due).toBe(false);
  suspension.count('error');
  expect(suspension.due).toBe(true);
  for (let n = 0; n < 101; n++) suspension.count('good');
  expect(suspension.due).toBe(false);
  suspension.count('error');
  expect(suspension.due).toBe(true);
});
