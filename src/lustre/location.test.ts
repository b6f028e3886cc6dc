import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { canonicalMount, locate } from './location.ts';

let folder: string;
let mount: string;
beforeAll(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'lfsazsync-test-')));
  mount = join(folder, 'mnt');
  mkdirSync(join(mount, 'dir'), { recursive: true });
  mkdirSync(join(folder, 'mnt2'));
  writeFileSync(join(mount, 'dir/file'), '');
  symlinkSync(join(mount, 'dir'), join(folder, 'into'));
  symlinkSync('file', join(mount, 'dir/link'));
  symlinkSync('/etc', join(mount, 'out'));
});
afterAll(() => rmSync(folder, { recursive: true }));

test.each([
  ['mnt/dir/file', 'dir/file'],
  ['mnt/dir/new\nname', 'dir/new\nname'],
  ['mnt//dir/../dir/./file', 'dir/file'],
  ['into/file', 'dir/file'],
  ['mnt/dir/link', 'dir/link'],
  ['into', undefined],
  ['into/', 'dir'],
  ['mnt', ''],
  ['mnt/', ''],
  ['mnt/dir/..', ''],
  ['mnt/dir/.', 'dir'],
  ['mnt2', undefined],
  ['mnt2/x', undefined],
  ['mnt/out/passwd', undefined],
  ['mnt/out', 'out'],
])('%j is at %j', async (path, relative) => {
  const found = locate(Buffer.from(join(folder, '/') + path), mount);
  if (relative === undefined) await expect(found).rejects.toMatchObject({ code: 'OUTSIDE_MOUNT' });
  else expect((await found).relative.toString()).toBe(relative);
});

test('bytes stay bytes', async () => {
  const name = Buffer.from([0xff, 0x0a, 0xfe]);
  const { relative, absolute } = await locate(Buffer.concat([Buffer.from(`${mount}/dir/`), name]), mount);
  expect(relative).toEqual(Buffer.concat([Buffer.from('dir/'), name]));
  expect(absolute).toEqual(Buffer.concat([Buffer.from(`${mount}/dir/`), name]));
});

test('what is missing above the last name is the system’s error', async () => {
  await expect(locate(Buffer.from(join(mount, 'nope/file')), mount)).rejects.toMatchObject({ code: 'ENOENT' });
});

test('a mount point through a symlink is found, a missing one is told', async () => {
  expect(await canonicalMount(join(folder, 'into'))).toBe(join(mount, 'dir'));
  await expect(canonicalMount(join(folder, 'nope'))).rejects.toMatchObject({ code: 'MOUNT_MISSING' });
});
