import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { EndpointEvent } from '../blob/endpoint.ts';
import type { Log } from '../service/log.ts';
import { EndpointWatch } from './endpoint-watch.ts';

const down = (since: number, code: 'NETWORK' | 'AUTH' = 'NETWORK'): EndpointEvent => ({
  state: 'down',
  since,
  code,
  reason: 'nobody listens there',
  hint: 'Check the network.',
});
const up = (since: number): EndpointEvent => ({ state: 'up', since, lasted: 1 });

function watched(remindEvery = 60_000) {
  const lines: { message: string; archive: number; held: number }[] = [];
  const note = (message: string, fields: { archive: number; held: number }) => void lines.push({ message, ...fields });
  const log = { warn: note, info: note } as unknown as Log;
  const watch = new EndpointWatch({ log, holdTimeout: 3_600_000, remindEvery });
  const changes: string[] = [];
  watch.attach({
    held: (archive) => archive * 10,
    changed: (archive, isDown) => void changes.push(`${archive} ${isDown ? 'down' : 'up'}`),
  });
  return { watch, lines, changes };
}

test('an outage is told once, however many stores of the archive notice, and is over when the last has an answer', () => {
  const { watch, lines, changes } = watched();
  watch.report(3, down(2_000), 'thread 1');
  watch.report(3, down(1_000), 'thread 2');
  expect(watch.outage(3)).toMatchObject({ since: 1_000 });
  watch.report(3, up(2_000), 'thread 1');
  expect(changes).toEqual(['3 down']);
  watch.report(3, up(1_000), 'thread 2');
  watch.stop();
  expect(changes).toEqual(['3 down', '3 up']);
  expect(lines.map(({ message, archive, held }) => [message, archive, held])).toEqual([
    ['endpoint out of reach, actions are held', 3, 30],
    ['endpoint answers again', 3, 30],
  ]);
  expect(watch.outage(3)).toBeUndefined();
});

test('archives are apart, and a refused credential is told as such', () => {
  const { watch, lines } = watched();
  watch.report(1, down(1_000, 'AUTH'));
  expect(watch.outage(2)).toBeUndefined();
  watch.report(1, up(1_000));
  watch.stop();
  expect(lines.map(({ message }) => message)).toEqual([
    'credential refused, actions are held',
    'credential accepted again',
  ]);
});

test('as long as it lasts there is a line at intervals', async () => {
  const { watch, lines } = watched(10);
  watch.report(1, down(1_000));
  await delay(100);
  watch.report(1, up(1_000));
  const told = lines.length;
  expect(lines.slice(1, -1).every(({ message }) => message === 'endpoint is still out of reach')).toBe(true);
  expect(told).toBeGreaterThan(2);
  await delay(50);
  expect(lines.length).toBe(told);
});
