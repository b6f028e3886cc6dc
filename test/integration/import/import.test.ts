import { chmodSync, chownSync, mkdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ImportJson } from '../../../src/import/report.ts';
import { waitUntil } from '../../support/wait.ts';
import { CLEAN, RELEASED, read } from '../copytool/fixture.ts';
import { ImportRig, seeTree } from './fixture.ts';

let it: ImportRig;
let round = 0;
/** A directory of this test's own, in the container and in Lustre. */
let top: string;

beforeAll(async () => {
  it = await ImportRig.start();
});
afterAll(async () => {
  await it?.stop();
});

const fresh = (): string => {
  round += 1;
  top = `t${round}`;
  return top;
};

const owner = { owner: '1000', group: '1001', permissions: '0640', modtime: '2017-07-14 02:40:00 +0000' };

test('what others wrote: files, parents that nobody wrote, markers, symlinks, empty files; contents come when they are read', async () => {
  fresh();
  await it.put(`${top}/plain`, 'hello');
  await it.put(`${top}/deep/er/file`, 'content', owner);
  await it.put(`${top}/empty`, '', owner);
  await it.put(`${top}/dir`, '', { hdi_isfolder: 'true', ...owner, permissions: '1755' });
  await it.put(`${top}/dir/in it`, 'x', owner);
  await it.put(`${top}/link`, '../where', { ftype: 'LNK', owner: '1000', group: '1001' });
  const done = await it.import('--prefix', top);
  expect(done, done.stderr).toMatchObject({
    exitCode: 0,
    outcome: 'complete',
    listed: 6,
    made: { files: 3, bytes: '13', empty: 1, symlinks: 1, links: 0 },
  });
  const tree = seeTree(it.at(top));
  expect(tree.get('deep/er/file')).toMatchObject({ mode: 0o640, uid: 1000, gid: 1001, mtime: 1_500_000_000, size: 7 });
  expect(tree.get('plain')).toMatchObject({ mode: 0o644, uid: 0, gid: 0, size: 5 });
  expect(tree.get('dir')).toMatchObject({ type: 'dir', mode: 0o1755, uid: 1000, mtime: 1_500_000_000 });
  expect(tree.get('deep')).toMatchObject({ type: 'dir', mode: 0o777 });
  expect(tree.get('link')).toMatchObject({ type: 'symlink', content: '../where', uid: 1000 });
  expect(tree.get('empty')).toMatchObject({ size: 0, mode: 0o640, uid: 1000, mtime: 1_500_000_000 });
  expect(await read(it.at(top, 'deep/er/file'))).toBe('content');
  expect(await read(it.at(top, 'plain'))).toBe('hello');
  expect(await read(it.at(top, 'empty'))).toBe('');
  // What was restored is released again, what was modified is imported again, only if so asked.
  writeFileSync(it.at(top, 'deep/er/file'), 'changed');
  expect(await it.import('--prefix', top, '--on-conflict', 'overwrite-dirty')).toMatchObject({
    exitCode: 0,
    present: 5,
  });
  expect(await it.rig.states(it.at(top, 'plain'))).toBe(CLEAN);
  expect(await it.rig.states(it.at(top, 'deep/er/file'))).toBe(RELEASED);
  expect(await it.import('--prefix', top, '--on-conflict', 'overwrite-always')).toMatchObject({
    exitCode: 0,
    present: 6,
  });
  expect(await it.rig.states(it.at(top, 'plain'))).toBe(RELEASED);
  expect(await read(it.at(top, 'deep/er/file'))).toBe('content');
  // Once more: everything is there, nothing is done.
  const again = await it.import('--prefix', top);
  expect(again).toMatchObject({ exitCode: 0, listed: 6, present: 6, made: { files: 0, directories: 0 } });
});

test('after a lost catalog, what users have changed since stays as they have it', async () => {
  fresh();
  for (const name of ['kept', 'opened', 'given', 'empty'])
    await it.put(`${top}/${name}`, name === 'empty' ? '' : 'x', owner);
  await it.import('--prefix', top);
  chmodSync(it.at(top, 'opened'), 0o4777);
  chownSync(it.at(top, 'given'), 4001, 4002);
  chmodSync(it.at(top, 'empty'), 0o600);
  const before = seeTree(it.at(top));
  for (const end of ['', '-wal', '-shm']) rmSync(`${it.sandbox.dir}/state/catalog.db${end}`, { force: true });
  const again = await it.import('--prefix', top);
  expect(again, again.stderr).toMatchObject({ exitCode: 0, present: 4, made: { files: 0, empty: 0 } });
  expect(seeTree(it.at(top))).toEqual(before);
  expect(before.get('opened')).toMatchObject({ mode: 0o4777 });
  expect(before.get('empty')).toMatchObject({ mode: 0o600, uid: 1000 });
});

test('a blob is imported once, wherever to, by a catalog that was lost, too: of two files with one copy, one would lose it', async () => {
  fresh();
  await it.put(`${top}/x`, 'content', owner);
  await it.import('--prefix', top);
  const once = { exitCode: 0, present: 1, made: { files: 0, bytes: '0' } };
  const elsewhere = ['--prefix', top, '--to', it.at(`${top} elsewhere`)];
  expect(await it.import(...elsewhere)).toMatchObject(once);
  expect(await it.import(...elsewhere, '--on-conflict', 'overwrite-always')).toMatchObject(once);
  for (const end of ['', '-wal', '-shm']) rmSync(`${it.sandbox.dir}/state/catalog.db${end}`, { force: true });
  const scanned = await it.sandbox.run(['scan']);
  expect(scanned, scanned.stderr).toMatchObject({ exitCode: 0 });
  expect(await it.import(...elsewhere)).toMatchObject(once);
  expect(await it.import(...elsewhere, '--on-conflict', 'overwrite-always')).toMatchObject(once);
  expect(await read(it.at(top, 'x'))).toBe('content');
  // It is known as before: gone with its blob.
  await it.sandbox.containerClient.getBlobClient(`${top}/x`).delete();
  // What was seen in the second in which an import begins counts as seen.
  await waitUntil('it is removed', async () => {
    const { removed, stderr, exitCode } = await it.import('--prefix', top, '--refresh', '--delete');
    expect(exitCode, stderr).toBe(0);
    return removed === 1;
  });
});

test('a container that seems to have lost what was imported does not take the files along, unless that is meant', async () => {
  fresh();
  const names = ['a', 'b', 'c'].map((name) => `${top}/${name}`);
  for (const name of [...names, `${top}/stays`]) await it.put(name, 'content', owner);
  await it.import('--prefix', top);
  // Its data is in Lustre; with its blob, that is all there is.
  expect(await read(it.at(top, 'a'))).toBe('content');
  for (const name of names) await it.sandbox.containerClient.getBlobClient(name).delete();
  const remove = async (...more: string[]) => {
    const args = ['import', '--json', '--prefix', top, '--refresh', '--delete', ...more];
    const { exitCode, stdout, stderr } = await it.sandbox.run(args, {
      env: { LFSAZSYNC_REMOVAL_MAX_DELETE_FREE: '2' },
    });
    return { exitCode, stderr, ...(JSON.parse(stdout) as ImportJson) };
  };
  await waitUntil('it is braked', async () => {
    const { removed, problems, exitCode, stderr } = await remove('--max-delete-share', '1%');
    expect(removed, stderr).toBe(0);
    return exitCode === 3 && problems.some(({ code }) => code === 'too-many-gone');
  });
  expect(await read(it.at(top, 'a'))).toBe('content');
  expect(await remove('--max-delete-share', '100%')).toMatchObject({ exitCode: 0, removed: 3 });
  expect([...seeTree(it.at(top)).keys()]).toEqual(['stays']);
});

test('of a file whose last version had not come to its place, the one before is imported, and the last one named', async () => {
  fresh();
  const [fs, fid] = ['11111111-2222-4333-8444-555555555555', '0x200000bd1:0x7:0x0'];
  const version = (seq: number, size: number) => ({
    ...{ ...owner, lfsazsync_fs: fs, lfsazsync_fid: fid, lfsazsync_kind: 'file', lfsazsync_size: String(size) },
    lfsazsync_gen: `${seq}-aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee`,
  });
  await it.put(`${top}/f`, 'first', version(1, 5));
  await it.put(`.lfsazsync/staging/${fid}`, 'second', version(2, 6));
  const done = await it.import('--prefix', top);
  expect(done, done.stderr).toMatchObject({ exitCode: 0, warnings: 1, made: { files: 1 } });
  expect(done.problems).toMatchObject([
    { code: 'older-version', blob: `${top}/f`, detail: expect.stringContaining(fid) },
  ]);
  // As it says.
  await it.put(`${top}/f`, 'second', version(2, 6));
  await it.sandbox.containerClient.getBlobClient(`.lfsazsync/staging/${fid}`).delete();
  expect(await it.import('--prefix', top, '--refresh')).toMatchObject({ exitCode: 0, warnings: 0, refreshed: 1 });
  expect(await read(it.at(top, 'f'))).toBe('second');
});

test('a dry run counts, and touches nothing', async () => {
  fresh();
  await it.put(`${top}/a`, '12345');
  await it.put(`${top}/b/c`, '');
  const before = seeTree(it.at());
  const state = readFileSync(`${it.sandbox.dir}/state/catalog.db`);
  const done = await it.import('--prefix', top, '--dry-run');
  expect(done).toMatchObject({ exitCode: 0, dryRun: true, listed: 2, made: { files: 1, bytes: '5', empty: 1 } });
  expect(seeTree(it.at())).toEqual(before);
  expect(readFileSync(`${it.sandbox.dir}/state/catalog.db`).equals(state)).toBe(true);
});

test('what can’t be imported is in the report, with its reason; the rest is imported', async () => {
  fresh();
  await it.put(`${top}/good`, 'x');
  await it.put(`${top}/a/../b`.replace('..', `..%2e`), 'x');
  await it.put(`${top}/${'n'.repeat(256)}`, 'x');
  await it.put(`${top}/file`, 'x');
  await it.put(`${top}/file/below`, 'x');
  await it.put(`${top}/taken`, 'x');
  writeFileSync(`${it.sandbox.dir}/precious`, '');
  await it.import('--prefix', `${top}/good`);
  writeFileSync(it.at(top, 'taken'), 'precious');
  const report = `${it.sandbox.dir}/report.ndjson`;
  const done = await it.import('--prefix', top, '--report', report);
  expect(done.exitCode).toBe(3);
  const lines = readFileSync(report, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as { blob: string; outcome: string; code: string });
  const told = new Map(lines.map(({ blob, outcome, code }) => [blob.slice(top.length + 1), `${outcome} ${code}`]));
  expect(told.get('n'.repeat(256))).toBe('refused name-segment-too-long');
  expect(told.get('file/below')).toBe('conflict below-a-file');
  expect(told.get('taken')).toBe('conflict not-imported');
  expect(readFileSync(it.at(top, 'taken'), 'utf8')).toBe('precious');
  expect(statSync(it.at(top, 'good')).size).toBe(1);
  expect(done).toMatchObject({ conflicts: 2, refused: 1, failed: 0 });
  // The other ways to deal with what is there.
  expect(await it.import('--prefix', top, '--on-conflict', 'fail')).toMatchObject({
    exitCode: 1,
    error: { code: 'IMPORT_CONFLICT' },
  });
  const over = await it.import('--prefix', top, '--on-conflict', 'overwrite-dirty');
  expect(over).toMatchObject({ exitCode: 3, conflicts: 1 });
  expect(await read(it.at(top, 'taken'))).toBe('x');
});

test("stripes of what comes back are the directory's, unless the import was told others", async () => {
  fresh();
  await it.put(`${top}/a/file`, 'content');
  await it.put(`${top}/b/file`, 'content');
  for (const directory of [it.at(top, 'a'), it.at(top, 'b')]) {
    mkdirSync(directory, { recursive: true });
    const args = ['setstripe', '-E', '64K', '-c', '1', '-E', '-1', '-c', '2', directory];
    expect(await it.sandbox.lfs(args)).toMatchObject({ exitCode: 0 });
  }
  expect(await it.import('--prefix', `${top}/a`)).toMatchObject({ exitCode: 0 });
  expect(await it.import('--prefix', `${top}/b`, '--stripe-count', '2')).toMatchObject({ exitCode: 0 });
  const stripes = async (name: string) => (await it.sandbox.lfs(['getstripe', it.at(top, name, 'file')])).stdout;
  for (const name of ['a', 'b']) expect(await read(it.at(top, name, 'file'))).toBe('content');
  expect(await stripes('a')).toMatch(/lcm_entry_count: +2/);
  expect(await stripes('b')).not.toContain('lcm_entry_count');
  expect(await stripes('b')).toMatch(/stripe_count: +2/);
});

test('a blob that a stranger overwrote: the restore fails clearly, and --refresh puts it right', async () => {
  fresh();
  // What was seen within the second in which an import begins counts as seen by it.
  const refreshAndDelete = async () => {
    const second = Math.floor(Date.now() / 1000);
    await waitUntil('another second', () => Math.floor(Date.now() / 1000) > second);
    return await it.import('--prefix', top, '--refresh', '--delete');
  };
  await it.put(`${top}/data`, 'first');
  await it.put(`${top}/gone`, 'x');
  await it.put(`${top}/kept`, 'x');
  await it.put(`${top}/swapped`, 'data', { ftype: 'LNK' });
  await it.import('--prefix', top);
  await it.put(`${top}/data`, 'second, longer', owner);
  await it.sandbox.containerClient.deleteBlob(`${top}/gone`);
  expect(await read(it.at(top, 'data'))).toBe('ENODATA');
  const fid = await it.fid(it.at(top, 'data'));
  const line = await waitUntil('the copytool tells what came of it', () =>
    it.rig.copytool.lines.findLast(({ record }) => record?.['fid'] === fid && record?.['outcome'] !== undefined),
  );
  expect(line.text).toMatch(/has changed since the import|5 bytes|the import recorded/);
  // Without --refresh it is only told.
  expect(await it.import('--prefix', top)).toMatchObject({ exitCode: 3, conflicts: 1, refreshed: 0 });
  writeFileSync(it.at(top, 'kept'), 'mine');
  const done = await refreshAndDelete();
  expect(done, JSON.stringify(done)).toMatchObject({ exitCode: 0, refreshed: 1, removed: 1 });
  expect(await read(it.at(top, 'data'))).toBe('second, longer');
  expect(seeTree(it.at(top)).get('data')).toMatchObject({ mode: 0o640, uid: 1000, mtime: 1_500_000_000 });
  expect(await read(it.at(top, 'gone'))).toBe('ENOENT');
  expect(await read(it.at(top, 'kept'))).toBe('mine');
  // Restored, and changed once more; what was a symlink is a file by now.
  await it.put(`${top}/data`, 'third');
  await it.put(`${top}/swapped`, 'a file');
  expect(await it.import('--prefix', top, '--refresh')).toMatchObject({
    ...{ exitCode: 0, refreshed: 1, made: { files: 1 } },
  });
  expect(seeTree(it.at(top)).get('swapped')).toMatchObject({ type: 'file', size: 6 });
  expect(await read(it.at(top, 'data'))).toBe('third');
  // A modified one is not touched, nor removed when its blob goes.
  await it.put(`${top}/kept`, 'changed');
  expect(await it.import('--prefix', top, '--refresh')).toMatchObject({ exitCode: 3, conflicts: 1, refreshed: 0 });
  await it.sandbox.containerClient.deleteBlob(`${top}/kept`);
  expect(await refreshAndDelete()).toMatchObject({
    exitCode: 3,
    conflicts: 1,
    removed: 0,
  });
  expect(await read(it.at(top, 'kept'))).toBe('mine');
  // One that was given a later time is not touched either, unless asked.
  await it.put(`${top}/newer`, 'first', owner);
  await it.import('--prefix', top);
  utimesSync(it.at(top, 'newer'), 1_700_000_000, 1_700_000_000);
  await it.put(`${top}/newer`, 'second', owner);
  const newer = { refreshed: 0, problems: expect.arrayContaining([expect.objectContaining({ code: 'newer' })]) };
  expect(await it.import('--prefix', top, '--refresh')).toMatchObject({ ...newer, conflicts: 1 });
  await it.sandbox.containerClient.deleteBlob(`${top}/newer`);
  expect(await refreshAndDelete()).toMatchObject({
    ...{ ...newer, conflicts: 2, removed: 0 },
  });
  // Archived meanwhile, it is clean, but no import brought what it has.
  await it.rig.archive(it.at(top, 'kept'));
  await it.sandbox.containerClient.deleteBlob(`${top}/kept`);
  expect(await refreshAndDelete()).toMatchObject({ removed: 0 });
  expect(await read(it.at(top, 'kept'))).toBe('mine');
});

test('imported with a warning: the Archive tier, of which the restore says what it needs, and leases; snapshots are not seen', async () => {
  fresh();
  for (const name of ['cold', 'leased', 'snapped']) await it.put(`${top}/${name}`, 'x');
  const container = it.sandbox.containerClient;
  await container.getBlockBlobClient(`${top}/snapped`).createSnapshot();
  await it.put(`${top}/snapped`, 'newer');
  const lease = container.getBlockBlobClient(`${top}/leased`).getBlobLeaseClient();
  await lease.acquireLease(-1);
  await container.getBlockBlobClient(`${top}/cold`).setAccessTier('Archive');
  const report = `${it.sandbox.dir}/warnings.ndjson`;
  const done = await it.import('--prefix', top, '--report', report);
  expect(done).toMatchObject({ exitCode: 0, listed: 3, warnings: 2, made: { files: 3 } });
  const lines = readFileSync(report, 'utf8').trim().split('\n');
  expect(lines.map((line) => JSON.parse(line)).map(({ outcome, blob, code }) => [outcome, blob, code])).toEqual([
    ['warning', `${top}/cold`, 'archive-tier'],
    ['warning', `${top}/leased`, 'leased'],
  ]);
  expect(await read(it.at(top, 'snapped'))).toBe('newer');
  expect(await read(it.at(top, 'leased'))).toBe('x');
  expect(await read(it.at(top, 'cold'))).toBe('ENODATA');
  const fid = await it.fid(it.at(top, 'cold'));
  await it.rig.copytool.waitFor(
    ({ record, text }) =>
      record?.['fid'] === fid && /blob-archived.*it is in the Archive tier.*"hint":"[^"]*Hot, Cool or Cold/.test(text),
  );
  await lease.releaseLease();
});

test('--max-errors: so many are passed over, one more ends it; the same command goes on', async () => {
  fresh();
  for (const letter of ['a', 'b', 'c']) await it.put(`${top}/${letter.repeat(256)}`, 'x');
  await it.put(`${top}/good`, 'x');
  const problems = async () => {
    const { stdout } = await it.sandbox.run(['status', '--json']);
    const { health } = JSON.parse(stdout) as { health: { problems: { code: string }[] } };
    return health.problems.map(({ code }) => code);
  };
  expect(await it.import('--prefix', top, '--max-errors', '2')).toMatchObject({
    exitCode: 1,
    error: { code: 'IMPORT_ERRORS', hint: expect.stringContaining('goes on where this one stopped') },
  });
  expect(await problems()).toContain('IMPORT_UNFINISHED');
  // What the one that stopped has told is not told again, but it counts: the import is not complete.
  expect(await it.import('--prefix', top, '--max-errors', '2')).toMatchObject({
    ...{ exitCode: 3, outcome: 'partial', resumed: true, refused: 3, problems: [] },
  });
  expect(await problems()).not.toContain('IMPORT_UNFINISHED');
  expect(statSync(it.at(top, 'good')).size).toBe(1);
  expect(await it.import('--prefix', top, '--max-errors', '3')).toMatchObject({ exitCode: 3, refused: 3 });
});
