import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { archiveId } from '../support/sandbox.ts';
import { type SeamResult, seam } from '../support/seam-tool.ts';
import { CLEAN, RELEASED_FILE, USER, useContract } from './fixture.ts';

// Released files that no archive made. Facts: 05 (llapi_hsm_import), 12 (import by hand, exclusively).

const contract = useContract();
const MTIME = 1_500_000_000;

interface Import {
  readonly size?: number | string;
  readonly mode?: string;
  readonly archive?: number;
  readonly stripes?: number;
  readonly mtime?: number;
  readonly how?: 'import' | 'import-exclusive';
  readonly uid?: number;
}

async function imported(path: string, options: Import = {}): Promise<SeamResult> {
  const {
    size = 1_234_567,
    mode = '0640',
    archive = archiveId,
    stripes = 1,
    mtime = MTIME,
    how = 'import',
    uid,
  } = options;
  const { sandbox } = contract.it;
  return await seam([how, sandbox.llapi, path, size, mode, 1000, 1001, mtime, archive, stripes], {
    env: { ...process.env, ...sandbox.env },
    ...(uid === undefined ? {} : { uid }),
  });
}

it('makes a released file with size, owner, mode and times (05)', async () => {
  const it = contract.it;
  const path = it.path('imp1');
  const result = await imported(path);
  expect(result.rc).toBe(0);
  expect(result.lines[0]).toBe(await it.fid(path));
  await it.expectState(path, RELEASED_FILE);
  const { size, blocks, uid, gid, mode, mtimeMs } = await stat(path);
  expect({ size, blocks, uid, gid, mode: mode & 0o7777, mtimeMs }).toEqual({
    ...{ size: 1_234_567, blocks: 1, uid: 1000, gid: 1001, mode: 0o640, mtimeMs: MTIME * 1000 },
  });
  expect(await it.ok('hsm_action', path)).toBe(`${path}: NOOP\n`);
});

it('an existing name is refused and stays (05)', async () => {
  const it = contract.it;
  const path = await it.write('there', 'precious');
  expect((await imported(path)).rc).toBe(-17);
  expect(await readFile(path, 'utf8')).toBe('precious');
});

it('what else is refused: no parent, too large, outside, an ordinary user (05)', async () => {
  const it = contract.it;
  expect((await imported(it.path('nodir/x'))).rc).toBe(-2);
  const outside = `${it.sandbox.dir}/outside-import`;
  expect((await imported(outside)).rc).toBe(-25);
  await rm(outside, { force: true });
  expect((await imported(it.path('impbig'), { size: '17592186044416' })).rc).toBe(-27);
  await expect(stat(it.path('impbig'))).rejects.toMatchObject({ code: 'ENOENT' });
  const open = await it.directory('open');
  await it.sandbox.exec('chmod', ['777', open]);
  expect((await imported(`${open}/user`, { uid: USER })).rc).toBe(-1);
  await expect(stat(`${open}/user`)).rejects.toMatchObject({ code: 'ENOENT' });
});

it('mode is cut to 0777, a negative mtime and any archive id are taken (05)', async () => {
  const it = contract.it;
  expect((await imported(it.path('su'), { mode: '06755' })).rc).toBe(0);
  expect((await stat(it.path('su'))).mode & 0o7777).toBe(0o755);
  expect((await imported(it.path('dirmode'), { mode: '040755', size: 10 })).rc).toBe(0);
  expect((await stat(it.path('dirmode'))).isFile()).toBe(true);
  expect((await imported(it.path('neg'), { mtime: -5 })).rc).toBe(0);
  expect((await stat(it.path('neg'))).mtimeMs).toBe(-5000);
  expect((await imported(it.path('a33'), { archive: 33 })).rc).toBe(0);
  expect(await it.ok('hsm_state', it.path('a33'))).toBe(
    `${it.path('a33')}: (0x0000000d) released exists archived, archive_id:33\n`,
  );
});

it('an imported empty file is released, too (05, README 15)', async () => {
  const it = contract.it;
  const path = it.path('imp0');
  expect((await imported(path, { size: 0 })).rc).toBe(0);
  await it.expectState(path, RELEASED_FILE);
  expect(await it.space(path)).toEqual({ size: 0, blocks: 0 });
});

it('an imported file is restored like any other (05)', async () => {
  const it = contract.it;
  await using agent = await it.agent();
  const path = it.path('comes');
  expect((await imported(path, { size: 7 })).rc).toBe(0);
  const reading = readFile(path, 'utf8');
  await agent.restore('content', await it.fid(path));
  expect(await reading).toBe('content');
  await it.waitForState(path, CLEAN);
});

it('by hand: exclusive, our attribute first, the exact mode last (12)', async () => {
  const it = contract.it;
  const path = it.path('e1');
  expect((await imported(path, { how: 'import-exclusive', mode: '04755', size: 77_777, stripes: 1 })).rc).toBe(0);
  expect((await imported(path, { how: 'import-exclusive' })).rc).toBe(-17);
  await it.expectState(path, RELEASED_FILE);
  const { size, blocks, mode, uid, mtimeMs } = await stat(path);
  expect({ size, blocks, mode: mode & 0o7777, uid, mtimeMs }).toEqual({
    size: 77_777,
    blocks: 1,
    mode: 0o4755,
    uid: 1000,
    mtimeMs: MTIME * 1000,
  });
  expect((await seam(['getxattr', path, 'trusted.lfsazsync'])).lines).toEqual([Buffer.from('{"v":1}').toString('hex')]);
  expect(await it.ok('getstripe', path)).toMatch(/^lmm_pattern: {7}raid0,released$/m);
});

it('stopped between create and import: no state, no data, can be unlinked (12)', async () => {
  const it = contract.it;
  const path = it.path('half');
  expect((await imported(path, { how: 'import-exclusive', stripes: -1 })).rc).toBe(0);
  await it.expectState(path, 0);
  expect((await stat(path)).size).toBe(0);
  expect(await it.ok('getstripe', path)).toMatch(/^lmm_pattern: {7}raid0,released$/m);
  await expect(writeFile(path, 'x', { flag: 'r+' })).rejects.toThrow(/ENODATA|unknown error/i);
  await rm(path);
});
