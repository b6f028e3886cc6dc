import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { archiveId } from '../support/sandbox.ts';
import { CLEAN, EXISTS, RELEASED_FILE, USER, useContract } from './fixture.ts';

// How requests are made: their size, their names, who may make them. Facts: 03, 08, 09, README 1, 19.

const contract = useContract();

async function files(directory: string, count: number): Promise<string[]> {
  const it = contract.it;
  const dir = await it.directory(directory);
  const paths = Array.from({ length: count }, (_, index) => join(dir, `f${index}`));
  for (const path of paths) await writeFile(path, 'x');
  return paths;
}

it('52 files go into one request, 53 are refused as a whole: E2BIG (09, README 1)', async () => {
  const it = contract.it;
  const paths = await files('many', 53);
  const archive = ['--archive', String(archiveId)];
  const refused = await it.lfs(['hsm_archive', ...archive, ...paths]);
  expect(refused).toMatchObject({
    exitCode: 7,
    stderr: `Cannot send HSM request (use of ${paths[0]}): Argument list too long\n`,
  });
  expect(await it.action(paths[0] ?? '')).toBe('NOOP');
  const list = join(it.sandbox.dir, 'list');
  await writeFile(list, `${paths.join('\n')}\n`);
  expect((await it.lfs(['hsm_archive', ...archive, '--filelist', list])).exitCode).toBe(7);
  await writeFile(list, `${paths.slice(0, 52).join('\n')}\n`);
  await using agent = await it.agent();
  await it.ok('hsm_archive', ...archive, '--filelist', list);
  for (let done = 0; done < 52; done++) await agent.archive();
  await it.waitForState(paths[51] ?? '', CLEAN);
  await it.expectState(paths[52] ?? '', 0);
  expect((await it.lfs(['hsm_release', ...paths.slice(0, 52), paths[0] ?? ''])).exitCode).toBe(7);
  await it.request('release', ...paths.slice(0, 52));
  await it.expectState(paths[51] ?? '', RELEASED_FILE);
});

it('with data, fewer fit (09)', async () => {
  const it = contract.it;
  const paths = await files('data', 30);
  const request = (count: number) =>
    it.lfs(['hsm_archive', '--archive', String(archiveId), '--data', 'd'.repeat(900), ...paths.slice(0, count)]);
  expect((await request(30)).exitCode).toBe(7);
  await using agent = await it.agent();
  expect((await request(20)).exitCode).toBe(0);
  for (let done = 0; done < 20; done++) await agent.archive();
  await it.waitForState(paths[19] ?? '', CLEAN);
});

it('names with spaces and line ends work as arguments (08)', async () => {
  const it = contract.it;
  await using agent = await it.agent();
  const names = ['a b  c', 'n\nl', 'quo\'te"s', '-dash', 'back\\slash', 'été-日本語', 'L'.repeat(255)];
  for (const name of names) {
    const path = await it.write(name);
    await it.request('archive', path);
    await agent.archive(await it.fid(path));
    await it.waitForState(path, CLEAN);
    expect(await it.ok('hsm_state', path)).toBe(`${path}: (0x00000009) exists archived, archive_id:${archiveId}\n`);
  }
});

it('files can be named by FID below .lustre/fid, with and without brackets (08)', async () => {
  const it = contract.it;
  await using agent = await it.agent();
  const { path, fid } = await it.archived(agent, 'byfid');
  const byFid = `${it.sandbox.mount}/.lustre/fid/${fid}`;
  expect(await it.ok('hsm_state', byFid)).toBe(`${byFid}: (0x00000009) exists archived, archive_id:${archiveId}\n`);
  await it.request('release', byFid);
  await it.expectState(path, RELEASED_FILE);
  await it.expectState(`${it.sandbox.mount}/.lustre/fid/[${fid}]`, RELEASED_FILE);
  await it.request('restore', byFid);
  await agent.restore('one\n', fid);
  await it.waitForState(path, CLEAN);
});

it('a copy of an unlinked file is removed by its FID (04)', async () => {
  const it = contract.it;
  await using agent = await it.agent();
  const { path, fid } = await it.archived(agent, 'dead');
  await it.sandbox.exec('rm', [path]);
  await it.ok('hsm_remove', '--mntpath', it.sandbox.mount, '-a', String(archiveId), `[${fid}]`);
  const action = await agent.remove(fid);
  expect(action).toMatchObject({ action: 'REMOVE', fid, archive: archiveId });
});

it('only root asks for an archive, a release or a remove; anyone may restore what he can read (03 A, 02)', async () => {
  const it = contract.it;
  await using agent = await it.agent();
  const { path, fid } = await it.archived(agent, 'rights', 'shared');
  await it.sandbox.exec('chmod', ['644', path]);
  for (const action of ['archive', 'remove']) {
    const refused = await it.lfs([`hsm_${action}`, path], { uid: USER });
    expect(refused, action).toMatchObject({
      exitCode: 1,
      stderr: `Cannot send HSM request (use of ${path}): Operation not permitted\n`,
    });
  }
  // A release opens the file for writing: its errno depends on the mode.
  expect((await it.lfs(['hsm_release', path], { uid: USER })).exitCode).not.toBe(0);
  await it.expectState(path, CLEAN);
  await it.request('release', path);
  expect((await it.lfs(['hsm_restore', path], { uid: USER })).exitCode).toBe(0);
  await agent.restore('shared', fid);
  await it.waitForState(path, CLEAN);
});

it('reading as an ordinary user restores, too (08)', async () => {
  const it = contract.it;
  await using agent = await it.agent();
  const { path, fid } = await it.released(agent, 'userread', 'for all');
  await it.sandbox.exec('chmod', ['644', path]);
  const reading = it.sandbox.exec('cat', [path], { uid: USER });
  await agent.restore('for all', fid);
  expect(await reading).toMatchObject({ exitCode: 0, stdout: 'for all' });
});

it('an archive id that nobody serves waits, and is carried out once somebody does (03 B, 06)', async () => {
  const it = contract.it;
  const agent = await it.agent();
  const path = await it.write('other');
  await it.ok('hsm_archive', '--archive', String(archiveId + 20), path);
  expect(await it.action(path)).toBe('ARCHIVE waiting (from 0 to EOF)');
  // An archive of the served id overtakes it.
  const { path: served } = await it.archived(agent, 'served');
  await it.expectState(served, CLEAN);
  expect(await it.action(path)).toBe('ARCHIVE waiting (from 0 to EOF)');
  expect((await it.state(path)) & EXISTS).toBe(0);
  // Not beside the first: a client has one registration, the second one's archive ids are not added to it.
  await agent.stop();
  await using other = await it.agent({ archives: [archiveId + 20] });
  await other.archive(await it.fid(path));
  expect(await it.ok('hsm_state', path)).toBe(`${path}: (0x00000009) exists archived, archive_id:${archiveId + 20}\n`);
});
