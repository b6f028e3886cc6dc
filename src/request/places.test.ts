import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Places } from './places.ts';

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

test('never more than there are places, but for a batch that is larger than all of them; nobody is forgotten', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 20 }),
      fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 20 }),
      async (most, batches) => {
        const places = new Places(most);
        let out = 0;
        let done = 0;
        const work = batches.map(async (count) => {
          await places.take(count);
          expect(out + count <= most || out === 0).toBe(true);
          out += count;
          for (let i = 0; i < count; i++) {
            await turn();
            out -= 1;
            places.give();
          }
          done += 1;
        });
        await Promise.all(work);
        expect([done, places.taken]).toEqual([batches.length, 0]);
      },
    ),
    { numRuns: 50 },
  );
});

test('who gives up waiting takes nothing, and lets the next one by', async () => {
  const places = new Places(10);
  await places.take(8);
  const stop = new AbortController();
  const large = places.take(9, stop.signal);
  const small = places.take(2);
  stop.abort(new Error('stopped'));
  await expect(large).rejects.toThrow('stopped');
  await small;
  expect(places.taken).toBe(10);
  await expect(places.take(1, stop.signal)).rejects.toThrow('stopped');
});
