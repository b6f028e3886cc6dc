import { appendFile, chmod, link, readFile, stat } from 'node:fs/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { HelperClient } from '../support/helper-client.ts';
import { seam } from '../support/seam-tool.ts';
import { CLEAN, RELEASED_FILE, USER, useContract } from './fixture.ts';

// Times, extended attributes, data versions, renames with flags. Facts: 08, 09, 10, 12, README 31.

const contract = useContract();
let attrs: HelperClient;

beforeAll(async () => {
  const { sandbox } = contract.it;
  attrs = new HelperClient('attrs', ['--mount', sandbox.mount, '--liblustreapi', sandbox.llapi], {
    ...process.env,
    ...sandbox.env,
  });
  expect((await attrs.hello()).t).toBe('hello');
});
afterAll(async () => {
  await attrs?.close();
});

it('times are whole seconds (README 31)', async () => {
  const it = contract.it;
  const path = await it.write('times');
  expect(await seam(['touch', path, 1_500_000_000, 123_456_789])).toMatchObject({ rc: 0 });
  const { atimeNs, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
  expect({ atimeNs, mtimeNs, ctime: ctimeNs % 1_000_000_000n }).toEqual({
    atimeNs: 1_500_000_000_000_000_000n,
    mtimeNs: 1_500_000_000_000_000_000n,
    ctime: 0n,
  });
  await appendFile(path, 'x');
  expect((await stat(path, { bigint: true })).mtimeNs % 1_000_000_000n).toBe(0n);
  expect(await seam(['touch', path, -5, 0])).toMatchObject({ rc: 0 });
  expect((await stat(path, { bigint: true })).mtimeNs).toBe(-5_000_000_000n);
});

it('user and trusted attributes survive release and restore, and can be set on a released file (09, 10)', async () => {
  const it = contract.it;
  await using agent = await it.agent();
  const path = await it.write('xattrs', 'x');
  const fid = await it.fid(path);
  for (const name of ['user.a', 'trusted.b'])
    expect(await seam(['setxattr', path, name, '1'])).toMatchObject({ rc: 0 });
  await it.request('archive', path);
  await agent.archive(fid);
  await it.request('release', path);
  expect(await seam(['setxattr', path, 'trusted.lfsazsync', '{"v":1}'])).toMatchObject({ rc: 0 });
  await it.expectState(path, RELEASED_FILE);
  const reading = readFile(path, 'utf8');
  await agent.restore('x', fid);
  await reading;
  await it.waitForState(path, CLEAN);
  expect((await seam(['getxattr', path, 'user.a'])).lines).toEqual(['31']);
  expect((await seam(['getxattr', path, 'trusted.b'])).lines).toEqual(['31']);
  expect((await seam(['getxattr', path, 'trusted.lfsazsync'])).lines).toEqual([Buffer.from('{"v":1}').toString('hex')]);
});

it('the helper sets, reads and removes trusted attributes by FID, also on symlinks and directories (08)', async () => {
  const it = contract.it;
  const fid = await it.fid(it.tree);
  const value = Buffer.from('{"v":1}').toString('base64');
  expect(await attrs.ask('set_xattr', { fid, name: 'trusted.lfsazsync_test', value, flags: 0 })).toMatchObject({
    rc: 0,
  });
  expect(await attrs.ask('set_xattr', { fid, name: 'trusted.lfsazsync_test', value, flags: 1 })).toMatchObject({
    rc: -17,
  });
  const got = await attrs.ask('get', { fid, want: ['xattrs'], xattrs: ['trusted.lfsazsync_test', 'trusted.absent'] });
  expect(got).toMatchObject({ rc: 0, xattrs: { 'trusted.lfsazsync_test': value } });
  expect(Object.keys(got['xattrs'] as object)).toEqual(['trusted.lfsazsync_test']);
  expect(await attrs.ask('remove_xattr', { fid, name: 'trusted.lfsazsync_test' })).toMatchObject({ rc: 0 });
  expect(await attrs.ask('remove_xattr', { fid, name: 'trusted.lfsazsync_test' })).toMatchObject({ rc: -61 });
});

it('trusted.link, trusted.lma and trusted.lov are there for root; trusted attributes are not for users (03, 08)', async () => {
  const it = contract.it;
  const path = await it.write('internal');
  await link(path, `${path}-2`);
  const { lines } = await seam(['listxattr', path]);
  expect(lines).toEqual(expect.arrayContaining(['trusted.link', 'trusted.lma', 'trusted.lov', 'lustre.lov']));
  expect(lines).not.toContain('lustre.sim_fid');
  const linkEa = Buffer.from((await seam(['getxattr', path, 'trusted.link'])).lines[0] ?? '', 'hex');
  expect(linkEa.readUInt32LE(0)).toBe(0x11eaf1df);
  expect(linkEa.readUInt32LE(4)).toBe(2);
  expect(linkEa.includes('internal-2')).toBe(true);
  await chmod(path, 0o666);
  expect(await seam(['setxattr', path, 'trusted.foo', '1'], { uid: USER })).toMatchObject({ rc: -1 });
  expect(await seam(['setxattr', path, 'user.foo', '1'], { uid: USER })).toMatchObject({ rc: 0 });
  expect((await seam(['getxattr', path, 'user.none'])).rc).toBe(-61);
});

it('large attributes are kept whole (08)', async () => {
  const it = contract.it;
  const path = await it.write('large');
  for (const [name, size] of [
    ['trusted.big', 3_000],
    ['user.big', 60_000],
  ] as const) {
    expect(await seam(['setxattr', path, name, 'a'.repeat(size)])).toMatchObject({ rc: 0 });
    expect((await seam(['getxattr', path, name])).lines[0]).toHaveLength(2 * size);
  }
});

it('renames with flags are refused (01, 12)', async () => {
  const it = contract.it;
  const a = await it.write('a');
  const b = await it.write('b');
  expect((await seam(['rename', a, it.path('free'), 1])).rc).toBe(-22);
  expect((await seam(['rename', a, b, 1])).rc).toBe(-17);
  expect((await seam(['rename', a, b, 2])).rc).toBe(-22);
  await expect(link(a, b)).rejects.toMatchObject({ code: 'EEXIST' });
});

it('the data version changes with the data and with nothing else (06, 07)', async () => {
  const it = contract.it;
  const path = await it.write('dv', 'a');
  const fid = await it.fid(path);
  const version = async (): Promise<unknown> => (await attrs.ask('data_version', { fid, flush: true }))['dv'];
  const first = await version();
  expect(first).toMatch(/^\d+$/);
  await chmod(path, 0o600);
  await seam(['setxattr', path, 'user.a', '1']);
  await seam(['touch', path, 1_500_000_000, 0]);
  expect(await version()).toBe(first);
  await appendFile(path, 'b');
  const second = await version();
  expect(second).not.toBe(first);
  await seam(['mmap-write', path, 0, 'z']);
  expect(await version()).not.toBe(second);
});

it('hsm_set through the helper does what lfs does (04)', async () => {
  const it = contract.it;
  await using agent = await it.agent();
  const { path, fid } = await it.archived(agent, 'byhelper');
  expect(await attrs.ask('hsm_set', { fid, set: 0x2, clear: 0, archive: 0 })).toMatchObject({ rc: 0 });
  await it.expectState(path, 0xb);
  expect(await attrs.ask('hsm_set', { fid, set: 0, clear: 0x2, archive: 0 })).toMatchObject({ rc: 0 });
  await it.request('release', path);
  expect(await attrs.ask('hsm_set', { fid, set: 0, clear: 0x8, archive: 0 })).toMatchObject({ rc: -22 });
  const got = await attrs.ask('get', { fid, want: ['hsm', 'action'] });
  expect(got).toMatchObject({ hsm: { states: 0xd }, action: { action: 'NOOP', state: 'none' } });
});
