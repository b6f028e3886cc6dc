import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LargestFirst } from './largest-first.ts';

test('the largest of any number, largest first, the first of equals', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 50 })), fc.integer({ min: 0, max: 10 }), (sizes, most) => {
      const items = sizes.map((size, index) => ({ size, index }));
      const largest = new LargestFirst<(typeof items)[number]>(most, ({ size }) => BigInt(size));
      for (const item of items) largest.add(item);
      const expected = [...items].sort((a, b) => b.size - a.size || a.index - b.index).slice(0, most);
      expect(largest.inOrder()).toEqual(expected);
    }),
  );
});
