import { expect, test } from 'vitest';
import { bar, marksFor, sparkline } from './marks.ts';

const BLOCKS = marksFor({ LANG: 'C.UTF-8' });
const PLAIN = marksFor({ LANG: 'C.UTF-8', LC_ALL: 'POSIX' });

test('graphs show the latest values, scaled to the highest of them', () => {
  expect(sparkline([1, 0, 4, 8], 4, BLOCKS)).toBe('▁ ▄█');
  expect(sparkline([9, 8, 4], 2, BLOCKS)).toBe('█▄');
  expect(sparkline([0, 0], 4, BLOCKS)).toBe('    ');
  expect(sparkline([], 3, BLOCKS)).toBe('   ');
  expect(sparkline([1, 1_000_000], 2, PLAIN)).toBe('.@');
});

test('bars are filled as far as they should be, with marks', () => {
  expect(bar(50, 10, [], PLAIN)).toBe('#####.....');
  expect(bar(90, 10, [80, 85], PLAIN)).toBe('########||');
  expect(bar(0, 4, [], BLOCKS)).toBe('░░░░');
  expect(bar(130, 4, [100], BLOCKS)).toBe('███│');
});
