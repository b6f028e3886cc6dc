import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { Log } from '../service/log.ts';
import { timeLeft, watchSas } from './sas-watch.ts';

const HOUR = 3_600_000;

function watched(expires: Date | undefined) {
  const lines: string[] = [];
  const note = (level: string) => (message: string) => void lines.push(`${level}: ${message}`);
  const log = { warn: note('warn'), info: note('info'), error: note('error') } as unknown as Log;
  const store = { sas: { permissions: 'r', starts: undefined, expires }, renewal: 'Write a new one into the file /s.' };
  const refresh = async () => false;
  return { lines, store, stop: watchSas(Object.assign(store, { refresh }), log, 1) };
}

test.each([
  [8 * 24 * HOUR, []],
  [6.5 * 24 * HOUR, ['warn: shared access signature expires in 6 days']],
  [23.5 * HOUR, ['warn: shared access signature expires in 23 hours']],
  [59.5 * 60_000, ['warn: shared access signature expires in 59 minutes']],
  [-1, ['error: shared access signature has expired']],
])('with %d ms left: what holds is told once', async (left, told) => {
  const { lines, stop } = watched(new Date(Date.now() + left));
  await delay(20);
  stop();
  expect(lines).toEqual(told);
});

test('the end of one is told as it comes, and its successor starts anew', async () => {
  const { lines, store, stop } = watched(new Date(Date.now() + 100));
  expect(lines).toEqual(['warn: shared access signature expires in 0 minutes']);
  await delay(150);
  expect(lines.at(-1)).toBe('error: shared access signature has expired');
  store.sas = { ...store.sas, expires: new Date(Date.now() + 2.5 * HOUR) };
  await delay(50);
  stop();
  expect(lines.slice(2)).toEqual([
    'info: shared access signature renewed',
    'warn: shared access signature expires in 2 hours',
  ]);
});

test('without an expiry there is nothing to say', () => {
  const { lines, stop } = watched(undefined);
  stop();
  expect(lines).toEqual([]);
});

test('one of a thing is not many', () => {
  expect([timeLeft(24 * HOUR), timeLeft(HOUR), timeLeft(60_000)]).toEqual(['1 day', '1 hour', '1 minute']);
});
