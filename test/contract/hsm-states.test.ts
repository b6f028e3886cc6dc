import { appendFile, chmod, link, open, readFile, rename, truncate, utimes } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { seam } from '../support/seam-tool.ts';
import {
  ARCHIVED,
  CLEAN,
  DIRTY,
  EXISTS,
  LOST,
  NOARCHIVE,
  NORELEASE,
  RELEASED,
  RELEASED_FILE,
  USER,
  useContract,
} from './fixture.ts';

// Which action in which state, what makes a file dirty, what hsm_set allows.
// Facts: 03-hsm-basic.txt part B, 04-unlink-set-fid.txt (hsm_set), 08 (open files, mmap), 10 (empty, sparse).

const contract = useContract();
const NOT_PERMITTED = /^Cannot send HSM request \(use of .*\): Operation not permitted\n$/;

it('an archive makes a file exist and archived, under the archive id (03 B)', async () => {
  const it = contract.it;
  await using agent = await it.agent();
  const { path } = await it.archived(agent, 'fresh');
  expect(await it.ok('hsm_state', path)).toMatch(/: \(0x00000009\) exists archived, archive_id:\d+\n$/);
});

it('an archive of a clean file, and of a released one, changes nothing (03 B, README 12)', async () => {
  const it = contract.it;
  await using agent = await it.agent();
  const clean = await it.archived(agent, 'clean');
  await it.request('archive', clean.path);
  await it.expectState(clean.path, CLEAN);
  const released = await it.released(agent, 'released');
  await it.request('archive', released.path);
  await it.expectState(released.path, RELEASED_FILE);
});

it('writing, truncating and mapped writing make a clean file dirty (03 B, 08)', async () => {
  const it = contract.it;
  await using agent = await it.agent();
  const appended = await it.archived(agent, 'appended');
  await appendFile(appended.path, 'two\n');
  await it.waitForState(appended.path, CLEAN | DIRTY);
  const cut = await it.archived(agent, 'cut');
  await truncate(cut.path, 3);
  await it.waitForState(cut.path, CLEAN | DIRTY);
  const grown = await it.archived(agent, 'grown');
  await truncate(grown.path, 3000);
  await it.waitForState(grown.path, CLEAN | DIRTY);
  const mapped = await it.archived(agent, 'mapped', Buffer.alloc(4096));
  expect(await seam(['mmap-write', mapped.path, 0, 'abc'])).toMatchObject({ rc: 0 });
  await it.waitForState(mapped.path, CLEAN | DIRTY);
});

it('opening for write, mode, name, attribute, times and links do not (03 B)', async () => {
  const it = contract.it;
  await using agent = await it.agent();
  const { path } = await it.archived(agent, 'meta');
  await (await open(path, 'r+')).close();
  await it.expectState(path, CLEAN);
  await chmod(path, 0o640);
  await rename(path, `${path}2`);
  await rename(`${path}2`, path);
  expect(await seam(['setxattr', path, 'user.a', '1'])).toMatchObject({ rc: 0 });
  await utimes(path, 1_600_000_000, 1_600_000_000);
  await link(path, `${path}-link`);
  await it.expectState(path, CLEAN);
});

it('the same on a released file leaves it released (03 B)', async () => {
  const it = contract.it;
  await using agent = await it.agent();
  const { path } = await it.released(agent, 'metareleased');
  await chmod(path, 0o600);
  await rename(path, `${path}2`);
  await rename(`${path}2`, path);
  expect(await seam(['setxattr', path, 'user.b', '2'])).toMatchObject({ rc: 0 });
  await utimes(path, 1_600_000_000, 1_600_000_000);
  await link(path, `${path}-link`);
  await it.expectState(path, RELEASED_FILE);
});

it('a dirty file is archived again, and refuses to be released (03 B)', async () => {
  const it = contract.it;
  await using agent = await it.agent();
  const { path, fid } = await it.archived(agent, 'again');
  await appendFile(path, 'two\n');
  await it.waitForState(path, CLEAN | DIRTY);
  const refused = await it.lfs(['hsm_release', path]);
  expect(refused.exitCode).toBe(1);
  expect(refused.stderr).toMatch(NOT_PERMITTED);
  await it.request('archive', path);
  await agent.archive(fid);
  await it.waitForState(path, CLEAN);
});

it('a release keeps size and name and frees the blocks but one (03 B, README 29)', async () => {
  const it = contract.it;
  await using agent = await it.agent();
  const { path } = await it.archived(agent, 'big', Buffer.alloc(1_000_000, 'x'));
  expect((await it.space(path)).blocks).toBeGreaterThan(1000);
  await it.request('release', path);
  await it.expectState(path, RELEASED_FILE);
  expect(await it.space(path)).toEqual({ size: 1_000_000, blocks: 1 });
  // Releasing again is no error.
  await it.request('release', path);
  await it.expectState(path, RELEASED_FILE);
});

it('sparse and empty files are archived and released like others (10)', async () => {
  const it = contract.it;
  await using agent = await it.agent();
  const sparse = await it.write('sparse', '');
  await truncate(sparse, 100 * 2 ** 20);
  expect((await it.space(sparse)).blocks).toBe(0);
  await it.request('archive', sparse);
  await agent.archive(await it.fid(sparse));
  await it.waitForState(sparse, CLEAN);
  await it.request('release', sparse);
  expect(await it.space(sparse)).toEqual({ size: 100 * 2 ** 20, blocks: 1 });
  const { path } = await it.released(agent, 'empty', '');
  expect(await it.space(path)).toEqual({ size: 0, blocks: 0 });
});

it('a file that is open for reading can be released (08, README 13)', async () => {
  const it = contract.it;
  await using agent = await it.agent();
  const { path } = await it.archived(agent, 'open');
  const reader = await open(path, 'r');
  try {
    await it.request('release', path);
    await it.expectState(path, RELEASED_FILE);
  } finally {
    await reader.close();
  }
});

it('a remove leaves a resident file without state but its archive id (03 B)', async () => {
  const it = contract.it;
  await using agent = await it.agent();
  const { path, fid } = await it.archived(agent, 'rmv');
  await it.request('remove', path);
  await agent.remove(fid);
  await it.waitForState(path, 0);
  expect(await it.ok('hsm_state', path)).toMatch(/: \(0x00000000\), archive_id:\d+\n$/);
});

it('a remove of a released file is refused (03 B)', async () => {
  const it = contract.it;
  await using agent = await it.agent();
  const { path } = await it.released(agent, 'rmr');
  const refused = await it.lfs(['hsm_remove', path]);
  expect(refused.exitCode).toBe(1);
  expect(refused.stderr).toMatch(NOT_PERMITTED);
  await it.expectState(path, RELEASED_FILE);
});

it('a remove of a dirty file leaves it dirty only (03 B)', async () => {
  const it = contract.it;
  await using agent = await it.agent();
  const { path, fid } = await it.archived(agent, 'rmd');
  await appendFile(path, 'e');
  await it.waitForState(path, CLEAN | DIRTY);
  await it.request('remove', path);
  await agent.remove(fid);
  await it.waitForState(path, DIRTY);
});

it('norelease refuses a release, noarchive an archive, lost a restore and a read (04)', async () => {
  const it = contract.it;
  await using agent = await it.agent();
  const { path, fid } = await it.archived(agent, 'nr', 'data nr');
  await it.ok('hsm_set', '--norelease', path);
  await it.expectState(path, CLEAN | NORELEASE);
  const release = await it.lfs(['hsm_release', path]);
  expect(release.exitCode).toBe(1);
  expect(release.stderr).toMatch(NOT_PERMITTED);
  await it.ok('hsm_clear', '--norelease', path);
  await it.request('release', path);
  await it.ok('hsm_set', '--lost', path);
  await it.expectState(path, RELEASED_FILE | LOST);
  await expect(readFile(path)).rejects.toThrow(/ENODATA|unknown error/i);
  const restore = await it.lfs(['hsm_restore', path]);
  expect(restore.exitCode).toBe(1);
  expect(restore.stderr).toMatch(NOT_PERMITTED);
  await it.ok('hsm_clear', '--lost', path);
  const reading = readFile(path, 'utf8');
  await agent.restore('data nr', fid);
  expect(await reading).toBe('data nr');
  const never = await it.write('na');
  await it.ok('hsm_set', '--noarchive', never);
  const archive = await it.lfs(['hsm_archive', never]);
  expect(archive.exitCode).toBe(1);
  expect(archive.stderr).toMatch(NOT_PERMITTED);
  await it.expectState(never, NOARCHIVE);
});

it('hsm_set and hsm_clear: which flags on a file without a copy (04)', async () => {
  const it = contract.it;
  const path = await it.write('flags');
  for (const [flag, bit] of [
    ['norelease', NORELEASE],
    ['noarchive', NOARCHIVE],
    ['exists', EXISTS],
    ['archived', ARCHIVED],
  ] as const) {
    await it.ok('hsm_set', `--${flag}`, path);
    await it.expectState(path, bit);
    await it.ok('hsm_clear', `--${flag}`, path);
    await it.expectState(path, 0);
  }
  for (const flag of ['dirty', 'lost']) {
    expect(await it.lfs(['hsm_set', `--${flag}`, path])).toMatchObject({
      exitCode: 22,
      stderr: `lfs hsm_set: change hsm flags for '${path}' failed: Invalid argument\n`,
    });
    await it.ok('hsm_clear', `--${flag}`, path);
    await it.expectState(path, 0);
  }
  expect((await it.lfs(['hsm_set', '--released', path])).exitCode).toBe(4);
  await it.ok('hsm_set', '--exists', '-i', '3', path);
  expect(await it.ok('hsm_state', path)).toBe(`${path}: (0x00000001) exists, archive_id:3\n`);
});

it('ARCHIVED can be cleared of a resident file, which then refuses a release; not of a released one (12, 04)', async () => {
  const it = contract.it;
  await using agent = await it.agent();
  const resident = await it.archived(agent, 'ca1');
  await it.ok('hsm_clear', '--archived', resident.path);
  await it.expectState(resident.path, EXISTS);
  const release = await it.lfs(['hsm_release', resident.path]);
  expect(release.exitCode).toBe(1);
  expect(release.stderr).toMatch(NOT_PERMITTED);
  const released = await it.released(agent, 'ca2');
  expect(await it.lfs(['hsm_clear', '--archived', released.path])).toMatchObject({
    exitCode: 22,
    stderr: `lfs hsm_clear: change hsm flags for '${released.path}' failed: Invalid argument\n`,
  });
  expect((await it.lfs(['hsm_set', '--dirty', released.path])).exitCode).toBe(22);
  await it.expectState(released.path, RELEASED_FILE);
  await it.ok('hsm_clear', '--exists', released.path);
  await it.expectState(released.path, RELEASED | ARCHIVED);
});

it('a clean file can be marked dirty by hand, and is then archived again (04; helper protocol hsm_set)', async () => {
  const it = contract.it;
  await using agent = await it.agent();
  const { path, fid } = await it.archived(agent, 'bydirty');
  await it.ok('hsm_set', '--dirty', path);
  await it.expectState(path, CLEAN | DIRTY);
  await it.request('archive', path);
  await agent.archive(fid);
  await it.waitForState(path, CLEAN);
});

it('what hsm_set refuses: missing, directories, other users (04)', async () => {
  const it = contract.it;
  expect(await it.lfs(['hsm_set', '--norelease', 'missing'])).toMatchObject({
    exitCode: 2,
    stderr: "lfs hsm_set: change hsm flags for 'missing' failed: No such file or directory\n",
  });
  expect(await it.lfs(['hsm_set', '--norelease', '.'])).toMatchObject({
    exitCode: 21,
    stderr: "lfs hsm_set: change hsm flags for '.' failed: Is a directory\n",
  });
  await it.write('rootfile');
  expect(await it.lfs(['hsm_set', '--norelease', 'rootfile'], { uid: USER })).toMatchObject({
    exitCode: 13,
    stderr: "lfs hsm_set: change hsm flags for 'rootfile' failed: Permission denied\n",
  });
});

it('trusted.hsm can not be forged by setting the attribute (08)', async () => {
  const it = contract.it;
  const path = await it.write('forged');
  await seam(['setxattr', path, 'trusted.hsm', 'xxxxxxxxxxxxxxxxxxxxxxxx']);
  await it.expectState(path, 0);
});
