import { chmodSync, linkSync, mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { FollowRig } from './rig.ts';

// A file system with two metadata servers: a changelog each, with a user each, read by one follower.

const MDTS = ['lustrefs-MDT0000', 'lustrefs-MDT0001'] as const;
/** The second one's user does not get records of hard links. */
const USERS = ['cl1', 'cl1-few'] as const;

let it: FollowRig;
beforeAll(async () => {
  const users = Object.fromEntries(MDTS.map((mdt, index) => [mdt, USERS[index]]));
  it = await FollowRig.start({
    ...{ version: '2.17', standInOnly: true, mdts: 2 },
    config: { mdts: [...MDTS], follow: { changelog_user: users } },
  });
  const { sandbox } = it;
  const registered = await sandbox.serverLctl([
    ...['--device', MDTS[1], 'changelog_register', '-n', '--user', 'few', '--mask', '-HLINK'],
  ]);
  expect(registered.stdout.trim(), registered.stderr).toBe(USERS[1]);
  for (const [index, name] of ['zero', 'one'].entries()) await it.rig.lfs('mkdir', '-i', String(index), it.path(name));
});
afterEach(async () => {
  it.letAllGo();
  await it.stopFollowing();
});
afterAll(() => it?.stop());

const recordsOf = async (mdt: string) => {
  const result = await it.sandbox.lfs(['changelog', mdt]);
  expect(result, result.stderr).toMatchObject({ exitCode: 0 });
  return result.stdout;
};
/** Both are read to the end, and told to forget what was read. */
const readAndCleared = () =>
  it.statusWhere('both changelogs are read and cleared', ({ mdts }) =>
    mdts.every(({ lag, applied, cleared }) => lag.caughtUp && applied !== null && cleared === applied),
  );

test('what happens on either, and from one to the other, is carried over; killed, it goes on with each where it was', async () => {
  for (const name of ['zero/a', 'one/b']) await it.rig.archive(it.rig.write(name, `content of ${name}`));
  linkSync(it.path('zero/a'), it.path('one/link'));
  mkdirSync(it.path('one/d'));
  symlinkSync('d', it.path('one/symlink'));
  await it.follow({ LFSAZSYNC_MDT: undefined });
  await it.mirrored();
  const first = await readAndCleared();
  expect(first.mdts.map(({ mdt, user }) => [mdt, user])).toEqual(MDTS.map((mdt, index) => [mdt, USERS[index]]));

  it.hold('records.applied');
  renameSync(it.path('zero/a'), it.path('one/a'));
  renameSync(it.path('one/b'), it.path('zero/b'));
  renameSync(it.path('one/d'), it.path('zero/d'));
  await it.held('records.applied');
  await it.follower.crash();
  it.letAllGo();
  renameSync(it.path('one'), it.path('zero/d/one'));
  rmSync(it.path('zero/d/one/link'));
  chmodSync(it.path('zero/b'), 0o640);
  await it.follow({ LFSAZSYNC_MDT: undefined });
  await it.mirrored();
  await readAndCleared();
  for (const mdt of MDTS) expect(await recordsOf(mdt)).toBe('');
  expect(await it.rig.content(it.path('zero/d/one/a'))).toBe('content of zero/a');
  rmSync(it.path('zero/d'), { recursive: true });
  await it.mirrored();
});

test('types of records that never come, and types that nobody knows, are told by the log and by status', async () => {
  await it.rig.lfs('mkdir', '-i', '1', it.path('many'));
  await it.rig.archive(it.rig.write('many/file', 'content'));
  linkSync(it.path('many/file'), it.path('many/link'));
  rmSync(it.path('many/link'));
  chmodSync(it.path('many/file'), 0o600);
  await it.rig.lfs('mkdir', '-i', '1', it.path('many/d'));
  rmSync(it.path('many/d'), { recursive: true });
  symlinkSync('nowhere', it.path('many/symlink'));
  renameSync(it.path('many/symlink'), it.path('many/renamed'));
  await it.sandbox.simctl(['grow', it.path('many'), 'prefix=grown', 'files=10000', 'size=0', 'records=1']);
  await it.sandbox.simctl(['sim', 'op=changelog_record', 'type=40', `fid=${await it.rig.fid(it.path('many/file'))}`]);
  await it.follow({ LFSAZSYNC_MDT: undefined });
  const { mdts } = await it.statusWhere('they are told', (figures) => figures.mdts[1]?.unknownTypes.length === 1);
  expect(mdts.map(({ missingTypes }) => missingTypes)).toEqual([[], [{ type: 'HLINK', missed: 'new hard links' }]]);
  expect(mdts.map(({ unknownTypes }) => unknownTypes)).toEqual([[], [40]]);
  const text = await it.sandbox.run(['changelog-follow', 'ctl', 'status']);
  expect(text.stdout).toContain(`${MDTS[1]} has never sent HLINK: new hard links may be missed`);
  expect(text.stdout).toContain(`${MDTS[1]} sends records of unknown types: 40`);
  // The log tells it now and then, and at the start.
  await readAndCleared();
  await it.stopFollowing();
  await it.follow({ LFSAZSYNC_MDT: undefined });
  const missing = await it.follower.waitFor('no such record among many');
  expect(missing.record).toMatchObject({ mdt: MDTS[1], type: 'HLINK', hint: expect.stringContaining('+HLINK') });
  const unknown = await it.follower.waitFor('records of a type that this version does not know');
  expect(unknown.record).toMatchObject({ mdt: MDTS[1], type: 40 });
});

test('the user of one that is gone ends it, and it says whose', async () => {
  const { sandbox } = it;
  await sandbox.serverLctl(['--device', MDTS[1], 'changelog_deregister', USERS[1]]);
  it.rig.write('zero/after', '');
  const { exitCode, stdout } = await sandbox.run(['changelog-follow', '--once', '--json'], {
    env: { LFSAZSYNC_MDT: undefined },
  });
  expect(exitCode, stdout).toBe(1);
  const { error } = JSON.parse(stdout) as { error: { code: string; message: string } };
  expect(error).toMatchObject({ code: 'CHANGELOG_USER_GONE', message: expect.stringContaining(MDTS[1]) });
  // The other one's records are not lost by that.
  expect(await recordsOf(MDTS[0])).toContain('after');
});
