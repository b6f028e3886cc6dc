import { open, readFile, statfs, writeFile } from 'node:fs/promises';
import { afterEach, expect, it } from 'vitest';
import { CLEAN, RELEASED_FILE } from '../../contract/fixture.ts';
import { bytes, useStandIn } from './fixture.ts';

// OSTs and pools that are full, switched off or gone, and what becomes of a file's stripes. From Lustre's lod_qos.c,
// lod_lov.c, lod_pool.c and osp_precreate.c (2.15 and master): the facts were recorded with two healthy OSTs.

const MiB = 2 ** 20;
const standIn = useStandIn({ osts: 4, ostSize: 64 * MiB });

const tell = (...words: string[]): Promise<string> => standIn.it.sandbox.simctl(['sim', ...words]);
const active = (index: number, on: boolean): Promise<string> =>
  tell('op=ost_active', `index=${index}`, `on=${on ? 1 : 0}`);
const fill = (index: number, kb: number): Promise<string> => tell('op=ost_fill', `index=${index}`, `kb=${kb}`);

afterEach(async () => {
  await standIn.it.sandbox.simctl(['fault', 'clear=all']);
  for (const index of [0, 1, 2, 3]) {
    await active(index, true);
    await fill(index, 0);
  }
});

/** The OSTs that a file has objects on. */
async function osts(path: string): Promise<number[]> {
  const text = await standIn.it.ok('getstripe', path);
  const plain = [...text.matchAll(/^\t +(\d+)\t/gm)].map((match) => Number(match[1]));
  const composite = [...text.matchAll(/l_ost_idx: +(\d+)/g)].map((match) => Number(match[1]));
  return [...plain, ...composite];
}

/** The lines of getstripe that say how a file is laid out, without ids, generations and objects. */
async function shape(path: string): Promise<string[]> {
  const text = await standIn.it.ok('getstripe', path);
  return text
    .split('\n')
    .filter((line) => /(stripe_count|stripe_size|pattern|pool|e_start|e_end):/.test(line))
    .map((line) => line.replace(/,released/, '').trim());
}

async function setstripe(path: string, ...options: string[]): Promise<{ exitCode: number | null; stderr: string }> {
  const { exitCode, stderr } = await standIn.it.lfs(['setstripe', ...options, path]);
  return { exitCode, stderr };
}

it('a pool: its OSTs only; one that is gone or empty: all, and the name stays in the layout', async () => {
  const it = standIn.it;
  await tell('op=pool', 'name=flash', 'osts=1,3');
  const path = it.path('pooled');
  await it.ok('setstripe', '-p', 'flash', '-c', '2', path);
  expect((await osts(path)).sort()).toEqual([1, 3]);
  const wide = it.path('wide');
  await it.ok('setstripe', '-p', 'flash', '-c', '4', wide);
  expect((await osts(wide)).sort()).toEqual([1, 3]);
  expect((await setstripe(it.path('outside'), '-p', 'flash', '-i', '0')).exitCode).toBe(22);
  await tell('op=pool', 'name=flash', 'osts=');
  const later = it.path('later');
  await it.ok('setstripe', '-p', 'flash', '-c', '4', later);
  expect((await osts(later)).sort()).toEqual([0, 1, 2, 3]);
  expect(await it.ok('getstripe', '-p', later)).toMatch(/^flash\n/);
  const never = it.path('never');
  await it.ok('setstripe', '-p', 'nosuch', '-c', '2', never);
  expect(await osts(never)).toHaveLength(2);
});

it('an OST that is switched off gets no new objects; files on it stay readable', async () => {
  const it = standIn.it;
  const old = it.path('on-two');
  await it.ok('setstripe', '-c', '1', '-i', '2', old);
  await writeFile(old, 'there', { flag: 'r+' });
  await active(2, false);
  expect(await readFile(old, 'utf8')).toBe('there');
  const all = it.path('all');
  await it.ok('setstripe', '-c', '-1', all);
  expect((await osts(all)).sort()).toEqual([0, 1, 3]);
  const next = it.path('next');
  await it.ok('setstripe', '-c', '1', '-i', '2', next);
  expect(await osts(next)).toEqual([3]);
  for (const index of [0, 1, 3]) await active(index, false);
  await expect(writeFile(it.path('nowhere'), 'x')).rejects.toMatchObject({ code: 'ENOSPC' });
  expect((await setstripe(it.path('nowhere'), '-c', '1')).exitCode).toBe(28);
});

it('a full OST is passed over; with a first OST asked for, too few of them are an error', async () => {
  const it = standIn.it;
  await fill(1, 64 * 1024 - 512);
  for (let file = 0; file < 8; file++) expect(await osts(await it.write(`spread-${file}`))).not.toContain(1);
  const wide = it.path('wide-full');
  await it.ok('setstripe', '-c', '4', wide);
  expect((await osts(wide)).sort()).toEqual([0, 2, 3]);
  expect((await setstripe(it.path('exact'), '-c', '4', '-i', '0')).exitCode).toBe(27);
});

it('a component that no OST has room for: ENOSPC at the write that reaches it, what was written before stays', async () => {
  const it = standIn.it;
  await tell('op=pool', 'name=small', 'osts=0');
  await tell('op=pool', 'name=big', 'osts=3');
  const path = it.path('pfl');
  await it.ok('setstripe', '-E', '1M', '-c', '1', '-p', 'small', '-E', '-1', '-c', '1', '-p', 'big', path);
  expect(await osts(path)).toEqual([0]);
  await active(3, false);
  const file = await open(path, 'r+');
  try {
    await file.write(bytes(MiB, 1), 0, MiB, 0);
    await expect(file.write(bytes(MiB, 2), 0, MiB, MiB)).rejects.toMatchObject({ code: 'ENOSPC' });
    expect((await file.stat()).size).toBe(MiB);
    await active(3, true);
    await file.write(bytes(MiB, 2), 0, MiB, MiB);
  } finally {
    await file.close();
  }
  expect(await osts(path)).toEqual([0, 3]);
  // What lies in which component counts on its OST only.
  const df = await it.ok('df', it.sandbox.mount);
  const used = (ost: string): number => Number(new RegExp(`${ost}\\S* +\\d+ +(\\d+)`).exec(df)?.[1]);
  expect(used('OST0000')).toBeGreaterThanOrEqual(1024);
  expect(used('OST0003')).toBeGreaterThanOrEqual(1024);
  expect(used('OST0003')).toBeLessThan(2048);
});

it.each([
  ['plain', ['-c', '3', '-S', '1M']],
  ['pfl', ['-E', '1M', '-c', '1', '-E', '4M', '-c', '2', '-E', '-1', '-c', '4']],
  ['dom', ['-E', '64K', '-L', 'mdt', '-E', '-1', '-c', '2']],
  ['pool', ['-p', 'gone', '-c', '2']],
] as const)(
  'a restore by the helper brings the stripes back: %s; and still ends when OSTs are missing',
  async (name, options) => {
    const it = standIn.it;
    await tell('op=pool', 'name=gone', 'osts=1,2');
    await using agent = await it.agent();
    const path = it.path(`back-${name}`);
    await it.ok('setstripe', ...options, path);
    const content = bytes(6 * MiB, 4);
    await writeFile(path, content, { flag: 'r+' });
    const before = await shape(path);
    const fid = await it.fid(path);
    await it.request('archive', path);
    await agent.archive(fid);
    await it.waitForState(path, CLEAN);
    await it.request('release', path);
    const reading = readFile(path);
    const action = await agent.next('RESTORE', fid);
    const begun = await agent.begin(action);
    expect(begun).toMatchObject({ rc: 0, layout_rc: 0 });
    await agent.write(String(begun['dfid']), content);
    expect((await agent.end(action)).rc).toBe(0);
    expect((await reading).equals(content)).toBe(true);
    await it.waitForState(path, CLEAN);
    expect(await shape(path)).toEqual(before);
    // Again, with fewer OSTs and without the pool.
    await it.request('release', path);
    await it.expectState(path, RELEASED_FILE);
    await tell('op=pool', 'name=gone', 'osts=');
    for (const index of [1, 2, 3]) await active(index, false);
    const again = readFile(path);
    await agent.restore(content, fid);
    expect((await again).equals(content)).toBe(true);
    expect(new Set(await osts(path))).toEqual(new Set([0]));
  },
);

it('no OST takes the volatile file: the begin of a restore says ENOSPC, and the file stays released', async () => {
  const it = standIn.it;
  await using agent = await it.agent();
  const { path, fid } = await it.released(agent, 'no-room', bytes(MiB, 8));
  for (const index of [0, 1, 2, 3]) await fill(index, 64 * 1024);
  const reading = expect(readFile(path)).rejects.toMatchObject({ code: 'ENODATA' });
  const action = await agent.next('RESTORE', fid);
  const begun = await agent.begin(action);
  if (begun.rc === 0) await expect(agent.write(String(begun['dfid']), bytes(MiB, 8))).rejects.toThrow('ENOSPC');
  expect((await agent.end(action, { errval: 28 })).rc).toBe(0);
  await reading;
  await it.expectState(path, RELEASED_FILE);
  const { bavail } = await statfs(it.sandbox.mount);
  expect(bavail).toBe(0);
});

it('an OST whose data cannot be read: EIO for the files on it, and only for these', async () => {
  const it = standIn.it;
  const [on0, on1] = [it.path('on-0'), it.path('on-1')];
  await it.ok('setstripe', '-c', '1', '-i', '0', on0);
  await it.ok('setstripe', '-c', '1', '-i', '1', on1);
  for (const path of [on0, on1]) await writeFile(path, 'data', { flag: 'r+' });
  await it.sandbox.simctl(['fault', 'set=error:read,ost=1']);
  expect(await readFile(on0, 'utf8')).toBe('data');
  await expect(readFile(on1)).rejects.toMatchObject({ code: 'EIO' });
});
