import { link, lstat, mkdir, readFile, readlink, rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { AZCOPY_OBSTACLE, azcopyOut } from '../support/azcopy.ts';
import { nameByTheBook } from '../support/book-names.ts';
import { type Sandbox, startSandbox } from '../support/sandbox.ts';
import { absolute, walkTree } from '../support/tree-walk.ts';

// What is in a container can be had without lfsazsync: Microsoft's own tool copies it into a directory.

const FILES = [
  'a',
  'd/b',
  'd/e/empty',
  'd/e/moved',
  'large',
  'été 🌊',
  'new\nline',
  'dot.',
  'back\\slash',
  '100% %2E',
  ' both ends ',
];
const SYMLINKS: readonly [string, string][] = [
  ['d/to a', '../a'],
  ['absolute', '/mnt/lustre/d/b'],
  ['dangling', 'nothing here é'],
  ['long', `${'x/'.repeat(2_000)}y`],
  ['to directory', 'd/e'],
];

let sandbox: Sandbox;
let contents: Map<string, Buffer>;

beforeAll(async () => {
  sandbox = await startSandbox({ standInOnly: true, config: { follow: { changelog_user: 'cl1', settle: '0s' } } });
  await sandbox.startCopytool();
  for (const name of ['d/e', 'empty directory']) await mkdir(at(name), { recursive: true });
  contents = new Map(FILES.map((name) => [name, Buffer.from(name === 'd/e/empty' ? '' : `content of ${name}`)]));
  contents.set('large', Buffer.alloc(9 * 2 ** 20 + 1, 'large '));
  for (const [name, content] of contents) await writeFile(at(name === 'd/e/moved' ? 'first name' : name), content);
  for (const [name, target] of SYMLINKS) await symlink(target, at(name));
  await run('archive', '--recursive', '--wait', sandbox.mount);
  await run('release', '--recursive', sandbox.mount);
  await rename(at('first name'), at('d/e/moved'));
  await link(at('a'), at('d/further link'));
  await run('changelog-follow', '--once');
});
afterAll(async () => {
  await sandbox?.stop();
});

const at = (name: string) => join(sandbox.tree, name);

async function run(...argv: string[]): Promise<void> {
  const { exitCode, stdout, stderr } = await sandbox.run(argv);
  expect(exitCode, `${argv.join(' ')}: ${stdout}${stderr}`).toBe(0);
}

it.skipIf(AZCOPY_OBSTACLE !== undefined)('AzCopy copies names, contents and symlinks', async () => {
  const target = join(sandbox.dir, 'copied');
  const options = ['--include-directory-stub', '--preserve-symlinks', '--exclude-path=.lfsazsync'];
  const { exitCode, stdout, stderr } = await azcopyOut(sandbox, target, options);
  expect(exitCode, `${stdout}${stderr}`).toBe(0);
  const there = join(target, sandbox.blobName(sandbox.tree));
  const book = (name: string) => join(there, nameByTheBook(Buffer.from(name)));
  for (const [name, content] of contents) {
    if (name === 'a') continue;
    expect((await readFile(book(name))).equals(content), name).toBe(true);
  }
  for (const [name, to] of SYMLINKS) expect(await readlink(book(name)), name).toBe(to);
  for (const name of ['d', 'd/e']) expect((await lstat(book(name))).isDirectory(), name).toBe(true);
  // Of two links, one has the content, and the other is empty: AzCopy does not know markers of links.
  const linked = await Promise.all(['a', 'd/further link'].map((name) => readFile(book(name), 'utf8')));
  expect(linked.sort()).toEqual(['', 'content of a']);
  // And nothing else; empty directories do not come along.
  const copied = (await walkTree(target)).map(({ path }) => path.toString()).sort();
  const names = (await walkTree(sandbox.mount)).map(({ path }) => nameByTheBook(path));
  const emptyOne = nameByTheBook(absolute(sandbox.blobName(sandbox.tree), Buffer.from('empty directory')));
  expect(copied).toEqual(names.filter((name) => name !== emptyOne).sort());
});
