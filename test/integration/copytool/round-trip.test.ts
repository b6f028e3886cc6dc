import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  closeSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { blobNameOf } from '../../../src/blob/naming.ts';
import { HSM } from '../../../src/lustre/hsm-state.ts';
import { waitUntil } from '../../support/wait.ts';
import { CLEAN, mtimeOf, RELEASED, Rig, read } from './fixture.ts';

let rig: Rig;
beforeAll(async () => {
  // Blocks and ranges small enough that a few megabytes are many of them.
  rig = await Rig.start({
    config: { copytool: { block_size: '256KiB', range_size: '192KiB', max_bytes_in_flight: '4MiB' } },
  });
});
afterAll(() => rig?.stop());

describe('a file that is archived', () => {
  test('is in the container with its content and who it is, and says so itself', async () => {
    const path = rig.write('plain/file.txt', 'hello');
    chmodSync(path, 0o4640);
    chownSync(path, 1000, 1001);
    utimesSync(path, 1_500_000_000, 1_500_000_001);
    chmodSync(path, 0o4640);
    await rig.archive(path);
    expect(await rig.states(path)).toBe(CLEAN);
    expect(await rig.content(path)).toBe('hello');
    const { metadata, contentLength } = await rig.blob(path).getProperties();
    const fid = await rig.fid(path);
    expect(contentLength).toBe(5);
    expect(metadata).toMatchObject({
      owner: '1000',
      group: '1001',
      permissions: '0640',
      lfsazsync_mode: '4640',
      modtime: '2017-07-14 02:40:01 +0000',
      lfsazsync_kind: 'file',
      lfsazsync_fid: fid,
      lfsazsync_fs: await rig.fs.readUuid(),
      lfsazsync_size: '5',
    });
    const record = await rig.record(path);
    expect(record).toMatchObject({
      fid,
      size: 5n,
      crc64: metadata?.['lfsazsync_crc64'],
      at: rig.sandbox.blobName(path),
    });
    expect(metadata?.['lfsazsync_gen']).toMatch(/^1-/);
  });

  test('shows the directories above it', async () => {
    const path = rig.write('deep/er/est/file', 'x');
    chmodSync(join(path, '..'), 0o1775);
    await rig.archive(path);
    for (const up of ['..', '../..', '../../..']) {
      const directory = join(path, up);
      const { metadata, contentLength } = await rig.blob(directory).getProperties();
      expect([contentLength, metadata?.['hdi_isfolder'], metadata?.['lfsazsync_kind']]).toEqual([0, 'true', 'dir']);
      expect(metadata?.['lfsazsync_fid']).toBe(await rig.fid(directory));
    }
    const { metadata } = await rig.blob(join(path, '..')).getProperties();
    expect(metadata?.['permissions']).toBe('1775');
  });

  test('again, unchanged, is not read and not written again', async () => {
    const path = rig.write('again', 'same');
    await rig.archive(path);
    const before = await rig.blob(path).getProperties();
    const fid = await rig.fid(path);
    await rig.fs.files.setHsm(fid, { set: HSM.DIRTY });
    await rig.fs.files.setHsm(fid, { clear: HSM.DIRTY });
    // lfs asks for nothing when a file is clean; the coordinator may all the same, so it is made to.
    const line = await forceArchive(path);
    if (line !== undefined) expect(line.record).toMatchObject({ outcome: 'ok', note: 'already archived', bytes: 0 });
    expect((await rig.blob(path).getProperties()).etag).toBe(before.etag);
  });

  test('again, changed, replaces its copy with a higher sequence, and the audit log knows', async () => {
    const path = rig.write('changed', 'first');
    await rig.archive(path);
    writeFileSync(path, 'second, longer');
    expect((await rig.states(path)) & HSM.DIRTY).toBe(HSM.DIRTY);
    await rig.archive(path);
    expect(await rig.content(path)).toBe('second, longer');
    expect((await rig.blob(path).getProperties()).metadata?.['lfsazsync_gen']).toMatch(/^2-/);
    const fid = await rig.fid(path);
    expect(rig.audit().filter((line) => line.includes('"overwrite"') && line.includes(fid))).toHaveLength(1);
  });
});

/** Asks for an archive although the file is clean; undefined where the coordinator itself says no. */
async function forceArchive(path: string) {
  const fid = await rig.fid(path);
  const after = rig.copytool.lines.length;
  await rig.lfs('hsm_archive', path);
  const marker = rig.write(`marker-${randomBytes(4).toString('hex')}`, 'x');
  await rig.archive(marker);
  return rig.copytool.log.find(({ record }) => record?.['fid'] === fid && record['outcome'] !== undefined, after)[0];
}

describe('a file that is released', () => {
  test('comes back when it is read, exactly', async () => {
    const path = rig.write('implicit', 'read me');
    utimesSync(path, 1_500_000_000, 1_500_000_000);
    await rig.archiveAndRelease(path);
    expect(statSync(path).size).toBe(7);
    expect(await read(path)).toBe('read me');
    expect(await rig.states(path)).toBe(CLEAN);
    expect(mtimeOf(path)).toBe(1_500_000_000);
  });

  test('comes back when that is asked for', async () => {
    const path = rig.write('explicit', 'restore me');
    await rig.archiveAndRelease(path);
    const line = await rig.ask('restore', path);
    expect(line.record).toMatchObject({ outcome: 'ok', bytes: 10, blob: rig.sandbox.blobName(path) });
    await waitUntil('the file is resident', async () => (await rig.states(path)) === CLEAN);
    expect(readFileSync(path, 'utf8')).toBe('restore me');
  });

  test('can be released again without another archive, and comes back again', async () => {
    const path = rig.write('twice', 'again and again');
    await rig.archiveAndRelease(path);
    expect(await read(path)).toBe('again and again');
    await rig.release(path);
    expect(await read(path)).toBe('again and again');
  });

  test('read by many at once comes back once for all', async () => {
    const path = rig.write('many', 'for all');
    await rig.archiveAndRelease(path);
    expect(await Promise.all(Array.from({ length: 8 }, () => read(path)))).toEqual(Array(8).fill('for all'));
  });

  test('is not archived from nothing: an archive leaves it and its copy as they are', async () => {
    const path = rig.write('stays', 'only copy');
    await rig.archiveAndRelease(path);
    const { etag } = await rig.blob(path).getProperties();
    await rig.lfs('hsm_archive', path);
    const other = rig.write('stays-other', 'x');
    await rig.archive(other);
    expect(await rig.states(path)).toBe(RELEASED);
    expect((await rig.blob(path).getProperties()).etag).toBe(etag);
    expect(await read(path)).toBe('only copy');
  });
});

describe('contents', () => {
  test.each<[string, () => Buffer]>([
    ['of one byte', () => Buffer.from('x')],
    ['of exactly one block', () => randomBytes(256 * 1024)],
    ['of one byte more than a block', () => randomBytes(256 * 1024 + 1)],
    ['of many blocks and an odd rest', () => randomBytes(5 * 1024 * 1024 + 12_345)],
    ['of zeros', () => Buffer.alloc(3 * 1024 * 1024)],
  ])('%s come back byte by byte', async (what, make) => {
    const content = make();
    const path = rig.write(`content ${what}`, content);
    await rig.archiveAndRelease(path);
    expect(readFileSync(path).equals(content)).toBe(true);
  });

  test('an empty file is archived, and restored when it was released', async () => {
    const path = rig.write('empty', '');
    await rig.archive(path);
    expect(await rig.content(path)).toBe('');
    await rig.lfs('hsm_release', path);
    expect(await read(path)).toBe('');
  });

  test('holes come back as holes, data between them as data', async () => {
    const path = rig.path('sparse');
    const file = openSync(path, 'w');
    writeSync(file, 'begin', 0);
    writeSync(file, 'middle', 4 * 1024 * 1024);
    ftruncateSync(file, 8 * 1024 * 1024);
    closeSync(file);
    const content = readFileSync(path);
    await rig.archiveAndRelease(path);
    expect(readFileSync(path).equals(content)).toBe(true);
    expect(statSync(path).blocks * 512).toBeLessThan(2 * 1024 * 1024);
  });
});

describe('names', () => {
  test.each<[string, Buffer]>([
    ['with a newline', Buffer.from('new\nline')],
    ['with quotes, backslash and dollar', Buffer.from(`q'"\\$x\``)],
    ['that is not UTF-8', Buffer.from([0x61, 0xff, 0xfe])],
    ['ending in a dot', Buffer.from('end.')],
    ['of 255 bytes', Buffer.alloc(255, 0x6e)],
    ['that looks escaped', Buffer.from('100%25%2E')],
    ['in Japanese, with spaces', Buffer.from(' 日本 語 ')],
    ['like an option', Buffer.from('-rf')],
    ['with a question mark and a hash', Buffer.from('a?b#c&d=%')],
  ])('a file %s comes and goes like any other', async (_, name) => {
    const directory = rig.path('odd');
    mkdirSync(directory, { recursive: true });
    const path = Buffer.concat([Buffer.from(`${directory}/`), name]);
    writeFileSync(path, name);
    const { fid } = await rig.fs.files.get({ path }, { parts: [] });
    const after = rig.copytool.lines.length;
    const byFid = rig.fs.fidPath(fid);
    await rig.lfs('hsm_archive', byFid);
    expect((await rig.ended('archive', fid, after)).record).toMatchObject({ outcome: 'ok' });
    await waitUntil('archived', async () => (await rig.states(fid)) === CLEAN);
    const named = blobNameOf(path.subarray(rig.sandbox.mount.length + 1), '');
    if (!named.ok) throw new Error(named.reason);
    expect(await rig.blobNames()).toContain(named.name);
    await rig.lfs('hsm_release', byFid);
    expect(readFileSync(path).equals(name)).toBe(true);
  });

  test('a path that can’t be a blob’s name is refused with its reason, and nothing is uploaded', async () => {
    const directory = Array.from({ length: 5 }, () => 'd'.repeat(220)).join('/');
    const path = rig.write(`${directory}/file`, 'x');
    const line = await rig.ask('archive', path);
    expect(line.record).toMatchObject({ outcome: 'failed', code: 'name', errno: 'ENAMETOOLONG' });
    expect(String(line.record?.['reason'])).toMatch(/1024/);
    expect((await rig.states(path)) & HSM.ARCHIVED).toBe(0);
  });
});

describe('hard links', () => {
  test('are one copy, which every name brings back', async () => {
    const first = rig.write('links/b', 'linked');
    const second = rig.path('links/a');
    linkSync(first, second);
    await rig.archive(first);
    // Same parent: the lower name.
    expect([await rig.content(second), await rig.content(first)]).toEqual(['linked', undefined]);
    await rig.release(first);
    expect(await read(first)).toBe('linked');
  });

  test('stay where the copy is, whatever links come', async () => {
    const first = rig.write('links/z', 'older');
    await rig.archive(first);
    const second = rig.path('links/y');
    linkSync(first, second);
    writeFileSync(first, 'newer');
    await rig.archive(second);
    expect([await rig.content(second), await rig.content(first)]).toEqual([undefined, 'newer']);
    await rig.release(second);
    expect(await read(second)).toBe('newer');
  });

  test('move on when the name with the copy goes', async () => {
    const first = rig.write('links/m', 'version one');
    const second = rig.path('links/n');
    linkSync(first, second);
    await rig.archiveAndRelease(second);
    unlinkSync(first);
    // The copy is found by the record's hint, where no name of the file leads any more.
    expect(await read(second)).toBe('version one');
  });
});

describe('removing the copy', () => {
  test('deletes the blob of a resident file, and the audit log knows', async () => {
    const path = rig.write('removed', 'x');
    await rig.archive(path);
    const fid = await rig.fid(path);
    expect((await rig.ask('remove', path)).record).toMatchObject({ outcome: 'ok', blob: rig.sandbox.blobName(path) });
    expect(await rig.content(path)).toBeUndefined();
    await waitUntil('nothing is archived', async () => (await rig.states(path)) === 0);
    expect(rig.audit().filter((line) => line.includes('"delete"') && line.includes(fid))).toHaveLength(1);
    expect(await read(path)).toBe('x');
    await rig.archive(path);
    expect(await rig.content(path)).toBe('x');
  });

  test('of a released file is refused, and the copy stays', async () => {
    const path = rig.write('kept', 'only here');
    await rig.archiveAndRelease(path);
    const asked = await rig.sandbox.lfs(['hsm_remove', path]);
    if (asked.exitCode === 0) {
      const line = await rig.ended('remove', await rig.fid(path));
      expect(line.record).toMatchObject({ outcome: 'failed', errno: 'EBUSY' });
    }
    expect(await rig.content(path)).toBe('only here');
    expect(await read(path)).toBe('only here');
  });

  test('released just after the removal was asked for, it is refused all the same', async () => {
    const path = rig.write('raced', 'only here now');
    await rig.archive(path);
    const fid = await rig.fid(path);
    const after = rig.copytool.lines.length;
    rig.hold('remove.taken');
    await rig.lfs('hsm_remove', path);
    await rig.held('remove.taken');
    await rig.release(path);
    rig.letGo('remove.taken');
    expect((await rig.ended('remove', fid, after)).record).toMatchObject({ outcome: 'failed', errno: 'EBUSY' });
    expect(await read(path)).toBe('only here now');
  });

  test('of a file that is gone needs the blob’s name, and proof', async () => {
    const [path, other] = [rig.write('gone', 'dead'), rig.write('alive', 'living')];
    await rig.archive(path);
    await rig.archive(other);
    const fid = await rig.fid(path);
    unlinkSync(path);
    const remove = async (data?: string) => {
      const after = rig.copytool.lines.length;
      const more = data === undefined ? [] : ['--data', data];
      await rig.lfs('hsm_remove', '--mntpath', rig.sandbox.mount, '-a', '1', ...more, fid);
      return (await rig.ended('remove', fid, after)).record;
    };
    expect(await remove()).toMatchObject({ outcome: 'failed', errno: 'ENOENT' });
    expect(await remove(rig.sandbox.blobName(other))).toMatchObject({ outcome: 'failed', errno: 'ENOENT' });
    expect([await rig.content(path), await rig.content(other)]).toEqual(['dead', 'living']);
    expect(await remove(rig.sandbox.blobName(path))).toMatchObject({ outcome: 'ok' });
    expect([await rig.content(path), await rig.content(other)]).toEqual([undefined, 'living']);
  });
});

test('nothing but JSON lines and the ready line comes out, and no secret', () => {
  const text = rig.copytool.log.text();
  expect(rig.copytool.lines.filter(({ record }) => record === undefined)).toEqual([]);
  expect(rig.copytool.lines.some(({ record }) => record?.['msg'] === 'copytool ready')).toBe(true);
  const key = /AccountKey=([^;]+)/.exec(rig.sandbox.connectionString)?.[1] ?? '';
  expect(key).not.toBe('');
  expect(text).not.toContain(key);
  expect(execFileSync('ps', ['-o', 'args=', '-p', String(rig.copytool.pid)]).toString()).not.toContain(key);
});
