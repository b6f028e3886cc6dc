import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { CLEAN, RELEASED, usePolicyBench } from './policy-bench.ts';

// The seed document's policies, their times scaled to seconds: archived when unmodified, released at the watermark in the
// order of last use and only down to the low mark, restored when read.

const MIB = 1024;
const bench = usePolicyBench({
  osts: 2,
  ostSize: 200 * MIB * 1024,
  config: {
    policies: {
      archive: { rules: { default: { condition: 'last_mod >= 10s' } }, triggers: [{ on: 'periodic', interval: '1s' }] },
      release: {
        rules: { default: { condition: 'last_access > 60s' } },
        triggers: [{ on: 'ost_usage', high: '85%', low: '80%', interval: '1s' }],
      },
    },
  },
});

const names = Array.from({ length: 20 }, (_, index) => `f${String(index).padStart(2, '0')}`);

test('archived, released at the watermark in the order of last use down to the low mark, read back', async () => {
  const it = bench.it;
  const paths: string[] = [];
  // The later in the alphabet, the longer unused; 4 MiB each, on OST 0.
  for (const [index, name] of names.entries()) {
    await it.write(`old/${name}`, '');
    const path = it.path(`old/${name}`);
    await it.sandbox.exec('rm', [path]);
    await it.lfs('setstripe', '-c', '1', '-i', '0', path);
    await it.write(`old/${name}`, Buffer.alloc(4 * MIB * 1024, index + 1), 1000 + 100 * index);
    paths.push(path);
  }
  const young = await it.write('young', 'too young', 0);
  await it.age(young, -3600);
  await it.scan();

  const log = join(it.sandbox.dir, 'policies.log');
  await it.configure({ log: { file: log } });
  const archived = await it.one('archive', '--wait');
  expect(archived).toMatchObject({
    exitCode: 0,
    outcome: 'complete',
    asked: { files: 20 },
    done: { files: 20, bytes: 20 * 4 * MIB * 1024 },
    failed: { files: 0 },
    outstanding: { files: 0 },
  });
  expect(await it.states(paths)).toEqual(paths.map(() => CLEAN));
  expect(await it.state(young)).toBe(0);

  // Nothing is above the high mark.
  const idle = await it.one('release');
  expect(idle).toMatchObject({ exitCode: 0, outcome: 'idle', trigger: { fires: false } });

  const before = await it.ost(0);
  const total = before.used + before.available;
  await it.fillOst(0, Math.ceil(total * 0.9) - before.used);
  const full = await it.ost(0);
  expect(full.percent).toBeGreaterThanOrEqual(85);
  // The one that was unused longest is read: nothing tells the catalog, and it must not be among the first.
  await readFile(paths[19] as string);
  await it.sandbox.exec('touch', ['-a', paths[19] as string]);
  const excess = full.used - Math.floor(total * 0.8);
  const expected = Math.ceil(excess / (4 * MIB));

  const released = await it.one('release');
  expect(released, JSON.stringify(released)).toMatchObject({
    exitCode: 0,
    outcome: 'complete',
    trigger: { on: 'ost_usage', fires: true },
    done: { files: expected },
    failed: { files: 0 },
  });
  const after = await it.states(paths);
  const order = [...paths.keys()].reverse().filter((index) => index !== 19);
  const gone = order.slice(0, expected);
  expect(after).toEqual(paths.map((_, index) => (gone.includes(index) ? RELEASED : CLEAN)));
  const now = await it.ost(0);
  expect(now.percent).toBeLessThanOrEqual(80);
  expect(now.used + 4 * MIB).toBeGreaterThan(total * 0.8);

  // Read back: the very bytes.
  const first = gone[0] as number;
  expect((await readFile(paths[first] as string)).equals(Buffer.alloc(4 * MIB * 1024, first + 1))).toBe(true);
  const runs = await it.runs();
  expect(runs.map(({ name, outcome }) => [name, outcome])).toEqual([
    ['release', 'complete'],
    ['archive', 'complete'],
  ]);
  // What each has left: a row with all of its figures, and a line in the log.
  const { stdout } = await it.sandbox.run(['policy', 'runs', '--json']);
  expect(JSON.parse(stdout).runs).toMatchObject([
    { policy: 'release', outcome: 'complete', detail: { trigger: { on: 'ost_usage' }, done: { files: expected } } },
    {
      ...{ id: expect.any(Number), policy: 'archive', outcome: 'complete' },
      started: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
      ended: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
      detail: {
        ...{ trigger: { on: 'periodic' }, matched: archived.matched, asked: archived.asked, done: archived.done },
        ...{ failed: archived.failed, skipped: archived.skipped, failures: {} },
      },
    },
  ]);
  const lines = (await readFile(log, 'utf8')).trim().split('\n');
  const told = lines.map((line) => JSON.parse(line)).filter(({ msg }) => msg === 'policy');
  expect(told.map(({ policy, outcome }) => [policy, outcome])).toEqual([
    ['archive', 'complete'],
    ['release', 'complete'],
  ]);
});
