import { expect, test } from 'vitest';
import { ResultLines, summaryLines } from './report.ts';
import type { CheckResult } from './types.ts';

const result = (id: string, status: CheckResult['status'], evidence: string, fix?: string): CheckResult => ({
  ...{ id, status, evidence },
  ...(fix === undefined ? {} : { fix }),
});
const printed = (results: readonly CheckResult[]) => {
  const lines = new ResultLines();
  return [...results.flatMap((one) => lines.add(one)), ...lines.end()];
};

test('what several in a row ask for is said once, below the last of them', () => {
  expect(
    printed([
      result('a', 'unknown', 'a can’t be seen', 'Ask.'),
      result('b', 'unknown', 'b can’t be seen', 'Ask.'),
      result('c', 'ok', 'fine'),
      result('d', 'unknown', 'd can’t be seen', 'Ask.'),
      { ...result('e', 'failed', 'broken', 'Ask.'), subject: 'archive 1' },
      { ...result('e', 'failed', 'broken', 'Mend it.'), subject: 'archive 2' },
    ]),
  ).toEqual([
    'unknown a: a can’t be seen',
    'unknown b: b can’t be seen',
    '        → Ask.',
    'ok      c: fine',
    'unknown d: d can’t be seen',
    '        → Ask.',
    'FAILED  e (archive 1): broken',
    '        → Ask.',
    'FAILED  e (archive 2): broken',
    '        → Mend it.',
  ]);
});

test('what was left out for one reason is one line', () => {
  expect(
    printed([
      result('a', 'skipped', 'x failed'),
      result('b', 'skipped', 'x failed'),
      result('c', 'skipped', 'y failed'),
      result('d', 'ok', 'fine'),
    ]),
  ).toEqual(['skipped a, b: x failed', 'skipped c: y failed', 'ok      d: fine']);
});

test('what is all right is told at once, and the end says where to begin', () => {
  expect(new ResultLines().add(result('a', 'ok', 'fine'))).toEqual(['ok      a: fine']);
  expect(summaryLines([result('a', 'ok', ''), result('b', 'ok', '')])).toEqual(['2 ok']);
  const bad = [result('c', 'failed', '', 'x'), { ...result('d', 'failed', '', 'x'), subject: 'archive 2' }];
  expect(summaryLines([result('a', 'ok', ''), ...bad])).toEqual([
    '1 ok, 2 failed',
    'to be mended, in this order: c, d (archive 2)',
  ]);
});
