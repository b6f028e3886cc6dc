import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { walk } from './walk.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'lfsazsync-test-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const ODD: readonly Buffer[] = [
  Buffer.from('new\nline'),
  Buffer.from(`quote'"\\`),
  Buffer.from([0xff, 0xfe, 0x20]),
  Buffer.alloc(255, 0x78),
  Buffer.from('größe'),
];
const below = (...names: (Buffer | string)[]) =>
  Buffer.concat([Buffer.from(root), ...names.flatMap((name) => [Buffer.from('/'), Buffer.from(name as string)])]);

async function found(from = '', enter: (path: Buffer) => boolean = () => true): Promise<string[]> {
  const paths: string[] = [];
  for await (const one of walk({ mount: Buffer.from(root), root: Buffer.from(from), enter })) {
    paths.push(
      'path' in one ? one.path.toString('latin1') : `! ${one.problem.code} ${one.problem.path.toString('latin1')}`,
    );
  }
  return paths.sort();
}

test('every regular file, names as bytes, at any depth; nothing else', async () => {
  for (const name of ODD) {
    mkdirSync(below('dir', name), { recursive: true });
    writeFileSync(below('dir', name, name), '');
  }
  symlinkSync('dir', join(root, 'link-to-dir'));
  symlinkSync('nowhere', join(root, 'dangling'));
  const expected = ODD.map((name) => `dir/${name.toString('latin1')}/${name.toString('latin1')}`).sort();
  expect(await found()).toEqual(expected);
  expect(await found('dir')).toEqual(expected);
});

test('a tree deeper and wider than any buffer', async () => {
  let at = root;
  for (let level = 0; level < 60; level++) {
    at = join(at, 'd');
    mkdirSync(at);
  }
  writeFileSync(join(at, 'deepest'), '');
  for (let index = 0; index < 3000; index++) writeFileSync(join(root, `f${index}`), '');
  const paths = await found();
  expect(paths).toHaveLength(3001);
  expect(new Set(paths).size).toBe(3001);
});

test('directories that are not to be entered, and Lustre’s own, are left alone', async () => {
  for (const name of ['.lustre', 'skip', 'take']) {
    mkdirSync(join(root, name));
    writeFileSync(join(root, name, 'f'), '');
  }
  mkdirSync(join(root, 'take/.lustre'));
  writeFileSync(join(root, 'take/.lustre/f'), '');
  expect(await found('', (path) => !path.equals(Buffer.from('skip')))).toEqual(['take/.lustre/f', 'take/f']);
});

test('both names of a hard link are met: telling them to be one file is the chooser’s', async () => {
  writeFileSync(join(root, 'a'), '');
  linkSync(join(root, 'a'), join(root, 'b'));
  expect(await found()).toEqual(['a', 'b']);
});

test('another mount is told and not entered', async () => {
  const paths: string[] = [];
  for await (const one of walk({ mount: Buffer.from('/'), root: Buffer.from('proc'), enter: () => true })) {
    paths.push('problem' in one ? one.problem.code : 'entered');
  }
  expect(paths).toEqual(['OTHER_MOUNT']);
});
