import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { CLEAN, type Contract, DIRTY, EXISTS, RELEASED_FILE } from '../../contract/fixture.ts';
import type { Agent } from '../../support/agent.ts';
import { seam } from '../../support/seam-tool.ts';
import { waitUntil } from '../../support/wait.ts';
import { actions, bytes, parameter, setParameter, statuses, useStandIn, waitForStatus } from './fixture.ts';

// Copytools that come and go without a word, clients that are thrown out, and a metadata server that is restarted.
// Facts: 07, 12; Lustre's mdt_hsm_cdt_agent.c, mdt_coordinator.c, kernelcomm.c, llite/file.c (2.15 and master).

const older = useStandIn({ version: '2.15', mounts: 2 });
const newer = useStandIn({ version: '2.17', mounts: 2 });

afterEach(async () => {
  for (const each of [older, newer]) {
    await setParameter(each.it.sandbox, 'mdt.*.hsm.active_request_timeout', 3600);
    await setParameter(each.it.sandbox, 'mdt.*.hsm_control', 'purge');
  }
});

const agents = async (it: Contract): Promise<string[]> =>
  (await parameter(it.sandbox, 'mdt.*.hsm.agents')).split('\n').filter((line) => line !== '');

const tell = (it: Contract, op: string, client?: number): Promise<string> =>
  it.sandbox.simctl(['sim', `op=${op}`, ...(client === undefined ? [] : [`client=${it.sandbox.mounts[client]}`])]);

/** A file whose archive is wanted, once the coordinator has seen the request. */
async function wanted(it: Contract, name: string): Promise<{ path: string; fid: string }> {
  const path = await it.write(name);
  await it.request('archive', path);
  return { path, fid: await it.fid(path) };
}

function fidsOf(agent: Agent): unknown[] {
  return agent.helper.events.filter(({ t }) => t === 'action').map((event) => event['fid']);
}

it('2.15: a killed copytool stays registered until something is sent to it; that waits, and the next one gets it', async () => {
  const it = older.it;
  const killed = await it.agent({ client: 0 });
  await killed.helper.kill();
  expect(await agents(it)).toHaveLength(1);
  const { path, fid } = await wanted(it, 'nobody');
  await waitUntil('the server has noticed', async () => (await agents(it)).length === 0);
  expect(await statuses(it.sandbox, fid)).toEqual(['WAITING']);
  await using next = await it.agent({ client: 0 });
  await next.archive(fid);
  await it.waitForState(path, CLEAN);
});

it('2.15: what is sent to the client of a killed copytool reaches the other one on it, and another client takes over', async () => {
  const it = older.it;
  const killed = await it.agent({ client: 0 });
  await using beside = await it.agent({ client: 0 });
  await killed.helper.kill();
  const first = await wanted(it, 'beside');
  await beside.archive(first.fid);
  expect(await agents(it)).toHaveLength(1);
  await beside.helper.kill();
  await using other = await it.agent({ client: 1 });
  const second = await wanted(it, 'takes-over');
  await other.archive(second.fid);
  await it.waitForState(second.path, CLEAN);
});

it('2.15: a copytool that comes after a killed one has the archives of that one, for the server', async () => {
  const it = older.it;
  const killed = await it.agent({ archives: [7] });
  await killed.helper.kill();
  await using next = await it.agent({ archives: [1] });
  expect((await agents(it))[0]).toContain(' archive_id=7 ');
  const { fid } = await wanted(it, 'unserved');
  await tell(it, 'loop');
  await waitForStatus(it.sandbox, fid, 'WAITING');
  expect(fidsOf(next)).toEqual([]);
});

it('2.17: a killed copytool takes the registration of its client with it, and the channels of the others on it (LU-18238)', async () => {
  const it = newer.it;
  const killed = await it.agent({ client: 0 });
  await using beside = await it.agent({ client: 0 });
  await using other = await it.agent({ client: 1 });
  await killed.helper.kill();
  await beside.helper.next('unregistered');
  // The helper registers again, by itself.
  await beside.helper.next('registered');
  await waitUntil('both are there', async () => (await agents(it)).length === 2);
  expect(fidsOf(other)).toEqual([]);
});

it('what a killed copytool had begun stays as it is, until active_request_timeout', async () => {
  for (const it of [older.it, newer.it]) {
    const killed = await it.agent({ client: 0 });
    const { path, fid } = await wanted(it, 'begun');
    const action = await killed.next('ARCHIVE', fid);
    await killed.begin(action);
    await killed.helper.kill();
    await using other = await it.agent({ client: 1 });
    await tell(it, 'loop');
    expect(await statuses(it.sandbox, fid)).toEqual(['STARTED']);
    expect(await it.action(path)).toContain('ARCHIVE running');
    expect(fidsOf(other)).toEqual([]);
    await setParameter(it.sandbox, 'mdt.*.hsm.active_request_timeout', 1);
    await waitForStatus(it.sandbox, fid, 'CANCELED');
    expect((await other.adopt(action)).rc).toBe(-2);
  }
});

it('a metadata server restarts: archives stay STARTED and unknown, restores come again with their cookies, copytools are registered again', async () => {
  for (const it of [older.it, newer.it]) {
    await using agent = await it.agent({ archives: [1, 4] });
    await using second = await it.agent({ client: 1, archives: [9] });
    const released = await it.released(agent, 'restart-restore', bytes(50_000, 3));
    const { fid } = await wanted(it, 'restart-archive');
    const archive = await agent.next('ARCHIVE', fid);
    await agent.begin(archive);
    const reading = expect(readFile(released.path)).rejects.toMatchObject({ code: 'ENODATA' });
    const restore = await agent.next('RESTORE', released.fid);
    await agent.begin(restore);
    await tell(it, 'mdt_restart');
    expect((await agents(it)).map((line) => / archive_id=(\S+) /.exec(line)?.[1]).sort()).toEqual(['1,4', '9']);
    expect(await statuses(it.sandbox, fid)).toEqual(['STARTED']);
    expect((await agent.progress(archive, 0, 1)).rc).toBe(-2);
    expect((await agent.end(archive)).rc).toBe(-2);
    expect(await agent.helper.next('again')).toMatchObject({ fid: released.fid, cookie: restore.cookie });
    expect((await agent.end(restore, { errval: 5 })).rc).toBe(0);
    await reading;
    await it.expectState(released.path, RELEASED_FILE);
    expect(fidsOf(second)).toEqual([]);
  }
});

it('LL_IOC_HSM_COPY_END: an archive ends only with the data version it began with', async () => {
  for (const it of [older.it, newer.it]) {
    await using agent = await it.agent();
    const { mount } = it.sandbox;
    const good = await wanted(it, 'copy-end');
    const first = await agent.next('ARCHIVE', good.fid);
    const { dv } = await agent.begin(first);
    const end = (fid: string, cookie: string, version: unknown, errval = 0): Promise<{ rc: number }> =>
      seam(['copy-end', mount, 20, fid, cookie, String(version), errval]);
    expect((await end(good.fid, first.cookie, dv)).rc).toBe(0);
    await it.waitForState(good.path, CLEAN);
    expect((await end(good.fid, first.cookie, dv)).rc).toBe(-2);
    // Written meanwhile: EBUSY, and the coordinator hears of it.
    const busy = await wanted(it, 'copy-end-busy');
    const second = await agent.next('ARCHIVE', busy.fid);
    const begun = await agent.begin(second);
    await writeFile(busy.path, 'other');
    expect((await end(busy.fid, second.cookie, begun['dv'])).rc).toBe(-16);
    await waitForStatus(it.sandbox, busy.fid, 'FAILED');
    await it.expectState(busy.path, EXISTS | DIRTY);
    // An error end asks for no version.
    const bad = await wanted(it, 'copy-end-error');
    const third = await agent.next('ARCHIVE', bad.fid);
    expect((await end(bad.fid, third.cookie, 0, 5)).rc).toBe(0);
    await waitForStatus(it.sandbox, bad.fid, 'FAILED');
  }
});

it('LL_IOC_HSM_COPY_END: a restore is named by its volatile file, and one that is gone is ENOENT', async () => {
  const it = newer.it;
  await using agent = await it.agent();
  const content = bytes(70_000, 5);
  const { path, fid } = await it.released(agent, 'copy-end-restore', content);
  const reading = readFile(path);
  const action = await agent.next('RESTORE', fid);
  const dfid = String((await agent.begin(action))['dfid']);
  await agent.write(dfid, content);
  expect((await seam(['copy-end', it.sandbox.mount, 21, dfid, action.cookie, '0', 0])).rc).toBe(0);
  expect((await reading).equals(content)).toBe(true);
  await agent.end(action, { errval: 5 });
  await it.request('release', path);
  const again = expect(readFile(path)).rejects.toMatchObject({ code: 'ENODATA' });
  const next = await agent.next('RESTORE', fid);
  expect((await seam(['copy-end', it.sandbox.mount, 21, '0x200000401:0x1ffff:0x0', next.cookie, '0', 0])).rc).toBe(-2);
  await again;
});

it('a client that is thrown out loses the files it had open on the servers; its restore fails, the next one works', async () => {
  const it = newer.it;
  await using agent = await it.agent({ client: 1 });
  const content = bytes(90_000, 6);
  const { path, fid } = await it.released(agent, 'evicted', content);
  await it.request('restore', path);
  const action = await agent.next('RESTORE', fid);
  const dfid = String((await agent.begin(action))['dfid']);
  await agent.write(dfid, content);
  await tell(it, 'evict', 1);
  expect(await agents(it)).toHaveLength(1);
  await expect(agent.write(dfid, content)).rejects.toThrow('ENOENT');
  expect((await agent.end(action)).rc).not.toBe(0);
  await it.idle(path);
  await it.expectState(path, RELEASED_FILE);
  const reading = readFile(path);
  await agent.restore(content, fid);
  expect((await reading).equals(content)).toBe(true);
});

it('a client that is cut off: nothing on it answers, the server knows its agent until it sends something', async () => {
  const it = newer.it;
  const path = await it.write('seen');
  const cut = await it.agent({ client: 1 });
  await tell(it, 'lose', 1);
  const there = join(it.sandbox.mounts[1] ?? '', path.slice(it.sandbox.mount.length));
  await expect(readFile(there)).rejects.toMatchObject({ code: 'EIO' });
  expect(await readFile(path, 'utf8')).toBe('one\n');
  expect(await agents(it)).toHaveLength(1);
  const { fid } = await wanted(it, 'cut-off');
  await waitUntil('the server has noticed', async () => (await agents(it)).length === 0);
  expect((await actions(it.sandbox)).find((each) => each.fid === fid)?.status).toBe('WAITING');
  await cut.helper.kill();
  await tell(it, 'find', 1);
  expect(await readFile(there, 'utf8')).toBe('one\n');
  await using back = await it.agent({ client: 1 });
  await back.archive(fid);
});

it('a mount that is taken away with umount -l: a copytool that runs on it goes on by its descriptors', async () => {
  const it = newer.it;
  const { sandbox } = it;
  await using agent = await it.agent({ client: 1 });
  const content = bytes(40_000, 7);
  const { path, fid } = await it.released(agent, 'unmounted', content);
  await sandbox.exec('umount', ['-l', sandbox.mounts[1] ?? '']);
  const reading = expect(readFile(path)).rejects.toMatchObject({ code: 'ENODATA' });
  const restore = await agent.next('RESTORE', fid);
  expect((await agent.begin(restore)).rc).toBe(0);
  expect((await agent.progress(restore, 0, 10)).rc).toBe(0);
  expect((await agent.end(restore, { errval: 5 })).rc).toBe(0);
  await reading;
  const { path: next, fid: nextFid } = await wanted(it, 'unmounted-archive');
  await agent.archive(nextFid);
  await it.waitForState(next, CLEAN);
});
