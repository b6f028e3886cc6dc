import {
  chmodSync,
  chownSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { waitUntil } from '../../support/wait.ts';
import { RELEASED, read } from '../copytool/fixture.ts';
import { FollowRig } from './rig.ts';

// What the running follower carries to the container, in both dialects of changelog records, with the mask of the
// original deployment: no XATTR, no LYOUT.
const MASK = 'CREAT MKDIR HLINK SLINK MKNOD UNLNK RMDIR RENME RNMTO CLOSE TRUNC SATTR MTIME CTIME HSM';

describe.each(['2.15', '2.17'] as const)('Lustre %s', (version) => {
  let it: FollowRig;
  let round = 0;
  const at = (...names: string[]) => it.path(`t${round}`, ...names);
  beforeAll(async () => {
    it = await FollowRig.start({ version, standInOnly: true });
    const { exitCode, stderr } = await it.sandbox.serverLctl(['set_param', `mdd.*.changelog_mask=${MASK}`]);
    expect(exitCode, stderr).toBe(0);
    await it.follow();
  });
  afterAll(() => it?.stop());

  const fresh = () => {
    round += 1;
    mkdirSync(at());
  };
  const archived = async (name: string, content: string) => {
    const path = it.rig.write(join(`t${round}`, name), content);
    await it.rig.archive(path);
    return path;
  };

  test('directories, with owner, group, mode and time; symlinks made, replaced and removed', async () => {
    fresh();
    mkdirSync(at('d'));
    mkdirSync(at('d', 'sub'));
    symlinkSync('target', at('one'));
    symlinkSync('gone', at('two'));
    await it.mirrored();
    chmodSync(at('d', 'sub'), 0o3711);
    chownSync(at('d'), 1234, 4321);
    utimesSync(at('d'), 1_000_000_000, 1_000_000_000);
    // `ln -sfn`: a new one over the old one.
    symlinkSync('other target', at('.new'));
    renameSync(at('.new'), at('one'));
    lutimesSync(at('one'), 1_100_000_000, 1_100_000_000);
    unlinkSync(at('two'));
    mkdirSync(at('gone'));
    rmdirSync(at('gone'));
    await it.mirrored();
    rmSync(at('d'), { recursive: true });
    await it.mirrored();
  });

  test('hard links, and the canonical name moving on; attributes of archived files', async () => {
    fresh();
    const path = await archived('a', 'linked');
    linkSync(path, at('b'));
    mkdirSync(at('d'));
    linkSync(path, at('d', 'c'));
    await it.mirrored();
    chmodSync(path, 0o6755);
    chownSync(path, 7, 8);
    chmodSync(path, 0o6755);
    await it.mirrored();
    utimesSync(path, 1_200_000_000, 1_200_000_000);
    unlinkSync(path);
    await it.mirrored();
    renameSync(at('d', 'c'), at('e'));
    unlinkSync(at('b'));
    await it.mirrored();
    await it.rig.release(at('e'));
    expect(await read(at('e'))).toBe('linked');
  });

  test('renames: over files, swaps, chains, a new file at the old name, all while nobody looks', async () => {
    fresh();
    for (const name of ['a', 'b', 'c', 'd', 'e', 'victim']) await archived(name, `content of ${name}`);
    for (const name of ['a', 'b', 'c']) await it.rig.release(at(name));
    await it.follower.stop();
    renameSync(at('a'), at('x'));
    renameSync(at('b'), at('a'));
    renameSync(at('x'), at('b'));
    renameSync(at('c'), at('c1'));
    renameSync(at('c1'), at('c2'));
    mkdirSync(at('sub'));
    renameSync(at('c2'), at('sub', 'c3'));
    renameSync(at('d'), at('victim'));
    renameSync(at('e'), at('moved'));
    await it.follow();
    // Only archived when the old one has made room.
    const other = it.rig.write(`t${round}/e`, 'another e');
    await it.rig.lfs('hsm_archive', other);
    await it.mirrored();
    for (const [name, content] of [
      ['a', 'content of b'],
      ['b', 'content of a'],
      ['sub/c3', 'content of c'],
    ] as const)
      expect(await read(at(name))).toBe(content);
    expect(await read(at('victim'))).toBe('content of d');
  });

  test('an archive that is refused because another file’s copy is at its name is asked for again', async () => {
    fresh();
    await archived('name', 'first');
    await it.follower.stop();
    renameSync(at('name'), at('elsewhere'));
    const second = it.rig.write(`t${round}/name`, 'second');
    const refused = await it.rig.ask('archive', second);
    expect(refused.record).toMatchObject({ outcome: 'failed', code: 'other-file' });
    // Its name is free again only if its owner steps aside: it was modified, and keeps the copy that it has until then.
    writeFileSync(at('elsewhere'), 'first, modified');
    await it.follow();
    await waitUntil('the second file is archived', async () => (await it.rig.states(second)) === 0x9);
    expect(await it.rig.content(second)).toBe('second');
    await it.rig.archive(at('elsewhere'));
    await it.mirrored();
  });

  test('a directory that moves back while what is in it is being moved', async () => {
    fresh();
    mkdirSync(at('here'));
    for (const name of ['a', 'b']) await archived(`here/${name}`, `content of ${name}`);
    await it.mirrored();
    // By then everything below has been told to move, and has moved or will.
    it.hold('marker.written');
    renameSync(at('here'), at('there'));
    await it.held('marker.written');
    await it.statusWhere('all below has moved', ({ journal }) => journal.waiting <= 1);
    renameSync(at('there'), at('here'));
    await it.statusWhere(
      'the move back is seen',
      ({ mdts, marks }) => marks.count === 0 && mdts.every(({ lag }) => lag.caughtUp),
    );
    it.letAllGo();
    await it.mirrored();
    expect(await it.rig.content(at('here', 'a'))).toBe('content of a');
  });

  test('deletions; open files; special files are told, and are no error', async () => {
    fresh();
    await archived('a', 'going');
    await archived('b', 'going, too');
    await it.rig.release(at('b'));
    for (const [args, name] of [
      [['-m', '600'], 'p'],
      [['-m', '644'], 'c'],
    ] as const)
      await it.sandbox.exec(name === 'p' ? 'mkfifo' : 'mknod', [
        ...args,
        at(name),
        ...(name === 'p' ? [] : ['c', '1', '3']),
      ]);
    await it.mirrored();
    rmSync(at('a'));
    rmSync(at('b'));
    await it.mirrored();
    const figures = await it.statusWhere('special files are counted', ({ specialFiles }) => specialFiles.fifo === 1);
    expect(figures.specialFiles).toEqual({ fifo: 1, chr: 1, blk: 0, sock: 0 });
    expect(figures).toMatchObject({ journal: { quarantined: 0 }, unnameable: { count: 0 }, brake: { engaged: false } });
  });

  test('what was archived and deleted while nobody looked leaves nothing', async () => {
    fresh();
    await it.follower.stop();
    mkdirSync(at('d'));
    for (const name of ['d/a', 'd/b', 'd/c']) await archived(name, `content of ${name}`);
    unlinkSync(at('d', 'a'));
    renameSync(at('d', 'c'), at('d', 'b'));
    await it.follow();
    await it.mirrored();
  });

  test('a directory of hundreds of released files is renamed without their data passing through here', async () => {
    fresh();
    const count = 300;
    mkdirSync(at('big'));
    for (let n = 0; n < count; n += 1) writeFileSync(at('big', `f${n}`), `content ${n}`);
    const done = await it.sandbox.run(['archive', '--wait', '--recursive', at('big')]);
    expect(done, done.stderr).toMatchObject({ exitCode: 0 });
    const released = await it.sandbox.run(['release', '--recursive', at('big')]);
    expect(released, released.stderr).toMatchObject({ exitCode: 0 });
    await it.mirrored();
    const restores = () => it.rig.copytool.log.find(({ record }) => record?.['action'] === 'restore').length;
    const before = restores();
    mkdirSync(at('other'));
    renameSync(at('big'), at('other', 'moved'));
    await it.mirrored(120_000);
    expect(restores()).toBe(before);
    expect(await it.rig.states(at('other', 'moved', 'f7'))).toBe(RELEASED);
    for (let n = 0; n < count; n += 37)
      expect(readFileSync(at('other', 'moved', `f${n}`), 'utf8')).toBe(`content ${n}`);
  });
});
