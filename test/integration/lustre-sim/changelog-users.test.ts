import { chmod, mkdir, readdir, rename, stat, truncate, unlink, writeFile } from 'node:fs/promises';
import { afterEach, expect, it } from 'vitest';
import { parseRecords } from '../../contract/changelog.ts';
import { Daemon, parameter, setParameter, useStandIn } from './fixture.ts';

// Users that do not clear are taken off (mdd_dir.c, mdd_trans.c), and a catalog that takes no more records.

const standIn = useStandIn();
const gc = (name: string, value: number): Promise<void> =>
  setParameter(standIn.it.sandbox, `mdd.*.changelog_${name}`, value);

afterEach(async () => {
  await gc('max_idle_indexes', 2_097_446_912);
  await gc('max_idle_time', 2_592_000);
  await gc('min_gc_interval', 3600);
  await gc('gc', 1);
  await standIn.it.sandbox.simctl(['sim', 'op=changelog_full', 'on=0']);
});

const users = async (): Promise<string[]> =>
  (await parameter(standIn.it.sandbox, 'mdd.*.changelog_users'))
    .split('\n')
    .slice(2)
    .map((line) => line.split(' ')[0] ?? '');

async function register(...options: string[]): Promise<string> {
  const { stdout } = await standIn.it.sandbox.serverLctl([
    ...['--device', standIn.it.sandbox.mdt, 'changelog_register', '-n'],
    ...options,
  ]);
  return stdout.trim();
}

it('a user that is too many records behind is taken off, once the interval has passed; its records go, its clear is refused', async () => {
  const it = standIn.it;
  const { mdt } = it.sandbox;
  const idle = await register();
  const busy = await register('--user', 'busy');
  const all = await users();
  expect(all).toContain(idle);
  for (let file = 0; file < 6; file++) await it.write(`idle-${file}`);
  for (const user of all.filter((each) => each !== idle)) await it.ok('changelog_clear', mdt, user, '0');
  const first = parseRecords(await it.ok('changelog', mdt))[0]?.index ?? 0;
  await gc('max_idle_indexes', 3);
  await it.write('too-early');
  expect(await users()).toContain(idle);
  await new Promise((done) => setTimeout(done, 1100));
  await gc('min_gc_interval', 0);
  await it.write('collects');
  expect(await users()).not.toContain(idle);
  expect(await users()).toContain(busy);
  const left = parseRecords(await it.ok('changelog', mdt));
  expect(left[0]?.index).toBeGreaterThan(first);
  expect(await it.lfs(['changelog_clear', mdt, idle, '0'])).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining('no changelog user') as unknown,
  });
  await gc('max_idle_indexes', 2_097_446_912);
  // The number is never given again, also after a restart.
  await new Daemon(it.sandbox).restart();
  const next = await register();
  expect(Number(next.slice(2))).toBeGreaterThan(Number(busy.slice(2).split('-')[0]));
  expect(parseRecords(await it.ok('changelog', mdt)).map(({ index }) => index)).toEqual(left.map(({ index }) => index));
});

it('idle for too long: taken off at the next record; not with changelog_gc=0', async () => {
  const it = standIn.it;
  const idle = await register();
  await gc('gc', 0);
  await gc('min_gc_interval', 0);
  await gc('max_idle_time', 1);
  await it.write('idle-time');
  await new Promise((done) => setTimeout(done, 2100));
  await it.write('not-yet');
  expect(await users()).toContain(idle);
  await gc('gc', 1);
  await it.write('now');
  expect(await users()).not.toContain(idle);
});

it('records without a name show the parent of the last one that had a name (01, README 21)', async () => {
  const it = standIn.it;
  await register();
  const [one, two] = [await it.directory('parent-1'), await it.directory('parent-2')];
  const path = await it.write('parent-1/file');
  await it.write('parent-2/other');
  await truncate(path, 1);
  const fids = await Promise.all([one, two, path].map((each) => it.fid(each)));
  const record = parseRecords(await it.ok('changelog', it.sandbox.mdt)).find(
    ({ type, target }) => type === 'TRUNC' && target === fids[2],
  );
  expect(record?.rest).toContain(`p=[${fids[1]}]`);
  expect(record?.rest).not.toContain(`p=[${fids[0]}]`);
});

it('with the last user gone nothing is recorded, and the index stands still', async () => {
  const it = standIn.it;
  const { sandbox } = it;
  for (const user of await users()) {
    expect((await sandbox.serverLctl(['--device', sandbox.mdt, 'changelog_deregister', user])).exitCode).toBe(0);
  }
  await it.write('unseen');
  expect(await it.ok('changelog', sandbox.mdt)).toBe('');
  const index = /current_index: (\d+)/.exec(await parameter(sandbox, 'mdd.*.changelog_users'))?.[1];
  await register();
  await it.write('seen');
  expect(parseRecords(await it.ok('changelog', sandbox.mdt))[0]).toMatchObject({
    index: Number(index) + 1,
    type: 'CREAT',
  });
});

it('a full changelog: what is done is done, without a record and with EFAULT', async () => {
  const it = standIn.it;
  await register();
  const path = await it.write('full-a');
  const before = await it.ok('changelog', it.sandbox.mdt);
  await it.sandbox.simctl(['sim', 'op=changelog_full', 'on=1']);
  await expect(mkdir(it.path('full-dir'))).rejects.toMatchObject({ code: 'EFAULT' });
  await expect(rename(path, `${path}b`)).rejects.toMatchObject({ code: 'EFAULT' });
  await expect(chmod(`${path}b`, 0o600)).rejects.toMatchObject({ code: 'EFAULT' });
  expect((await stat(`${path}b`)).mode & 0o777).toBe(0o600);
  expect(await readdir(it.tree)).toContain('full-dir');
  await expect(unlink(`${path}b`)).rejects.toMatchObject({ code: 'EFAULT' });
  await expect(stat(`${path}b`)).rejects.toMatchObject({ code: 'ENOENT' });
  expect(await it.ok('changelog', it.sandbox.mdt)).toBe(before);
  await it.sandbox.simctl(['sim', 'op=changelog_full', 'on=0']);
  await writeFile(it.path('full-again'), 'x');
  expect(await it.ok('changelog', it.sandbox.mdt)).toContain(' full-again');
});
