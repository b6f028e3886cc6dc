import { afterAll, beforeAll, expect, test } from 'vitest';
import { type GatewayRig, startGatewayRig } from './gateway-rig.ts';
import { CASES, nameOf, runCase } from './moods.ts';

/** Of each kind one; the whole table is in test/full. */
const SAMPLE = [
  'connection cut: archive, put a block',
  'answer lost: archive, put',
  'answers lost, then cut: archive, commit',
  'answer lost: remove, delete',
  'connection stalled: restore, look for the copy',
  '503 with Retry-After: restore, read',
  '403 signature: archive, commit',
  '403 permission: restore, read',
  'bytes changed on the way there: archive, put a block',
  'bytes changed on the way back: restore, read a range',
  'body truncated: restore, read a range',
  'container gone: archive, put',
  'blocks gone once: archive, commit',
];

let it: GatewayRig;
beforeAll(async () => {
  it = await startGatewayRig({
    config: { copytool: { block_size: '64KiB', range_size: '256KiB', stall_timeout: '1s' } },
  });
});
afterAll(() => it?.stop());

const sample = CASES.map((one) => [nameOf(one), one] as const).filter(([name]) => SAMPLE.includes(name));

test('the sample is of the table', () => {
  expect(sample.length).toBe(SAMPLE.length);
});

test.each(sample)('%s', (_name, one) => runCase(it.rig, it.gateway, one));
