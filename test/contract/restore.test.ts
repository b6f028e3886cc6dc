import { appendFile, chown, open, readFile, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { run } from '../support/run.ts';
import { seam } from '../support/seam-tool.ts';
import { CLEAN, DIRTY, RELEASED_FILE, USER, useContract } from './fixture.ts';

// What brings a released file back, what its reader gets, what the kernel does not check.
// Facts: 03 B, 06, 07, 08, README 2, 6.

const contract = useContract();
const EIO = 5;

/** Reads with another program, because Node has no name for ENODATA. */
async function cat(path: string) {
  return await run('cat', [path], { env: { ...process.env, LC_ALL: 'C' } });
}

it('reading restores, and waits for it (03 B)', async () => {
  const it = contract.it;
  await using agent = await it.agent();
  const { path, fid } = await it.released(agent, 'read', 'one');
  const reading = readFile(path, 'utf8');
  const action = await agent.restore('ONE', fid);
  expect(action.dfid).toBe(fid);
  expect(await reading).toBe('ONE');
  await it.waitForState(path, CLEAN);
  expect((await it.space(path)).blocks).toBeGreaterThan(1);
});

it('several readers wait for one restore (07)', async () => {
  const it = contract.it;
  await using agent = await it.agent();
  const { path, fid } = await it.released(agent, 'readers', 'shared');
  const readings = [1, 2, 3].map(() => readFile(path, 'utf8'));
  await agent.restore('shared', fid);
  expect(await Promise.all(readings)).toEqual(['shared', 'shared', 'shared']);
  expect(agent.helper.events).toEqual([]);
});

it('opening, stat and listing do not restore (03 B, 07)', async () => {
  const it = contract.it;
  await using agent = await it.agent();
  const { path } = await it.released(agent, 'nostat', 'data');
  await stat(path);
  await (await open(path, 'r')).close();
  await it.ok('getstripe', path);
  await it.expectState(path, RELEASED_FILE);
  expect(await it.action(path)).toBe('NOOP');
});

it('appending restores and makes dirty (03 B)', async () => {
  const it = contract.it;
  await using agent = await it.agent();
  const { path, fid } = await it.released(agent, 'append', 'one');
  const writing = appendFile(path, 'three');
  await agent.restore('one', fid);
  await writing;
  await it.waitForState(path, CLEAN | DIRTY);
  expect(await readFile(path, 'utf8')).toBe('onethree');
});

it('O_TRUNC and truncate restore and make dirty, too (03 B)', async () => {
  const it = contract.it;
  await using agent = await it.agent();
  const replaced = await it.released(agent, 'otrunc', 'one');
  const replacing = writeFile(replaced.path, 'new');
  await agent.restore('one', replaced.fid);
  await replacing;
  await it.waitForState(replaced.path, CLEAN | DIRTY);
  expect(await readFile(replaced.path, 'utf8')).toBe('new');
  const cut = await it.released(agent, 'trunc0', 'one');
  const cutting = truncate(cut.path, 0);
  await agent.restore('one', cut.fid);
  await cutting;
  await it.waitForState(cut.path, CLEAN | DIRTY);
  expect((await stat(cut.path)).size).toBe(0);
});

it('a mapped read restores (03 B)', async () => {
  const it = contract.it;
  await using agent = await it.agent();
  const { path, fid } = await it.released(agent, 'mapread', 'mapped');
  const reading = seam(['mmap-read', path, 6]);
  await agent.restore('mapped', fid);
  expect(await reading).toEqual({ rc: 0, lines: ['mapped'] });
});

it('hsm_restore brings back without a reader; on a resident file it does nothing (03 B)', async () => {
  const it = contract.it;
  await using agent = await it.agent();
  const { path, fid } = await it.released(agent, 'explicit', 'one');
  await it.request('restore', path);
  await agent.restore('one', fid);
  await it.waitForState(path, CLEAN);
  expect(await readFile(path, 'utf8')).toBe('one');
});

it('an imported or released empty file needs a restore to be read, and then is resident (10)', async () => {
  const it = contract.it;
  await using agent = await it.agent();
  const { path, fid } = await it.released(agent, 'empty', '');
  await it.request('restore', path);
  await agent.restore('', fid);
  await it.waitForState(path, CLEAN);
  expect(await readFile(path, 'utf8')).toBe('');
});

it('a restore that ends with an error gives its reader ENODATA, and the file stays released (06, README 6)', async () => {
  const it = contract.it;
  await using agent = await it.agent();
  const { path, fid } = await it.released(agent, 'error', 'y');
  const reading = cat(path);
  const action = await agent.next('RESTORE', fid);
  expect((await agent.begin(action)).rc).toBe(0);
  expect((await agent.end(action, { errval: EIO })).rc).toBe(0);
  expect(await reading).toMatchObject({ exitCode: 1, stderr: `cat: ${path}: No data available\n` });
  await it.expectState(path, RELEASED_FILE);
  const again = readFile(path, 'utf8');
  await agent.restore('y', fid);
  expect(await again).toBe('y');
});

it('a restore that wrote too little is refused by the helper, because the kernel would accept it (08, README 2)', async () => {
  const it = contract.it;
  await using agent = await it.agent();
  const { path, fid } = await it.released(agent, 'short', '0123456789\n');
  expect((await stat(path)).size).toBe(11);
  const reading = cat(path);
  const action = await agent.next('RESTORE', fid);
  const begun = await agent.begin(action);
  await agent.write(String(begun['dfid']), '01234');
  expect((await agent.end(action, { length: 5 })).rc).toBe(-EIO);
  await it.idle(path);
  expect((await reading).exitCode).toBe(1);
  expect((await stat(path)).size).toBe(11);
  await it.expectState(path, RELEASED_FILE);
});

it('a restore keeps owner, mode and mtime (08)', async () => {
  const it = contract.it;
  await using agent = await it.agent();
  const path = await it.write('owner', 'mine');
  const fid = await it.fid(path);
  await it.sandbox.exec('chown', [String(USER), path]);
  await it.sandbox.exec('chmod', ['640', path]);
  await utimes(path, 1_557_014_400, 1_557_014_400);
  await it.request('archive', path);
  await agent.archive(fid);
  await it.request('release', path);
  const reading = readFile(path, 'utf8');
  await agent.restore('mine', fid);
  await reading;
  const after = await stat(path);
  expect({ uid: after.uid, mode: after.mode & 0o7777, mtime: after.mtimeMs }).toEqual({
    uid: USER,
    mode: 0o640,
    mtime: 1_557_014_400_000,
  });
});

it('a file that is given away while it is restored is restored: since 2.16 the MDT refuses data of another owner', async () => {
  const it = contract.it;
  await using agent = await it.agent();
  const { path, fid } = await it.released(agent, 'given-away', 'data');
  const reading = cat(path);
  const action = await agent.next('RESTORE', fid);
  const begun = await agent.begin(action);
  await agent.write(String(begun['dfid']), 'data');
  await chown(path, 1234, 5678);
  expect(await agent.end(action, { length: 4 })).toMatchObject({ rc: 0 });
  expect((await reading).stdout).toBe('data');
  expect(await stat(path)).toMatchObject({ uid: 1234, gid: 5678 });
  await it.waitForState(path, CLEAN);
});

it('while a restore runs, the file shows it, and can be renamed (07)', async () => {
  const it = contract.it;
  await using agent = await it.agent();
  const { path, fid } = await it.released(agent, 'running', 'x'.repeat(4000));
  const reading = readFile(path, 'utf8');
  const action = await agent.next('RESTORE', fid);
  const begun = await agent.begin(action);
  expect((await agent.progress(action, 0, 1000)).rc).toBe(0);
  expect(await it.action(path)).toBe('RESTORE running (1000 bytes moved)');
  await it.expectState(path, RELEASED_FILE);
  await it.sandbox.exec('mv', [path, `${path}2`]);
  await agent.write(String(begun['dfid']), 'x'.repeat(4000));
  expect((await agent.end(action, { length: 4000 })).rc).toBe(0);
  expect(await reading).toBe('x'.repeat(4000));
  await it.expectState(`${path}2`, CLEAN);
});
