import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { PolicyModel } from '../../../test/support/policy-model.ts';
import type { Fid } from '../../identity/fid.ts';
import { ERRNO } from '../../lustre/errno.ts';
import { HSM } from '../../lustre/hsm-state.ts';
import { ErrnoError } from '../../service/errors.ts';
import type { TriggerReport } from './types.ts';

// The engine on a file system in memory, with a real catalog and a clock of its own: what takes hours, and exact numbers.

let model: PolicyModel;
beforeEach(() => {
  model = new PolicyModel();
});
afterEach(() => model.close());

const HOUR = 3600;
const DAY = 24 * HOUR;
const YEAR = 365 * DAY;
const MIB = 1024n * 1024n;
const CLEAN = HSM.EXISTS | HSM.ARCHIVED;
const old = () => ({ mtime: model.ago(DAY), atime: model.ago(DAY) });
const isReleased = (of: Fid) => (model.state(of) & HSM.RELEASED) !== 0;

/** A trigger that says so much is to be freed on an OST. */
const watermark = (excess: number, ...osts: number[]): TriggerReport => ({
  on: 'ost_usage',
  fires: true,
  why: 'test',
  osts: (osts.length === 0 ? [0] : osts).map((index) => ({ index, name: `OST${index}`, percent: 90, excess })),
});

describe('the defaults', () => {
  test('archive what was last modified 30 minutes ago, not a second less', async () => {
    const due = await model.add({ mtime: model.ago(1800) });
    const young = await model.add({ mtime: model.ago(1799) });
    const { asked } = await model.run('archive', '', { wait: true });
    expect(asked.files).toBe(1);
    expect([model.state(due), model.state(young)]).toEqual([CLEAN, 0]);
  });

  test('release small files after a year, larger ones after a day, never empty ones', async () => {
    const archived = (size: bigint, used: number) => ({
      ...{ size, hsm: CLEAN, archive: 1, blocks: 8n },
      ...{ mtime: model.ago(used), atime: model.ago(used) },
    });
    const [small, smallLater, std, stdLater, big, empty] = [
      await model.add(archived(16n * MIB, YEAR + 1)),
      await model.add(archived(16n * MIB, YEAR)),
      await model.add(archived(16n * MIB + 1n, DAY + 1)),
      await model.add(archived(16n * MIB + 1n, DAY)),
      await model.add(archived(2048n * MIB, DAY + 1)),
      await model.add(archived(0n, YEAR * 2)),
    ];
    const { done } = await model.run('release', '', { trigger: watermark(1e12) });
    expect(done.files).toBe(3);
    expect([small, smallLater, std, stdLater, big, empty].map(isReleased)).toEqual([
      true,
      false,
      true,
      false,
      true,
      false,
    ]);
  });

  test('release what is in no class after six hours, not a second before', async () => {
    const archived = (used: number) => ({
      ...{ size: 100n, hsm: CLEAN, archive: 1, blocks: 8n, osts: [0] },
      ...{ mtime: model.ago(used), atime: model.ago(used) },
    });
    const due = await model.add(archived(6 * HOUR + 1));
    const young = await model.add(archived(6 * HOUR));
    // The default rules, and files that are in none of their classes.
    const yaml = 'classes: { small_files: { definition: size > 1GB } }';
    const { rules } = await model.run('release', yaml, { trigger: watermark(1e12) });
    expect(rules).toEqual({ default: { files: 1, bytes: 100 } });
    expect([due, young].map(isReleased)).toEqual([true, false]);
  });

  test('remove what a file left five minutes after it was removed, not a second before', async () => {
    const [due, young] = (await model.addMany(2, () => ({ ...old(), hsm: CLEAN, archive: 1 }))) as [Fid, Fid];
    const deaths = [
      { fid: due, at: model.ago(300) },
      { fid: young, at: model.ago(299) },
    ];
    await model.catalog.apply({ deaths });
    const { matched, asked, skipped } = await model.run('remove', '', { dry: true });
    expect([matched.files, asked.files, skipped]).toEqual([2, 1, { NOT_DUE: 1 }]);
    model.clock.pass(1000);
    expect(await model.run('remove', '', { dry: true })).toMatchObject({ asked: { files: 2 } });
  });

  test('let 1,000 files through in 10 seconds, and 1,000 be under way', async () => {
    await model.addMany(3_200, old);
    const { asked, outcome } = await model.run('archive', '', { wait: true });
    expect([asked.files, outcome]).toEqual([3_200, 'complete']);
    const perPeriod = [0, 1, 2, 3].map((n) => model.askedAt.filter((at) => Math.floor(at / 10_000) === n).length);
    expect(perPeriod).toEqual([1000, 1000, 1000, 200]);
    expect(model.most).toBeLessThanOrEqual(1000);
    expect(model.requests.length).toBe(64);
  });

  test('suspend a run from 100 errors on, when 50 % fail', async () => {
    await model.addMany(3_000, old, 'fail');
    const summary = await model.run('archive', 'policies: { archive: { max_outstanding: 100 } }');
    expect(summary).toMatchObject({ outcome: 'suspended', exit: 'failed', failed: { files: 100 } });
    expect(model.askedAt.length).toBe(100);
  });
});

test('no more is outstanding than the ceiling, and what an earlier run has asked for counts', async () => {
  await model.addMany(120, old, { ms: 3_600_000 });
  const yaml = 'policies: { archive: { max_outstanding: 40 } }';
  const first = await model.run('archive', yaml, { maxFiles: 30 });
  expect(first).toMatchObject({ outcome: 'limit', outstanding: { files: 30 } });
  // Nothing comes to its end: the second run may ask for ten more, and gives up.
  const second = await model.run('archive', yaml);
  expect(second).toMatchObject({
    outcome: 'stalled',
    exit: 'tryAgain',
    asked: { files: 10 },
    outstanding: { files: 40 },
  });
  expect(model.most).toBe(40);
  // An hour later all of these are done, which the third run finds out.
  model.clock.pass(3_600_000);
  for (const of of model.files.keys()) model.conduct(of, { ms: 2_000 });
  const third = await model.run('archive', yaml, { wait: true });
  expect(third).toMatchObject({
    outcome: 'complete',
    asked: { files: 80 },
    done: { files: 120 },
    outstanding: { files: 0 },
  });
  expect(model.most).toBe(40);
});

test('a file that fails is left alone, longer each time, then for good; the others go on (lesson 21)', async () => {
  const bad = await model.add(old(), 'fail');
  const yaml = 'policies: { archive: { backoff: { first: 5m, longest: 10m, quarantine_after: 3 } } }';
  const seen: string[] = [];
  for (let minute = 0; minute < 60; minute++) {
    if (minute % 10 === 0) await model.add(old());
    const { skipped, failed, asked } = await model.run('archive', yaml, { wait: true });
    seen.push(failed.files > 0 ? 'failed' : (Object.keys(skipped)[0] ?? `asked ${asked.files}`));
    model.clock.pass(60_000);
  }
  expect(seen.filter((what) => what === 'failed').length).toBe(3);
  expect(seen.at(-1)).toBe('QUARANTINED');
  expect(model.requests.filter(({ fids }) => fids.includes(bad)).length).toBe(3);
  expect([...model.files.keys()].filter((of) => model.state(of) === CLEAN).length).toBe(6);
});

test('what changed since the catalog saw it is respected, file by file (lessons 32, 33)', async () => {
  const now = {
    hsm: CLEAN,
    archive: 1,
    size: 100n * MIB,
    blocks: 8n,
    ...old(),
    mtime: model.ago(YEAR),
    atime: model.ago(YEAR),
  };
  const fids = await model.addMany(9, () => now);
  const [good, dirty, read, lost, norelease, away, gone, unnamed, other] = fids as [
    Fid,
    Fid,
    Fid,
    Fid,
    Fid,
    Fid,
    Fid,
    Fid,
    Fid,
  ];
  model.change(dirty, { hsm: CLEAN | HSM.DIRTY, mtime: model.ago(5) });
  model.change(read, { atime: model.ago(5) });
  model.change(lost, { hsm: CLEAN | HSM.LOST });
  model.change(norelease, { hsm: CLEAN | HSM.NORELEASE });
  model.change(away, { hsm: CLEAN | HSM.RELEASED });
  model.kill(gone);
  model.change(unnamed, { nlink: 0 });
  model.change(other, { archive: 7 });
  const summary = await model.run('release', '', { trigger: watermark(1e15) });
  expect(summary).toMatchObject({ outcome: 'short', exit: 'partial', matched: { files: 9 }, done: { files: 1 } });
  expect(summary.skipped).toEqual({
    NOT_DUE: 2,
    LOST: 1,
    NORELEASE: 1,
    ALREADY_RELEASED: 1,
    VANISHED: 1,
    NO_NAME: 1,
    UNSERVED: 1,
  });
  expect(fids.filter(isReleased)).toEqual([good, away]);
  expect(model.requests.flatMap(({ fids: asked }) => asked)).toEqual([good]);
});

test('an archive is not asked for where the file is not to be, is somebody else’s already, or is at work (lessons 32, 33)', async () => {
  const fids = (await model.addMany(7, old)) as [Fid, Fid, Fid, Fid, Fid, Fid, Fid];
  const [good, noarchive, done, elsewhere, restoring, archiving, young] = fids;
  model.change(noarchive, { hsm: HSM.NOARCHIVE });
  model.change(done, { hsm: CLEAN, archive: 1 });
  model.change(elsewhere, { hsm: HSM.EXISTS | HSM.DIRTY, archive: 7 });
  model.act(restoring, { action: 'RESTORE', state: 'running', done: 0n });
  model.act(archiving, { action: 'ARCHIVE', state: 'waiting', done: 0n });
  model.change(young, { mtime: model.ago(5) });
  const summary = await model.run('archive');
  expect(summary.skipped).toEqual({
    ...{ NOARCHIVE: 1, ALREADY_ARCHIVED: 1, UNSERVED: 1, BUSY: 1, UNDER_WAY: 1, NOT_DUE: 1 },
  });
  expect(model.requests.flatMap(({ fids: asked }) => asked)).toEqual([good]);
});

describe('in the order of last use', () => {
  const files = (count: number, used: (index: number) => number) =>
    model.addMany(count, (index) => ({
      ...{ hsm: CLEAN, archive: 1, size: 100n * MIB, blocks: 100n },
      ...{ mtime: model.ago(YEAR * 2), atime: model.ago(used(index)) },
    }));
  const order = () => model.requests.flatMap(({ fids }) => fids);

  test('as it is now, not as the catalog has it, down to what is to be freed and no further', async () => {
    const fids = await files(2_500, (index) => 2 * YEAR - index);
    // Every tenth was read since, in an order of its own, and nothing has told the catalog.
    const read = fids.filter((_, index) => index % 10 === 0);
    read.forEach((of, index) => {
      model.change(of, { atime: model.ago(YEAR + 100_000 + ((index * 37) % 250)) });
    });
    const used = (of: Fid) => {
      const { atime, mtime } = (model.files.get(of) as { entry: { atime: number; mtime: number } }).entry;
      return Math.max(atime, mtime);
    };
    const expected = [...fids].sort((a, b) => used(a) - used(b) || fids.indexOf(a) - fids.indexOf(b));
    const summary = await model.run('release', '', { trigger: watermark(100 * 512 * 2_300) });
    expect(summary).toMatchObject({ outcome: 'complete', done: { files: 2_300 }, failed: { files: 0 } });
    const got = order();
    expect(new Set(got).size).toBe(2_300);
    const times = got.map(used);
    expect(times).toEqual([...times].sort((a, b) => a - b));
    expect(times).toEqual(expected.slice(0, 2_300).map(used));
  });

  test('when many have one and the same time, each comes once', async () => {
    const fids = await files(1_700, () => 2 * YEAR);
    fids.slice(0, 300).forEach((of) => {
      model.change(of, { atime: model.ago(2 * YEAR) });
    });
    const summary = await model.run('release', '', { trigger: watermark(1e15) });
    expect(summary).toMatchObject({ done: { files: 1_700 }, matched: { files: 1_700 } });
    expect(order().length).toBe(1_700);
  });

  test('what was refused is made up for; a file on two OSTs counts for both', async () => {
    const two = await model.addMany(10, (index) => ({
      ...{ hsm: CLEAN, archive: 1, size: 100n * MIB, blocks: 200n, osts: [0, 1] },
      ...{ mtime: model.ago(YEAR * 2), atime: model.ago(2 * YEAR - index) },
    }));
    for (const of of two.slice(0, 3)) model.noCopy.add(of);
    const summary = await model.run('release', '', { trigger: watermark(100 * 512 * 4, 0, 1) });
    expect(summary).toMatchObject({ outcome: 'complete', done: { files: 4 }, markedDirty: { files: 3 } });
    expect(order()).toEqual(two.slice(3, 7));
  });
});

describe('clean files that can not be released', () => {
  const clean = () => ({
    hsm: CLEAN,
    archive: 1,
    size: 100n * MIB,
    blocks: 8n,
    mtime: model.ago(YEAR * 2),
    atime: model.ago(YEAR * 2),
  });

  test('whose copy is missing, or whose data is not what was archived, are marked dirty; the rest of the request goes through (lessons 46, 47)', async () => {
    const fids = await model.addMany(20, clean);
    const [missing, stuck] = [fids[4] as Fid, fids[13] as Fid];
    model.noCopy.add(missing);
    model.trouble = ({ fids: asked }) => {
      if (asked.includes(stuck)) throw new ErrnoError(ERRNO.EPERM, 'release');
    };
    const summary = await model.run('release', '', { trigger: watermark(1e15) });
    expect(summary).toMatchObject({ done: { files: 18 }, markedDirty: { files: 2 } });
    expect(summary.problems.map(({ fid, code }) => [fid, code])).toEqual(
      expect.arrayContaining([
        [missing, 'COPY_MISSING'],
        [stuck, 'OTHER_DATA'],
      ]),
    );
    expect([model.state(missing), model.state(stuck)]).toEqual([CLEAN | HSM.DIRTY, CLEAN | HSM.DIRTY]);
    // They are archived by the next run, and released after that.
    model.noCopy.clear();
    model.trouble = undefined;
    expect(await model.run('archive', '', { wait: true })).toMatchObject({ done: { files: 2 } });
    model.clock.pass(DAY * 1000);
    expect(await model.run('release', '', { trigger: watermark(1e15) })).toMatchObject({ done: { files: 2 } });
  });

  test.each([
    ['has it open for writing', ERRNO.EBUSY],
    ['opens it while it is released', ERRNO.ESTALE],
  ])('who %s is let alone, without a failure', async (_, errno) => {
    const busy = await model.add(clean());
    model.trouble = () => {
      throw new ErrnoError(errno, 'release');
    };
    const summary = await model.run('release', '', { trigger: watermark(1e15) });
    expect(summary).toMatchObject({ skipped: { IN_USE: 1 }, failed: { files: 0 }, markedDirty: { files: 0 } });
    expect(model.state(busy)).toBe(CLEAN);
    expect(await model.catalog.failures([busy])).toEqual(new Map());
  });
});

test('a coordinator whose list is full ends the run at once, with its exit code', async () => {
  await model.addMany(500, old);
  model.trouble = () => {
    throw new ErrnoError(ERRNO.ENOSPC, 'archive');
  };
  const summary = await model.run('archive');
  expect(summary).toMatchObject({ outcome: 'stopped', exit: 'tryAgain', asked: { files: 0 }, failed: { files: 0 } });
  expect(summary.stoppedBy).toMatchObject({ code: 'COORDINATOR_FULL' });
  expect(model.requests.length).toBeLessThanOrEqual(4);
  model.trouble = undefined;
  expect(await model.run('archive', '', { wait: true })).toMatchObject({ outcome: 'complete', done: { files: 500 } });
});

test('limits of the run, of a rule and by bytes end it or leave files out, and nothing else', async () => {
  await model.addMany(100, old);
  expect(await model.run('archive', '', { maxFiles: 30, wait: true })).toMatchObject({
    outcome: 'limit',
    done: { files: 30 },
  });
  // The large one does not keep the others waiting for ever.
  await model.add({ mtime: model.ago(2 * DAY), size: 11_000n });
  expect(await model.run('archive', '', { maxBytes: 10_500, wait: true })).toMatchObject({
    done: { files: 10 },
    skipped: { TOO_LARGE: 1 },
  });
  const yaml = `
classes: { some: { definition: "size > 0" } }
policies: { archive: { rules: { first: { target_class: some, condition: "last_mod >= 1h", max_files: 7 }, default: {} } } }`;
  expect(await model.run('archive', yaml, { wait: true })).toMatchObject({
    outcome: 'complete',
    done: { files: 7 },
    skipped: { RULE_LIMIT: 54 },
    rules: { first: { files: 7 } },
  });
  expect(
    await model.run('archive', 'policies: { archive: { rate_limit: { files: 10 } } }', {
      maxDuration: 25_000,
      wait: true,
    }),
  ).toMatchObject({
    outcome: 'limit',
    asked: { files: 30 },
  });
});

test('a dry run makes the same choice, and touches nothing, not even the catalog (lesson 31)', async () => {
  await model.addMany(300, (index) => ({ ...old(), size: BigInt(index) * MIB }));
  const stale = await model.add(old());
  model.change(stale, { mtime: model.ago(5) });
  await model.catalog.apply({});
  const before = dump();
  const dry = await model.run('archive', '', { dry: true });
  expect(dump()).toEqual(before);
  expect(model.requests).toEqual([]);
  const real = await model.run('archive');
  expect([dry.asked, dry.matched, dry.skipped, dry.rules, dry.requests]).toEqual([
    real.asked,
    real.matched,
    real.skipped,
    real.rules,
    real.requests,
  ]);
  expect(dry.operations).toEqual(real.operations);
  expect(real.estimate).toBeUndefined();
  expect(await model.catalog.runs('policy', 10)).toHaveLength(1);

  function dump(): Buffer[] {
    return ['', '-wal'].map((suffix) => readFileSync(`${model.file}${suffix}`));
  }
});

test('a dry run tells what it would cost by the tier that the copies would go to', async () => {
  const yaml = `
archives: { 1: { endpoint: 'https://a.blob.core.windows.net', container: abc, credential: { type: managed_identity }, access_tier: Cool } }
classes: { huge: { definition: size > 16MB, access_tier: Cold } }
prices:
  tiers:
    Cool: { writes: 10, other: 1, written: 0, stored: 0 }
    Cold: { writes: 100, other: 2, written: 1024, stored: 1, reads: 5, retrieved: 3 }`;
  await model.addMany(2, () => ({ ...old(), size: 8n * MIB }));
  await model.add({ ...old(), size: 24n * MIB });
  const { estimate } = await model.run('archive', yaml, { dry: true });
  // 2 × (1 write, 3 others); 4 writes and 3 others, 24 MiB.
  expect(estimate).toMatchObject({
    cost: 24 + (2 * 10 + 6 * 1 + 4 * 100 + 3 * 2) / 10_000,
    month: 0.023438,
    missing: [],
    tiers: { Cool: { operations: { writes: 2, other: 6 } }, Cold: { operations: { writes: 4, other: 3 } } },
  });
  const huge = { ...old(), size: 24n * MIB, hsm: CLEAN, archive: 1, blocks: 8n, osts: [0] };
  await model.addMany(3, () => ({ ...huge, mtime: model.ago(2 * DAY), atime: model.ago(2 * DAY) }));
  const release = await model.run('release', yaml, { dry: true, trigger: watermark(1e12) });
  // Three looks; 6 ranges and a look for each that is read back, 72 MiB.
  expect(release.estimate).toMatchObject({
    cost: 0.0006,
    recall: Math.round(((18 * 5 + 3 * 2) / 10_000 + (72 / 1024) * 3) * 1e6) / 1e6,
    tiers: { Cold: { operations: { other: 3 }, recall: { operations: { reads: 18, other: 3 } } } },
  });
});

test('a run that was killed gets its end from the next one, and what it may have asked for is no failure', async () => {
  const [asked, never] = (await model.addMany(2, old, 'hang')) as [Fid, Fid];
  const killed = await model.catalog.beginRun('policy', 'archive', {});
  const row = { policy: 'archive', run: killed, at: model.clock.now(), size: 1000n, mtime: model.ago(DAY) };
  await model.catalog.apply({
    asked: [
      { ...row, fid: asked },
      { ...row, fid: never },
    ],
  });
  await model.context().effects.send({ action: 'archive', fids: [asked], mount: '/mnt/lustre' });
  model.clock.pass(60_000);
  const summary = await model.run('archive');
  expect(summary).toMatchObject({
    outcome: 'complete',
    failed: { files: 0 },
    asked: { files: 1 },
    skipped: { UNDER_WAY: 1 },
  });
  expect(model.requests.map(({ fids }) => fids)).toEqual([[asked], [never]]);
  expect((await model.catalog.runs('policy', 10)).map(({ outcome }) => outcome)).toEqual(['complete', 'killed']);
});

test('nobody serves an archive id: its files are left out, and told', async () => {
  await model.addMany(3, old);
  const summary = await model.run('archive', 'policies: { archive: { archive_id: 9 } }');
  expect(summary).toMatchObject({ asked: { files: 0 }, skipped: { UNSERVED: 3 }, exit: 'partial' });
});

test('empty files are archived like others', async () => {
  const empty = await model.add({ ...old(), size: 0n, blocks: 0n, osts: [] });
  expect(await model.run('archive', '', { wait: true })).toMatchObject({ done: { files: 1, bytes: 0 } });
  expect(model.state(empty)).toBe(CLEAN);
});
