import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { arch } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { projectRoot } from '../support/project.ts';
import { packRelease, type Release } from '../support/releases.ts';
import { run } from '../support/run.ts';

let out: string;
let version: string;
let release: Release;
const here = arch();

const ok = async (program: string, ...args: string[]) => {
  const { exitCode, stdout, stderr } = await run(program, args, { env: { PATH: '/usr/bin:/bin' }, timeout: 600_000 });
  expect({ program, args, exitCode, stderr: exitCode === 0 ? '' : stderr }).toMatchObject({ exitCode: 0, stderr: '' });
  return stdout;
};

beforeAll(async () => {
  out = mkdtempSync('/tmp/lfsazsync-release-');
  release = await packRelease(out);
  version = release.version;
}, 3_600_000);
afterAll(() => rmSync(out, { recursive: true, force: true }));

test('the sums are those of the files', async () => {
  const { exitCode, stderr } = await run('sha256sum', ['--check', '--strict', 'SHA256SUMS'], { cwd: out });
  expect(exitCode, stderr).toBe(0);
  expect(readFileSync(join(out, 'SHA256SUMS'), 'utf8').split('\n').length).toBeGreaterThanOrEqual(3);
});

describe('the folder with everything', () => {
  let folder: string;
  beforeAll(async () => {
    await ok('tar', '-xJf', release.tarball, '-C', out);
    folder = join(out, release.folder);
  });

  test('runs without anything else, under the runtime that it carries', async () => {
    expect(await ok(join(folder, 'bin/lfsazsync'), '--version')).toMatch(
      new RegExp(`^lfsazsync/${version} linux-${here} node-v`),
    );
    const file = join(out, 'config.yaml');
    await ok(join(folder, 'bin/lfsazsync'), 'config', 'init', file);
    expect(existsSync(file)).toBe(true);
    expect(await ok(join(folder, 'bin/lfsazsync'), 'archive', '--help')).toContain('lfsazsync archive');
  });

  test('has native parts that run on distributions of today, and no sources of tests', async () => {
    const parts = join(folder, 'dist-prebuilt', here);
    expect((await readdir(parts)).sort()).toEqual(['crc64.node', 'lfsazsync-helper', 'notify.node']);
    for (const part of await readdir(parts)) {
      const symbols = await ok('objdump', '-T', join(parts, part));
      const needed = [...symbols.matchAll(/GLIBC_2\.(\d+)/g)].map(([, minor]) => Number(minor));
      // AlmaLinux 9 has 2.34, Ubuntu 22.04 has 2.35.
      expect(Math.max(...needed), part).toBeLessThanOrEqual(34);
    }
    expect(existsSync(join(folder, 'test'))).toBe(false);
    expect(existsSync(join(folder, 'node_modules/vitest'))).toBe(false);
  });
});

test('the Debian package puts program, manual pages and completions where they belong', async () => {
  const tree = join(out, 'tree');
  await ok('dpkg-deb', '-x', release.deb, tree);
  expect(await ok('readlink', join(tree, 'usr/bin/lfsazsync'))).toBe('/opt/lfsazsync/bin/lfsazsync\n');
  expect(await ok(join(tree, 'opt/lfsazsync/bin/lfsazsync'), '--version')).toContain(version);
  for (const path of ['usr/share/man/man1/lfsazsync.1.gz', 'usr/share/bash-completion/completions/lfsazsync'])
    expect(statSync(join(tree, path)).size, path).toBeGreaterThan(0);
  for (const script of ['postinst', 'prerm'])
    expect(await ok('sh', '-n', join(projectRoot, 'deploy/debian', script))).toBe('');
});

test('the npm package installs into any prefix, with the runtime and the libraries from the registry, and runs', async () => {
  const prefix = join(out, 'npm');
  const { exitCode, stderr } = await run(
    'npm',
    ['install', '--global', '--prefix', prefix, '--no-audit', '--no-fund', '--loglevel=error', release.tgz],
    { env: process.env, cwd: out, timeout: 600_000 },
  );
  expect(exitCode, stderr).toBe(0);
  const program = join(prefix, 'bin/lfsazsync');
  expect(await ok(program, '--version')).toMatch(new RegExp(`^lfsazsync/${version} linux-${here} node-v`));
  const file = join(prefix, 'config.yaml');
  expect(await ok(program, 'config', 'init', file)).toContain('Wrote');
  expect(readFileSync(file, 'utf8')).toContain('mount');
  expect(await ok(program, 'archive', '--help')).toContain('lfsazsync archive');
  const parts = join(prefix, 'lib/node_modules/lfsazsync/dist-prebuilt', here);
  expect((await run(join(parts, 'lfsazsync-helper'), [], { env: {} })).stderr).toContain(
    'usage: lfsazsync-helper MODE',
  );
});
