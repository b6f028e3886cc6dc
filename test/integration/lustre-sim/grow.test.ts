import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { parseRecords } from '../../contract/changelog.ts';
import { CLEAN, RELEASED_FILE } from '../../contract/fixture.ts';
import { Daemon, useStandIn } from './fixture.ts';

// Trees made at once (simctl grow): like those that users have made, but for their bytes.

const standIn = useStandIn();
const grow = (dir: string, ...words: string[]): Promise<string> => standIn.it.sandbox.simctl(['grow', dir, ...words]);

async function count(dir: string): Promise<{ files: number; dirs: number }> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  return { files: entries.filter((e) => e.isFile()).length, dirs: entries.filter((e) => e.isDirectory()).length };
}

it('so many directories with so many files, nested or not, with sizes and owners; there after a restart', async () => {
  const it = standIn.it;
  const top = await it.directory('grown');
  await grow(
    top,
    'dirs=30',
    'files=100',
    'fanout=3',
    'size=1000',
    'size_step=1',
    'uid=1000',
    'gid=1001',
    'mtime=1500000000',
  );
  expect(await count(top)).toEqual({ files: 3000, dirs: 30 });
  const file = join(top, 'd000000', 'f000042');
  const seen = await stat(file);
  expect(seen).toMatchObject({ size: 1042, uid: 1000, gid: 1001, mtimeMs: 1_500_000_000_000 });
  expect((await stat(join(top, 'd000000', 'd000003', 'd000010'))).isDirectory()).toBe(true);
  expect((await readFile(file)).equals(Buffer.alloc(1042))).toBe(true);
  expect(await it.ok('getstripe', '-c', file)).toMatch(/^1\n/);
  await new Daemon(it.sandbox).restart();
  expect(await count(top)).toEqual({ files: 3000, dirs: 30 });
  expect((await stat(file)).ino).toBe(seen.ino);
  await writeFile(file, 'written');
  expect(await readFile(file, 'utf8')).toBe('written');
  await rm(join(top, 'd000000', 'd000001'), { recursive: true });
  expect((await count(top)).dirs).toBeLessThan(30);
});

it('files of every HSM state, and records when asked for', async () => {
  const it = standIn.it;
  const [archived, released] = [await it.directory('grown-archived'), await it.directory('grown-released')];
  await grow(archived, 'files=10', 'size=10', 'state=archived');
  await grow(released, 'files=10', 'size=10', 'state=released', 'archive=1', 'prefix=x ');
  await it.expectState(join(archived, 'f000003'), CLEAN);
  const path = join(released, 'x f000003');
  await it.expectState(path, RELEASED_FILE);
  await it.request('release', join(archived, 'f000003'));
  await using agent = await it.agent();
  const reading = readFile(path, 'utf8');
  await agent.restore('0123456789', await it.fid(path));
  expect(await reading).toBe('0123456789');
  const records = async (): Promise<number> => parseRecords(await it.ok('changelog', it.sandbox.mdt)).length;
  const before = await records();
  await grow(await it.directory('silent'), 'dirs=2', 'files=5');
  expect(await records()).toBe(before + 1);
  await grow(await it.directory('told'), 'dirs=2', 'files=5', 'records=1');
  expect(await records()).toBe(before + 2 + 2 + 20);
  await expect(grow(archived, 'files=1')).rejects.toThrow();
});
