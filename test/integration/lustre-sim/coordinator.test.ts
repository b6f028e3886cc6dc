import { readFile, writeFile } from 'node:fs/promises';
import { afterEach, expect, it } from 'vitest';
import { ChangelogReader } from '../../contract/changelog.ts';
import { CLEAN, EXISTS, RELEASED_FILE } from '../../contract/fixture.ts';
import type { Action, Agent } from '../../support/agent.ts';
import { waitUntil } from '../../support/wait.ts';
import { actions, bytes, parameter, setParameter, statuses, useStandIn, waitForStatus } from './fixture.ts';

// The coordinator's settings, which on a real Lustre are the whole file system's. Facts: 02, 03, 06, 07.

const standIn = useStandIn({ mounts: 2 });
const hsm = (name: string): string => `mdt.*.hsm.${name}`;
const set = (name: string, value: string | number): Promise<void> =>
  setParameter(standIn.it.sandbox, name === 'control' ? 'mdt.*.hsm_control' : hsm(name), value);

afterEach(async () => {
  await set('control', 'enabled');
  await set('max_requests', 100);
  await set('active_request_timeout', 3600);
  await set('policy', '+NRA');
  await set('policy', '-NBR');
  await set('control', 'purge');
});

function pending(agent: Agent): Action[] {
  return agent.helper.events.filter(({ t }) => t === 'action') as unknown as Action[];
}

/** A file whose archive has been asked for. */
async function wanted(name: string, archive: number): Promise<{ path: string; fid: string }> {
  const it = standIn.it;
  const path = await it.write(name);
  await it.ok('hsm_archive', '--archive', String(archive), path);
  return { path, fid: await it.fid(path) };
}

it('archive ids: an agent gets those that it serves, one without ids gets all, also above 32', async () => {
  const it = standIn.it;
  const [one, three, high] = [await wanted('id-1', 1), await wanted('id-3', 3), await wanted('id-33', 33)];
  {
    await using some = await it.agent({ archives: [3, 33] });
    const list = await parameter(it.sandbox, hsm('agents'));
    expect(list).toMatch(/ archive_id=3,33 requests=/);
    await some.archive(three.fid);
    await some.archive(high.fid);
    expect(await it.ok('hsm_state', high.path)).toContain('archive_id:33');
    expect(await statuses(it.sandbox, one.fid)).toEqual(['WAITING']);
  }
  await using all = await it.agent({ archives: [] });
  expect(await parameter(it.sandbox, hsm('agents'))).toMatch(/ archive_id=ANY requests=/);
  expect((await all.archive(one.fid)).archive).toBe(1);
  expect((await all.archive((await wanted('id-77', 77)).fid)).archive).toBe(77);
});

it('archive 0 is the default one; a remove of archive 0 of an unlinked file goes to every archive that is served', async () => {
  const it = standIn.it;
  await using agent = await it.agent({ archives: [1, 5] });
  await set('default_archive_id', 5);
  try {
    const path = await it.write('default');
    await it.ok('hsm_archive', path);
    expect((await agent.archive(await it.fid(path))).archive).toBe(5);
    expect(await it.ok('hsm_state', path)).toContain('archive_id:5');
  } finally {
    await set('default_archive_id', 1);
  }
  const fid = '0x200000401:0x7777:0x0';
  await it.ok('hsm_remove', '--mntpath', it.sandbox.mount, fid);
  const removes = [await agent.remove(fid), await agent.remove(fid)];
  expect(removes.map(({ archive }) => archive).sort()).toEqual([1, 5]);
});

it('max_requests: so many run, the others wait, and follow as places get free', async () => {
  const it = standIn.it;
  await set('max_requests', 2);
  await using agent = await it.agent();
  const files = await Promise.all(Array.from({ length: 6 }, (_, file) => it.write(`many-${file}`)));
  const fids = await Promise.all(files.map((file) => it.fid(file)));
  await it.request('archive', ...files);
  const running = async (): Promise<number> =>
    (await actions(it.sandbox)).filter(({ status }) => status === 'STARTED').length;
  const done = new Set<string>();
  while (done.size < fids.length) {
    await waitUntil('one was given out', () => pending(agent).length > 0);
    expect(await running()).toBeLessThanOrEqual(2);
    done.add((await agent.archive()).fid);
  }
  expect([...done].sort()).toEqual(fids.sort());
  for (const file of files) await it.waitForState(file, CLEAN);
});

it('active_request_timeout: an action that shows no progress is cancelled, with a record; its agent finds nothing then', async () => {
  const it = standIn.it;
  const log = await ChangelogReader.open(it);
  await using agent = await it.agent();
  const { path, fid } = await wanted('hangs', 1);
  const action = await agent.next('ARCHIVE', fid);
  expect((await agent.begin(action)).rc).toBe(0);
  await set('active_request_timeout', 1);
  await waitForStatus(it.sandbox, fid, 'CANCELED');
  expect((await agent.progress(action, 0, 1)).rc).toBe(-2);
  expect((await agent.end(action)).rc).toBe(-2);
  await it.expectState(path, EXISTS);
  const records = (await log.read()).filter(({ type, target }) => type === 'HSM' && target === fid);
  expect(records.at(-1)).toMatchObject({ flags: '0x7d' });
  await set('active_request_timeout', 3600);
  // A place is free again, and the file can be archived.
  await it.request('archive', path);
  await agent.archive(fid);
  await it.waitForState(path, CLEAN);
});

it('active_request_timeout frees the reader of a restore that hangs', async () => {
  const it = standIn.it;
  await using agent = await it.agent();
  const { path, fid } = await it.released(agent, 'restore-hangs');
  const reading = readFile(path).then(
    () => 'data',
    (error: NodeJS.ErrnoException) => error.code,
  );
  await agent.begin(await agent.next('RESTORE', fid));
  await set('active_request_timeout', 1);
  expect(await reading).toBe('ENODATA');
  await it.expectState(path, RELEASED_FILE);
});

it('with NoRetryAction, an end with the retry flag fails; without it, the action comes again, round by round', async () => {
  const it = standIn.it;
  await using agent = await it.agent();
  const fails = await wanted('no-retry', 1);
  const once = await agent.next('ARCHIVE', fails.fid);
  await agent.begin(once);
  await agent.end(once, { errval: 5, retry: true });
  await waitForStatus(it.sandbox, fails.fid, 'FAILED');

  await set('policy', '-NRA');
  expect(await parameter(it.sandbox, hsm('policy'))).toBe('NonBlockingRestore NoRetryAction');
  const { path, fid } = await wanted('retry', 1);
  const first = await agent.next('ARCHIVE', fid);
  await agent.begin(first);
  // The next round is so far away that requests in between would be seen to bring it back too early.
  await set('loop_period', 3600);
  try {
    await agent.end(first, { errval: 5, retry: true });
    expect(await statuses(it.sandbox, fid)).toEqual(['WAITING']);
    await agent.archive((await wanted('between', 1)).fid);
    await agent.archive((await wanted('between too', 1)).fid);
    expect(pending(agent)).toEqual([]);
    expect(await statuses(it.sandbox, fid)).toEqual(['WAITING']);
  } finally {
    await set('loop_period', 1);
  }
  const second = await agent.next('ARCHIVE', fid);
  expect(second.cookie).toBe(first.cookie);
  await agent.begin(second);
  // Without the flag it is over at once.
  await agent.end(second, { errval: 5 });
  await waitForStatus(it.sandbox, fid, 'FAILED');
  await it.expectState(path, EXISTS);
});

it('a restore that is retried keeps its reader waiting', async () => {
  const it = standIn.it;
  await set('policy', '-NRA');
  await using agent = await it.agent();
  const data = bytes(5000, 1);
  const { path, fid } = await it.released(agent, 'restore-retry', data);
  const reading = readFile(path);
  const first = await agent.next('RESTORE', fid);
  await agent.begin(first);
  // Not before the end was answered: an action that comes again while its end is under way looks like a repetition.
  await set('loop_period', 3600);
  try {
    expect((await agent.end(first, { errval: 5, retry: true })).rc).toBe(0);
  } finally {
    await set('loop_period', 1);
  }
  const second = await agent.restore(data, fid);
  expect(second.cookie).toBe(first.cookie);
  expect((await reading).equals(data)).toBe(true);
});

it('with NonBlockingRestore, readers get ENODATA at once and the data after the restore', async () => {
  const it = standIn.it;
  await set('policy', '+NBR');
  await using agent = await it.agent();
  const { path, fid } = await it.released(agent, 'non-blocking', 'data');
  for (let tries = 0; tries < 2; tries++) await expect(readFile(path)).rejects.toMatchObject({ code: 'ENODATA' });
  await agent.restore('data', fid);
  await it.waitForState(path, CLEAN);
  expect(await readFile(path, 'utf8')).toBe('data');
});

it('disabled: requests wait, what runs goes on; enabled: they are given out', async () => {
  const it = standIn.it;
  await using agent = await it.agent();
  const before = await wanted('before', 1);
  const running = await agent.next('ARCHIVE', before.fid);
  await agent.begin(running);
  await set('control', 'disabled');
  expect(await parameter(it.sandbox, 'mdt.*.hsm_control')).toBe('disabled');
  const { path, fid } = await wanted('waits', 1);
  expect((await agent.end(running)).rc).toBe(0);
  await it.waitForState(before.path, CLEAN);
  expect(await statuses(it.sandbox, fid)).toEqual(['WAITING']);
  expect(pending(agent)).toEqual([]);
  await set('control', 'enabled');
  await agent.archive(fid);
  await it.waitForState(path, CLEAN);
});

it('shutdown: no requests, no progress, readers get ENODATA, agents are forgotten; enabled: the queue is still there', async () => {
  const it = standIn.it;
  const agent = await it.agent();
  const released = await it.released(agent, 'shut-restore', 'data');
  const reading = readFile(released.path).then(
    () => 'data',
    (error: NodeJS.ErrnoException) => error.code,
  );
  const restore = await agent.next('RESTORE', released.fid);
  await agent.begin(restore);
  const unserved = await wanted('shut-waits', 9);
  await set('control', 'shutdown');
  expect(await parameter(it.sandbox, 'mdt.*.hsm_control')).toBe('stopped');
  expect(await reading).toBe('ENODATA');
  expect((await it.lfs(['hsm_archive', await it.write('refused')])).exitCode).toBe(11);
  expect((await agent.progress(restore, 0, 1)).rc).toBe(-11);
  expect(await parameter(it.sandbox, hsm('agents'))).toBe('');
  await agent.helper.kill();
  await set('control', 'enabled');
  expect(await statuses(it.sandbox, released.fid)).toContain('WAITING');
  expect(await statuses(it.sandbox, unserved.fid)).toEqual(['WAITING']);
  await using next = await it.agent({ archives: [1, 9] });
  expect((await next.restore('data', released.fid)).cookie).toBe(restore.cookie);
  await next.archive(unserved.fid);
  expect(await readFile(released.path, 'utf8')).toBe('data');
});

it('a cancel of a file means the last of its requests that have not ended, handed out or not', async () => {
  const it = standIn.it;
  await using agent = await it.agent();
  const { path, fid } = await it.archived(agent, 'twice');
  await it.ok('hsm_remove', path);
  const remove = await agent.next('REMOVE', fid);
  await writeFile(path, 'two');
  await it.ok('hsm_archive', path);
  const archive = await agent.next('ARCHIVE', fid);
  await it.ok('hsm_cancel', path);
  expect((await agent.next('CANCEL', fid)).cookie).toBe(archive.cookie);
  expect((await agent.progress(archive, 0, 0)).rc).toBe(-125);
  expect((await agent.progress(remove, 0, 0)).rc).toBe(0);
  await it.ok('hsm_cancel', path);
  expect((await agent.next('CANCEL', fid)).cookie).toBe(remove.cookie);
  for (const action of [archive, remove]) expect((await agent.end(action, { errval: 125 })).rc).toBe(0);
  expect(await statuses(it.sandbox, fid)).toEqual(['SUCCEED', 'CANCELED', 'CANCELED', 'SUCCEED', 'SUCCEED']);
});

it('purge: everything is cancelled, what runs is told, readers are let go', async () => {
  const it = standIn.it;
  await using agent = await it.agent();
  const { path, fid } = await it.released(agent, 'purged', 'data');
  const reading = readFile(path).then(
    () => 'data',
    (error: NodeJS.ErrnoException) => error.code,
  );
  const restore = await agent.next('RESTORE', fid);
  await agent.begin(restore);
  const waiting = await wanted('purged-too', 9);
  await set('control', 'purge');
  expect(await reading).toBe('ENODATA');
  expect((await agent.next('CANCEL', fid)).cookie).toBe(restore.cookie);
  expect(await statuses(it.sandbox, waiting.fid)).toEqual(['CANCELED']);
  expect((await statuses(it.sandbox, fid)).at(-1)).toBe('CANCELED');
  expect(await parameter(it.sandbox, 'mdt.*.hsm_control')).toBe('enabled');
  await it.expectState(path, RELEASED_FILE);
});

it('a client sees neither the coordinator nor changelog users, and can set nothing of it', async () => {
  const it = standIn.it;
  const all = (await it.sandbox.lctl(['get_param', '-N', '*.*'])).stdout;
  expect(all).not.toMatch(/^md[td]\./m);
  expect(all).toMatch(/^llite\./m);
  for (const name of ['mdt.*.hsm_control', 'mdt.*.hsm.max_requests', 'mdd.*.changelog_users']) {
    expect((await it.sandbox.lctl(['get_param', name])).exitCode, name).toBe(2);
    expect((await it.sandbox.lctl(['set_param', `${name}=1`])).exitCode, name).not.toBe(0);
    expect((await it.sandbox.serverLctl(['get_param', name])).exitCode, name).toBe(0);
  }
  expect((await it.sandbox.lctl(['--device', it.sandbox.mdt, 'changelog_deregister', 'cl1'])).exitCode).not.toBe(0);
  expect(await it.ok('changelog', it.sandbox.mdt)).not.toBe('');
});
