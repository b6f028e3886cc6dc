import { chown, link, mkdir, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { FoundJson } from '../../../src/query/format.ts';
import type { ReportJson } from '../../../src/query/report-output.ts';
import { useStandIn } from '../lustre-sim/fixture.ts';

const CLASSES = { large: { definition: 'size > 1M' }, logs: { definition: 'name == "*.log"' } };
const standIn = useStandIn({ config: { archives: undefined, classes: CLASSES } });

const run = (...args: string[]) => standIn.it.sandbox.run(args);
const DAY = 86_400;

/** Names below the tree, as `find` prints them there. */
async function found(...args: string[]): Promise<string[]> {
  const result = await run('find', standIn.it.tree, ...args);
  expect(result, result.stderr).toMatchObject({ exitCode: 0 });
  return result.stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.slice(standIn.it.tree.length + 1))
    .sort();
}

async function report(...args: string[]): Promise<ReportJson> {
  const result = await run('report', '--json', ...args);
  expect(result, result.stderr).toMatchObject({ exitCode: 0 });
  return JSON.parse(result.stdout) as ReportJson;
}

test('find and report say of the file system what was scanned', async () => {
  const { it } = standIn;
  const at = (...names: string[]) => join(it.tree, ...names);
  await mkdir(at('d/sub'), { recursive: true });
  const now = Math.floor(Date.now() / 1000);
  const file = async (name: string, size: number, uid: number, age: number) => {
    await writeFile(at(name), '');
    await truncate(at(name), size);
    await chown(at(name), uid, uid + 1);
    await utimes(at(name), now - age, now - age);
  };
  await file('a.log', 10, 1001, 10);
  await file('d/b.log', 2_000_000, 1001, 40 * DAY);
  await file('d/sub/c.dat', 3_000_000, 1002, 400 * DAY);
  await file('d/sub/empty', 0, 1002, 2 * DAY);
  await link(at('d/b.log'), at('d/sub/other.name'));
  const odd = Buffer.from([0x6e, 0x0a, 0xff]);
  await writeFile(Buffer.concat([Buffer.from(`${it.tree}/`), odd]), 'x');
  expect(await run('scan')).toMatchObject({ exitCode: 0 });

  expect(await found('--type', 'f', '--name', '*.log')).toEqual(['a.log', 'd/b.log']);
  expect(await found('--type', 'd')).toEqual(['', 'd', 'd/sub'].sort());
  expect(await found('--size', '+1M', '--mtime', '+30d')).toEqual(['d/b.log', 'd/sub/c.dat', 'd/sub/other.name']);
  expect(await found('--size', '+1M', '--size', '-2500000')).toEqual(['d/b.log', 'd/sub/other.name']);
  expect(await found('--size', '0', '--type', 'file')).toEqual(['d/sub/empty']);
  expect(await found('--user', '1002')).toEqual(['d/sub/c.dat', 'd/sub/empty']);
  expect(await found('--uid', '1001', '--mtime', '-1')).toEqual(['a.log']);
  expect(await found('--group', '1003', '--atime', '+1y')).toEqual(['d/sub/c.dat']);
  expect(await found('--class', 'large')).toEqual(['d/b.log', 'd/sub/c.dat', 'd/sub/other.name']);
  expect(await found('--class', 'logs', '--where', 'size < 1M')).toEqual(['a.log']);
  expect(await found('--where', `type == file and not tree == "${at('d')}" and not name == "n*"`)).toEqual(['a.log']);
  expect(await found('--state', 'archived')).toEqual([]);
  expect(await found('--type', 'f', '--sort', 'size', '--descending', '--limit', '2', '--format', '%p\\n')).toEqual([
    'd/b.log',
    'd/sub/c.dat',
  ]);
  const sub = await run('find', at('d/sub'), '--type', 'f', '--format', '%f %s %m %U %G %y %n\\n');
  expect(sub.stdout.split('\n').sort()).toEqual(
    [
      '',
      'c.dat 3000000 0644 1002 1003 f 1',
      'empty 0 0644 1002 1003 f 1',
      'other.name 2000000 0644 1001 1002 f 2',
    ].sort(),
  );
  // Names are bytes.
  const raw = await it.sandbox.exec('sh', [
    '-c',
    `"$0" find "$1" --where 'name == "n*"' --print0 | od -An -tx1`,
    await executablePath(),
    it.tree,
  ]);
  expect(raw.stdout.replaceAll(/\s/g, '')).toContain(`${odd.toString('hex')}00`);
  const lines = await run('find', it.tree, '--type', 'f', '--ndjson');
  const parsed = lines.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as FoundJson);
  expect(parsed).toHaveLength(6);
  expect(parsed.filter(({ path_b64 }) => path_b64 !== undefined)).toMatchObject([{ size: 1, type: 'file', hsm: [] }]);
  const json = JSON.parse((await run('find', it.tree, '--name', 'c.dat', '--json')).stdout) as {
    count: number;
    bytes: number;
    entries: FoundJson[];
  };
  expect(json).toMatchObject({
    count: 1,
    bytes: 3_000_000,
    leftOut: 0,
    entries: [{ uid: 1002, mode: '0644', nlink: 1 }],
  });
  for (const wrong of [
    ['/'],
    [at('nothing')],
    ['--size', 'x'],
    ['--where', 'size >'],
    ['--class', 'none'],
    ['--state', 'y'],
    ['--format', '%q'],
  ]) {
    expect(await run('find', ...wrong), wrong.join(' ')).toMatchObject({ exitCode: 2 });
  }
  const head = await it.sandbox.exec('sh', ['-c', `"$0" find --type f | head -1`, await executablePath()]);
  expect(head).toMatchObject({ exitCode: 0 });

  const all = await report('--by', 'user', '--by', 'type', '--by', 'state', '--top-directories', '3');
  expect(all.by.user).toContainEqual({ key: '1002', count: 2, bytes: 3_000_000, allocated: expect.any(Number) });
  expect(all.by.type).toContainEqual(expect.objectContaining({ key: 'file', count: 5, bytes: 5_000_011 }));
  expect(all.by.state).toContainEqual(expect.objectContaining({ key: 'none', count: 5 }));
  expect(all.directories).toContainEqual(
    expect.objectContaining({
      path: `${it.tree.slice(it.sandbox.mount.length + 1)}/d/sub`,
      entries: 3,
      bytes: 5_000_000,
    }),
  );
  // With --top-users, the first of the same users, beside whatever else is added up.
  const users = all.by.user ?? [];
  expect(users.length).toBeGreaterThan(2);
  const top = await report('--by', 'type', '--top-users', '2');
  expect(top.by).toEqual({ type: all.by.type, user: users.slice(0, 2) });
  const profiles = await report(
    '--by',
    'size',
    '--by',
    'age',
    '--by',
    'class',
    '--top-files',
    '2',
    '--type',
    'f',
    '--user',
    '1001',
  );
  expect(profiles.total).toMatchObject({ count: 2, bytes: 2_000_010 });
  expect(profiles.by.size?.map(({ key, count }) => [key, count])).toEqual([
    ['1', 1],
    ['1048576', 1],
  ]);
  expect(profiles.by.age?.map(({ key, count }) => [key, count])).toEqual([
    ['0', 1],
    [String(30 * DAY), 1],
  ]);
  const configured = profiles.by.class?.filter(({ key }) => key in CLASSES);
  expect(configured?.map(({ key, count }) => [key, count])).toEqual([
    ['logs', 2],
    ['large', 1],
  ]);
  expect(profiles.files.map(({ size }) => size)).toEqual([2_000_000, 10]);
  // Kept sums and a look at every entry are of one mind.
  const kept = await report(
    '--by',
    'user',
    '--by',
    'group',
    '--by',
    'project',
    '--by',
    'type',
    '--by',
    'state',
    '--by',
    'archive',
  );
  const counted = await report(
    '--by',
    'user',
    '--by',
    'group',
    '--by',
    'project',
    '--by',
    'type',
    '--by',
    'state',
    '--by',
    'archive',
    '--where',
    'size >= 0',
  );
  expect(counted).toEqual(kept);
  const csv = await run('report', '--by', 'user', '--by', 'type', '--csv');
  expect(csv.stdout).toMatch(/^user,count,size,allocated\n/);
  expect(csv.stdout).toMatch(/\n\ntype,count,size,allocated\n/);
  expect(csv.stdout).toContain('\n1002,2,3000000,');
  expect((await run('report')).stdout).toMatch(/TYPE +COUNT +SIZE +ALLOCATED/);
});

async function executablePath(): Promise<string> {
  return (await import('../../support/project.ts')).executable;
}
