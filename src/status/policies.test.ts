import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Config } from '../config/types.ts';
import { lockPolicy } from '../policy/run/lock.ts';
import { policyRunSocket } from '../policy/run/socket.ts';
import { ControlServer } from '../service/control/server.ts';
import { policiesOf, scheduleOf, TIMER, timerSchedule } from './policies.ts';
import { policyCells } from './policy-rows.ts';
import type { RunStatus } from './types.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'lfsazsync-policies-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const log = { debug() {}, info() {}, warn() {}, error() {} } as never;
const MOUNT = '/mnt/lustre';
const patience = 30_000;
const trigger = (on: string, interval: number) => ({ on, interval, high: 85, low: 80 });
const config = () =>
  ({
    ...{ mount: MOUNT, stateDir: directory, runDir: directory },
    policies: new Map([
      ['archive', { enabled: true, triggers: [trigger('periodic', 300_000)] }],
      ['release', { enabled: true, triggers: [trigger('ost_usage', 60_000)] }],
      ['removal', { enabled: false, triggers: [trigger('periodic', 300_000)] }],
      ['mine', { enabled: true, triggers: [trigger('manual', 0)] }],
    ]),
  }) as unknown as Config;
const last = (started: string): RunStatus =>
  ({ started, ended: started, outcome: 'complete', id: 1, kind: 'policy', name: '', detail: {} }) as RunStatus;

test('nobody runs the policies: nothing is next, and what ran last is told', async () => {
  const lastRuns = new Map([['archive', last('2026-01-01T11:00:00.000Z')]]);
  const all = await policiesOf({ config: config(), schedule: undefined, lastRuns, patience });
  const none = { running: null, last: null, next: null, by: null };
  expect(all).toEqual([
    {
      ...{ policy: 'archive', triggers: ['every 5m'], running: null, next: null, by: null },
      last: { started: '2026-01-01T11:00:00.000Z', ended: '2026-01-01T11:00:00.000Z', outcome: 'complete' },
    },
    { ...none, policy: 'release', triggers: ['an OST at 85 %'] },
    { ...none, policy: 'removal', triggers: ['not enabled'] },
    { ...none, policy: 'mine', triggers: ['manual'] },
  ]);
});

test('a resident policy-run says when it looks next; the run that holds a policy’s lock is under way', async () => {
  const next = '2026-01-01T12:00:00.000Z';
  const handlers = { status: () => ({ next, names: ['archive', 'removal'] }) };
  const server = await ControlServer.open({ directory, name: policyRunSocket(MOUNT), version: '1', handlers, log });
  const lock = await lockPolicy(
    { directory, version: '1', policy: 'archive', log },
    undefined,
    new AbortController().signal,
  );
  try {
    const schedule = await scheduleOf(config(), patience);
    expect(schedule).toEqual({ by: 'policy-run', at: Date.parse(next), names: ['archive', 'removal'] });
    // Its interval is over later than the triggers are looked at next.
    const lastRuns = new Map([['archive', last('2026-01-01T11:58:00.000Z')]]);
    const all = await policiesOf({ config: config(), schedule, lastRuns, patience });
    expect(all.map(({ next: at, by }) => [at, by])).toEqual([
      ['2026-01-01T12:03:00.000Z', 'policy-run'],
      [null, null],
      [null, null],
      [null, null],
    ]);
    expect(all[0]?.running).toEqual({ pid: process.pid, since: expect.stringMatching(/^\d{4}-/) });
    expect(policyCells(all, '2026-01-01T12:00:00.000Z')[0]?.at(-1)).toBe('in 3m (policy-run)');
  } finally {
    await lock.release();
    await server.close();
  }
});

test('systemd’s timer, as list-timers tells of it', () => {
  // systemd 252's form; `next` is microseconds.
  const listed = (next: unknown) =>
    JSON.stringify([{ next, left: 1, last: 0, passed: 0, unit: TIMER, activates: 'lfsazsync-policy.service' }]);
  expect(timerSchedule(listed(1_767_268_800_000_000))).toEqual({
    ...{ by: 'timer', names: [] },
    at: Date.parse('2026-01-01T12:00:00.000Z'),
  });
  expect(timerSchedule(listed(0))).toEqual({ by: 'timer', at: undefined, names: [] });
  expect(timerSchedule(listed(null))).toEqual({ by: 'timer', at: undefined, names: [] });
  expect(timerSchedule('[]')).toBeUndefined();
  expect(timerSchedule('0 timers listed.')).toBeUndefined();
});
