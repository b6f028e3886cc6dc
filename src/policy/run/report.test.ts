import { describe, expect, test } from 'vitest';
import { OperatorError } from '../../service/errors.ts';
import type { Policy } from '../policies.ts';
import { CostBook } from './cost.ts';
import { archiveOperations, NO_OPERATIONS, recallOperations, VERIFICATION } from './operations.ts';
import type { PolicyResult } from './policy-runs.ts';
import { exitOf, isQuiet, progressLine, resultLines, toJson } from './report.ts';
import type { RunSummary, TriggerReport } from './types.ts';

const policy = { name: 'archive', action: 'archive' } as Policy;
const trigger: TriggerReport = { on: 'periodic', fires: true, why: 'every 5m' };
const none = { files: 0, bytes: 0 };
const summary = (changes: Partial<RunSummary> = {}): RunSummary => ({
  ...{ policy: 'archive', action: 'archive', dryRun: false, trigger, started: 0, elapsed: 1_400 },
  ...{ matched: none, asked: none, done: none, outstanding: none, failed: none, markedDirty: none },
  ...{ skipped: {}, failures: {}, rules: {}, requests: 0, operations: NO_OPERATIONS },
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

test('on a terminal, each policy that is at work has its part of one line, which fits', () => {
  const progress = { policy: 'archive', matched: none, asked: { files: 7, bytes: 9 }, done: { files: 2, bytes: 3 } };
  const all = [
    { ...progress, failed: { files: 1, bytes: 1 }, outstanding: { files: 4, bytes: 5 }, waiting: 'rate' as const },
    { ...progress, policy: 'release', failed: none, outstanding: none, waiting: undefined },
  ];
  expect(progressLine(all, 200)).toBe(
    'archive: 7 asked for, 2 done, 4 under way, 1 failed, held by the rate limit  release: 7 asked for, 2 done',
  );
  expect(progressLine(all, 30)).toBe('archive: 7 asked for, 2 done, ');
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

describe('what a dry run would cost', () => {
  const GIB = 1n << 30n;
  /** 10,000 files of 1 KiB and a GiB, in two tiers. */
  const book = () => {
    const costs = new CostBook();
    for (let n = 0; n < 10_000; n++) costs.add('Hot', { operations: archiveOperations(1024n, 'auto'), written: 1024n });
    costs.add('Cool', { operations: archiveOperations(GIB, 'auto'), written: GIB });
    return costs;
  };
  const tiers = {
    Hot: { writes: 0.5, reads: 0.04, other: 0.04, written: 0, retrieved: 0, stored: 0.02 },
    Cool: { writes: 1, reads: 0.1, other: 0.04, written: 0.25, retrieved: 0.01, stored: 0.015 },
  };
  const lines = (costs: CostBook, prices: Parameters<CostBook['estimate']>[0], action: 'archive' | 'release') => {
    const { operations } = costs;
    const estimate = costs.estimate(prices);
    return resultLines(result({ dryRun: true, action, requests: 201, operations, estimate }), true).slice(1);
  };

  test('is counted by tier and class of operation, and multiplied by the price list', () => {
    const costs = book();
    expect(costs.operations).toEqual({ writes: 10_129, reads: 0, other: 20_003, deletes: 0 });
    const prices = { currency: 'EUR', asOf: 'West Europe, LRS, 2026-11-01', accountTier: 'Hot' as const, tiers };
    const estimate = costs.estimate(prices);
    // Hot: 1 × 0.5 + 2 × 0.04. Cool: 129 writes, 3 others, 1 GiB.
    expect(estimate).toEqual({
      ...{ currency: 'EUR', asOf: 'West Europe, LRS, 2026-11-01', recall: 0, missing: [] },
      cost: 0.842912,
      month: Math.round((0.02 * (10_000 / 2 ** 20) + 0.015) * 1e6) / 1e6,
      tiers: {
        Hot: {
          operations: { ...NO_OPERATIONS, writes: 10_000, other: 20_000 },
          written: 10_240_000,
          recall: { operations: NO_OPERATIONS, retrieved: 0 },
        },
        Cool: {
          operations: { ...NO_OPERATIONS, writes: 129, other: 3 },
          written: 2 ** 30,
          recall: { operations: NO_OPERATIONS, retrieved: 0 },
        },
      },
    });
    expect(lines(costs, prices, 'archive')).toEqual([
      '  about 201 requests to the coordinator, 10129 writes, 0 reads, 20003 other operations of the storage service',
      '    Hot: 10000 writes, 0 reads, 20000 other operations, 9.7MiB',
      '    Cool: 129 writes, 0 reads, 3 other operations, 1GiB',
      '  about EUR 0.8429 for these, EUR 0.0152 for what is written, each month (prices: West Europe, LRS, 2026-11-01)',
    ]);
    expect(toJson([result({ dryRun: true, estimate })], true).policies[0]).toMatchObject({ estimate });
  });

  test('of a release has what reading it all back would cost', () => {
    const costs = new CostBook();
    costs.add('Cool', { operations: VERIFICATION, recall: recallOperations(3n * GIB, 4 << 20), retrieved: 3n * GIB });
    const prices = { currency: 'USD', accountTier: 'Hot' as const, tiers };
    // 768 ranges and one look.
    expect(costs.estimate(prices)).toMatchObject({ cost: 0.000004, month: 0, recall: 0.037684 });
    expect(lines(costs, prices, 'release').at(-1)).toBe(
      '  about USD 0.0000 for these, USD 0.0377 if all of it is read back',
    );
  });

  test('is no number where a price is missing, and says which', () => {
    const costs = book();
    const prices = { currency: 'USD', accountTier: 'Hot' as const, tiers: { Hot: tiers.Hot, Cool: { stored: 1 } } };
    expect(costs.estimate(prices)).toMatchObject({
      cost: null,
      month: expect.any(Number),
      missing: ['prices.tiers.Cool.writes', 'prices.tiers.Cool.other', 'prices.tiers.Cool.written'],
    });
    expect(lines(costs, { ...prices, tiers: {} }, 'archive').at(-1)).toMatch(
      /^ {2}no more can be said of its cost without prices\.tiers\.Hot\.writes, .*prices\.tiers\.Cool\.stored: see your price list$/,
    );
  });
});
