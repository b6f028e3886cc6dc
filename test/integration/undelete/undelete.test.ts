import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { ContainerClient } from '@azure/storage-blob';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openCatalog } from '../../../src/catalog/open.ts';
import type { Fid } from '../../../src/identity/fid.ts';
import { RECALLED, UNDELETE_STEPS } from '../../../src/undelete/types.ts';
import { startKeepingAccount } from '../../support/keeping-account.ts';
import { waitUntil } from '../../support/wait.ts';
import { CLEAN, RELEASED, read } from '../copytool/fixture.ts';
import { FollowRig } from '../follow/rig.ts';

// What was removed comes back as it was, while its blob is there.

let it: FollowRig;
let round = 0;

beforeAll(async () => {
  it = await FollowRig.start({ config: { removal: { grace: '1h' } } });
});
afterAll(async () => {
  await it?.stop();
});
beforeEach(() => {
  round += 1;
  mkdirSync(at());
});

/** A path in this test's own directory. */
const at = (...names: string[]) => it.path(`t${round}`, ...names);

interface Answer {
  readonly counts: Record<string, number>;
  readonly items: readonly { path: string; outcome: string; fid: Fid; new_fid?: Fid; detail?: string }[];
  readonly removed: readonly { fid: Fid; type: string; path: string; size: number; mode: string }[];
  readonly count: number;
  readonly error?: { code: string; hint: string };
}

async function undelete(...args: string[]): Promise<{ code: number | null; answer: Answer; stderr: string }> {
  const { exitCode, stdout, stderr } = await it.sandbox.run(['undelete', '--json', ...args]);
  return { code: exitCode, answer: JSON.parse(stdout) as Answer, stderr };
}

const counts = ({ counts: all }: Answer) => Object.fromEntries(Object.entries(all).filter(([, count]) => count > 0));

async function archived(name: string, content: string): Promise<string> {
  mkdirSync(join(at(name), '..'), { recursive: true });
  writeFileSync(at(name), content);
  await it.rig.archive(at(name));
  return at(name);
}

/** What an independent look shows of everything below this test's directory, but for directories' sizes. */
function seen(directory = at()): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  for (const entry of readdirSync(directory, { withFileTypes: true, recursive: true })) {
    const path = join(entry.parentPath, entry.name);
    const { mode, uid, gid, mtimeMs, size, nlink } = lstatSync(path);
    const kind = entry.isSymbolicLink() ? { target: readlinkSync(path) } : entry.isDirectory() ? {} : { size, nlink };
    found[path.slice(directory.length + 1)] = { mode, uid, gid, mtime: Math.floor(mtimeMs / 1000), ...kind };
  }
  return found;
}

describe('a tree that was removed', () => {
  test('comes back as it was: files, empty ones, directories, symlinks, hard links; and lives on', async () => {
    await archived('d/deep/big', 'content of big');
    await archived('d/empty', '');
    await archived('d/links/b', 'linked');
    linkSync(at('d/links/b'), at('d/links/a'));
    linkSync(at('d/links/b'), at('d/c'));
    symlinkSync('../nowhere ü', at('d/symlink'));
    chownSync(at('d/deep/big'), 1234, 567);
    chmodSync(at('d/deep/big'), 0o4751);
    chmodSync(at('d/deep'), 0o1770);
    chownSync(at('d/deep'), 77, 88);
    for (const name of ['d/deep/big', 'd/empty', 'd/links/b', 'd/deep', 'd/links', 'd'])
      utimesSync(at(name), 1_600_000_000, 1_600_000_001);
    await it.once();
    const before = seen();
    rmSync(at('d'), { recursive: true });
    await it.once();

    const listed = await undelete('--list', at());
    expect(listed.answer.removed.map(({ path, type }) => `${type} ${path.split('/').at(-1)}`).sort()).toEqual(
      ['dir d', 'dir deep', 'dir links', 'file big', 'file c', 'file empty', 'symlink symlink'].sort(),
    );
    const dry = await undelete('-r', '-n', at('d'));
    expect([dry.code, counts(dry.answer)]).toEqual([0, { would: 7 }]);
    expect(existsSync(at('d'))).toBe(false);

    const back = await undelete('--recursive', at('d'));
    expect([back.code, counts(back.answer)]).toEqual([0, { restored: 7 }]);
    expect(seen()).toEqual(before);
    expect(await it.rig.states(at('d/deep/big'))).toBe(RELEASED);
    expect((await undelete('--list', at())).answer.count).toBe(0);
    expect(await read(at('d/deep/big'))).toBe('content of big');
    expect(await read(at('d/c'))).toBe('linked');
    expect(await read(at('d/empty'))).toBe('');

    // A file like any other from now on: its copy follows it, with its attributes, and it is restored again.
    await it.once();
    await it.rig.release(at('d/deep/big'));
    renameSync(at('d/deep/big'), at('moved'));
    chmodSync(at('moved'), 0o600);
    await it.once();
    const blob = await it.rig.blob(at('moved')).getProperties();
    expect(blob.metadata).toMatchObject({ lfsazsync_fid: await it.rig.fid(at('moved')), lfsazsync_mode: '0600' });
    expect(await it.rig.content(at('d/deep/big'))).toBeUndefined();
    expect(await read(at('moved'))).toBe('content of big');
  });

  test('a file that is removed while it is archived once more, too', async () => {
    const path = await archived('again', 'first');
    await it.once();
    writeFileSync(path, 'second');
    const { fid, after } = await it.rig.archiveHeldAt('archive.committed', path);
    unlinkSync(path);
    it.rig.letGo('archive.committed');
    await it.rig.ended('archive', fid, after);
    await it.once();
    const back = await undelete(path);
    expect([back.code, counts(back.answer)]).toEqual([0, { restored: 1 }]);
    expect(await read(path)).toBe('second');
  });

  test('a single file, by path or by FID, with the directories that are missing', async () => {
    await archived('x/y/one', '1');
    await archived('x/y/two', '2');
    chmodSync(at('x/y'), 0o2750);
    await it.once();
    const fid = await it.rig.fid(at('x/y/two'));
    rmSync(at('x'), { recursive: true });
    await it.once();
    expect(counts((await undelete(at('x/y/one'))).answer)).toEqual({ restored: 1 });
    expect(readdirSync(at('x/y'))).toEqual(['one']);
    expect(lstatSync(at('x/y')).mode & 0o7777).toBe(0o2750);
    expect(counts((await undelete(fid)).answer)).toEqual({ restored: 1 });
    expect([await read(at('x/y/one')), await read(at('x/y/two'))]).toEqual(['1', '2']);
  });
});

describe('what is told', () => {
  test('of several that had one name, the last one comes back; by FID the other one, when the name is free', async () => {
    await archived('f', 'first');
    const first = await it.rig.fid(at('f'));
    await it.once();
    renameSync(at('f'), at('g'));
    await it.once();
    unlinkSync(at('g'));
    await archived('g', 'second');
    await it.once();
    unlinkSync(at('g'));
    await it.once();
    const both = await undelete('-r', at('g'));
    expect([both.code, counts(both.answer)]).toEqual([3, { restored: 1, gone: 1 }]);
    expect(await read(at('g'))).toBe('second');
    expect(both.answer.items.find(({ outcome }) => outcome === 'gone')?.fid).toBe(first);
  });

  test('a blob that somebody deleted by hand, while the catalog remembers the file', async () => {
    await archived('f', 'by hand');
    await it.once();
    unlinkSync(at('f'));
    await it.once();
    const { connectionString, container } = it.sandbox;
    const account = await startKeepingAccount(connectionString, container, { softDelete: 3 });
    try {
      const { name } = it.rig.blob(at('f'));
      await new ContainerClient(account.connectionString, container).deleteBlob(name);
      expect(counts((await undelete(at('f'))).answer)).toEqual({ gone: 1 });
      const env = { AZURE_STORAGE_CONNECTION_STRING: account.connectionString };
      const { stdout } = await it.sandbox.run(['undelete', '--json', at('f')], { env });
      expect(JSON.parse(stdout).items?.[0], stdout).toMatchObject({
        outcome: 'restored',
        kept: 'soft-deleted',
        days_left: 3,
      });
      expect(await read(at('f'))).toBe('by hand');
    } finally {
      await account.stop();
    }
  });

  test('what was modified after its archive comes back as it was archived', async () => {
    await archived('f', 'archived');
    await it.once();
    writeFileSync(at('f'), 'later and longer');
    await it.once();
    unlinkSync(at('f'));
    await it.once();
    const { answer } = await undelete(at('f'));
    expect(answer.items[0]).toMatchObject({ outcome: 'restored', detail: expect.stringContaining('modified') });
    expect(await read(at('f'))).toBe('archived');
  });

  test('nothing that is there is touched', async () => {
    await archived('f', 'old');
    await it.once();
    unlinkSync(at('f'));
    writeFileSync(at('f'), 'new');
    await it.once();
    const { code, answer } = await undelete(at('f'));
    expect([code, counts(answer)]).toEqual([1, { exists: 1 }]);
    expect(await read(at('f'))).toBe('new');
    // It is still there to be had when the name is free.
    renameSync(at('f'), at('other'));
    expect(counts((await undelete(at('f'))).answer)).toEqual({ restored: 1 });
    expect(await read(at('f'))).toBe('old');
  });

  test('what the catalog does not remember is found in the container: a lost catalog, blobs that the service brought back', async () => {
    await archived('d/deep/f', 'stray');
    await archived('d/alive', 'alive');
    linkSync(at('d/deep/f'), at('d/deep/further'));
    symlinkSync('deep/f', at('d/l'));
    chmodSync(at('d/deep'), 0o2711);
    await it.once();
    const fids = await Promise.all(['d/deep', 'd/deep/f', 'd/l'].map((name) => it.rig.fid(at(name))));
    rmSync(at('d/deep'), { recursive: true });
    unlinkSync(at('d/l'));
    await it.once();
    const catalog = openCatalog({ file: join(it.sandbox.dir, 'state', 'catalog.db') });
    await catalog.apply({ exhumed: fids });
    catalog.close();
    expect((await undelete('-r', at('d'))).answer.error?.hint).toContain('--search');
    expect(counts((await undelete('-r', '-n', '--search', at('d'))).answer)).toEqual({ would: 3 });
    const { code, answer } = await undelete('-r', '--search', at('d'));
    expect([code, counts(answer)], JSON.stringify(answer)).toEqual([0, { restored: 3 }]);
    expect(await read(at('d/l'))).toBe('stray');
    expect(lstatSync(at('d/deep')).mode & 0o7777).toBe(0o2711);
    expect(lstatSync(at('d/deep/further')).ino).toBe(lstatSync(at('d/deep/f')).ino);
    // Until the follower has been there, the markers are still those of the dead.
    await it.once();
    expect((await undelete('-r', '--search', at('d'))).answer.error?.code).toBe('NOTHING_REMOVED');
  });

  test('a name that nobody knows', async () => {
    const { code, answer } = await undelete(at('never'));
    expect([code, answer.error?.code]).toEqual([1, 'NOTHING_REMOVED']);
    await archived('d/f', 'x');
    await it.once();
    unlinkSync(at('d/f'));
    await it.once();
    expect((await undelete(at('d'))).answer.error?.hint).toContain('--recursive');
  });

  test('for people', async () => {
    await archived('f', 'x');
    await it.once();
    unlinkSync(at('f'));
    await it.once();
    const list = await it.sandbox.run(['undelete', '--list', at()]);
    expect(list.stdout).toMatch(/^REMOVED +TYPE +SIZE +FID +PATH\n\S+Z +file +1 +0x\S+ +\S*t\d+\/f\n1 removed\n$/);
    const back = await it.sandbox.run(['undelete', at('f')]);
    expect(back).toMatchObject({ exitCode: 0, stdout: '1 brought back (1B to be restored when they are read)\n' });
  });
});

describe('killed', () => {
  test.each(UNDELETE_STEPS)(
    'after the step %s, it is completed by the next one, and nothing is lost meanwhile',
    async (step) => {
      await archived('d/f', `content ${step}`);
      symlinkSync('target', at('d/l'));
      chmodSync(at('d'), 0o700);
      utimesSync(at('d'), 1_600_000_000, 1_600_000_001);
      await it.once();
      const before = seen();
      rmSync(at('d'), { recursive: true });
      await it.once();
      it.hold(step);
      const killed = it.sandbox.startService(['undelete', '-r', at('d')], { LFSAZSYNC_TEST_STEPS: it.rig.steps });
      await it.held(step);
      await killed.crash();
      it.letAllGo();
      // The reaper comes by, and finds that all of it is held or alive.
      await it.once();
      const { code, answer } = await undelete('-r', at('d')).catch(async () => ({ code: 0, answer: undefined }));
      expect([code, answer?.error], JSON.stringify(answer)).toEqual([expect.any(Number), undefined]);
      const after = seen();
      const times = (all: Record<string, unknown>) => ({ ...all, d: undefined });
      expect(times(after)).toEqual(times(before));
      expect(await read(at('d/f'))).toBe(`content ${step}`);
      expect(await it.rig.states(at('d/f'))).toBe(CLEAN);
      // All of it is the new ones', and nothing is left to be brought back.
      await it.once();
      for (const name of ['d', 'd/f', 'd/l']) {
        const { metadata } = await it.rig.blob(at(name)).getProperties();
        expect(metadata?.['lfsazsync_fid'], name).toBe(await it.rig.fid(at(name)));
      }
      expect((await undelete('--list', at())).answer.count).toBe(0);
    },
    240_000,
  );
});

describe('with the reaper', () => {
  let reaping: FollowRig;
  beforeAll(async () => {
    reaping = await FollowRig.start({ config: { removal: { grace: '0s' } } });
  });
  afterAll(async () => {
    await reaping?.stop();
  });

  test.each([
    ['soft delete', { softDelete: 7 }, { kept: 'soft-deleted', days_left: 7, removed: expect.any(String) }],
    ['versioning', { versioning: true }, { kept: 'version', removed: null }],
  ] as const)(
    'what it deleted comes back where the account has %s',
    async (what, keeping, told) => {
      const { sandbox, rig } = reaping;
      const account = await startKeepingAccount(sandbox.connectionString, sandbox.container, keeping);
      try {
        const env = { AZURE_STORAGE_CONNECTION_STRING: account.connectionString };
        const top = (...names: string[]) => reaping.path(what, ...names);
        const say = async (...args: string[]) => {
          const { exitCode, stdout, stderr } = await sandbox.run(['undelete', '--json', ...args], { env });
          return { code: exitCode, answer: JSON.parse(stdout) as Answer, stderr };
        };
        const follow = async () => {
          const { exitCode, stderr } = await sandbox.run(['changelog-follow', '--once'], { env });
          expect([exitCode, stderr]).toEqual([0, expect.any(String)]);
        };
        await rig.copytool.stop();
        await rig.restart(env);
        mkdirSync(top('d/deep'), { recursive: true });
        for (const name of ['d/f', 'd/deep/ü &<>', 'd/empty']) {
          writeFileSync(top(name), name === 'd/empty' ? '' : `first ${name}`);
          await rig.archive(top(name));
        }
        // Written over: a snapshot, or a version.
        writeFileSync(top('d/f'), 'content of f');
        await rig.archive(top('d/f'));
        symlinkSync('nowhere ü', top('d/l'));
        for (const name of what === 'soft delete' ? ['d/further', 'd/unlinked'] : []) linkSync(top('d/f'), top(name));
        chmodSync(top('d/deep'), 0o2751);
        chmodSync(top('d/f'), 0o4711);
        for (const name of ['d/f', 'd/deep', 'd']) utimesSync(top(name), 1_600_000_000, 1_600_000_001);
        await follow();
        if (what === 'soft delete') {
          // This name goes before the file does.
          unlinkSync(top('d/unlinked'));
          await follow();
          account.deletedEarlier(rig.blob(top('d/unlinked')).name, 3600);
          utimesSync(top('d'), 1_600_000_000, 1_600_000_001);
          // A directory's time that is set on its own leaves no record.
          chmodSync(top('d'), 0o755);
          // Directories' times settle before they are carried over.
          await waitUntil('everything is carried over', async () => {
            await follow();
            return JSON.parse((await sandbox.run(['journal', 'list', '--json'])).stdout).entries.length === 0;
          });
        }
        const before = seen(top());
        rmSync(top('d'), { recursive: true });
        await follow();
        expect(await rig.content(top('d/f'))).toBeUndefined();
        const { removed, error } = (await say('--list', '--search', top())).answer;
        expect(error).toBeUndefined();
        const names = Object.keys(before).filter((name) => name !== 'd/further');
        expect(removed.map(({ path }) => path.split(`${what}/`)[1]).sort()).toEqual(names.sort());
        for (const one of removed) expect(one).toMatchObject(told);
        const shown = await sandbox.run(['undelete', '--list', '--search', top()], { env });
        expect(shown.stdout).toMatch(
          what === 'versioning' ? / version +\S.*d\/f\n/ : / soft-deleted, 7 days left +\S.*d\/f\n/,
        );
        if (what === 'soft delete') {
          const unknown = await say('-r', top('d'));
          expect([unknown.code, unknown.answer.error?.hint]).toEqual([1, expect.stringContaining('--search')]);
          expect(counts((await say('-r', '-n', '--search', top('d'))).answer)).toEqual({ would: 6 });
          // What has the name stays, and nothing is brought back in the container for nothing.
          mkdirSync(top('d'));
          writeFileSync(top('d/f'), 'another');
          expect(counts((await say('--search', top('d/f'))).answer)).toEqual({ exists: 1 });
          expect(await rig.content(top('d/f'))).toBeUndefined();
          rmSync(top('d'), { recursive: true });
          const back = await say('-r', '--search', top('d'));
          expect([back.code, counts(back.answer)], JSON.stringify(back)).toEqual([0, { restored: 6 }]);
          expect(seen(top())).toEqual(before);
        } else {
          // Killed when the blob is there again and the file is not; the reaper comes by.
          reaping.hold(RECALLED);
          const args = ['undelete', '--search', top('d/f')];
          const killed = sandbox.startService(args, { ...env, LFSAZSYNC_TEST_STEPS: rig.steps });
          await reaping.held(RECALLED);
          await killed.crash();
          reaping.letAllGo();
          expect([await rig.content(top('d/f')), existsSync(top('d/f'))]).toEqual(['content of f', false]);
          await follow();
          // Versions that were deleted in their turn are undeleted first.
          account.deleteVersions(rig.blob(top('d/empty')).name, 3);
          const back = await say('-r', '--search', top('d'));
          // The directory itself came back with the first one, which did not come to setting its time.
          expect([back.code, counts(back.answer)], JSON.stringify(back)).toEqual([0, { restored: 5 }]);
          expect({ ...seen(top()), d: undefined }).toEqual({ ...before, d: undefined });
          expect(lstatSync(top('d')).mode).toBe((before['d'] as { mode: number }).mode);
        }
        expect(await read(top('d/f'))).toBe('content of f');
        expect(await read(top('d/deep/ü &<>'))).toBe('first d/deep/ü &<>');

        // They are files like any other: followed, and removed again, so nothing that came along is in the way.
        await follow();
        expect((await rig.blob(top('d/f')).getProperties()).metadata?.['lfsazsync_fid']).toBe(
          await rig.fid(top('d/f')),
        );
        rmSync(top('d'), { recursive: true });
        await follow();
        expect(await rig.content(top('d/f'))).toBeUndefined();
        expect(counts((await say('--search', top('d/f'))).answer)).toEqual({ restored: 1 });
        expect(await read(top('d/f'))).toBe('content of f');
      } finally {
        await rig.copytool.stop();
        await rig.restart();
        await account.stop();
      }
    },
    240_000,
  );

  /** A dead file's copy that the reaper has decided to delete: it stands just before that. */
  async function aboutToDelete(name: string, content: string) {
    const path = reaping.path(name);
    writeFileSync(path, content);
    await reaping.rig.archive(path);
    await reaping.once();
    reaping.hold('old.examined');
    const follower = await reaping.follow();
    unlinkSync(path);
    await reaping.held('old.examined');
    return { path, follower };
  }

  test('a deletion that was decided on before finds another ETag, and the file is whole', async () => {
    const { path, follower } = await aboutToDelete('f', 'kept');
    const { stdout } = await reaping.sandbox.run(['undelete', '--json', path]);
    expect(JSON.parse(stdout).counts).toMatchObject({ restored: 1 });
    reaping.letAllGo();
    await waitUntil('the reaper has gone on', () => follower.log.text().includes('could not be removed'));
    expect(await read(path)).toBe('kept');
    await reaping.mirrored();
    await follower.stop();
  });

  test('what the reaper deletes first is lost, and no empty shell of a file is left', async () => {
    const { path, follower } = await aboutToDelete('g', 'lost');
    writeFileSync(join(reaping.rig.steps, 'held'), '');
    const undeleting = reaping.sandbox.startService(['undelete', '--json', path], {
      LFSAZSYNC_TEST_STEPS: reaping.rig.steps,
    });
    await reaping.held('held');
    rmSync(join(reaping.rig.steps, 'old.examined.reached'));
    await waitUntil('the blob is deleted', async () => (await reaping.rig.content(path)) === undefined);
    reaping.letAllGo();
    expect((await undeleting.exited()).exitCode).toBe(1);
    expect(undeleting.log.text()).toContain('"gone": 1');
    expect(existsSync(path)).toBe(false);
    await follower.stop();
  });
});
