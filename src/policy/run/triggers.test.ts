import { expect, test } from 'vitest';
import { loadConfig } from '../../config/load.ts';
import type { OstUsage } from '../../lustre/ost-usage.ts';
import { loadPolicies, type Policies } from '../policies.ts';
import { FreeingGoal } from './goal.ts';
import { lookAtTriggers } from './triggers.ts';

const GB = 1e9;
const NOW = Date.UTC(2026, 0, 1);
const MINUTE = 60_000;

/** The seed document's defaults: nothing is configured. */
async function defaults(): Promise<Policies> {
  const { config } = await loadConfig({ file: undefined, flags: [], env: { LFSAZSYNC_MOUNT: '/mnt/lustre' } });
  return await loadPolicies(config);
}

const policyOf = async (name: string) => {
  const policy = (await defaults()).policies.get(name);
  if (policy === undefined) throw new Error(name);
  return policy;
};

const ost = (index: number, percent: number): OstUsage => ({
  index,
  name: `fs-OST000${index}`,
  used: percent * 10 * GB,
  available: (100 - percent) * 10 * GB,
});

const look = async (
  name: string,
  input: { lastRun?: number; osts?: OstUsage[]; named?: boolean; targeted?: boolean },
) =>
  await lookAtTriggers(await policyOf(name), {
    now: NOW,
    lastRun: input.lastRun,
    osts: async () => input.osts ?? [],
    named: input.named ?? false,
    targeted: input.targeted ?? false,
  });

test('archives every 5 minutes, with a little slack for cron', async () => {
  expect(await look('archive', {})).toMatchObject({ on: 'periodic', fires: true });
  expect(await look('archive', { lastRun: NOW - 5 * MINUTE })).toMatchObject({ fires: true });
  expect(await look('archive', { lastRun: NOW - 5 * MINUTE + 2_000 })).toMatchObject({ fires: true });
  expect(await look('archive', { lastRun: NOW - 4 * MINUTE })).toMatchObject({
    fires: false,
    why: 'every 5m; the last run began 4m ago',
  });
  expect(await look('archive', { lastRun: NOW - 4 * MINUTE, named: true })).toMatchObject({ on: 'named', fires: true });
  // A clock that was set back.
  expect(await look('archive', { lastRun: NOW + MINUTE })).toMatchObject({ fires: true });
});

test('releases from 85 % of an OST on, fullest first, down to 80 %', async () => {
  const some = [ost(0, 84.9), ost(1, 85), ost(2, 97.5), ost(3, 10)];
  const report = await look('release', { osts: some });
  expect(report).toMatchObject({ on: 'ost_usage', fires: true });
  expect(report.osts).toEqual([
    { index: 2, name: 'fs-OST0002', percent: 97.5, excess: 175 * GB },
    { index: 1, name: 'fs-OST0001', percent: 85, excess: 50 * GB },
  ]);
  expect(await look('release', { osts: some.slice(0, 1) })).toMatchObject({
    fires: false,
    why: 'no OST at or above 85%; the fullest has 84.9%',
  });
});

test('a release by the watermark is not repeated before OSTs have given back what it freed', async () => {
  const osts = [ost(0, 90)];
  expect(await look('release', { osts, lastRun: NOW - MINUTE })).toMatchObject({ on: 'ost_usage', fires: false });
  expect(await look('release', { osts, lastRun: NOW - 5 * MINUTE })).toMatchObject({ fires: true });
  expect(await look('release', { osts, lastRun: NOW - MINUTE, named: true })).toMatchObject({ fires: true });
});

test('naming a policy does not lift its watermark; a target does', async () => {
  expect(await look('release', { osts: [ost(0, 50)], named: true })).toMatchObject({ fires: false });
  expect(await look('release', { osts: [ost(0, 50)], named: true, targeted: true })).toMatchObject({
    on: 'target',
    fires: true,
  });
});

test('what is freed counts for each OST of a file by its share, until the low mark', () => {
  const report = { name: '', percent: 90, excess: 10 * 512 };
  const goal = new FreeingGoal([
    { ...report, index: 0 },
    { ...report, index: 1 },
  ]);
  goal.add({ blocks: 9n, osts: [0] });
  expect([goal.reached(0), goal.reached(1)]).toEqual([false, false]);
  goal.add({ blocks: 2n, osts: [0, 1] });
  expect([goal.reached(0), goal.left(1)]).toEqual([true, 9 * 512]);
  goal.takeBack({ blocks: 2n, osts: [0, 1] });
  expect([goal.reached(0), goal.left(1)]).toEqual([false, 10 * 512]);
});
