import { open, readFile, rename, stat, statfs, truncate, unlink, writeFile } from 'node:fs/promises';
import { afterEach, expect, it } from 'vitest';
import { CLEAN, RELEASED_FILE } from '../../contract/fixture.ts';
import { waitUntil } from '../../support/wait.ts';
import { bytes, Daemon, useStandIn } from './fixture.ts';

// Full OSTs, errors and slowness on demand (FAULTS.md).

const MiB = 2 ** 20;
const standIn = useStandIn({ osts: 2, ostSize: 32 * MiB });

afterEach(async () => {
  await standIn.it.sandbox.simctl(['fault', 'clear=all']);
});

const fault = (spec: string): Promise<string> => standIn.it.sandbox.simctl(['fault', `set=${spec}`]);

/** Writes until an error comes; gives its code and how much went in. */
async function fill(path: string, limit: number): Promise<{ code: string | undefined; written: number }> {
  const file = await open(path, 'w');
  let written = 0;
  try {
    while (written < limit) written += (await file.write(bytes(MiB, written / MiB))).bytesWritten;
    return { code: undefined, written };
  } catch (error) {
    return { code: (error as NodeJS.ErrnoException).code, written };
  } finally {
    await file.close();
  }
}

/** A new file on this OST alone. */
async function onOst(name: string, index: number): Promise<string> {
  const path = standIn.it.path(name);
  await standIn.it.ok('setstripe', '-c', '1', '-i', String(index), path);
  return path;
}

it('an OST that is full: ENOSPC there only; a release frees its space; a restore needs it again', async () => {
  const it = standIn.it;
  await using agent = await it.agent();
  const others = async (kb: number): Promise<void> => {
    for (const index of [0, 1]) await it.sandbox.simctl(['sim', 'op=ost_fill', `index=${index}`, `kb=${kb}`]);
  };
  await others(20 * 1024);
  const full = await onOst('full', 0);
  const { code, written } = await fill(full, 64 * MiB);
  expect(code).toBe('ENOSPC');
  expect(written).toBeGreaterThan(8 * MiB);
  expect((await stat(full)).size).toBe(written);
  expect(await fill(await onOst('other', 1), 4 * MiB)).toEqual({ code: undefined, written: 4 * MiB });
  // The MDT puts new files elsewhere, whatever OST is asked for.
  expect(await it.ok('getstripe', '-i', await onOst('no-room', 0))).toMatch(/^1\n/);
  const free = async (): Promise<number> => {
    const { bavail, bsize } = await statfs(it.sandbox.mount);
    return bavail * bsize;
  };
  const before = await free();
  const fid = await it.fid(full);
  await it.request('archive', full);
  await agent.archive(fid);
  await it.request('release', full);
  await it.expectState(full, RELEASED_FILE);
  expect(await free()).toBeGreaterThanOrEqual(before + written - MiB);
  expect(await fill(await onOst('room', 0), 8 * MiB)).toEqual({ code: undefined, written: 8 * MiB });
  // Others fill both OSTs: the copytool can't write, ends with ENOSPC, and the file stays as it is.
  await others(64 * 1024);
  await it.request('restore', full);
  const restore = await agent.next('RESTORE', fid);
  const dfid = String((await agent.begin(restore))['dfid']);
  await expect(agent.write(dfid, bytes(MiB, 0))).rejects.toThrow('ENOSPC');
  expect((await agent.end(restore, { errval: 28 })).rc).toBe(0);
  await it.expectState(full, RELEASED_FILE);
  await others(0);
  const content = Buffer.concat(Array.from({ length: written / MiB }, (_, part) => bytes(MiB, part)));
  const reading = readFile(full);
  await agent.restore(content, fid);
  expect((await reading).equals(content)).toBe(true);
  await it.expectState(full, CLEAN);
});

it('a directory that is renamed just when a restore begins in it: llapi finds its path gone, and it is begun again', async () => {
  const it = standIn.it;
  await using agent = await it.agent();
  const { path, fid } = await it.released(agent, 'renamed-around', 'content');
  await it.sandbox.simctl(['fault', 'set=error:ct_begin,errno=2,count=2']);
  const reading = readFile(path, 'utf8');
  await agent.restore('content', fid);
  expect(await reading).toBe('content');
  await it.expectState(path, CLEAN);
});

it('deleting and truncating give space back, and what is left shows it', async () => {
  const it = standIn.it;
  const path = await onOst('shrinks', 1);
  await fill(path, 10 * MiB);
  const row = async (): Promise<number> => {
    const line = (await it.ok('df', it.sandbox.mount)).split('\n').find((text) => text.includes('OST0001'));
    return Number(line?.split(/ +/)[2]);
  };
  const used = await row();
  await truncate(path, MiB);
  expect(await row()).toBeLessThanOrEqual(used - 8 * 1024);
  await unlink(path);
  await waitUntil('the rest is free', async () => (await row()) <= used - 10 * 1024);
});

it('a read that fails, of one file and as often as asked', async () => {
  const it = standIn.it;
  const bad = await it.write('bad', bytes(5000, 1));
  const good = await it.write('good', bytes(5000, 2));
  await fault(`error:read,fid=${await it.fid(bad)},skip=1,count=2`);
  expect((await readFile(bad)).equals(bytes(5000, 1))).toBe(true);
  await it.sandbox.simctl(['fault', 'clear=all']);
  await fault(`error:read,fid=${await it.fid(bad)},count=2`);
  for (let tries = 0; tries < 2; tries++) await expect(readFile(bad)).rejects.toMatchObject({ code: 'EIO' });
  expect((await readFile(good)).equals(bytes(5000, 2))).toBe(true);
  expect((await readFile(bad)).equals(bytes(5000, 1))).toBe(true);
});

it.each([
  ['write', 'ENOSPC', (path: string) => writeFile(path, 'x', { flag: 'r+' })],
  ['open', 'EACCES', (path: string) => readFile(path)],
  ['truncate', 'EIO', (path: string) => truncate(path, 1)],
] as const)('%s fails with %s, and the file stays as it was', async (operation, errno, act) => {
  const it = standIn.it;
  const path = await it.write(`fails-${operation}`, 'before');
  await fault(`error:${operation},fid=${await it.fid(path)},errno=${errno},count=1`);
  await expect(act(path)).rejects.toMatchObject({ code: errno });
  expect(await readFile(path, 'utf8')).toBe('before');
});

it('fsync fails, and a file is not created in a directory that refuses', async () => {
  const it = standIn.it;
  const dir = await it.directory('refuses');
  await fault(`error:create,fid=${await it.fid(dir)},errno=ENOSPC,count=1`);
  await expect(writeFile(`${dir}/file`, 'x')).rejects.toMatchObject({ code: 'ENOSPC' });
  await expect(stat(`${dir}/file`)).rejects.toMatchObject({ code: 'ENOENT' });
  const file = await open(`${dir}/file`, 'w');
  try {
    await fault('error:fsync,count=1');
    await file.write('x');
    await expect(file.sync()).rejects.toMatchObject({ code: 'EIO' });
    await file.sync();
  } finally {
    await file.close();
  }
});

it('a request of the programs fails with the given error', async () => {
  const it = standIn.it;
  const path = await it.write('state');
  await fault('error:hsm_state,errno=EIO,count=1');
  expect(await it.lfs(['hsm_state', path])).toMatchObject({ exitCode: 5 });
  await it.expectState(path, 0);
});

it('slow operations take their time', async () => {
  const it = standIn.it;
  const path = await it.write('late');
  await fault('slow:rename,ms=300,count=1');
  const start = performance.now();
  await rename(path, `${path}r`);
  expect(performance.now() - start).toBeGreaterThanOrEqual(299);
});

it('faults are listed and taken away one by one; nonsense is refused', async () => {
  const { sandbox } = standIn.it;
  const specs = ['error:write,errno=EIO,count=0', 'slow:rename,ms=1,count=0'];
  for (const spec of specs) await fault(spec);
  const listed = await sandbox.simctl(['fault']);
  for (const spec of specs) expect(listed).toContain(spec);
  await sandbox.simctl(['fault', `clear=${specs[0]}`]);
  const rest = await sandbox.simctl(['fault']);
  expect(rest).not.toContain(specs[0]);
  expect(rest).toContain(specs[1]);
  for (const nonsense of ['explode:read', 'error:read,errno=ENOSUCH', 'error:read,fid=12', 'error:read,what']) {
    await expect(fault(nonsense), nonsense).rejects.toThrow();
  }
});

it('an operation that hangs holds nobody else up', async () => {
  const it = standIn.it;
  const [hangs, other] = [await it.write('hangs', 'hangs'), await it.write('other', 'other')];
  const file = await open(hangs, 'r+');
  await fault('slow:write,ms=3600000,count=1');
  const writing = file.write('x').then(
    () => 'written',
    () => 'failed',
  );
  await it.expectState(other, 0);
  expect(await readFile(other, 'utf8')).toBe('other');
  await rename(other, `${other}r`);
  const daemon = new Daemon(it.sandbox);
  await daemon.kill();
  expect(await writing).toBe('failed');
  await file.close().catch(() => undefined);
  await daemon.start();
  expect(await readFile(hangs, 'utf8')).toBe('hangs');
});
