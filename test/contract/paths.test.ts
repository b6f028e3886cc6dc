import { link, mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { HelperClient } from '../support/helper-client.ts';
import { USER, useContract } from './fixture.ts';

// Files by FID and FIDs by path, names of every kind. Facts: 01 (names), 04 (fid2path), 09 (volatile files).

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

const inMount = (path: Buffer): Buffer => path.subarray(Buffer.byteLength(contract.it.sandbox.mount) + 1);
const pathField = (path: Buffer): object => ({ path_b64: path.toString('base64') });

/** Paths of a reply as bytes. */
function pathsOf(part: unknown): Buffer[] {
  return (part as { path?: string; path_b64?: string }[]).map(({ path, path_b64 }) =>
    path_b64 === undefined ? Buffer.from(path ?? '') : Buffer.from(path_b64, 'base64'),
  );
}

const NAMES: readonly [string, Buffer][] = [
  ['spaces', Buffer.from('name with  spaces')],
  ['a tab', Buffer.from('tab\tname')],
  ['a line end', Buffer.from('new\nline')],
  ['letters of the world', Buffer.from('été-日本語')],
  ['backslash and percent', Buffer.from('back\\slash %s %41 %0a')],
  ['a dash in front', Buffer.from('-dash')],
  ['quotes', Buffer.from('quo"te\'s')],
  ['255 bytes', Buffer.alloc(255, 'L')],
  ['no UTF-8', Buffer.from([0x62, 0xff, 0xfe, 0x75])],
  ['control characters', Buffer.from('cr\rctl\x01x\x7f')],
  ['spaces at both ends', Buffer.from(' leading and trailing ')],
  ['a forged field', Buffer.from('p=[0x1:0x2:0x3] s=[0x1:0x1:0x0] fake')],
  ['dots at the end', Buffer.from('dots...')],
];

it.each(NAMES)('a name with %s: FID, path and content (01, 04)', async (_, name) => {
  const it = contract.it;
  const path = Buffer.concat([Buffer.from(`${it.tree}/`), name]);
  await writeFile(path, 'named');
  const got = await attrs.ask('get', { ...pathField(path), want: ['stat', 'paths', 'hsm'] });
  expect(got).toMatchObject({ rc: 0, stat: { type: 'file', size: '5', nlink: 1 }, hsm: { states: 0 } });
  expect(pathsOf(got['paths'])).toEqual([inMount(path)]);
  const fid = String(got['fid']);
  expect(await readFile(`${it.sandbox.mount}/.lustre/fid/${fid}`, 'utf8')).toBe('named');
  expect(await attrs.ask('get', { fid, want: ['paths'] })).toMatchObject({ rc: 0, fid });
  expect((await readdir(it.tree, { encoding: 'buffer' })).some((entry) => entry.equals(name))).toBe(true);
  await rm(path);
});

it('256 bytes are too long (01)', async () => {
  await expect(writeFile(contract.it.path('L'.repeat(256)), '')).rejects.toMatchObject({ code: 'ENAMETOOLONG' });
});

it('the helper says all links of a file, none of an unlinked one, and ENOENT of what never was (04)', async () => {
  const it = contract.it;
  await mkdir(it.path('sub'));
  const first = await it.write('first');
  await link(first, it.path('second'));
  await link(first, it.path('sub/third'));
  const fid = await it.fid(first);
  const got = await attrs.ask('get', { fid, want: ['paths', 'stat'] });
  const inside = it.tree.slice(it.sandbox.mount.length + 1);
  expect(pathsOf(got['paths']).map(String).sort()).toEqual(
    ['first', 'second', 'sub/third'].map((name) => `${inside}/${name}`),
  );
  expect(got['stat']).toMatchObject({ nlink: 3 });
  const handle = await open(first, 'r');
  try {
    for (const name of ['first', 'second', 'sub/third']) await rm(it.path(name));
    const gone = await attrs.ask('get', { fid, want: ['paths'] });
    expect(gone.rc === -2 || pathsOf(gone['paths']).length === 0).toBe(true);
  } finally {
    await handle.close();
  }
  expect(await attrs.ask('get', { fid: '0x200000401:0xdeadbeef:0x0', want: ['stat'] })).toMatchObject({ rc: -2 });
});

it('fids of a directory, a symlink; a rename keeps the FID and moves the path (01, 04)', async () => {
  const it = contract.it;
  await mkdir(it.path('dir'));
  const path = await it.write('dir/file');
  const fid = await it.fid(path);
  await rename(it.path('dir'), it.path('moved'));
  expect(await it.fid(it.path('moved/file'))).toBe(fid);
  expect(await it.ok('fid2path', it.sandbox.mount, fid)).toBe(`${it.tree}/moved/file\n`);
});

it(".lustre/fid opens, reads and stats by FID, shows nothing when listed, and is root's (04, README 19)", async () => {
  const it = contract.it;
  const path = await it.write('byfid', 'by fid');
  const fid = await it.fid(path);
  const lustre = join(it.sandbox.mount, '.lustre');
  expect((await readdir(lustre)).sort()).toContain('fid');
  expect(await readdir(join(lustre, 'fid'))).toEqual([]);
  for (const name of [fid, `[${fid}]`]) {
    const byFid = join(lustre, 'fid', name);
    expect(await readFile(byFid, 'utf8')).toBe('by fid');
    expect((await stat(byFid)).ino).toBe((await stat(path)).ino);
  }
  await expect(stat(join(lustre, 'fid', '0x200000401:0xdeadbeef:0x0'))).rejects.toMatchObject({ code: 'ENOENT' });
  expect((await it.sandbox.exec('cat', [join(lustre, 'fid', fid)], { uid: USER })).exitCode).not.toBe(0);
});

it('the volatile file of a restore is written by its FID from another process (09)', async () => {
  const it = contract.it;
  await using agent = await it.agent();
  const { path, fid } = await it.released(agent, 'volatile', 'content');
  const reading = readFile(path, 'utf8');
  const action = await agent.next('RESTORE', fid);
  const begun = await agent.begin(action);
  const dfid = String(begun['dfid']);
  expect(dfid).not.toBe(fid);
  const byFid = join(it.sandbox.mount, '.lustre/fid', dfid);
  const before = await stat(byFid);
  expect({ size: before.size, mode: before.mode & 0o7777, uid: before.uid }).toEqual({ size: 0, mode: 0o600, uid: 0 });
  for (const flags of ['r+', 'r'] as const) await (await open(byFid, flags)).close();
  await agent.write(dfid, 'content');
  expect((await stat(byFid)).size).toBe(7);
  // It has no name: nothing is seen of it.
  expect((await readdir(it.tree)).filter((name) => name.includes('VOLATILE'))).toEqual([]);
  expect((await agent.end(action, { length: 7 })).rc).toBe(0);
  expect(await reading).toBe('content');
});

it('get_many answers each on its own (helper protocol)', async () => {
  const it = contract.it;
  const path = await it.write('one-of-many');
  const fid = await it.fid(path);
  const reply = await attrs.ask('get_many', { fids: [fid, '0x200000401:0xdeadbeef:0x0', fid], want: ['stat', 'hsm'] });
  expect(reply.rc).toBe(0);
  expect(reply['items']).toMatchObject([{ rc: 0, fid }, { rc: -2 }, { rc: 0, fid }]);
});
