import { appendFileSync, existsSync, readdirSync } from 'node:fs';
import {
  chmod,
  chown,
  link,
  mkdir,
  open,
  readFile,
  rename,
  stat,
  symlink,
  truncate,
  unlink,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { ChangelogReader, parseRecords } from '../../contract/changelog.ts';
import { CLEAN, RELEASED_FILE } from '../../contract/fixture.ts';
import { run } from '../../support/run.ts';
import { archiveId } from '../../support/sandbox.ts';
import { seam } from '../../support/seam-tool.ts';
import { waitUntil } from '../../support/wait.ts';
import { actions, bytes, Daemon, parameter, setParameter, statuses, useStandIn } from './fixture.ts';
import { snapshot } from './snapshot.ts';

const standIn = useStandIn({ mounts: 2 });
let daemon: Daemon;

beforeAll(() => {
  daemon = new Daemon(standIn.it.sandbox);
});

/** Names that a path must survive with, as bytes. */
const NAMES = [
  Buffer.from(' two  spaces '),
  Buffer.from('line\nend'),
  Buffer.from('back\\slash "quoted" \'single\' %41 *?[a]'),
  Buffer.from([0x66, 0xff, 0xfe, 0x80]),
  Buffer.from([0x01, 0x7f, 0x1b, 0x5b]),
  Buffer.from('ä'.repeat(127)),
  Buffer.alloc(255, 'n'),
  Buffer.from('-rf'),
];

async function everyKindOfFile(): Promise<void> {
  const it = standIn.it;
  const dir = await it.directory('kinds');
  for (const [index, name] of NAMES.entries()) {
    await writeFile(Buffer.concat([Buffer.from(`${dir}/`), name]), bytes(100 + index, index));
  }
  await writeFile(join(dir, 'large'), bytes(5 * 2 ** 20 + 17, 99));
  await writeFile(join(dir, 'sparse'), 'x');
  await truncate(join(dir, 'sparse'), 50 * 2 ** 20);
  await writeFile(join(dir, 'empty'), '');
  await mkdir(join(dir, 'deep/er/and deeper'), { recursive: true, mode: 0o2770 });
  await chmod(join(dir, 'deep'), 0o3755);
  await link(join(dir, 'large'), join(dir, 'deep/other name'));
  await link(join(dir, 'large'), join(dir, 'deep/er/third'));
  await symlink(Buffer.from([0x74, 0xff, 0x0a]), join(dir, 'link'));
  expect((await run('mkfifo', [join(dir, 'fifo')])).exitCode).toBe(0);
  await chown(join(dir, 'empty'), 1234, 4321);
  await chmod(join(dir, 'empty'), 0o4751);
  expect((await seam(['touch', join(dir, 'empty'), -77, 0])).rc).toBe(0);
  expect((await seam(['setxattr', join(dir, 'large'), 'user.a', 'one'])).rc).toBe(0);
  expect((await seam(['setxattr', join(dir, 'deep'), 'trusted.big', 'b'.repeat(30_000)])).rc).toBe(0);
  await it.ok('setstripe', '-E', '1M', '-c', '1', '-E', '-1', '-c', '2', join(dir, 'composite'));
  await writeFile(join(dir, 'composite'), bytes(3 * 2 ** 20, 5), { flag: 'r+' });
  await it.ok('setstripe', '-c', '2', join(dir, 'deep'));
  await rename(join(dir, '-rf'), join(dir, 'deep/renamed'));
  await unlink(Buffer.concat([Buffer.from(`${dir}/`), NAMES[0] ?? Buffer.of()]));
}

it('everything is as before: names, links, attributes, data, states, the queue, cookies, the changelog, settings', async () => {
  const it = standIn.it;
  const { sandbox } = it;
  await everyKindOfFile();
  await setParameter(sandbox, 'mdt.*.hsm.max_requests', 17);
  await setParameter(sandbox, 'mdt.*.hsm.policy', '+NBR');
  await setParameter(sandbox, 'mdt.*.hsm.policy', '-NBR');
  await setParameter(sandbox, 'mdt.*.hsm.policy', '-NRA');
  await setParameter(sandbox, 'mdt.*.hsm.grace_delay', 3600);
  const second = (
    await sandbox.serverLctl(['--device', sandbox.mdt, 'changelog_register', '-n', '-u', 'audit'])
  ).stdout.trim();
  const agent = await it.agent();
  const states = await it.directory('states');
  const clean = await it.archived(agent, 'states/clean', bytes(70_000, 1));
  const dirty = await it.archived(agent, 'states/dirty', bytes(70_000, 2));
  appendFileSync(dirty.path, 'more');
  const released = await it.released(agent, 'states/released', bytes(70_000, 3));
  const kept = await it.archived(agent, 'states/norelease', 'kept');
  await it.ok('hsm_set', '--norelease', kept.path);
  const imported = ['0644', 0, 0, -5, archiveId, 1];
  expect((await seam(['import', sandbox.llapi, join(states, 'imported'), 12345, ...imported])).lines).toHaveLength(1);
  // One that runs, then the agent dies, and one that is waiting for ever.
  const running = await it.write('states/running');
  await it.request('archive', running);
  const started = await agent.next('ARCHIVE', await it.fid(running));
  expect((await agent.begin(started)).rc).toBe(0);
  await agent.helper.kill();
  const waiting = await it.write('states/waiting');
  await it.ok('hsm_archive', '--archive', '9', '--data', 'for nine', waiting);
  await it.request('restore', released.path);
  await sandbox.serverLctl(['--device', sandbox.mdt, 'changelog_clear', second, '3']);
  await sandbox.lfs(['changelog_clear', sandbox.mdt, second, '3']);

  const look = async (): Promise<unknown> => ({
    tree: await snapshot(sandbox),
    actions: await actions(sandbox),
    changelog: await it.ok('changelog', sandbox.mdt),
    users: (await parameter(sandbox, 'mdd.*.changelog_users')).replaceAll(/\(\d+\)/g, '(idle)'),
    settings: await Promise.all(
      ['max_requests', 'policy', 'grace_delay', 'loop_period', 'default_archive_id'].map((name) =>
        parameter(sandbox, `mdt.*.hsm.${name}`),
      ),
    ),
    uuid: (await it.ok('getname', sandbox.mount)).trim(),
  });
  const before = await look();
  for (let round = 0; round < 2; round++) {
    await daemon.restart();
    expect(await look()).toEqual(before);
  }

  // What waited is given out to the next agent, under its cookies; what ran is not given out again.
  await using next = await it.agent({ archives: [archiveId, 9] });
  const restore = await next.restore(bytes(70_000, 3), released.fid);
  const listed = await actions(sandbox);
  expect(listed.find(({ fid, action }) => fid === released.fid && action === 'RESTORE')?.cookie).toBe(restore.cookie);
  const nine = await next.archive(await it.fid(waiting));
  expect(nine).toMatchObject({ archive: 9, data_b64: Buffer.from('for nine').toString('base64') });
  expect(await statuses(sandbox, await it.fid(running))).toEqual(['STARTED']);
  expect((await next.adopt(started)).rc).toBe(-2);
  expect((await readFile(released.path)).equals(bytes(70_000, 3))).toBe(true);
  await it.expectState(clean.path, CLEAN);
  // Nothing that was given away is given away again.
  const fresh = await it.archived(next, 'states/fresh');
  const cookies = (await actions(sandbox)).map(({ cookie }) => cookie);
  expect(new Set(cookies).size).toBe(cookies.length);
  const inodes = await Promise.all(
    [clean, dirty, fresh].map(async ({ path }) => (await stat(path, { bigint: true })).ino),
  );
  expect(new Set(inodes).size).toBe(3);
});

it('a reader that waits for a restore gets an error; the restore is done after the start', async () => {
  const it = standIn.it;
  const agent = await it.agent();
  const { path, fid } = await it.released(agent, 'blocked', bytes(1000, 7));
  const reading = readFile(path).then(
    () => 'data',
    (error: NodeJS.ErrnoException) => error.code,
  );
  const action = await agent.next('RESTORE', fid);
  const begun = await agent.begin(action);
  await agent.write(String(begun['dfid']), bytes(500, 8));
  await daemon.kill();
  expect(await reading).not.toBe('data');
  await agent.helper.kill();
  await daemon.start();
  await it.expectState(path, RELEASED_FILE);
  expect((await stat(path)).size).toBe(1000);
  await using next = await it.agent();
  const again = await next.restore(bytes(1000, 7), fid);
  expect(again.cookie).toBe(action.cookie);
  expect((await readFile(path)).equals(bytes(1000, 7))).toBe(true);
  // The half of the first try is not kept anywhere.
  const objects = readdirSync(join(daemon.dir, 'data'), { recursive: true }).length;
  await daemon.restart();
  expect(readdirSync(join(daemon.dir, 'data'), { recursive: true })).toHaveLength(objects);
});

it('killed in the middle of writing: what was acknowledged is there, and nothing that was never written', async () => {
  const it = standIn.it;
  const dir = await it.directory('load');
  const BLOCK = 40_000;
  const WRITERS = 4;
  const log = await ChangelogReader.open(it);
  const done = Array.from({ length: WRITERS }, () => ({ blocks: 0, files: 0 }));
  const writer = async (id: number): Promise<void> => {
    const mine = done[id];
    if (mine === undefined) return;
    const file = await open(join(dir, `log-${id}`), 'w');
    try {
      for (;;) {
        await file.write(bytes(BLOCK, id * 1000 + mine.blocks));
        mine.blocks++;
        const name = join(dir, `file-${id}-${mine.files}`);
        await writeFile(`${name}.new`, name);
        await rename(`${name}.new`, name);
        mine.files++;
      }
    } finally {
      await file.close().catch(() => undefined);
    }
  };
  const load = Promise.allSettled(done.map((_, id) => writer(id)));
  await waitUntil('all have written', () => done.every(({ blocks }) => blocks >= 20), { interval: 5 });
  await daemon.kill();
  expect((await load).map(({ status }) => status)).toEqual(done.map(() => 'rejected'));
  const acknowledged = structuredClone(done);
  await daemon.start();
  for (const [id, { blocks, files }] of acknowledged.entries()) {
    const data = await readFile(join(dir, `log-${id}`));
    expect(data.length).toBeGreaterThanOrEqual(blocks * BLOCK);
    expect(data.length).toBeLessThanOrEqual((blocks + 1) * BLOCK);
    for (let block = 0; block * BLOCK < data.length; block++) {
      const part = data.subarray(block * BLOCK, (block + 1) * BLOCK);
      expect(part.equals(bytes(BLOCK, id * 1000 + block).subarray(0, part.length)), `block ${block} of ${id}`).toBe(
        true,
      );
    }
    for (let file = 0; file < files; file++) {
      const name = join(dir, `file-${id}-${file}`);
      expect(await readFile(name, 'utf8')).toBe(name);
      expect(existsSync(`${name}.new`)).toBe(false);
    }
    expect(existsSync(join(dir, `file-${id}-${files + 1}`))).toBe(false);
  }
  const records = await log.read();
  const total = acknowledged.reduce((sum, { files }) => sum + files, 0);
  const renames = records.filter(({ type }) => type === 'RENME').length;
  expect(renames).toBeGreaterThanOrEqual(total);
  expect(renames).toBeLessThanOrEqual(total + WRITERS);
  expect(records.map(({ index }) => index)).toEqual(records.map((_, at) => (records[0]?.index ?? 0) + at));
});

it('a write to a clean file whose close was never seen leaves it dirty', async () => {
  const it = standIn.it;
  const agent = await it.agent();
  const { path } = await it.archived(agent, 'unclosed', bytes(5000, 1));
  await agent.helper.kill();
  const file = await open(path, 'r+');
  await file.write(bytes(100, 2), 0, 100, 200);
  await daemon.kill();
  await file.close().catch(() => undefined);
  await daemon.start();
  await it.expectState(path, 0x1 | 0x2 | 0x8);
  expect((await it.lfs(['hsm_release', path])).exitCode).not.toBe(0);
  const expected = bytes(5000, 1);
  bytes(100, 2).copy(expected, 200);
  expect((await readFile(path)).equals(expected)).toBe(true);
});

it('a torn end of the journal is dropped; a file deleted while it was open is gone after the start', async () => {
  const it = standIn.it;
  const path = await it.write('whole', 'whole');
  const open_ = await open(await it.write('open', bytes(100_000, 3)), 'r');
  await unlink(it.path('open'));
  const index = parseRecords(await it.ok('changelog', it.sandbox.mdt)).at(-1)?.index ?? 0;
  await daemon.kill();
  await open_.close().catch(() => undefined);
  appendFileSync(join(daemon.dir, 'journal'), Buffer.from('SIMJ\u0000\u0001\u0000\u0000half of a record', 'latin1'));
  await daemon.start();
  expect(await readFile(path, 'utf8')).toBe('whole');
  expect(existsSync(it.path('open'))).toBe(false);
  expect(await readFile(join(daemon.dir, 'log'), 'utf8')).toContain('torn and are dropped');
  await it.write('next');
  expect(parseRecords(await it.ok('changelog', it.sandbox.mdt)).map((record) => record.index)).toContain(index + 1);
});
