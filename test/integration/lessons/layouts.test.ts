import { readFile, writeFile } from 'node:fs/promises';
import { afterEach, expect, it } from 'vitest';
import { CLEAN, content, RELEASED, useBench } from './lessons.ts';

// Lesson 36: a restored file has the stripes that it had; where they can't be had any more, it is restored all the same.

const MIB = 2 ** 20;
const bench = useBench({ standInOnly: true, osts: 4, ostSize: 128 * MIB });

const tell = (...words: string[]) => bench.it.sandbox.simctl(['sim', ...words]);

afterEach(async () => {
  for (const index of [0, 1, 2, 3]) await tell('op=ost_active', `index=${index}`, 'on=1');
});

/** The lines of getstripe that say how a file is laid out, without what names its objects. */
async function shape(path: string): Promise<string[]> {
  const { stdout } = await bench.it.sandbox.lfs(['getstripe', path]);
  return stdout
    .split('\n')
    .filter((line) => /(stripe_count|stripe_size|pattern|pool|e_start|e_end):/.test(line))
    .map((line) => line.replace(/,released/, '').trim());
}

async function striped(name: string, options: readonly string[]): Promise<{ path: string; data: Buffer }> {
  const it = bench.it;
  const path = it.path(name);
  const made = await it.sandbox.lfs(['setstripe', ...options, path]);
  expect(made.exitCode, made.stderr).toBe(0);
  const data = content(5 * MIB + 3);
  await writeFile(path, data, { flag: 'r+' });
  return { path, data };
}

async function released(path: string): Promise<void> {
  const it = bench.it;
  await it.sandbox.lfs(['hsm_archive', path]);
  await it.waitForState(path, CLEAN);
  await it.sandbox.lfs(['hsm_release', path]);
  await it.waitForState(path, RELEASED);
}

const LAYOUTS: [string, string[]][] = [
  ['stripe count and size', ['-c', '2', '-S', '2M']],
  ['all OSTs', ['-c', '-1', '-S', '1M']],
  ['progressive layout', ['-E', '1M', '-c', '1', '-E', '4M', '-c', '2', '-E', '-1', '-c', '4']],
  ['data on the MDT', ['-E', '64K', '-L', 'mdt', '-E', '-1', '-c', '2']],
  ['pool', ['-p', 'flash', '-c', '2']],
];

it.each(LAYOUTS)('lesson 36: a restored file has its %s again', async (name, options) => {
  const it = bench.it;
  await tell('op=pool', 'name=flash', 'osts=1,2');
  const { path, data } = await striped(name, options);
  const before = await shape(path);
  await released(path);
  expect((await readFile(path)).equals(data)).toBe(true);
  expect(await shape(path)).toEqual(before);
  expect(it.copytool.log.find(/default layout/)).toEqual([]);
  // Nor is it lost the next time.
  await it.sandbox.lfs(['hsm_release', path]);
  await it.waitForState(path, RELEASED);
  expect((await readFile(path)).equals(data)).toBe(true);
  expect(await shape(path)).toEqual(before);
  expect(await it.state(path)).toBe(CLEAN);
});

it.each(LAYOUTS)('lesson 36: with OSTs and the pool gone, it comes back all the same: %s', async (name, options) => {
  await tell('op=pool', 'name=flash', 'osts=1,2');
  const { path, data } = await striped(`${name} gone`, options);
  await released(path);
  await tell('op=pool', 'name=flash', 'osts=');
  for (const index of [1, 2]) await tell('op=ost_active', `index=${index}`, 'on=0');
  expect((await readFile(path)).equals(data)).toBe(true);
  expect(await bench.it.state(path)).toBe(CLEAN);
});

it('lesson 36: a layout that can’t be made again (mirrors): restored with the default one, which is told', async () => {
  const it = bench.it;
  const path = it.path('mirrored');
  const made = await it.sandbox.lfs(['mirror', 'create', '-N2', '-c', '1', path]);
  expect(made.exitCode, made.stderr).toBe(0);
  const data = content(MIB);
  await writeFile(path, data, { flag: 'r+' });
  await released(path);
  const after = it.copytool.lines.length;
  expect((await readFile(path)).equals(data)).toBe(true);
  expect(it.copytool.log.find(/default layout/, after)[0]?.record).toMatchObject({
    level: 'warn',
    errno: 'ENOTSUP',
  });
  expect(await it.state(path)).toBe(CLEAN);
});
