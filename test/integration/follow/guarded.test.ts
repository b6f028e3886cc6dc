import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { openCatalog } from '../../../src/catalog/open.ts';
import { waitUntil } from '../../support/wait.ts';
import { FollowRig } from './rig.ts';

// What must not go wrong: two followers, a lost catalog, lost records, a user that is gone, too many deletions.

let it: FollowRig;
let round = 0;
let settings: Record<string, Record<string, unknown>>;
const at = (...names: string[]) => it.path(`t${round}`, ...names);
beforeAll(async () => {
  it = await FollowRig.start({ version: '2.17', standInOnly: true });
  settings = parse(readFileSync(it.sandbox.configFile, 'utf8'));
});
afterEach(async () => {
  it.letAllGo();
  await it.stopFollowing();
  configure({});
});
afterAll(() => it?.stop());

function configure(over: Record<string, Record<string, unknown>>): void {
  const next: Record<string, unknown> = { ...settings };
  for (const [section, values] of Object.entries(over)) next[section] = { ...settings[section], ...values };
  writeFileSync(it.sandbox.configFile, stringify(next));
}

async function prepare(): Promise<void> {
  round += 1;
  mkdirSync(at('d'), { recursive: true });
  symlinkSync('target', at('d', 'link'));
  for (const name of ['a', 'b']) writeFileSync(at('d', name), `content of ${name}`);
  const archived = await it.sandbox.run(['archive', '--wait', '--recursive', at()]);
  expect(archived, archived.stderr).toMatchObject({ exitCode: 0 });
}

const stateDir = () => join(it.sandbox.dir, 'state');
const ctl = (...args: string[]) => it.sandbox.run(['changelog-follow', 'ctl', ...args]);
const ctlJson = async <T>(...args: string[]): Promise<T> => {
  const { exitCode, stdout, stderr } = await ctl(...args, '--json');
  expect(exitCode, stderr + stdout).toBe(0);
  return JSON.parse(stdout) as T;
};

test('while it scans for the first time, everything that happens is caught up with; --once says what it did', async () => {
  await prepare();
  const first = await it.once();
  expect(first).toMatchObject({ outcome: 'complete', left: { scan: 'complete', failed: 0 }, exit: { code: 0 } });
  expect(first.figures.scan.last).toMatchObject({ outcome: 'complete' });
  expect(first.figures.sweep.last).toMatchObject({ outcome: 'complete' });
  await it.mirrored();
  renameSync(at('d'), at('e'));
  const second = await it.once();
  expect(second).toMatchObject({ left: { scan: 'not-needed' }, figures: { recoveryPoint: null, state: 'once' } });
  await it.mirrored();
});

test('a second follower is refused, here by the lock, elsewhere by the lease; a crashed one is replaced at once', async () => {
  await prepare();
  const first = await it.follow();
  const here = await it.sandbox.run(['changelog-follow', '--once', '--json']);
  expect(here.exitCode).toBe(6);
  expect(JSON.parse(here.stdout).error).toMatchObject({ code: 'FOLLOWER_RUNNING' });
  expect(JSON.parse(here.stdout).error.message).toContain(`process ${first.pid}`);
  const elsewhere = await it.sandbox.run(['changelog-follow', '--once', '--json'], {
    env: { LFSAZSYNC_STATE_DIR: join(it.sandbox.dir, 'elsewhere') },
  });
  expect(elsewhere.exitCode).toBe(5);
  expect(JSON.parse(elsewhere.stdout).error).toMatchObject({ code: 'FOLLOWER_RUNNING' });
  await first.crash();
  await it.once();
  await it.mirrored();
});

test('a lease that somebody breaks and takes ends it at once', async () => {
  await prepare();
  const follower = await it.follow();
  const blob = it.sandbox.containerClient.getBlobClient('.lfsazsync/control');
  await blob.getBlobLeaseClient().breakLease(0);
  await blob.getBlobLeaseClient('11111111-1111-4111-8111-111111111111').acquireLease(60);
  const { exitCode } = await follower.exited(60_000);
  expect(exitCode).toBe(5);
  expect(follower.log.text()).toContain('LEASE_LOST');
  await blob.getBlobLeaseClient('11111111-1111-4111-8111-111111111111').releaseLease();
});

test('the catalog is deleted in the middle, and damaged: a scan and a sweep, and nothing is lost or left', async () => {
  await prepare();
  await it.follow();
  await it.mirrored();
  for (const name of readdirSync(stateDir())) if (name.startsWith('catalog.db')) rmSync(join(stateDir(), name));
  renameSync(at('d'), at('e'));
  rmSync(at('e', 'a'));
  await it.follower.waitFor('catalog is lost, a new one is begun and everything scanned');
  await it.mirrored();
  const { sweep } = await it.statusWhere('it is swept', (figures) => figures.sweep.last !== null);
  expect(sweep.last?.outcome).toBe('complete');
  await it.stopFollowing();

  writeFileSync(join(stateDir(), 'catalog.db'), Buffer.alloc(65_536, 0x5a));
  rmSync(at('e', 'b'));
  await it.follow();
  expect(it.follower.log.find('catalog is damaged, a new one is begun and everything scanned')).toHaveLength(1);
  expect(readdirSync(stateDir()).some((name) => name.startsWith('catalog.db.damaged-'))).toBe(true);
  await it.mirrored();
});

test('the same file system mounted over its own mount point is no matter; something else there ends it, and nothing is deleted', async () => {
  await prepare();
  const { mount } = it.sandbox;
  const mounted = async (...argv: string[]) =>
    expect(await it.sandbox.exec('mount', argv)).toMatchObject({ exitCode: 0 });
  const unmount = async () => expect(await it.sandbox.exec('umount', ['-l', mount])).toMatchObject({ exitCode: 0 });
  await it.follow();
  await it.mirrored();
  await mounted('--bind', mount, mount);
  try {
    renameSync(at('d'), at('e'));
    await it.mirrored();
  } finally {
    await unmount();
  }
  renameSync(at('e'), at('f'));
  await it.mirrored();
  await mounted('-t', 'tmpfs', 'none', mount);
  try {
    // Nothing happens in either of them: it looks by itself.
    expect(await it.follower.exited()).toMatchObject({ exitCode: 1 });
  } finally {
    await unmount();
  }
  expect(it.follower.log.text()).toContain('FILE_SYSTEM_CHANGED');
  expect(it.follower.log.text()).toContain(`Something else was mounted over ${mount}`);
  for (const name of ['a', 'b']) expect(await it.rig.content(at('f', name))).toBe(`content of ${name}`);
  rmSync(at('f', 'a'));
  await it.follow();
  await it.mirrored();
});

test('a blob that nobody can say of whether a file was imported from it is not overwritten, by on_conflict either: a catalog alone may be old', async () => {
  await prepare();
  await it.once();
  const archives = settings['archives'] as Record<string, object>;
  configure({ archives: { 1: { ...archives['1'], on_conflict: 'overwrite' } } });
  await it.rig.copytool.stop();
  await it.rig.restart();
  try {
    writeFileSync(at('theirs'), 'ours');
    await it.rig.sandbox.containerClient.getBlockBlobClient(it.sandbox.blobName(at('theirs'))).upload('theirs', 6);
    expect((await it.rig.ask('archive', at('theirs'))).record).toMatchObject({
      code: 'maybe-imported',
      errno: 'EEXIST',
    });
    expect(await it.rig.content(at('theirs'))).toBe('theirs');
    await it.follow();
    await waitUntil('the follower knows all, and it is overwritten', async () => {
      await it.rig.ask('archive', at('theirs'));
      return (await it.rig.content(at('theirs'))) === 'ours';
    });
  } finally {
    configure({});
    await it.rig.copytool.stop();
    await it.rig.restart();
  }
});

test('records that were lost are noticed, and made up for by a scan and a sweep', async () => {
  await prepare();
  await it.once();
  // Somebody clears in our name what we have not read: as when the MDT had dropped an idle user.
  renameSync(at('d'), at('e'));
  const cleared = await it.sandbox.exec('lfs', [
    'changelog_clear',
    it.sandbox.mdt,
    it.sandbox.changelogUser as string,
    '0',
  ]);
  expect(cleared.exitCode, cleared.stderr).toBe(0);
  writeFileSync(at('new'), '');
  mkdirSync(at('f'));
  const { left } = await it.once();
  expect(left.scan).toBe('complete');
  await it.mirrored();
});

test('without its changelog user it stops and says how to get one; with another one everything is scanned', async () => {
  await prepare();
  await it.once();
  const { sandbox } = it;
  const old = sandbox.changelogUser as string;
  const register = async () =>
    (await sandbox.serverLctl(['--device', sandbox.mdt, 'changelog_register', '-n'])).stdout.trim();
  const next = await register();
  await sandbox.serverLctl(['--device', sandbox.mdt, 'changelog_deregister', old]);
  renameSync(at('d'), at('e'));
  const gone = await sandbox.run(['changelog-follow', '--once', '--json']);
  expect(gone.exitCode).toBe(1);
  expect(JSON.parse(gone.stdout).error).toMatchObject({ code: 'CHANGELOG_USER_GONE' });
  expect(JSON.parse(gone.stdout).error.hint).toContain('changelog_register');
  settings['follow'] = { ...settings['follow'], changelog_user: next };
  configure({});
  const { left } = await it.once();
  expect(left.scan).toBe('complete');
  await it.mirrored();

  configure({ follow: { changelog_user: undefined } });
  const unset = await sandbox.run(['changelog-follow', '--json']);
  expect(unset.exitCode).toBe(2);
  expect(JSON.parse(unset.stdout).error).toMatchObject({ code: 'NO_CHANGELOG_USER' });
});

test('too many deletions engage the brake, visibly, until an operator releases it', async () => {
  configure({ removal: { max_delete_free: 3, max_delete_share: '5%' } });
  await prepare();
  for (let n = 0; n < 5; n += 1) writeFileSync(at(`gone${n}`), `content ${n}`);
  const archived = await it.sandbox.run(['archive', '--wait', '--recursive', at()]);
  expect(archived, archived.stderr).toMatchObject({ exitCode: 0 });
  await it.follow();
  await it.mirrored();
  for (let n = 0; n < 5; n += 1) rmSync(at(`gone${n}`));
  const { brake } = await it.statusWhere('the brake is engaged', (figures) => figures.brake.engaged);
  expect(brake).toMatchObject({ limit: 3 });
  await it.follower.waitFor('too many files died: removals are stopped');
  expect((await ctl('status')).stdout).toContain('REMOVALS ARE STOPPED');
  const { health } = JSON.parse((await it.sandbox.run(['status', '--json'])).stdout);
  expect(health.problems).toContainEqual(expect.objectContaining({ code: 'REMOVALS_STOPPED', severity: 'warning' }));
  expect((await it.sandbox.run(['metrics'])).stdout).toMatch(/^lfsazsync_follow_removals_stopped 1$/m);
  await delay(1_500);
  for (let n = 0; n < 5; n += 1) expect(await it.rig.content(at(`gone${n}`))).toBe(`content ${n}`);
  await it.stopFollowing();
  // It is none of the process: the next one has it, too, and --once says so.
  const { left } = await it.once(3);
  expect(left.kept).toBe(5);
  await it.follow();
  expect(await ctlJson('release-brake')).toEqual({ released: 5 });
  await it.mirrored();
  const after = await it.status();
  expect(after.brake).toMatchObject({ engaged: false, pending: 0 });
});

test('paused, it takes records in and begins nothing; a wrong configuration changes nothing, a right one counts', async () => {
  await prepare();
  await it.follow();
  await it.mirrored();
  expect(await ctlJson('pause')).toMatchObject({ paused: { since: expect.any(String) } });
  const before = (await it.status()).counters;
  renameSync(at('d'), at('e'));
  await it.statusWhere(
    'it is taken in',
    ({ counters, marks, journal }) => counters.records > before.records && marks.count === 0 && journal.waiting > 0,
  );
  await delay(500);
  expect(await it.rig.content(at('d', 'a'))).toBe('content of a');
  expect(await ctlJson('resume')).toEqual({ paused: null });
  await it.mirrored();

  writeFileSync(it.sandbox.configFile, 'follow: [');
  process.kill(it.follower.pid, 'SIGHUP');
  await it.follower.waitFor('configuration could not be read again, the old one stays in force');
  configure({ removal: { grace: '1d' } });
  expect(await ctlJson('reload')).toMatchObject({ changed: [{ setting: 'removal.grace', to: '1d' }], restart: [] });
  rmSync(at('e', 'a'));
  await it.statusWhere('it is dead', ({ tombstones }) => tombstones.count === 1);
  await delay(1_500);
  expect(await it.rig.content(at('e', 'a'))).toBe('content of a');
  configure({});
  process.kill(it.follower.pid, 'SIGHUP');
  await it.mirrored();
  expect(await it.follower.stop()).toMatchObject({ exitCode: 143 });
});

test('on a full disk it says so and waits: no record is forgotten, and all goes on once there is room', async () => {
  await prepare();
  const disk = join(it.sandbox.dir, 'disk');
  const env = { LFSAZSYNC_STATE_DIR: disk };
  mkdirSync(disk);
  const mounted = await it.sandbox.exec('mount', ['-t', 'tmpfs', '-o', 'size=4m,mode=0700', 'tmpfs', disk]);
  expect(mounted, mounted.stderr).toMatchObject({ exitCode: 0 });
  try {
    await it.follow(env);
    await it.mirrored();
    fill(disk);
    renameSync(at('d'), at('e'));
    let made = 0;
    const told = 'records can’t be taken in, it is tried again';
    await waitUntil('the disk is full', () => {
      for (let more = 0; more < 100; more += 1, made += 1) mkdirSync(at(`n${made}`));
      fill(disk);
      return it.follower.log.find(told).length > 0;
    });
    expect(it.follower.log.find(told)[0]?.text).toContain('CATALOG_FULL');
    // What is not taken in stays with the MDT.
    const left = async () => (await it.sandbox.lfs(['changelog', it.sandbox.mdt])).stdout;
    const isLeft = async () => (await left()).includes(` n${made - 1}\n`);
    expect(await isLeft()).toBe(true);
    const { mdts } = await it.statusWhere('it knows of records that it has not', ({ mdts: [mdt] }) => {
      return mdt !== undefined && (mdt.lag.records ?? 0) > 0;
    });
    expect(mdts[0]?.cleared).toBeLessThanOrEqual(mdts[0]?.applied ?? 0);
    expect(await isLeft()).toBe(true);
    expect(it.follower.alive, it.follower.log.text()).toBe(true);
    // Of room, the catalog's log wants some: up to 64 MiB.
    await it.sandbox.exec('mount', ['-o', 'remount,size=256m', disk]);
    await it.mirrored(200_000);
    await waitUntil('they are forgotten by the MDT', async () => (await left()) === '');
  } finally {
    await it.stopFollowing();
    await it.sandbox.exec('umount', ['-l', disk]);
  }
});

/** Takes what room there is on a disk. */
function fill(disk: string): void {
  for (const size of [65_536, 4_096]) {
    try {
      for (;;) appendFileSync(join(disk, 'ballast'), Buffer.alloc(size));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    }
  }
}

test('what is given up is listed with its reason; tried again it is done, dropped it is left until it changes', async () => {
  await prepare();
  await it.once();
  const strangers = ['retried', 'dropped'].map((name) => it.rig.blob(at(name)).getBlockBlobClient());
  for (const blob of strangers) await blob.upload('not ours', 8);
  for (const name of ['retried', 'dropped']) mkdirSync(at(name));
  expect((await it.once(3)).left).toMatchObject({ quarantined: 2 });
  const journal = async (...args: string[]) => {
    const { exitCode, stdout } = await it.sandbox.run(['journal', ...args, '--json']);
    expect(exitCode, stdout).toBe(0);
    return JSON.parse(stdout) as { found: number; entries: { path: string; error: string; fid: string }[] };
  };
  const { entries } = await journal('list', '--quarantined');
  for (const { error, path } of entries) expect(error).toContain(it.sandbox.blobName(join(it.sandbox.mount, path)));
  expect(entries.map(({ path }) => path.split('/').at(-1)).sort()).toEqual(['dropped', 'retried']);
  for (const blob of strangers) {
    expect((await blob.downloadToBuffer()).toString()).toBe('not ours');
    await blob.delete();
  }
  expect(await journal('drop', at('dropped'))).toMatchObject({ found: 1 });
  expect(await journal('retry', at('retried'))).toMatchObject({ found: 1 });
  expect((await it.once()).left).toMatchObject({ quarantined: 0 });
  expect(await Promise.all(strangers.map((blob) => blob.exists()))).toEqual([true, false]);
  chmodSync(at('dropped'), 0o700);
  await it.once();
  await it.mirrored();
});

test('a blob under a name that its file lost during its archive is found by the copytool’s note, without a sweep', async () => {
  await prepare();
  const before = await it.once();
  const path = it.rig.write(`t${round}/moving`, 'x');
  const { fid, after } = await it.rig.archiveHeldAt('archive.committed', path);
  renameSync(path, at('moved'));
  it.rig.letGo('archive.committed');
  expect((await it.rig.ended('archive', fid, after)).record).toMatchObject({ outcome: 'ok' });
  // Nobody looked while it lived, and records tell of the other name alone.
  rmSync(at('moved'));
  await waitUntil('the copytool has left its note', async () => {
    const catalog = openCatalog({ file: join(stateDir(), 'catalog.db'), readOnly: true });
    try {
      return (await catalog.known([fid])).get(fid)?.blobs.some(({ name }) => name === it.sandbox.blobName(path));
    } finally {
      catalog.close();
    }
  });
  const { left, figures } = await it.once();
  expect(left).toMatchObject({ scan: 'not-needed' });
  expect(figures.sweep.last).toEqual(before.figures.sweep.last);
  await it.mirrored();
});

test('names that no blob can have are told with their reason, and are no hindrance', async () => {
  await prepare();
  const long = 'x'.repeat(250);
  mkdirSync(at(long, long, long, long, 'end'), { recursive: true });
  mkdirSync(at('fine'));
  const { left, figures } = await it.once(3);
  expect(left).toMatchObject({ failed: 0, quarantined: 2 });
  expect(figures.unnameable).toEqual({ count: 2, atLeast: false });
  const listed = await it.sandbox.run(['journal', 'list', '--quarantined']);
  expect(listed.stdout).toContain('it can’t be in the container');
  rmSync(at(long), { recursive: true });
  await it.once();
  await it.mirrored();
  await waitUntil('nothing is left', async () => (await it.once()).left.quarantined === 0);
});
