import { type FileHandle, lstat, open, readFile, rename, rm, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { startSandbox } from '../../support/sandbox.ts';
import { seam } from '../../support/seam-tool.ts';
import { waitUntil } from '../../support/wait.ts';
import { useFollowing } from './following.ts';
import { RELEASED } from './lessons.ts';

describe('what is deleted is provably dead', () => {
  const following = useFollowing();

  it('lessons 2, 3: a name that was given to another file keeps its blob, whoever slept meanwhile', async () => {
    const it = following.it;
    for (const name of ['saved', 'made again', 'taken']) await it.write(`editor/${name}`, `old ${name}`);
    await it.write('editor/mover');
    await it.archive();
    await it.inStep();
    await it.follower.stop();
    // As editors save; deleted and made again; another archived file renamed over it.
    await it.write('editor/saved~', 'new saved');
    await rename(it.path('editor/saved~'), it.path('editor/saved'));
    await unlink(it.path('editor/made again'));
    await it.write('editor/made again', 'new one');
    await rename(it.path('editor/mover'), it.path('editor/taken'));
    await it.archive();
    await it.release();
    await it.follower.start();
    await it.inStep();
    expect(await readFile(it.path('editor/saved'), 'utf8')).toBe('new saved');
    expect(await readFile(it.path('editor/made again'), 'utf8')).toBe('new one');
    expect(await readFile(it.path('editor/taken'), 'utf8')).toBe('content of editor/mover');
  });

  it('what is archived and removed, directories and all, before anybody looked at it leaves nothing behind', async () => {
    const it = following.it;
    await it.idle();
    await it.follower.stop();
    const before = (await it.container()).length;
    // Lesson 19: what is looked for by names alone is found whatever these are.
    for (const name of ['file', 'x s=[0x200000401:0x1:0x0] y', 'new\nline 12 06UNLNK', 'quo"te\\, %41'])
      await it.write(join('short', name, name));
    await it.archive();
    expect(await it.container()).toHaveLength(before + 9);
    await rm(it.path('short'), { recursive: true });
    await it.follower.start();
    await it.inStep();
  });

  it('lesson 6: what is done to `foo` is not done to `foobar`', async () => {
    const it = following.it;
    for (const name of ['foo/a', 'foobar/a', 'foo.b', 'foo b/a']) await it.write(`prefix/${name}`);
    await it.archive();
    await it.inStep();
    await rename(it.path('prefix/foo'), it.path('prefix/fo'));
    await it.inStep();
    await rm(it.path('prefix/fo'), { recursive: true });
    await it.inStep();
    expect((await it.container()).filter((line) => line.includes('foobar/a'))).toHaveLength(1);
  });

  it('lesson 21: files that are deleted while they are open go when they are closed, and hold up nobody', async () => {
    const it = following.it;
    const held: FileHandle[] = [];
    for (let file = 0; file < 60; file++) held.push(await open(await it.write(`open/${file}`), 'r'));
    await it.archive();
    await it.inStep();
    for (let file = 0; file < 60; file++) await unlink(it.path(`open/${file}`));
    await it.write('open/last');
    await it.archive();
    // The others are alive, and keep their copies; this one is carried over beside them.
    await waitUntil('the last one has its blob', async () =>
      (await it.container()).some((line) => line.includes('open/last')),
    );
    const { journal } = await it.status();
    expect(journal.quarantined).toBe(0);
    // Each is looked at again and again, ever more seldom.
    await waitUntil('they wait to be looked at again', async () => {
      const { stdout } = await it.run('journal', 'list', '--json', '--limit', '1000');
      const { entries } = JSON.parse(stdout) as { entries: { reasons: string[] }[] };
      return entries.filter(({ reasons }) => reasons.includes('look')).length === 60;
    });
    for (const file of held) await file.close();
    await it.inStep();
    expect((await it.status()).journal.quarantined).toBe(0);
  });

  it('lesson 44: attributes of ours that are copied to another file, or stripped, lead nobody astray', async () => {
    const it = following.it;
    const path = await it.write('copied/original', 'the content');
    await it.archive();
    await it.release();
    await it.inStep();
    const before = (await it.container()).filter((line) => line.includes('original'));
    await it.sandbox.exec('cp', ['-a', '--reflink=never', path, it.path('copied/copy')]);
    await it.sandbox.exec('cp', ['-a', '--reflink=never', path, it.path('copied/copy that goes')]);
    // It is known what both say of themselves, before one of them goes.
    await it.idle();
    await unlink(it.path('copied/copy that goes'));
    await it.archive();
    await it.inStep();
    await it.release();
    await unlink(it.path('copied/copy'));
    await it.inStep();
    expect((await it.container()).filter((line) => line.includes('original'))).toEqual(before);
    // As `rsync -X` does: released, and without our record.
    expect((await seam(['removexattr', path, 'trusted.lfsazsync'])).rc).toBe(0);
    await it.idle();
    expect(await it.findings()).toEqual([]);
    expect(await readFile(path, 'utf8')).toBe('the content');
    await it.release();
    await rename(path, it.path('copied/renamed'));
    await it.inStep();
    expect(await readFile(it.path('copied/renamed'), 'utf8')).toBe('the content');
  });
});

describe('a file system that is not there', () => {
  const following = useFollowing();

  it('lesson 4: unmounted in the middle, or another one in its place: nothing is deleted', async () => {
    const it = following.it;
    const { mount } = it.sandbox;
    for (let file = 0; file < 20; file++) await it.write(`there/${file}`);
    await it.archive();
    await it.release();
    await it.inStep();
    await it.idle();
    // There is something to do about every one of them.
    await it.follower.stop();
    await rename(it.path('there'), it.path('there, moved'));
    for (let file = 0; file < 10; file++) await unlink(it.path(`there, moved/${file}`));
    await it.follower.start();
    await it.sandbox.exec('umount', ['-l', mount]);
    const all = await it.container();
    const refused = async (env: NodeJS.ProcessEnv) => {
      for (const argv of [['changelog-follow', '--once'], ['scan']]) {
        const { exitCode } = await it.sandbox.run(argv, { env });
        expect(exitCode, argv.join(' ')).not.toBe(0);
      }
      // It looks at the container and the catalog alone, and proposes.
      await it.sandbox.run(['sweep'], { env });
    };
    // Killed in the middle of it: whatever is begun on the empty directory deletes nothing.
    await it.follower.process.crash();
    await it.untouched(3_000, () => refused({}));
    // A second Lustre, empty, under the same path.
    await using other = await startSandbox({ standInOnly: true, endpoint: false });
    await it.sandbox.exec('mount', ['--bind', other.mount, mount]);
    try {
      await it.untouched(3_000, () => refused({ LUSTRE_SIM_DIR: other.env['LUSTRE_SIM_DIR'] }));
    } finally {
      await it.sandbox.exec('umount', [mount]);
    }
    expect(await it.container()).toEqual(all);
  });
});

describe('a catalog that is lost', () => {
  const following = useFollowing();

  it('costs a scan and a sweep, and nothing else; no orphans stay', async () => {
    const it = following.it;
    for (let file = 0; file < 12; file++) await it.write(`lost/${file}`);
    await it.archive();
    await it.release();
    await it.inStep();
    await it.follower.stop();
    const read = (await lstat(it.path('lost/0'))).blocks;
    // What happens while nobody knows anything: renamed, replaced, deleted.
    await rename(it.path('lost/0'), it.path('lost/renamed'));
    await rename(it.path('lost/1'), it.path('lost/2'));
    for (const file of [3, 4, 5]) await unlink(it.path(`lost/${file}`));
    await it.write('lost/3', 'a new one');
    await rm(join(it.sandbox.dir, 'state', 'catalog.db'));
    for (const suffix of ['-wal', '-shm'])
      await rm(join(it.sandbox.dir, 'state', `catalog.db${suffix}`), { force: true });
    await it.archive();
    await it.run('scan');
    await it.run('sweep');
    await it.run('changelog-follow', '--once');
    expect(await it.findings()).toEqual([]);
    expect((await lstat(it.path('lost/renamed'))).blocks).toBe(read);
    const { stdout } = await it.sandbox.lfs(['hsm_state', it.path('lost/renamed')]);
    expect(Number(/\((0x[0-9a-f]+)\)/.exec(stdout)?.[1])).toBe(RELEASED);
    await writeFile(it.path('lost/after'), '');
  });
});
