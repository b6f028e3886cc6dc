import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FakeClock } from '../../../test/support/fake-clock.ts';
import { RateLimit } from './rate.ts';

test('the default lets 1,000 files through in each 10 seconds, and not one more', async () => {
  const clock = new FakeClock();
  const limit = new RateLimit({ files: 1000, bytes: undefined, periodMs: 10_000 }, clock);
  const times: number[] = [];
  for (let file = 0; file < 3500; file++) {
    while (!limit.tryTake(1)) await limit.next();
    times.push(clock.now() - clock.began);
  }
  expect(times.filter((at) => at === 0).length).toBe(1000);
  expect(times.filter((at) => at === 10_000).length).toBe(1000);
  expect(times.filter((at) => at === 20_000).length).toBe(1000);
  expect(times.filter((at) => at === 30_000).length).toBe(500);
});

test('by bytes: what fits goes; a file that is larger than a period goes alone when one has begun', async () => {
  const clock = new FakeClock();
  const limit = new RateLimit({ files: undefined, bytes: 100, periodMs: 1000 }, clock);
  const at = async (bytes: number) => {
    while (!limit.tryTake(bytes)) await limit.next();
    return clock.now() - clock.began;
  };
  expect([await at(60), await at(40), await at(1), await at(500), await at(100), await at(0)]).toEqual([
    0, 0, 1000, 2000, 3000, 3000,
  ]);
});

test('no period ever has more than the limits, whatever the files', async () => {
  const file = fc.record({ bytes: fc.nat(200), pause: fc.nat(700) });
  await fc.assert(
    fc.asyncProperty(fc.array(file, { maxLength: 60 }), async (files) => {
      const clock = new FakeClock();
      const limit = new RateLimit({ files: 5, bytes: 300, periodMs: 1000 }, clock);
      const taken: { at: number; bytes: number }[] = [];
      for (const { bytes, pause } of files) {
        await clock.sleep(pause);
        while (!limit.tryTake(bytes)) await limit.next();
        taken.push({ at: clock.now(), bytes });
      }
      for (const { at } of taken) {
        // A bucket that is filled up by periods lets at most two periods' worth through in any one of their length.
        const near = taken.filter((one) => one.at >= at && one.at < at + 1000);
        expect(near.length).toBeLessThanOrEqual(10);
        expect(near.reduce((sum, one) => sum + one.bytes, 0)).toBeLessThanOrEqual(600);
      }
    }),
  );
});
