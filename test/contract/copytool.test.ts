import { appendFile, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { Agent } from '../support/agent.ts';
import { archiveId } from '../support/sandbox.ts';
import { waitUntil } from '../support/wait.ts';
import { CLEAN, DIRTY, EXISTS, RELEASED_FILE, useContract } from './fixture.ts';

// The agent's calls one by one. Facts: 06-copytool-api.txt, 07-copytool-cancel-kill.txt, 08, 12.

const contract = useContract();
const EIO = 5;
const EBUSY = -16;
const ECANCELED = -125;
const ENOENT = -2;

it('hello names the file system, the library and the mount (helper protocol)', async () => {
  const it = contract.it;
  const agent = Agent.spawn(it.sandbox);
  const hello = await agent.helper.hello();
  expect(hello).toMatchObject({
    t: 'hello',
    protocol: 1,
    mode: 'copytool',
    mount: it.sandbox.mount,
    fsname: it.sandbox.mdt.replace(/-MDT.*$/, ''),
  });
  expect(hello['llapi']).toMatch(/^\d+\.\d+/);
  expect(await agent.helper.next('registered')).toMatchObject({ archives: [archiveId] });
  expect(await agent.stop()).toBe(0);
});

it('a mount that is not Lustre is refused (06)', async () => {
  const it = contract.it;
  const { HelperClient } = await import('../support/helper-client.ts');
  const helper = new HelperClient('copytool', ['--mount', it.sandbox.dir, '--liblustreapi', it.sandbox.llapi], {
    ...process.env,
    ...it.sandbox.env,
  });
  expect(await helper.hello()).toMatchObject({ t: 'fatal', code: 'NOT_LUSTRE' });
  expect(await helper.ended()).toBe(1);
});

it('a second copytool on the same lock is refused, with the holder (README 3)', async () => {
  const it = contract.it;
  const lock = join(it.sandbox.dir, 'copytool.lock');
  await using first = await it.agent({ lock });
  const second = Agent.spawn(it.sandbox, { lock });
  expect(await second.helper.hello()).toMatchObject({ t: 'fatal', code: 'LOCKED', holder: first.helper.pid });
  expect(await second.helper.ended()).toBe(1);
});

it('an archive item names the file twice; a remove has no data (06)', async () => {
  const it = contract.it;
  await using agent = await it.agent();
  const path = await it.write('item', 'hello\n');
  const fid = await it.fid(path);
  await it.request('archive', path);
  const action = await agent.next('ARCHIVE', fid);
  expect(action).toMatchObject({
    action: 'ARCHIVE',
    fid,
    dfid: fid,
    archive: archiveId,
    offset: '0',
    length: '18446744073709551615',
  });
  const begun = await agent.begin(action);
  expect(begun).toMatchObject({ rc: 0, dfid: fid });
  expect(String(begun['dv'])).toMatch(/^\d+$/);
  expect((await agent.end(action, { length: 6 })).rc).toBe(0);
  await it.waitForState(path, CLEAN);
  await it.request('remove', path);
  await agent.remove(fid);
  await it.waitForState(path, 0);
});

it('the data that comes with a request reaches the agent (03 B)', async () => {
  const it = contract.it;
  await using agent = await it.agent();
  const path = await it.write('withdata');
  await it.ok('hsm_archive', '--archive', String(archiveId), '--data', 'some data, with=chars', path);
  const action = await agent.archive(await it.fid(path));
  expect(
    Buffer.from(action.data_b64 ?? '', 'base64')
      .toString()
      .replace(/\0+$/, ''),
  ).toBe('some data, with=chars');
});

it('an archive that ends with an error leaves the file existing only (06)', async () => {
  const it = contract.it;
  await using agent = await it.agent();
  const path = await it.write('failing');
  await it.request('archive', path);
  const action = await agent.next('ARCHIVE', await it.fid(path));
  await agent.begin(action);
  expect((await agent.end(action, { errval: EIO })).rc).toBe(0);
  await it.waitForState(path, EXISTS);
  expect(await it.action(path)).toBe('NOOP');
});

it('a remove that ends with an error leaves the file as it was (06)', async () => {
  const it = contract.it;
  await using agent = await it.agent();
  const { path, fid } = await it.archived(agent, 'keep');
  await it.request('remove', path);
  const action = await agent.next('REMOVE', fid);
  await agent.begin(action);
  expect((await agent.end(action, { errval: EIO })).rc).toBe(0);
  await it.idle(path);
  await it.expectState(path, CLEAN);
});

it('begin with is_error, then an end without an error: EBUSY (06)', async () => {
  const it = contract.it;
  await using agent = await it.agent();
  const path = await it.write('beginerr');
  await it.request('archive', path);
  const action = await agent.next('ARCHIVE', await it.fid(path));
  expect((await agent.begin(action, { is_error: true })).rc).toBe(0);
  expect((await agent.end(action)).rc).toBe(EBUSY);
  await it.idle(path);
  expect((await it.state(path)) & CLEAN).toBe(EXISTS);
});

it('an item can be ended without having begun (helper protocol)', async () => {
  const it = contract.it;
  await using agent = await it.agent();
  const path = await it.write('endonly');
  await it.request('archive', path);
  const action = await agent.next('ARCHIVE', await it.fid(path));
  expect((await agent.end(action, { errval: EIO })).rc).toBe(0);
  await it.idle(path);
  await it.waitForState(path, EXISTS);
});

it('progress shows in hsm_action, and adds up (07)', async () => {
  const it = contract.it;
  await using agent = await it.agent();
  const path = await it.write('slow', Buffer.alloc(4000));
  await it.request('archive', path);
  const action = await agent.next('ARCHIVE', await it.fid(path));
  await agent.begin(action);
  expect((await agent.progress(action, 0, 1000)).rc).toBe(0);
  expect((await agent.progress(action, 1000, 1000)).rc).toBe(0);
  expect(await it.action(path)).toBe('ARCHIVE running (2000 bytes moved)');
  expect((await agent.end(action, { length: 4000 })).rc).toBe(0);
  await it.waitForState(path, CLEAN);
});

it('a file written while it is archived ends dirty, and the end says EBUSY (07, README 11)', async () => {
  const it = contract.it;
  await using agent = await it.agent();
  const path = await it.write('changing', 'a\n');
  await it.request('archive', path);
  const action = await agent.next('ARCHIVE', await it.fid(path));
  await agent.begin(action);
  await appendFile(path, 'b\n');
  expect((await agent.end(action)).rc).toBe(EBUSY);
  await it.waitForState(path, EXISTS | DIRTY);
});

it('a file unlinked while it is archived ends with success (07, README 11)', async () => {
  const it = contract.it;
  await using agent = await it.agent();
  const path = await it.write('vanishing', 'a\n');
  const fid = await it.fid(path);
  await it.request('archive', path);
  const action = await agent.next('ARCHIVE', fid);
  await agent.begin(action);
  await rm(path);
  expect((await agent.end(action)).rc).toBe(0);
  expect((await it.lfs(['fid2path', it.sandbox.mount, fid])).exitCode).toBe(2);
});

it('a cancel stops a running archive: progress says ECANCELED, the original is ended, the cancel never (07)', async () => {
  const it = contract.it;
  await using agent = await it.agent();
  const path = await it.write('cancelled', 'a\n');
  await it.request('archive', path);
  const action = await agent.next('ARCHIVE', await it.fid(path));
  await agent.begin(action);
  expect((await agent.progress(action, 0, 1000)).rc).toBe(0);
  await it.request('cancel', path);
  await waitUntil('progress says ECANCELED', async () => (await agent.progress(action, 1000, 1000)).rc === ECANCELED);
  expect((await agent.end(action, { errval: 125 })).rc).toBe(0);
  expect(await agent.next('CANCEL', action.fid)).toMatchObject({ cookie: action.cookie });
  await it.idle(path);
  await it.expectState(path, EXISTS);
});

it('a cancelled restore gives its reader ENODATA and leaves the file released (07, README 6)', async () => {
  const it = contract.it;
  await using agent = await it.agent();
  const { path, fid } = await it.released(agent, 'cancelrestore', '123\n');
  const reading = it.sandbox.exec('cat', [path], { env: { LC_ALL: 'C' } });
  const action = await agent.next('RESTORE', fid);
  await agent.begin(action);
  await it.request('cancel', path);
  await waitUntil('progress says ECANCELED', async () => (await agent.progress(action, 0, 1)).rc === ECANCELED);
  expect((await agent.end(action, { errval: 125 })).rc).toBe(0);
  expect(await reading).toMatchObject({ exitCode: 1, stderr: `cat: ${path}: No data available\n` });
  await it.expectState(path, RELEASED_FILE);
});

it('two copytools on one client both get every item; the second end finds nothing (08, README 3)', async () => {
  const it = contract.it;
  await using first = await it.agent();
  await using second = await it.agent();
  const path = await it.write('twice', 'q\n');
  const fid = await it.fid(path);
  await it.request('archive', path);
  const [mine, other] = await Promise.all([first.next('ARCHIVE', fid), second.next('ARCHIVE', fid)]);
  expect(other.cookie).toBe(mine.cookie);
  await first.begin(mine);
  await second.begin(other);
  expect((await first.end(mine)).rc).toBe(0);
  expect((await second.end(other)).rc).toBe(ENOENT);
  await it.waitForState(path, CLEAN);
});

it('an archive of a killed copytool goes on waiting, and is adopted by a new one (07, 08, README 4)', async () => {
  const it = contract.it;
  const path = await it.write('adopt', 'data\n');
  const fid = await it.fid(path);
  const killed = await it.agent();
  await it.request('archive', path);
  const action = await killed.next('ARCHIVE', fid);
  await killed.begin(action);
  await killed.progress(action, 0, 5);
  await killed.helper.kill();
  expect(await it.action(path)).toBe('ARCHIVE running (5 bytes moved)');
  await using agent = await it.agent();
  expect(await agent.adopt(action)).toMatchObject({ rc: 0, dfid: fid });
  expect((await agent.progress(action, 0, 5)).rc).toBe(0);
  expect((await agent.end(action, { length: 5 })).rc).toBe(0);
  await it.waitForState(path, CLEAN);
});

it('a restore of a killed copytool is adopted, and its reader gets the data, also after heartbeats under the FID (08, 12)', async () => {
  const it = contract.it;
  for (const heartbeats of [0, 3]) {
    const killed = await it.agent();
    const { path, fid } = await it.released(killed, `adoptrestore${heartbeats}`, 'back again\n');
    const reading = readFile(path, 'utf8');
    const action = await killed.next('RESTORE', fid);
    expect((await killed.begin(action)).rc).toBe(0);
    for (let beat = 0; beat < heartbeats; beat++) {
      expect((await killed.progress(action, beat * 1000, 1000)).rc).toBe(0);
    }
    await killed.helper.kill();
    await using agent = await it.agent();
    const adopted = await agent.adopt(action);
    expect(adopted.rc).toBe(0);
    await agent.write(String(adopted['dfid']), 'back again\n');
    expect((await agent.progress(action, 0, 11)).rc).toBe(0);
    expect((await agent.end(action, { length: 11 })).rc).toBe(0);
    expect(await reading).toBe('back again\n');
    await it.waitForState(path, CLEAN);
  }
});

it('adopting an action that the coordinator does not know: ENOENT (08)', async () => {
  const it = contract.it;
  await using agent = await it.agent();
  const { path, fid } = await it.archived(agent, 'bogus');
  const reply = await agent.adopt({
    ...{ action: 'ARCHIVE', fid, dfid: fid, cookie: '74565', archive: archiveId, flags: 0 },
    ...{ offset: '0', length: '18446744073709551615', gid: '0', data_b64: '' },
  });
  const end =
    reply.rc === 0 ? await agent.helper.ask('progress', { cookie: '74565', offset: '0', length: '1' }) : reply;
  expect(end.rc).toBe(ENOENT);
  await it.expectState(path, CLEAN);
});

it('requests without a copytool wait, can be asked for twice, and are carried out later (03 A, README 26)', async () => {
  const it = contract.it;
  const path = await it.write('waiting');
  await it.request('archive', path);
  expect(await it.action(path)).toBe('ARCHIVE waiting (from 0 to EOF)');
  await it.expectState(path, 0);
  await using agent = await it.agent();
  await agent.archive(await it.fid(path));
  await it.waitForState(path, CLEAN);
});

it('when the helper loses its input, it ends its items with an error (helper protocol)', async () => {
  const it = contract.it;
  const agent = await it.agent();
  const path = await it.write('orphaned');
  await it.request('archive', path);
  const action = await agent.next('ARCHIVE', await it.fid(path));
  await agent.begin(action);
  expect(await agent.stop()).toBe(0);
  await it.idle(path);
  await it.expectState(path, EXISTS);
});
