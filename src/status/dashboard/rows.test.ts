import stringWidth from 'string-width';
import { expect, test } from 'vitest';
import { columns, wrapped } from './rows.ts';

test('columns stand below each other whatever is in them', () => {
  const lines = columns([
    ['REASONS', 'FILE', 'ERROR'],
    ['names', 'plain.dat', 'no room'],
    ['names', '研究/データ.h5', 'no room'],
    ['names', 'cafe\u0301.txt', 'no room'],
    ['names', '🧪.csv', 'no room'],
  ]);
  // REASONS and FILE (14 wide: five characters of the longest take two places each), two apart.
  expect(lines.map((line) => stringWidth(line.slice(0, line.search(/no room|ERROR/))))).toEqual([25, 25, 25, 25, 25]);
});

test('wide text is wrapped before the edge', () => {
  const lines = wrapped('archive of 研究データ 研究データ failed', 22);
  expect(lines.map((line) => stringWidth(line)).every((width) => width <= 22)).toBe(true);
  expect(lines).toEqual(['archive of 研究データ', '  研究データ failed']);
});
