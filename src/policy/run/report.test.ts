import { expect, test } from 'vitest';
import { OperatorError } from '../../service/errors.ts';
import type { Policy } from '../policies.ts';
import type { PolicyResult } from './policy-runs.ts';
import { exitOf, isQuiet, resultLines, toJson } from './report.ts';
import type { RunSummary, TriggerReport } from './types.ts';

const policy = { name: 'archive', action: 'archive' } as Policy;
const trigger: TriggerReport = { on: 'periodic', fires: true, why: 'every 5m' };
const none = { files: 0, bytes: 0 };
const summary = (changes: Partial<RunSummary> = {}): RunSummary => ({
  ...{ policy: 'archive', action: 'archive', dryRun: false, trigger, started: 0, elapsed: 1_400 },
  ...{ matched: none, asked: none, done: none, outstanding: none, failed: none, markedDirty: none },
  ...{ skipped: {}, failures: {}, rules: {}, requests: 0, operations: { writes: 0, reads: 0 } },
  ...{ outcome: 'complete', stoppedBy: undefined, problems: [], exit: 'ok' },
  ...changes,
});
const result = (changes: Partial<RunSummary> = {}): PolicyResult => ({ policy, trigger, summary: summary(changes) });
const locked: PolicyResult = {
  policy,
  locked: new OperatorError('busy', { code: 'POLICY_RUNNING', hint: 'x', exit: 'locked' }),
};
const failed: PolicyResult = {
  policy,
  failed: new OperatorError('no', { code: 'NO', hint: 'x', exit: 'notAuthorised' }),
};

test('nothing to do is quiet, whatever was skipped; everything else is told', () => {
  expect(isQuiet({ policy, trigger })).toBe(true);
  expect(isQuiet(result({ skipped: { BACKOFF: 7 } }))).toBe(true);
  expect(resultLines(result({ skipped: { BACKOFF: 7 } }), false)).toEqual([]);
  expect(resultLines(result({ skipped: { BACKOFF: 7 } }), true).join('\n')).toMatch(/7 skipped: failed lately/);
  for (const one of [result({ asked: { files: 1, bytes: 1 } }), result({ exit: 'tryAgain' }), locked, failed])
    expect(isQuiet(one)).toBe(false);
});

test('the gravest exit code of all policies counts', () => {
  expect(exitOf([])).toBe('ok');
  expect(exitOf([result(), locked])).toBe('locked');
  expect(exitOf([locked, result({ exit: 'partial' })])).toBe('partial');
  expect(exitOf([result({ exit: 'partial' }), result({ exit: 'tryAgain' })])).toBe('tryAgain');
  expect(exitOf([failed, result({ exit: 'tryAgain' })])).toBe('notAuthorised');
});

test('--json says as much of each policy as there is to say', () => {
  const json = toJson(
    [{ policy, trigger: { ...trigger, fires: false } }, locked, failed, result({ asked: { files: 2, bytes: 9 } })],
    true,
  );
  expect(json).toMatchObject({ dryRun: true, exit: { name: 'notAuthorised', code: 7 } });
  expect(json.policies).toMatchObject([
    { outcome: 'idle', exit: 'ok' },
    { outcome: 'locked', error: { code: 'POLICY_RUNNING' } },
    { outcome: 'failed', error: { code: 'NO', message: 'no' } },
    { outcome: 'complete', asked: { files: 2, bytes: 9 }, seconds: 1.4, started: '1970-01-01T00:00:00.000Z' },
  ]);
});
