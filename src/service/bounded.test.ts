import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { forEachBounded } from './bounded.ts';

describe('forEachBounded', () => {
  it('does everything once, never more than allowed at a time, never asking far ahead', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 40 }),
        fc.integer({ min: 1, max: 8 }),
        fc.boolean(),
        async (length, concurrency, later) => {
          let taken = 0;
          let active = 0;
          const done: number[] = [];
          const next = () => {
            taken += 1;
            expect(taken - done.length).toBeLessThanOrEqual(concurrency + 1);
            return taken;
          };
          function* now() {
            for (let i = 0; i < length; i += 1) yield next();
          }
          async function* slowly() {
            for (const item of now()) {
              await setImmediate();
              yield item;
            }
          }
          const work = async (item: number) => {
            active += 1;
            expect(active).toBeLessThanOrEqual(concurrency);
            for (let i = 0; i < item % 3; i += 1) await setImmediate();
            active -= 1;
            done.push(item);
          };
          await forEachBounded(later ? slowly() : now(), work, { concurrency });
          expect(done.toSorted((a, b) => a - b)).toEqual(Array.from({ length }, (_, i) => i + 1));
        },
      ),
      { numRuns: 50 },
    );
  });

  it('stops taking at the first failure, finishes what is at work, closes the source', async () => {
    let taken = 0;
    let finished = 0;
    let closed = false;
    function* source() {
      try {
        for (;;) yield ++taken;
      } finally {
        closed = true;
      }
    }
    const work = async (item: number) => {
      await setImmediate();
      if (item === 3) throw new Error('third');
      await setImmediate();
      finished += 1;
    };
    await expect(forEachBounded(source(), work, { concurrency: 4 })).rejects.toThrow('third');
    expect(closed).toBe(true);
    expect(finished).toBe(taken - 1);
    expect(taken).toBeLessThan(10);
  });

  it('throws the reason when aborted, after what is at work', async () => {
    const controller = new AbortController();
    let finished = 0;
    const work = async (item: number) => {
      if (item === 2) controller.abort(new Error('enough'));
      await setImmediate();
      finished += 1;
    };
    await expect(forEachBounded([1, 2, 3, 4, 5], work, { concurrency: 1, signal: controller.signal })).rejects.toThrow(
      'enough',
    );
    expect(finished).toBe(2);
  });
});
