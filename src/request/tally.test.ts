import { describe, expect, test } from 'vitest';
import type { Fid } from '../identity/fid.ts';
import { OperatorError } from '../service/errors.ts';
import { afterword, progressLine, summaryLines, toJson } from './report.ts';
import { type RequestSummary, Tally } from './tally.ts';
import type { Outcome, RequestFile } from './types.ts';

const file: RequestFile = {
  fid: '0x1:0x1:0x0' as Fid,
  path: Buffer.from([0x66, 0xff]),
  size: 1024n,
  hsm: { states: 0, archive: 0 },
  action: { action: 'NOOP', state: 'none', done: 0n },
};
const why = { code: 'DIRTY', text: 'changed' };

function summaryOf(
  ends: readonly Outcome[],
  options: { badPaths?: number; stoppedBy?: Error; unended?: number } = {},
): RequestSummary {
  const tally = new Tally();
  for (const outcome of ends) {
    tally.selected(file);
    const told = outcome === 'refused' || outcome === 'failed' || outcome === 'unneeded';
    tally.ended(file, outcome, told ? why : undefined);
  }
  for (let index = 0; index < (options.unended ?? 0); index++) tally.selected(file);
  for (let index = 0; index < (options.badPaths ?? 0); index++)
    tally.badPath({ path: file.path, code: 'ENOENT', text: 'missing' });
  return tally.summary({ verb: 'archive', dryRun: false, waited: true, stalled: false, stoppedBy: options.stoppedBy });
}

describe('the exit code', () => {
  test.each<[readonly Outcome[], string]>([
    [[], 'ok'],
    [['done', 'unneeded', 'asked', 'vanished', 'would_ask'], 'ok'],
    [['failed'], 'failed'],
    [['refused'], 'failed'],
    [['refused', 'vanished'], 'failed'],
    [['refused', 'unneeded'], 'partial'],
    [['failed', 'done'], 'partial'],
    [['failed', 'pending'], 'partial'],
    [['pending', 'done'], 'tryAgain'],
  ])('%j: %s', (ends, exit) => {
    expect(summaryOf(ends).exit).toBe(exit);
  });

  test('bad paths count as failures, an error that stopped the run says its own', () => {
    expect(summaryOf([], { badPaths: 1 }).exit).toBe('failed');
    expect(summaryOf(['done'], { badPaths: 1 }).exit).toBe('partial');
    const down = new OperatorError('down', { code: 'X', exit: 'tryAgain' });
    expect(summaryOf(['failed'], { stoppedBy: down }).exit).toBe('tryAgain');
    expect(summaryOf(['done'], { stoppedBy: new Error('bug') }).exit).toBe('failed');
  });
});

test('files without an end when the run stopped are counted as not asked for', () => {
  const { outcomes, bytes } = summaryOf(['done'], { unended: 3 });
  expect([outcomes.done, outcomes.unasked, bytes.unasked]).toEqual([1, 3, 3072n]);
});

test('problems are kept up to a bound, and counted beyond', () => {
  const { problems, problemsLeftOut, reasons } = summaryOf(Array<Outcome>(1500).fill('failed'));
  expect([problems.length, problemsLeftOut]).toEqual([1000, 500]);
  expect(reasons).toEqual([{ ...why, outcome: 'failed', files: 1500 }]);
});

test('the lines for people', () => {
  const summary = summaryOf(['done', 'done', 'refused', 'pending'], { badPaths: 2 });
  expect(summaryLines(summary)).toEqual([
    '2 files (2KiB) archived',
    '1 file (1KiB) asked for, and still under way',
    '1 file (1KiB) skipped',
    '  1 × changed',
    '2 paths with nothing to ask for',
    '  2 × missing',
  ]);
  expect(afterword(summary)).toMatch(/^1 file asked for: Lustre goes on/);
  expect(afterword(summaryOf(['done']))).toBeUndefined();
  expect(afterword(summaryOf(['asked']))).toBeUndefined();
  expect(summaryLines(summaryOf([]))).toEqual([expect.stringContaining('No files')]);
});

test('the JSON holds what the documentation names, and paths that are not UTF-8 as base64', () => {
  const json = toJson(summaryOf(['done', 'failed']));
  expect(Object.keys(json).sort()).toEqual(
    [
      'badPaths',
      'dryRun',
      'exit',
      'filtered',
      'given',
      'outcomes',
      'problems',
      'problemsLeftOut',
      'reasons',
      'selected',
      'verb',
      'waited',
    ].sort(),
  );
  expect(json.outcomes.done).toEqual({ files: 1, bytes: 1024 });
  expect(json.problems).toEqual([{ path_b64: 'Zv8=', fid: '0x1:0x1:0x0', code: 'DIRTY', text: 'changed' }]);
  expect(json.exit).toEqual({ name: 'partial', code: 3 });
});

test('the progress line fits, and never shows more than all', () => {
  const progress = {
    selected: 10,
    selectionDone: true,
    asked: 10,
    askedBytes: 1000n,
    settled: 5,
    done: 5,
    doneBytes: 500n,
    movingBytes: 5000n,
    failed: 1,
  };
  const line = progressLine(progress, { verb: 'archive', waiting: true, width: 200 });
  expect(line).toMatch(/^\[#{20}\] {2}5 of 10 archived {2}.* 1 failed$/);
  expect(progressLine(progress, { verb: 'archive', waiting: true, width: 30 })).toHaveLength(30);
});
