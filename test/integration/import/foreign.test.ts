import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AZCOPY_OBSTACLE, azcopyIn } from '../../support/azcopy.ts';
import { ImportRig, type Seen, seeTree } from './fixture.ts';

// Containers that others wrote, each as its tool writes it, imported in one go and read through the copytool.

let it: ImportRig;
let imported: Awaited<ReturnType<ImportRig['import']>>;
let tree: Map<string, Seen>;

const MTIME = 1_714_564_800;
const MODTIME = '2024-05-01 14:00:00 +0200';

/** A local tree for AzCopy: what it can carry. */
function localTree(): string {
  const top = join(it.sandbox.dir, 'local');
  mkdirSync(join(top, 'd', 'deep'), { recursive: true });
  writeFileSync(join(top, 'd', 'plain.txt'), 'plain');
  writeFileSync(join(top, 'd', 'deep', 'run.sh'), '#!/bin/sh');
  writeFileSync(join(top, 'empty'), '');
  symlinkSync('d/plain.txt', join(top, 'link'));
  chownSync(join(top, 'd', 'plain.txt'), 1234, 567);
  chmodSync(join(top, 'd', 'plain.txt'), 0o640);
  chmodSync(join(top, 'd', 'deep', 'run.sh'), 0o755);
  chmodSync(join(top, 'd', 'deep'), 0o750);
  chownSync(join(top, 'd', 'deep'), 77, 88);
  for (const name of ['d/plain.txt', 'd/deep/run.sh', 'empty', 'd/deep', 'd'])
    utimesSync(join(top, name), MTIME, MTIME);
  return top;
}

/** Keys with hyphens, which Azure does not allow, as AzCopy renames them when it copies from S3. */
function renamed(keys: Record<string, string>): Record<string, string> {
  const pairs = Object.entries(keys).flatMap(([key, value]) => [
    [`rename_${key.replaceAll('-', '_')}`, value],
    [`rename_key_${key.replaceAll('-', '_')}`, key],
  ]);
  return Object.fromEntries(pairs);
}

const fsx = (mode: string) =>
  renamed({ 'file-permissions': mode, 'file-owner': '1000', 'file-group': '100', 'file-mtime': `${MTIME}123456789ns` });

async function fill(): Promise<void> {
  const amlfs = { owner: '1000', group: '100', permissions: '0640' };
  await it.put('amlfs/d', '', { ...amlfs, permissions: '1777', hdi_isfolder: 'true' });
  await it.put('amlfs/d/f', 'of amlfs', amlfs);
  await it.put('amlfs/d/letters', 'x', { permissions: 'rwxr-x---' });
  await it.put('amlfs/d/link', 'f', { ftype: 'LNK' });

  await it.put('lemur-first/f', 'of lemur', { Uid: '7', Gid: '8', Perm: '755', ModTime: MODTIME });
  await it.put('lemur-first/setuid', 's', { Uid: '0', Gid: '0', Perm: '40000755', ModTime: MODTIME });
  await it.put('lemur-later/f', 'of lemur', { Owner: '7', Group: '8', Permissions: '644', ModTime: MODTIME });
  await it.put('lemur-later/d', '', { Owner: '7', Group: '8', Permissions: '20000000700', hdi_isfolder: 'true' });
  await it.put('lemur-later/d/x', 'x');
  await it.put('lemur-later/link', '', { ftype: 'LNK', symlink: 'f' });

  await it.put('fsx/d/', '', fsx('0040750'));
  await it.put('fsx/d/f', 'of fsx', fsx('0100640'));
  await it.put('fsx/d/link', 'f', fsx('0120777'));

  await it.put('hdfs/d/', '');
  await it.put('hdfs/d/e/f', 'of hdfs');
  const permission = '{"owner":"alice","group":"users","permissions":"rwxr-x--x"}';
  await it.put('hdfs/marked', '', { hdi_isfolder: 'true', hdi_permission: permission });
  await it.put('hdfs/marked/f', 'f');
  await it.put('hdfs/unfinished', '', { hdi_tmpupload: '_$azuretmpfolder$/x' });

  await it.put('plain/a/b/c', 'of nobody');
  await it.put('plain/secret', 'x', { encryptiondata: '{}' });
  await it.put('plain/odd//name', 'x');
  const page = it.sandbox.containerClient.getPageBlobClient('plain/page');
  await page.create(512);
  await page.uploadPages(Buffer.alloc(512, 0x70), 0, 512);
  const append = it.sandbox.containerClient.getAppendBlobClient('plain/append');
  await append.create();
  await append.appendBlock('appended', 8);
}

beforeAll(async () => {
  it = await ImportRig.start();
  await fill();
  const from = localTree();
  const flags = ['--preserve-posix-properties', '--include-directory-stub', '--preserve-symlinks'];
  for (const style of AZCOPY_OBSTACLE === undefined ? ['standard', 'amlfs'] : []) {
    const options = [...flags, `--posix-properties-style=${style}`];
    const copied = await azcopyIn(it.sandbox, from, `azcopy-${style}`, options);
    expect(copied.exitCode, copied.stdout).toBe(0);
  }
  imported = await it.import('--report', join(it.sandbox.dir, 'report.ndjson'));
  tree = seeTree(it.sandbox.mount);
});
afterAll(async () => {
  await it?.stop();
});

function has(path: string) {
  const seen = tree.get(path);
  if (seen === undefined) return undefined;
  const { type, mode, uid, gid, mtime, content } = seen;
  return { type, mode: mode.toString(8), uid, gid, mtime, ...(content === undefined ? {} : { content }) };
}

test('the import says what was left out, and why', () => {
  const report = readFileSync(join(it.sandbox.dir, 'report.ndjson'), 'utf8');
  const lines = report
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { outcome: string; blob: string; code: string });
  const left = lines.filter(({ outcome }) => outcome !== 'warning').map(({ blob, code }) => `${blob}: ${code}`);
  expect(left.sort()).toEqual([
    'hdfs/unfinished: upload-unfinished',
    'plain/odd//name: name-empty-segment',
    'plain/secret: client-encrypted',
  ]);
  expect(imported.exitCode).toBe(3);
});

test.each([
  ['amlfs/d', { type: 'dir', mode: '1777', uid: 1000, gid: 100 }],
  ['amlfs/d/f', { type: 'file', mode: '640', uid: 1000, gid: 100 }],
  ['amlfs/d/letters', { type: 'file', mode: '750', uid: 0, gid: 0 }],
  ['amlfs/d/link', { type: 'symlink', content: 'f' }],
  ['lemur-first/f', { type: 'file', mode: '755', uid: 7, gid: 8, mtime: MTIME }],
  ['lemur-first/setuid', { type: 'file', mode: '4755', mtime: MTIME }],
  ['lemur-later/f', { type: 'file', mode: '644', uid: 7, gid: 8, mtime: MTIME }],
  ['lemur-later/d', { type: 'dir', mode: '700', uid: 7, gid: 8 }],
  ['lemur-later/link', { type: 'symlink', content: 'f' }],
  ['fsx/d', { type: 'dir', mode: '750', uid: 1000, gid: 100, mtime: MTIME }],
  ['fsx/d/f', { type: 'file', mode: '640', uid: 1000, gid: 100, mtime: MTIME }],
  ['fsx/d/link', { type: 'symlink', content: 'f' }],
  ['hdfs/d', { type: 'dir', mode: '777', uid: 0, gid: 0 }],
  ['hdfs/d/e/f', { type: 'file', mode: '644', uid: 0, gid: 0 }],
  ['hdfs/marked', { type: 'dir', mode: '751', uid: 0, gid: 0 }],
  ['plain/a/b', { type: 'dir', mode: '777', uid: 0, gid: 0 }],
  ['plain/a/b/c', { type: 'file', mode: '644', uid: 0, gid: 0 }],
])('%s is %j', (path, expected) => {
  expect(has(path)).toMatchObject(expected);
});

test.each([
  ['amlfs/d/f', 'of amlfs'],
  ['amlfs/d/link', 'of amlfs'],
  ['lemur-first/f', 'of lemur'],
  ['lemur-later/link', 'of lemur'],
  ['lemur-later/d/x', 'x'],
  ['fsx/d/link', 'of fsx'],
  ['hdfs/d/e/f', 'of hdfs'],
  ['plain/a/b/c', 'of nobody'],
  ['plain/page', 'p'.repeat(512)],
  ['plain/append', 'appended'],
])('%s reads as %j', async (path, content) => {
  expect((await readFile(it.at(path))).toString()).toBe(content);
});

describe.skipIf(AZCOPY_OBSTACLE !== undefined).each(['standard', 'amlfs'])(
  'what the real AzCopy wrote in its style %s',
  (style) => {
    test.each(['d', 'd/plain.txt', 'd/deep', 'd/deep/run.sh', 'empty'])('%s is as it was', (name) => {
      const { mode, uid, gid } = lstatSync(join(it.sandbox.dir, 'local', name));
      expect(has(`azcopy-${style}/${name}`)).toMatchObject({
        mode: (mode & 0o7777).toString(8),
        uid,
        gid,
        mtime: MTIME,
      });
    });

    test('its symlink, and contents', async () => {
      expect(has(`azcopy-${style}/link`)).toMatchObject({ type: 'symlink', content: 'd/plain.txt' });
      const contents = { 'd/plain.txt': 'plain', 'd/deep/run.sh': '#!/bin/sh', empty: '', link: 'plain' };
      for (const [name, content] of Object.entries(contents)) {
        expect((await readFile(it.at(`azcopy-${style}`, name))).toString()).toBe(content);
      }
    });
  },
);
