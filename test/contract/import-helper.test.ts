import { lstat, mkdir, readFile, readlink, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { HelperClient, type HelperReply } from '../support/helper-client.ts';
import { archiveId } from '../support/sandbox.ts';
import { seam } from '../support/seam-tool.ts';
import { CLEAN, DIRTY, RELEASED_FILE, useContract } from './fixture.ts';

// The helper's mode import, spoken to by the protocol. Facts: 05 and 12.

const contract = useContract();
const MTIME = 1_500_000_000;

async function start(): Promise<HelperClient> {
  const { mount, llapi, env } = contract.it.sandbox;
  const args = ['--mount', mount, '--liblustreapi', llapi];
  const helper = new HelperClient('import', args, { ...process.env, ...env });
  expect(await helper.hello()).toMatchObject({ t: 'hello', mode: 'import' });
  return helper;
}

const record = ['{"v":1,"fid":"', '","size":"7","bind":{"etag":"x"}}'] as const;

/** The FID in its text form. */
const FID = /^0x[0-9a-f]+:0x[0-9a-f]+:0x[0-9a-f]+$/;

async function make(helper: HelperClient, parent: string, items: unknown[], options = {}): Promise<unknown[]> {
  const reply = await helper.ask('make', { archive: archiveId, list: [[parent, items]], ...options });
  expect(reply).toMatchObject({ rc: 0 });
  return reply['list'] as unknown[];
}

it('makes every kind of thing, with owner, exact mode and times', async () => {
  const c = contract.it;
  const parent = await c.fid(await c.directory('made'));
  const helper = await start();
  const odd = Buffer.from([0x61, 0xff, 0x0a]);
  const [file, suid, empty, dir, link, strange] = await make(helper, parent, [
    ['file', 'file', 0o640, 1000, 1001, MTIME, '1234567', ...record],
    ['file', 'suid', 0o4755, 1000, 1001, -5, 7, ...record],
    ['empty', 'empty', 0o2640, 1000, 1001, MTIME, ...record],
    ['dir', 'dir', 0o1755, 1000, 1001],
    ['symlink', 'symlink', 1000, 1001, MTIME, '../nowhere'],
    ['file', { b64: odd.toString('base64') }, 0o600, 0, 0, MTIME, 7, ...record],
  ]);
  for (const fid of [file, suid, empty, dir, link, strange]) expect(fid).toMatch(FID);
  expect(file).toBe(await c.fid(c.path('made/file')));
  await c.expectState(c.path('made/file'), RELEASED_FILE);
  expect(await look('made/file')).toEqual({ size: 1_234_567, mode: 0o640, uid: 1000, gid: 1001, mtime: MTIME });
  expect(await look('made/suid')).toEqual({ size: 7, mode: 0o4755, uid: 1000, gid: 1001, mtime: -5 });
  // Ordinary, and archived: nobody needs to restore or to archive it.
  await c.expectState(c.path('made/empty'), CLEAN);
  expect(await look('made/empty')).toEqual({ size: 0, mode: 0o2640, uid: 1000, gid: 1001, mtime: MTIME });
  expect(await readFile(c.path('made/empty'), 'utf8')).toBe('');
  expect(await look('made/dir')).toMatchObject({ mode: 0o1755, uid: 1000, gid: 1001 });
  expect(await readlink(c.path('made/symlink'))).toBe('../nowhere');
  expect(await look('made/symlink')).toMatchObject({ uid: 1000, gid: 1001, mtime: MTIME });
  const { lines } = await seam(['getxattr', c.path('made/file'), 'trusted.lfsazsync']);
  expect(Buffer.from(lines[0] ?? '', 'hex').toString()).toBe(record.join(String(file)));
  expect((await lstat(Buffer.concat([Buffer.from(c.path('made/')), odd]))).size).toBe(7);
  // A hard link, and times of a directory, come last.
  expect(await make(helper, String(dir), [['link', 'second', file]])).toEqual([file]);
  expect((await stat(c.path('made/dir/second'))).nlink).toBe(2);
  const set = await helper.ask('attributes', { list: [[dir, 0o1755, 1000, 1001, MTIME]] });
  expect(set).toMatchObject({ rc: 0, list: [0] });
  expect(await look('made/dir')).toMatchObject({ mode: 0o1755, uid: 1000, gid: 1001, mtime: MTIME });
  await helper.close();
});

it('what is there stays, and is told', async () => {
  const c = contract.it;
  const parent = await c.fid(await c.directory('there'));
  await c.write('there/file', 'precious');
  await mkdir(c.path('there/dir'));
  await symlink('/', c.path('there/out'));
  const helper = await start();
  const replies = (await make(helper, parent, [
    ['file', 'file', 0o640, 0, 0, MTIME, 7, ...record],
    ['empty', 'file', 0o640, 0, 0, MTIME, ...record],
    ['dir', 'file', 0o755, 0, 0],
    ['dir', 'dir', 0o700, 0, 0],
    ['file', 'dir', 0o640, 0, 0, MTIME, 7, ...record],
    ['dir', 'out', 0o755, 0, 0],
    ['empty', 'out', 0o755, 0, 0, MTIME, ...record],
  ])) as [number, [string, string]][];
  for (const [rc, row] of replies) {
    expect(rc).toBe(-17);
    expect(row[0]).toMatch(FID);
  }
  expect(replies[0]?.[1][0]).toBe(await c.fid(c.path('there/file')));
  expect(await readFile(c.path('there/file'), 'utf8')).toBe('precious');
  // A symlink is no directory to make things in, and a file none either.
  const out = replies[5]?.[1][0] ?? '';
  expect(await make(helper, out, [['empty', 'x', 0o600, 0, 0, MTIME, ...record]])).toEqual([expect.any(Number)]);
  expect(await make(helper, await c.fid(c.path('there/file')), [['dir', 'x', 0o700, 0, 0]])).toEqual([-20]);
  await helper.close();
});

it('a half-made file is taken up, an ordinary empty one is not', async () => {
  const c = contract.it;
  const parent = await c.fid(await c.directory('half'));
  const { llapi, env } = c.sandbox;
  const half = await seam(['import-exclusive', llapi, c.path('half/half'), 0, '0600', 0, 0, MTIME, archiveId, -1], {
    env: { ...process.env, ...env },
  });
  expect(half.rc).toBe(0);
  await c.expectState(c.path('half/half'), 0);
  await writeFile(c.path('half/plain'), '', { mode: 0o600 });
  await writeFile(c.path('half/empty'), '', { mode: 0o1600 });
  await writeFile(c.path('half/private'), '', { mode: 0o600 });
  await writeFile(c.path('half/mine'), '', { mode: 0o644 });
  const helper = await start();
  const list = await make(helper, parent, [
    ['file', 'half', 0o4640, 1000, 1001, MTIME, 7, ...record],
    ['file', 'plain', 0o640, 1000, 1001, MTIME, 7, ...record],
    ['empty', 'empty', 0o640, 1000, 1001, MTIME, ...record],
    ['empty', 'mine', 0o640, 1000, 1001, MTIME, ...record],
    ['empty', 'private', 0o640, 1000, 1001, MTIME, ...record],
  ]);
  expect(list).toEqual([
    expect.stringMatching(FID),
    [-17, expect.anything()],
    expect.stringMatching(FID),
    [-17, expect.anything()],
    [-17, expect.anything()],
  ]);
  await c.expectState(c.path('half/half'), RELEASED_FILE);
  expect(await look('half/half')).toEqual({ size: 7, mode: 0o4640, uid: 1000, gid: 1001, mtime: MTIME });
  expect(await look('half/empty')).toEqual({ size: 0, mode: 0o640, uid: 1000, gid: 1001, mtime: MTIME });
  expect(await look('half/private')).toMatchObject({ size: 0, mode: 0o600, uid: 0, gid: 0 });
  await helper.close();
});

it('stripes are as asked', async () => {
  const c = contract.it;
  const parent = await c.fid(await c.directory('striped'));
  const helper = await start();
  const item = (name: string) => ['file', name, 0o640, 0, 0, MTIME, 7, ...record];
  expect(await make(helper, parent, [item('all')], { stripe_count: -1 })).toEqual([expect.stringMatching(FID)]);
  expect(await make(helper, parent, [item('default')])).toEqual([expect.stringMatching(FID)]);
  expect(await make(helper, parent, [item('one')], { stripe_count: 1 })).toEqual([expect.stringMatching(FID)]);
  expect(await c.ok('getstripe', c.path('striped/one'))).toMatch(/^lmm_pattern: {7}raid0,released$/m);
  expect((await c.ok('getstripe', '-c', c.path('striped/one'))).trim()).toBe('1');
  expect(await c.ok('getstripe', c.path('striped/all'))).toMatch(/^lmm_pattern: {7}raid0,released$/m);
  await helper.close();
});

it('what can’t be made leaves nothing behind', async () => {
  const c = contract.it;
  const parent = await c.fid(await c.directory('failed'));
  const helper = await start();
  const [big, gone, dots, slash, lustre] = [
    ...(await make(helper, parent, [['file', 'big', 0o640, 0, 0, MTIME, '17592186044416', ...record]])),
    ...(await make(helper, '0x200000401:0xfffffff:0x0', [['dir', 'x', 0o700, 0, 0]])),
    ...(await make(helper, parent, [['dir', '..', 0o700, 0, 0]])),
    ...(await make(helper, parent, [['dir', 'a/b', 0o700, 0, 0]])),
    ...(await make(helper, await c.fid(c.sandbox.mount), [['dir', '.lustre', 0o700, 0, 0]])),
  ];
  expect([big, gone, dots, slash, lustre]).toEqual([-27, -2, -22, -22, -1]);
  await expect(stat(c.path('failed/big'))).rejects.toMatchObject({ code: 'ENOENT' });
  for (const bad of [{}, { list: [] }, { list: [['x', []]] }, { list: [[parent, [1]], 2] }, { list: 'x' }]) {
    expect((await helper.ask('make', bad)).rc).toBe(-22);
  }
  await helper.close();
});

it('a released file is bound anew; what is modified is not', async () => {
  const c = contract.it;
  await using agent = await c.agent();
  const parent = await c.fid(await c.directory('rebound'));
  const helper = await start();
  const [fid, other] = await make(helper, parent, [
    ['file', 'one', 0o640, 1000, 1001, MTIME, 7, ...record],
    ['file', 'two', 0o640, 1000, 1001, MTIME, 7, ...record],
  ]);
  const reading = readFile(c.path('rebound/two'), 'utf8');
  await agent.restore('content', String(other));
  expect(await reading).toBe('content');
  await writeFile(c.path('rebound/two'), 'changed', { flag: 'a' });
  await c.waitForState(c.path('rebound/two'), CLEAN | DIRTY);
  const item = (of: unknown) => [of, 0o2600, 1001, 1000, MTIME + 60, 99, ...record];
  const reply = await helper.ask('rebind', { archive: archiveId, list: [item(fid), item(other)] });
  expect(reply).toMatchObject({ rc: 0, list: [0, -16] });
  await c.expectState(c.path('rebound/one'), RELEASED_FILE);
  expect(await look('rebound/one')).toEqual({ size: 99, mode: 0o2600, uid: 1001, gid: 1000, mtime: MTIME + 60 });
  expect(await readFile(c.path('rebound/two'), 'utf8')).toBe('contentchanged');
  // Names go only while they are what they were, and with `true` only where the archive has the data.
  const remove = (...list: unknown[]): Promise<HelperReply> => helper.ask('remove', { list });
  expect(await remove([parent, 'one', other, true], [parent, 'two', other, true])).toMatchObject({ list: [-116, -16] });
  expect(await remove([parent, 'one', fid, true], [parent, 'two', other, false])).toMatchObject({ list: [0, 0] });
  await expect(stat(c.path('rebound/one'))).rejects.toMatchObject({ code: 'ENOENT' });
  expect(await remove([await c.fid(c.tree), 'rebound', parent, true])).toMatchObject({ list: [0] });
  await rm(c.path('rebound'), { recursive: true, force: true });
  await helper.close();
});

async function look(name: string) {
  const { size, mode, uid, gid, mtimeMs } = await lstat(contract.it.path(name));
  return { size, mode: mode & 0o7777, uid, gid, mtime: mtimeMs / 1000 };
}
