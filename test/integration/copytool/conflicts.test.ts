import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import {
  mkdirSync,
  renameSync,
  rmdirSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LOCATION_XATTR, RECORD_XATTR } from '../../../src/identity/file-record.ts';
import { RELEASED, Rig, read } from './fixture.ts';

let rig: Rig;
beforeAll(async () => {
  rig = await Rig.start();
});
afterAll(() => rig?.stop());

/** Puts a blob at a file's name by another program's hands. */
async function put(path: string, content: string, metadata: Record<string, string> = {}): Promise<void> {
  await rig.sandbox.containerClient
    .getBlockBlobClient(rig.sandbox.blobName(path))
    .upload(content, content.length, { metadata });
}

describe('where another blob is in the way', () => {
  test('of a living file: EAGAIN, and both contents stay within reach', async () => {
    const first = rig.write('a', 'content of the first');
    await rig.archive(first);
    const moved = rig.path('a.moved');
    renameSync(first, moved);
    const second = rig.write('a', 'content of the second');
    const line = await rig.ask('archive', second);
    expect(line.record).toMatchObject({ outcome: 'failed', code: 'other-file', errno: 'EAGAIN' });
    expect(await rig.content(second)).toBe('content of the first');
    expect(rig.copytool.log.find(({ record }) => record?.['reason'] === 'in-the-way')).not.toEqual([]);
    await rig.release(moved);
    expect(await read(moved)).toBe('content of the first');
    expect(await read(second)).toBe('content of the second');
  });

  test('two files that swap their names keep their own contents', async () => {
    const [x, y] = [rig.write('x', 'was x'), rig.write('y', 'was y')];
    await rig.archiveAndRelease(x);
    await rig.archiveAndRelease(y);
    renameSync(x, rig.path('z'));
    renameSync(y, x);
    renameSync(rig.path('z'), y);
    expect([await read(x), await read(y)]).toEqual(['was y', 'was x']);
  });

  test('of a dead file of ours: overwritten', async () => {
    const path = rig.write('dead', 'of the dead');
    await rig.archive(path);
    unlinkSync(path);
    writeFileSync(path, 'of the living');
    await rig.archive(path);
    expect(await rig.content(path)).toBe('of the living');
    expect(rig.audit().at(-1)).toContain("dead file's copy");
  });

  test('an editor’s save by renaming over: the new file’s content wins', async () => {
    const path = rig.write('document', 'saved once');
    await rig.archive(path);
    renameSync(rig.write('document.new', 'saved twice'), path);
    await rig.archiveAndRelease(path);
    expect(await read(path)).toBe('saved twice');
  });

  test('of a stranger: refused, and the stranger’s blob stays', async () => {
    const path = rig.write('stranger', 'ours');
    await put(path, 'not ours');
    expect((await rig.ask('archive', path)).record).toMatchObject({
      outcome: 'failed',
      code: 'stranger',
      errno: 'EEXIST',
    });
    expect(await rig.content(path)).toBe('not ours');
  });

  test('of another file system, with the same FID: refused', async () => {
    const path = rig.write('twin', 'ours');
    const fid = await rig.fid(path);
    await put(path, 'theirs', {
      lfsazsync_fs: randomUUID(),
      lfsazsync_fid: fid,
      lfsazsync_kind: 'file',
      lfsazsync_size: '6',
    });
    expect((await rig.ask('archive', path)).record).toMatchObject({ outcome: 'failed', code: 'stranger' });
    expect(await rig.content(path)).toBe('theirs');
  });

  test('a marker of a directory that is gone, or has moved: overwritten', async () => {
    for (const name of ['was-dir', 'moved-dir']) {
      const inside = rig.write(`${name}/inside`, 'x');
      await rig.archive(inside);
      const directory = rig.path(name);
      if (name === 'was-dir') {
        unlinkSync(inside);
        rmdirSync(directory);
      } else renameSync(directory, rig.path('moved-on'));
      writeFileSync(directory, 'a file now');
      await rig.archive(directory);
      expect(await rig.content(directory)).toBe('a file now');
    }
  });

  test('a leased blob: EBUSY, in words', async () => {
    const path = rig.write('leased', 'first');
    await rig.archive(path);
    const lease = rig.blob(path).getBlobLeaseClient();
    await lease.acquireLease(60);
    writeFileSync(path, 'second');
    expect((await rig.ask('archive', path)).record).toMatchObject({
      outcome: 'failed',
      code: 'blob-leased',
      errno: 'EBUSY',
    });
    await lease.releaseLease();
    await rig.archive(path);
    expect(await rig.content(path)).toBe('second');
  });

  test('a blob that comes during the upload: looked at again, not overwritten', async () => {
    const path = rig.write('late-stranger', 'ours');
    const { fid, after } = await rig.archiveHeldAt('archive.verified', path);
    await put(path, 'came late');
    rig.letGo('archive.verified');
    expect((await rig.ended('archive', fid, after)).record).toMatchObject({ outcome: 'failed', code: 'stranger' });
    expect(await rig.content(path)).toBe('came late');
  });

  test('a change of metadata during the upload: looked at again, and committed', async () => {
    const path = rig.write('chmod', 'first');
    await rig.archive(path);
    writeFileSync(path, 'second');
    const { fid, after } = await rig.archiveHeldAt('archive.verified', path);
    const { metadata } = await rig.blob(path).getProperties();
    await rig.blob(path).setMetadata({ ...metadata, permissions: '0600' });
    rig.letGo('archive.verified');
    expect((await rig.ended('archive', fid, after)).record).toMatchObject({ outcome: 'ok' });
    expect(await rig.content(path)).toBe('second');
  });
});

describe('whose copy is it', () => {
  test('a file made by cp -a carries another’s record, which is not believed', async () => {
    const original = rig.write('original', 'same length 1');
    await rig.archive(original);
    const copy = rig.path('copied');
    execFileSync('cp', ['-a', '--preserve=all', original, copy]);
    expect((await rig.record(copy))?.fid).toBe(await rig.fid(original));
    writeFileSync(copy, 'same length 2');
    await rig.archiveAndRelease(copy);
    expect((await rig.record(copy))?.fid).toBe(await rig.fid(copy));
    await rig.release(original);
    expect([await read(original), await read(copy)]).toEqual(['same length 1', 'same length 2']);
  });

  test('a released file whose record is lost is found at its path, counted, and gets its record back', async () => {
    const path = rig.write('stripped', 'still here');
    await rig.archiveAndRelease(path);
    const record = await rig.record(path);
    await rig.fs.files.removeXattr(await rig.fid(path), RECORD_XATTR);
    expect(await read(path)).toBe('still here');
    expect(await rig.record(path)).toMatchObject({
      fid: record?.fid,
      generation: (record as { generation?: unknown }).generation,
      size: 10n,
    });
    expect((await rig.ended('restore', await rig.fid(path))).record).toMatchObject({ recognised: 'fallback' });
  });

  test('a released file that carries another’s record (rsync -X) is not taken for that one', async () => {
    const [path, other] = [rig.write('mine', 'my content'), rig.write('other', 'not yours!')];
    await rig.archiveAndRelease(path);
    await rig.archive(other);
    const theirs = await rig.fs.files.get({ path: Buffer.from(other) }, { parts: ['xattrs'], xattrs: [RECORD_XATTR] });
    await rig.fs.files.setXattr(await rig.fid(path), RECORD_XATTR, theirs.xattrs?.get(RECORD_XATTR) ?? Buffer.alloc(0));
    expect(await read(path)).toBe('my content');
  });

  test('a lying hint of the place is not believed', async () => {
    const [path, other] = [rig.write('hinted', 'true content'), rig.write('liar', 'lies content')];
    await rig.archiveAndRelease(path);
    await rig.archive(other);
    await rig.fs.files.setXattr(await rig.fid(path), LOCATION_XATTR, Buffer.from(rig.sandbox.blobName(other)));
    expect(await read(path)).toBe('true content');
  });

  test('a copy that was moved is found by the hint', async () => {
    const path = rig.write('followed', 'moved by the follower');
    await rig.archiveAndRelease(path);
    const { metadata } = await rig.blob(path).getProperties();
    const elsewhere = rig.path('somewhere-else');
    await put(elsewhere, 'moved by the follower', metadata);
    await rig.blob(path).delete();
    await rig.fs.files.setXattr(await rig.fid(path), LOCATION_XATTR, Buffer.from(rig.sandbox.blobName(elsewhere)));
    expect(await read(path)).toBe('moved by the follower');
  });
});

describe('a restore gives back the right bytes or an error, never anything else', () => {
  const damages: [string, (path: string) => Promise<unknown>, string][] = [
    ['is gone', (path) => rig.blob(path).delete(), 'copy-missing'],
    ['was replaced by a stranger', (path) => put(path, 'the archived bytes'), 'copy-missing'],
    [
      'has other bytes under the same metadata',
      async (path) => put(path, 'the ARCHIVED bytes', (await rig.blob(path).getProperties()).metadata),
      'checksum',
    ],
    [
      'is cut short under the same metadata',
      async (path) => put(path, 'the archived', (await rig.blob(path).getProperties()).metadata),
      'copy-missing',
    ],
    [
      'is an older version',
      async (path) => {
        const { metadata } = await rig.blob(path).getProperties();
        await put(path, 'the archived BYTES', { ...metadata, lfsazsync_gen: `0-${randomUUID()}` });
      },
      'copy-missing',
    ],
    [
      'belongs to another file',
      async (path) => {
        const { metadata } = await rig.blob(path).getProperties();
        await put(path, 'the archived bytes', { ...metadata, lfsazsync_fid: '0x200000777:0x1:0x0' });
      },
      'copy-missing',
    ],
    [
      'claims a later version with other content',
      async (path) => {
        const { metadata } = await rig.blob(path).getProperties();
        const later = {
          lfsazsync_gen: `9-${randomUUID()}`,
          lfsazsync_crc64: '0123456789abcdef',
          lfsazsync_mtime: '1.000000000',
        };
        await put(path, 'the ARCHIVED bytes', { ...metadata, ...later });
      },
      'copy-missing',
    ],
  ];
  test.each(damages)('the copy %s', async (what, damage, code) => {
    const path = rig.write(`damaged: ${what}`, 'the archived bytes');
    await rig.archiveAndRelease(path);
    const fid = await rig.fid(path);
    await damage(path);
    const after = rig.copytool.lines.length;
    expect(await read(path)).toMatch(/^E[A-Z]+$/);
    const { record } = await rig.ended('restore', fid, after);
    expect(record).toMatchObject({ outcome: 'failed', code });
    if (code === 'copy-missing') expect(String(record?.['reason'])).toContain(rig.sandbox.blobName(path));
    expect(await rig.states(path)).toBe(RELEASED);
    expect(statSync(path).size).toBe(18);
  });

  test('a copy that comes back within the time for looking is found', async () => {
    const path = rig.write('late', 'patience');
    await rig.archiveAndRelease(path);
    const { metadata } = await rig.blob(path).getProperties();
    await rig.blob(path).delete();
    const after = rig.copytool.lines.length;
    const reading = read(path);
    await rig.copytool.waitFor('copy not found yet', { after });
    await put(path, 'patience', metadata);
    expect(await reading).toBe('patience');
  });

  test('a metadata change during the restore does not disturb it, a replacement does', async () => {
    for (const [name, expected] of [
      ['chmodded', /^same bytes$/],
      ['replaced', /^E[A-Z]+$/],
    ] as const) {
      const path = rig.write(name, 'same bytes');
      await rig.archiveAndRelease(path);
      rig.hold('restore.located');
      const reading = read(path);
      await rig.held('restore.located');
      const { metadata } = await rig.blob(path).getProperties();
      if (name === 'chmodded') await rig.blob(path).setMetadata({ ...metadata, permissions: '0600' });
      else await put(path, 'evil bytes', { ...metadata, lfsazsync_fid: '0x200000777:0x1:0x0' });
      rig.letGo('restore.located');
      expect(await reading).toMatch(expected);
    }
  });
});

test('a symlink, a directory and a half-made file are not archived', async () => {
  symlinkSync('x', rig.path('link'));
  mkdirSync(rig.path('directory'));
  const names = await rig.blobNames();
  await rig.sandbox.lfs(['hsm_archive', rig.path('directory')]);
  expect(await rig.blobNames()).toEqual(names);
});

test('a file system’s truncate of a released file brings it back first', async () => {
  const path = rig.write('truncated', 'only a part of this');
  await rig.archiveAndRelease(path);
  truncateSync(path, 6);
  expect(await read(path)).toBe('only a');
});
