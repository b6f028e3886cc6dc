import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { ChangelogReader } from '../../contract/changelog.ts';
import { CLEAN, type Contract, RELEASED_FILE } from '../../contract/fixture.ts';
import { seam } from '../../support/seam-tool.ts';
import { bytes, setParameter, useStandIn } from './fixture.ts';

// Two stand-ins side by side, one of each dialect, and details of layouts and records. Facts: 01, 10, README 22.

const older = useStandIn({ version: '2.15' });
const newer = useStandIn({ version: '2.17', osts: 3 });

/** The HSM records of a file's release, and those of its restore. */
async function recordsOf(it: Contract): Promise<{ release: string[]; restore: string[] }> {
  await using agent = await it.agent();
  const { path, fid } = await it.archived(agent, 'dialect', 'data');
  const log = await ChangelogReader.open(it);
  const flags = async (): Promise<string[]> => {
    const records = (await log.read()).filter(({ type, target }) => type === 'HSM' && target === fid);
    await log.skip();
    return records.map((record) => record.flags);
  };
  await it.request('release', path);
  await it.expectState(path, RELEASED_FILE);
  const release = await flags();
  const reading = readFile(path, 'utf8');
  await agent.restore('data', fid);
  expect(await reading).toBe('data');
  await it.waitForState(path, CLEAN);
  return { release, restore: await flags() };
}

it('HSM 0x180 comes with a release in 2.15 and with a restore in 2.17', async () => {
  expect(await recordsOf(older.it)).toEqual({ release: ['0x180'], restore: ['0x0', '0x80'] });
  expect(await recordsOf(newer.it)).toEqual({ release: [], restore: ['0x0', '0x180', '0x80'] });
});

it('the library and the programs say the version of their stand-in', async () => {
  for (const [it, version] of [
    [older.it, '2.15.'],
    [newer.it, '2.17.'],
  ] as const) {
    expect((await it.sandbox.lctl(['get_param', '-n', 'version'])).stdout.startsWith(version)).toBe(true);
    await using agent = await it.agent();
    expect((await agent.helper.ask('get', { path: it.tree, want: ['stat'] })).rc).toBe(0);
  }
});

it('what one does, the other does not see: names, actions, agents, changelog, lists of mounts', async () => {
  const [one, two] = [older.it, newer.it];
  const path = await one.write('mine', 'one');
  expect(await two.lfs(['hsm_state', two.path('mine')])).toMatchObject({ exitCode: 2 });
  await one.request('archive', path);
  await using wrong = await two.agent();
  await using right = await one.agent();
  await right.archive(await one.fid(path));
  expect(wrong.helper.events).toEqual([]);
  expect(await two.ok('changelog', two.sandbox.mdt)).not.toContain(' mine');
  for (const [it, other, osts] of [
    [one, two, 2],
    [two, one, 3],
  ] as const) {
    const df = await it.ok('df');
    expect(df).toContain(it.sandbox.mount);
    expect(df).not.toContain(other.sandbox.mount);
    expect(df.match(/OST\d{4}/g)).toHaveLength(osts);
    const names = await it.ok('getname');
    expect(names).toContain(it.sandbox.mount);
    expect(names).not.toContain(other.sandbox.mount);
  }
});

it('a crowd of programs at once is answered, each by its own', async () => {
  const crowd = [older.it, newer.it].flatMap((it) =>
    Array.from({ length: 15 }, async (_, number) => {
      const path = await it.write(`crowd-${number}`, String(number));
      return {
        path,
        fid: await it.fid(path),
        back: (await it.ok('fid2path', it.sandbox.mount, await it.fid(path))).trim(),
      };
    }),
  );
  const answers = await Promise.all(crowd);
  for (const { path, back } of answers) expect(path.endsWith(back)).toBe(true);
});

it('default stripe sizes fit into their components (10)', async () => {
  const it = newer.it;
  const path = it.path('composite');
  await it.ok('setstripe', '-E', '64K', '-L', 'mdt', '-E', '1M', '-c', '1', '-E', '-1', '-c', '2', path);
  const sizes = [...(await it.ok('getstripe', path)).matchAll(/lmm_stripe_size: +(\d+)/g)].map((match) =>
    Number(match[1]),
  );
  expect(sizes).toEqual([65536, 1048576, 4194304]);
  await writeFile(path, bytes(2 ** 21, 1), { flag: 'r+' });
  expect((await readFile(path)).equals(bytes(2 ** 21, 1))).toBe(true);
});

it('a released file on the MDT keeps its blocks, another shows one (10)', async () => {
  const it = newer.it;
  await using agent = await it.agent();
  const path = it.path('dom');
  await it.ok('setstripe', '-E', '64K', '-L', 'mdt', '-E', '-1', '-c', '1', path);
  await writeFile(path, 'domdata\n', { flag: 'r+' });
  const fid = await it.fid(path);
  await it.request('archive', path);
  await agent.archive(fid);
  await it.request('release', path);
  await it.expectState(path, RELEASED_FILE);
  expect(await stat(path)).toMatchObject({ size: 8, blocks: 8 });
  const plain = await it.released(agent, 'not-dom', 'x');
  expect(await stat(plain.path)).toMatchObject({ size: 1, blocks: 1 });
});

it('with jobid_var, the records of creating and of closing carry the job id of who opened (01)', async () => {
  const it = newer.it;
  await setParameter(it.sandbox, 'jobid_var', 'procname_uid');
  try {
    const log = await ChangelogReader.open(it);
    const shell = spawn('/bin/sh', ['-c', 'echo x > job'], { cwd: it.tree, argv0: 'sh' });
    await once(shell, 'close');
    const fid = await it.fid(it.path('job'));
    const records = (await log.read()).filter(({ target }) => target === fid);
    expect(records.map(({ type }) => type)).toEqual(['CREAT', 'CLOSE']);
    for (const { rest } of records) expect(rest).toMatch(/^j=(sh|dash|bash)\.0 /);
  } finally {
    await setParameter(it.sandbox, 'jobid_var', 'disable');
  }
});

it('what a reader of binary records gets: up to 2.15 all that it asks for, and flags of what it did not', async () => {
  const [UIDGID, ALL] = [0x1, 0xf];
  const record = async (it: Contract, extensions: number): Promise<string> => {
    const { llapi, mdt, env } = it.sandbox;
    const { lines } = await seam(['changelog-record', llapi, mdt, extensions, 'binary-name'], {
      env: { ...process.env, ...env },
    });
    return lines[0] ?? '';
  };
  for (const { it } of [older, newer]) await it.write('binary-name');
  // Head, rename 32, job 32, extra flags 8, owner 16, NID 24, open mode 4, xattr 256.
  expect(await record(older.it, ALL)).toBe(`flags=0xf000 extra=0xf name=${32 + 32 + 8 + 16 + 24 + 4 + 256}`);
  expect(await record(older.it, UIDGID)).toBe(`flags=0xf000 extra=0x3 name=${32 + 32 + 8 + 16}`);
  expect(await record(newer.it, ALL)).toBe(`flags=0xd000 extra=0x3 name=${32 + 8 + 16 + 24}`);
  expect(await record(newer.it, UIDGID)).toBe(`flags=0xd000 extra=0x1 name=${32 + 8 + 16}`);
});
