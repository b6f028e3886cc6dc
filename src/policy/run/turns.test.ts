import { expect, test } from 'vitest';
import { FakeClock } from '../../../test/support/fake-clock.ts';
import { ROOT_FID } from '../../identity/fid.ts';
import type { RunContext } from './context.ts';
import { withTurns } from './turns.ts';

test('what answers is told, what does not is not, and a long pause is told of again and again', async () => {
  let turns = 0;
  let answer: (() => void) | undefined;
  const stuck = new Promise<void>((resolve) => {
    answer = resolve;
  });
  const made = {
    files: { getMany: () => Promise.resolve([]), setHsm: () => stuck },
    source: { look: () => Promise.reject(new Error('away')), stripes: () => Promise.resolve(new Map()) },
    effects: { send: () => Promise.resolve(), note: () => Promise.resolve() },
    clock: new FakeClock(),
  } as unknown as RunContext;
  const context = withTurns(made, () => {
    turns += 1;
  });
  await context.files.getMany([], { parts: [] });
  expect(turns).toBe(1);
  const waiting = context.files.setHsm(ROOT_FID, { set: 1 });
  await context.source.look([]).catch(() => undefined);
  expect(turns).toBe(2);
  answer?.();
  await waiting;
  expect(turns).toBe(3);
  await context.clock.sleep(3_600_000);
  expect(turns).toBe(3 + 3_600);
  expect(context.clock.now()).toBe(made.clock.now());
});
