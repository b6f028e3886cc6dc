import { mkdir, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openCatalog } from '../../../src/catalog/open.ts';
import { parseFid } from '../../../src/identity/fid.ts';
import { entry } from '../../support/catalog.ts';
import { useStandIn } from '../lustre-sim/fixture.ts';

const standIn = useStandIn({
  config: {
    archives: undefined,
    classes: {
      marked: { definition: 'xattr.user.keep == yes', access_tier: 'Cool' },
      mine: { definition: 'owner == root and tree == "/"' },
    },
    policies: {
      archive: {
        ignore_class: 'marked',
        rules: { logs: { target_class: ['mine'], condition: 'name == "*.log" and last_mod > 1h' } },
      },
    },
  },
});

const explain = async (...args: string[]) => {
  const result = await standIn.it.sandbox.run(['policy', 'explain', '--json', ...args]);
  return { result, files: result.exitCode === 0 ? JSON.parse(result.stdout).files : undefined };
};

const policyOf = (file: { policies: { policy: string }[] }, name: string) =>
  file.policies.find(({ policy }) => policy === name);

describe('policy explain', () => {
  test('tells class, rule and time of a file by what the file system shows, and what keeps it from being done', async () => {
    const c = standIn.it;
    const directory = await c.directory('explained');
    const log = join(directory, 'a.log');
    await writeFile(log, 'text');
    const hourAgo = Math.floor(Date.now() / 1000) - 3000;
    await utimes(log, hourAgo, hourAgo);
    const { files } = await explain(log);
    expect(files).toHaveLength(1);
    expect(files[0]).toMatchObject({
      path: log,
      fid: expect.stringMatching(/^0x/),
      type: 'file',
      size: '4',
      state: 'none',
      classes: ['small_files', 'mine'],
      classes_unknown: [],
    });
    expect(policyOf(files[0], 'archive')).toEqual({
      policy: 'archive',
      action: 'archive',
      rule: 'logs',
      reason: null,
      due: 'later',
      due_at: new Date((hourAgo + 3601) * 1000).toISOString(),
      holds: [],
    });
    expect(policyOf(files[0], 'release')).toMatchObject({
      rule: 'release_small',
      due: 'later',
      holds: ['NEVER_ARCHIVED'],
    });
    expect(policyOf(files[0], 'remove')).toMatchObject({ due: 'never', holds: ['ALIVE'] });
  });

  test('looks at extended attributes, directories, and states', async () => {
    const c = standIn.it;
    const directory = await c.directory('states');
    const marked = join(directory, 'b.log');
    await writeFile(marked, 'text');
    expect(
      await c.sandbox.exec('python3', [
        '-c',
        'import os, sys; os.setxattr(sys.argv[1], sys.argv[2], sys.argv[3].encode())',
        marked,
        'user.keep',
        'yes',
      ]),
    ).toMatchObject({ exitCode: 0 });
    await using agent = await c.agent();
    await c.released(agent, 'states/away');
    await mkdir(join(directory, 'sub'));
    const { files } = await explain(marked, join(directory, 'away'), join(directory, 'sub'));
    expect(policyOf(files[0], 'archive')).toMatchObject({ rule: null, reason: 'ignored', due: 'never' });
    expect(files[1].state).toBe('released exists archived');
    expect(policyOf(files[1], 'archive')).toMatchObject({ holds: ['ALREADY_RELEASED'] });
    expect(files[2]).toMatchObject({ type: 'dir', state: null });
    expect(policyOf(files[2], 'archive')).toMatchObject({ holds: ['NOT_A_FILE'] });
    const plain = await c.sandbox.run(['policy', 'explain', marked]);
    expect(plain.stdout).toContain('in small_files, marked, mine');
    expect(plain.stdout).toMatch(/^archive\s+-\s+never\s+is ignored$/m);
  });

  test('knows of the dead by their FID, and says what it can’t find', async () => {
    const c = standIn.it;
    const path = join(await c.directory('dead'), 'gone');
    await writeFile(path, 'text');
    const fid = parseFid((await c.sandbox.lfs(['path2fid', path])).stdout.trim());
    if (fid === undefined) throw new Error('no FID');
    const catalog = openCatalog({ file: join(c.sandbox.dir, 'state/catalog.db'), create: true });
    const at = Math.floor(Date.now() / 1000) - 100;
    await catalog.apply({ puts: [{ entry: entry(fid, { hsm: 9 }), links: [] }] });
    await rm(path);
    await catalog.apply({ deaths: [{ fid, at }] });
    catalog.close();
    const { files } = await explain(fid);
    expect(policyOf(files[0], 'remove')).toMatchObject({
      rule: 'default',
      due: 'later',
      due_at: new Date((at + 300) * 1000).toISOString(),
      holds: ['BY_FOLLOWER'],
    });
    expect(policyOf(files[0], 'archive')).toMatchObject({ holds: ['DEAD'] });
    const { result } = await explain(path);
    expect(result).toMatchObject({ exitCode: 1 });
    expect(JSON.parse(result.stdout)).toMatchObject({ error: { code: 'FILE_UNREADABLE' } });
    const outside = await explain('/etc/passwd');
    expect(JSON.parse(outside.result.stdout)).toMatchObject({ error: { code: 'OUTSIDE_MOUNT' } });
  });

  test('takes relative paths from the working directory', async () => {
    const c = standIn.it;
    const directory = await c.directory('here');
    await writeFile(join(directory, 'file'), 'text');
    const { stdout } = await c.sandbox.run(['policy', 'explain', '--json', 'file'], { cwd: directory });
    expect(JSON.parse(stdout).files[0]).toMatchObject({ path: 'file', size: '4' });
  });
});

test('policy list shows what is in force', async () => {
  const { stdout, exitCode } = await standIn.it.sandbox.run(['policy', 'list', '--json']);
  expect(exitCode).toBe(0);
  const { classes, policies } = JSON.parse(stdout);
  expect(classes.at(-1)).toEqual({ name: 'mine', definition: 'owner == root and tree == "/"', access_tier: null });
  expect(policies[0]).toMatchObject({
    policy: 'archive',
    ignore: 'xattr.user.keep == "yes"',
    rules: [{ rule: 'logs', target_class: ['mine'], condition: 'name == "*.log" and last_mod > 1h', archive_id: 1 }],
    triggers: [{ on: 'periodic', interval_ms: 300_000 }],
  });
  const plain = await standIn.it.sandbox.run(['policy', 'list']);
  expect(plain.stdout).toContain('OST at 85 %, down to 80 %');
});

test('config import-robinhood writes a configuration that is valid, once', async () => {
  const c = standIn.it;
  const output = join(c.sandbox.dir, 'converted.yaml');
  const source = join(import.meta.dirname, '../../fixtures/robinhood/original-rules.conf');
  const first = await c.sandbox.run(['config', 'import-robinhood', source, '--output', output]);
  expect(first).toMatchObject({ exitCode: 0, stdout: '' });
  expect(first.stderr).toContain('0 not done');
  expect(await c.sandbox.run(['config', 'validate', output])).toMatchObject({ exitCode: 0 });
  expect(await c.sandbox.run(['config', 'import-robinhood', source, '--output', output])).toMatchObject({
    exitCode: 2,
  });
  const json = await c.sandbox.run(['config', 'import-robinhood', source, '--json']);
  expect(JSON.parse(json.stdout)).toMatchObject({ output: null, yaml: expect.stringContaining('/amlfs') });
  expect(await c.sandbox.run(['config', 'import-robinhood', '/nowhere'])).toMatchObject({ exitCode: 2 });
});
