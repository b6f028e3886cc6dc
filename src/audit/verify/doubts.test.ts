import { expect, test } from 'vitest';
import { parseFid } from '../../identity/fid.ts';
import { Doubts, type FindingSink } from './doubts.ts';
import type { Found } from './findings.ts';
import type { Looked } from './look.ts';
import { VerifyTally } from './tally.ts';

const fid = parseFid('0x200000401:0x1:0x0') as Found['fid'];
const found: Found = { code: 'missing', fid, archive: 1, blob: 'a', remedy: 'follower' };

/** A file, and time that passes only where it is waited for. */
function world(settle = 10_000) {
  const told: Found[] = [];
  const state = { ctime: 1, now: 0, present: true, waited: 0, onWait: (): void => undefined };
  const findings: FindingSink = { add: async (one) => void told.push(one) };
  const look = async () => ({ entry: { ctime: state.ctime }, paths: [Buffer.from('a')] }) as unknown as Looked;
  const tally = new VerifyTally();
  const wait = async (milliseconds: number) => {
    state.now += milliseconds;
    state.waited += milliseconds;
    state.onWait();
  };
  const clock = { now: () => state.now, wait };
  const doubts = new Doubts({ findings, settle, look, tally, signal: new AbortController().signal, clock });
  const again = async (sink: FindingSink) => {
    if (state.present) await sink.add({ ...found, detail: 'seen again' });
  };
  return { told, state, tally, doubts, again };
}

test('what is there after a while, of a file that nobody has touched, is told as it is then', async () => {
  const { told, doubts, again, state } = world();
  await doubts.add(found, undefined, again);
  expect(told).toEqual([]);
  await doubts.settle();
  expect(told).toEqual([{ ...found, detail: 'seen again' }]);
  expect(state.waited).toBe(10_000);
});

test('what the follower has put right meanwhile is none', async () => {
  const { told, doubts, again, state, tally } = world();
  await doubts.add(found, undefined, again);
  state.onWait = () => {
    state.present = false;
  };
  await doubts.settle();
  expect(told).toEqual([]);
  expect(tally.pending).toBe(0);
});

test('a file that changes is waited for again, and one that never rests is the follower’s', async () => {
  const resting = world();
  await resting.doubts.add(found, undefined, resting.again);
  resting.state.onWait = () => {
    if (resting.state.ctime < 3) resting.state.ctime += 1;
  };
  await resting.doubts.settle();
  expect(resting.told).toHaveLength(1);
  expect(resting.state.waited).toBe(30_000);

  const restless = world();
  await restless.doubts.add(found, undefined, restless.again);
  restless.state.onWait = () => {
    restless.state.ctime += 1;
  };
  await restless.doubts.settle();
  expect(restless.told).toEqual([]);
  expect(restless.tally.pending).toBe(1);
});

test('all wait together; with nothing to wait for, and what is certain, is told at once', async () => {
  const { told, doubts, again, state } = world();
  for (let n = 0; n < 100; n++) await doubts.add(found, undefined, again);
  await doubts.settle();
  expect(state.waited).toBe(10_000);
  expect(told).toHaveLength(100);
  await doubts.add(found);
  expect(told).toHaveLength(101);
  const hasty = world(0);
  await hasty.doubts.add(found, undefined, hasty.again);
  expect(hasty.told).toEqual([found]);
});
