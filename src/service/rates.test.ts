import { expect, it } from 'vitest';
import { Rater } from './rates.ts';

it('tells what a counter grew by in a second, over each span', () => {
  const values = { bytes: 0, files: 0 };
  const rater = new Rater(() => ({ ...values }));
  rater.sample(0);
  expect(rater.rates(0).bytes).toEqual({ '10s': 0, '1m': 0, '5m': 0 });
  for (let second = 1; second <= 1000; second += 1) {
    // 100 a second until the last minute, then 700.
    values.bytes += second > 940 ? 700 : 100;
    if (second % 2 === 0) values.files += 1;
    rater.sample(second * 1000);
    if (second === 5) expect(rater.rates(5_000).bytes).toEqual({ '10s': 100, '1m': 100, '5m': 100 });
  }
  expect(rater.rates(1_000_000).bytes).toEqual({ '10s': 700, '1m': 700, '5m': (240 * 100 + 60 * 700) / 300 });
  expect(rater.rates(1_000_000).files).toEqual({ '10s': 0.5, '1m': 0.5, '5m': 0.5 });
  // Nobody has looked for a while: the last look that is old enough counts.
  values.bytes += 7_000;
  expect(rater.rates(1_010_000).bytes['10s']).toBe(700);
});

it('keeps no more looks than it needs', () => {
  let reads = 0;
  const rater = new Rater(() => {
    reads += 1;
    return { n: reads };
  });
  for (let second = 0; second < 100_000; second += 1) rater.sample(second * 1000);
  expect(rater.rates(99_999_000).n['5m']).toBeCloseTo(1, 1);
});
