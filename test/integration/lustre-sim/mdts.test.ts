import { link, mkdir, readFile, rename, rmdir, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { brief, type ChangelogRecord, parseRecords } from '../../contract/changelog.ts';
import { CLEAN, RELEASED_FILE } from '../../contract/fixture.ts';
import { actions, Daemon, parameter, useStandIn } from './fixture.ts';

// Several MDTs, each with a changelog of its own. Which of them writes a record is from Lustre's lmv_obd.c (lmv_rename,
// lmv_unlink, lmv_link) and mdd_dir.c: the facts were recorded with one.

const standIn = useStandIn({ mdts: 3 });
const mdt = (index: number): string => `lustrefs-MDT000${index}`;

async function register(): Promise<string[]> {
  const users: string[] = [];
  for (const index of [0, 1, 2]) {
    const { stdout } = await standIn.it.sandbox.serverLctl(['--device', mdt(index), 'changelog_register', '-n']);
    users.push(stdout.trim());
  }
  return users;
}

async function records(index: number): Promise<ChangelogRecord[]> {
  return parseRecords(await standIn.it.ok('changelog', mdt(index)));
}

/** What each MDT has written about these files since `from`, in short. */
async function written(names: Map<string, string>, from: readonly number[]): Promise<string[][]> {
  return await Promise.all(
    [0, 1, 2].map(async (index) =>
      (await records(index))
        .filter((record) => record.index > (from[index] ?? 0) && record.type !== 'CLOSE')
        .map((record) => brief(record, names)),
    ),
  );
}

const last = async (): Promise<number[]> =>
  await Promise.all([0, 1, 2].map(async (index) => (await records(index)).at(-1)?.index ?? 0));

it('directories are made where asked for, what is made in them goes there too, and FIDs tell', async () => {
  const it = standIn.it;
  await register();
  for (const index of [0, 1, 2]) {
    const dir = it.path(`on-${index}`);
    await it.ok('mkdir', '-i', String(index), dir);
    expect(await it.ok('getdirstripe', '-i', dir)).toBe(`${index}\n`);
    const from = await last();
    await writeFile(join(dir, 'file'), 'x');
    const fids = await Promise.all([it.fid(dir), it.fid(join(dir, 'file'))]);
    const names = new Map([
      [fids[0], 'dir'],
      [fids[1], 'file'],
    ]);
    const expected: string[][] = [[], [], []];
    expected[index] = ['CREAT 0x0 t=file p=dir file'];
    expect(await written(names, from)).toEqual(expected);
  }
  expect((await it.lfs(['mkdir', '-i', '3', it.path('on-3')])).exitCode).toBe(19);
  expect((await it.lfs(['mkdir', '-i', '1', it.path('on-1')])).exitCode).toBe(17);
  expect(await it.ok('mdts', it.sandbox.mount)).toMatch(/0: \S+MDT0000_UUID ACTIVE\n1: \S+MDT0001_UUID ACTIVE\n2: /);
  expect(await it.ok('df', it.sandbox.mount)).toContain('lustrefs-MDT0002_UUID');
});

it('plain mkdir spreads three levels of directories over the MDTs, below that they stay with their parents', async () => {
  const it = standIn.it;
  const seen = new Set<string>();
  for (let dir = 0; dir < 6; dir++) {
    const path = it.path(`spread-${dir}`);
    await mkdir(path);
    seen.add((await it.ok('getdirstripe', '-i', path)).trim());
  }
  expect([...seen].sort()).toEqual(['0', '1', '2']);
  const deep = it.path('spread-0/a/b/c');
  await mkdir(deep, { recursive: true });
  const where = (await it.ok('getdirstripe', '-i', deep)).trim();
  for (let dir = 0; dir < 3; dir++) {
    await mkdir(join(deep, `d${dir}`));
    expect((await it.ok('getdirstripe', '-i', join(deep, `d${dir}`))).trim()).toBe(where);
  }
});

it('across MDTs: a rename is told by the new directory, or by the victim; a link by its directory; what goes by the file', async () => {
  const it = standIn.it;
  const [one, two] = [it.path('cross-1'), it.path('cross-2')];
  await it.ok('mkdir', '-i', '1', one);
  await it.ok('mkdir', '-i', '2', two);
  await writeFile(join(one, 'f'), 'f');
  await writeFile(join(one, 'g'), 'g');
  const names = new Map<string, string>();
  for (const [path, name] of [
    [one, 'one'],
    [two, 'two'],
    [join(one, 'f'), 'f'],
    [join(one, 'g'), 'g'],
  ] as const)
    names.set(await it.fid(path), name);
  let from = await last();
  await rename(join(one, 'f'), join(two, 'f'));
  expect(await written(names, from)).toEqual([[], [], ['RENME 0x0 t=0:0x0:0x0 p=two f s=f sp=one f']]);
  from = await last();
  await link(join(two, 'f'), join(two, 'hard'));
  expect(await written(names, from)).toEqual([[], [], ['HLINK 0x0 t=f p=two hard']]);
  from = await last();
  // Onto a file whose inode is on MDT0001: that one tells.
  await rename(join(two, 'f'), join(one, 'g'));
  expect(await written(names, from)).toEqual([[], ['RENME 0x1 t=g p=one g s=f sp=two f'], []]);
  from = await last();
  await unlink(join(two, 'hard'));
  expect(await written(names, from)).toEqual([[], ['UNLNK 0x0 t=f p=two hard'], []]);
  from = await last();
  const remote = join(one, 'remote');
  await it.ok('mkdir', '-i', '0', remote);
  names.set(await it.fid(remote), 'remote');
  await rmdir(remote);
  expect(await written(names, from)).toEqual([
    ['MKDIR 0x0 t=remote p=one remote', 'RMDIR 0x1 t=remote p=one remote'],
    [],
    [],
  ]);
});

it('HSM works on all of them; each lists the actions of its own files, and writes their records', async () => {
  const it = standIn.it;
  await using agent = await it.agent();
  for (const index of [0, 1, 2]) {
    await it.ok('mkdir', '-i', String(index), it.path(`hsm-${index}`));
    const { path, fid } = await it.released(agent, `hsm-${index}/file`, 'content');
    const list = await parameter(it.sandbox, `mdt.${mdt(index)}.hsm.actions`);
    expect(list).toContain(fid);
    expect((await actions(it.sandbox)).map((each) => each.fid)).toContain(fid);
    for (const other of [0, 1, 2].filter((each) => each !== index)) {
      expect(await parameter(it.sandbox, `mdt.${mdt(other)}.hsm.actions`)).not.toContain(fid);
    }
    await it.expectState(path, RELEASED_FILE);
    const reading = readFile(path, 'utf8');
    await agent.restore('content', fid);
    expect(await reading).toBe('content');
    await it.waitForState(path, CLEAN);
    expect(
      (await records(index)).filter(({ type, target }) => type === 'HSM' && target === fid).length,
    ).toBeGreaterThan(3);
  }
});

it('a file whose directory is on another MDT than its inode is restored', async () => {
  const it = standIn.it;
  await using agent = await it.agent();
  await it.ok('mkdir', '-i', '1', it.path('from-1'));
  await it.ok('mkdir', '-i', '2', it.path('to-2'));
  const { fid } = await it.released(agent, 'from-1/file', 'content');
  await rename(it.path('from-1/file'), it.path('to-2/file'));
  const reading = readFile(it.path('to-2/file'), 'utf8');
  await agent.restore('content', fid);
  expect(await reading).toBe('content');
  await it.waitForState(it.path('to-2/file'), CLEAN);
});

it("users, indexes and clearing are each MDT's own, also after a restart", async () => {
  const it = standIn.it;
  const { sandbox } = it;
  const users = await register();
  const before = await last();
  await it.ok('changelog_clear', mdt(1), users[1] ?? '', '0');
  const text = await parameter(sandbox, `mdd.${mdt(1)}.changelog_users`);
  expect(text).toContain(`current_index: ${before[1]}`);
  expect((await it.lfs(['changelog', 'lustrefs-MDT0003'])).exitCode).not.toBe(0);
  const seen = await Promise.all([0, 1, 2].map(records));
  await new Daemon(sandbox).restart();
  expect(await Promise.all([0, 1, 2].map(records))).toEqual(seen);
  await it.ok('mkdir', '-i', '2', it.path('after-restart'));
  expect(await last()).toEqual([before[0], before[1], (before[2] ?? 0) + 1]);
  const names = (await sandbox.serverLctl(['get_param', '-N', 'mdd.*.changelog_users'])).stdout.trim().split('\n');
  expect(names).toEqual([0, 1, 2].map((index) => `mdd.${mdt(index)}.changelog_users`));
});
