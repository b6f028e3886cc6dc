import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type BlobIdentity, blobIdentityOf, identityMetadata } from '../identity/blob-identity.ts';
import type { Fid } from '../identity/fid.ts';
import {
  formatModtime,
  formatNanoseconds,
  linkHash,
  MAX_METADATA_BYTES,
  mergeMetadata,
  metadataBytes,
  metadataOf,
  metadataProblem,
  parseModtime,
  parseOwnMetadata,
  percentDecode,
  percentEncode,
} from './metadata.ts';

const FS = '11111111-2222-4333-8444-555555555555';
const FID = '0x200000401:0x1:0x0' as Fid;
const MTIME = 1_714_564_800_123_456_789n;
const file: BlobIdentity = {
  fs: FS,
  fid: FID,
  kind: 'file',
  generation: { seq: 3, uuid: 'aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee' },
  size: 5n,
  crc64: 'ae8b14860a799888',
};
const attributes = { uid: 1000, gid: 100, mode: 0o4644, mtime: MTIME };

describe('what is written', () => {
  test('for a file', () => {
    expect(metadataOf({ identity: file, attributes })).toEqual({
      owner: '1000',
      group: '100',
      permissions: '0644',
      modtime: '2024-05-01 12:00:00 +0000',
      lfsazsync_fs: FS,
      lfsazsync_fid: FID,
      lfsazsync_kind: 'file',
      lfsazsync_gen: '3-aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee',
      lfsazsync_size: '5',
      lfsazsync_crc64: 'ae8b14860a799888',
      lfsazsync_mode: '4644',
      lfsazsync_mtime: '1714564800.123456789',
    });
  });

  test('permissions are always what Azure Managed Lustre accepts', () => {
    for (let mode = 0; mode <= 0o7777; mode++) {
      const { permissions, lfsazsync_mode } = metadataOf({ identity: file, attributes: { ...attributes, mode } });
      expect(permissions).toMatch(/^[0-1][0-7]{3}$/);
      expect(Number.parseInt(lfsazsync_mode as string, 8)).toBe(mode);
    }
  });

  test('a symlink has no permissions, and repeats its target', () => {
    const metadata = metadataOf({
      identity: { fs: FS, fid: FID, kind: 'symlink' },
      attributes,
      target: Buffer.from('a b/ü'),
    });
    expect(metadata).toMatchObject({ ftype: 'LNK', is_symlink: 'true', symlink: 'a%20b/%C3%BC' });
    expect(metadata).not.toHaveProperty('permissions');
  });

  test('values beyond the limit stay out: the longest target, the longest name', () => {
    const symlink = metadataOf({
      identity: { fs: FS, fid: FID, kind: 'symlink' },
      attributes,
      target: Buffer.alloc(4096, 0xff),
    });
    expect(symlink).not.toHaveProperty('symlink');
    const linkTo = '語'.repeat(1024);
    const link = metadataOf({ identity: { fs: FS, fid: FID, kind: 'link' }, attributes, linkTo });
    expect(link).not.toHaveProperty('lfsazsync_link');
    expect(parseOwnMetadata(link).linkToSha256).toBe(linkHash(linkTo));
    for (const metadata of [symlink, link]) expect(metadataProblem(metadata)).toBeUndefined();
  });

  test('whatever goes in, the service accepts it and it reads back', () => {
    const time = fc.bigInt({ min: -(2n ** 62n), max: 2n ** 62n });
    const id = fc.integer({ min: 0, max: 0xffffffff });
    fc.assert(
      fc.property(
        id,
        id,
        fc.integer({ min: 0, max: 0o7777 }),
        time,
        fc.uint8Array({ maxLength: 4096 }),
        fc.string({ unit: 'binary', minLength: 1 }),
        (uid, gid, mode, mtime, target, from) => {
          const identity = { ...file, kind: 'symlink' as const, from };
          const metadata = metadataOf({ identity, attributes: { uid, gid, mode, mtime }, target: Buffer.from(target) });
          expect(metadataProblem(metadata)).toBeUndefined();
          const upper = Object.fromEntries(Object.entries(metadata).map(([key, value]) => [key.toUpperCase(), value]));
          const read = parseOwnMetadata(upper);
          expect(read.attributes).toEqual({ uid, gid, mode, mtime });
          expect(read.identity).toEqual({ ...identity, from: Buffer.from(from).toString() });
          if (read.target !== undefined) expect(read.target.equals(Buffer.from(target))).toBe(true);
        },
      ),
    );
  });
});

test('times: whole seconds down, also before 1970; years that do not fit are left out', () => {
  expect(formatModtime(-1n)).toBe('1969-12-31 23:59:59 +0000');
  expect(formatNanoseconds(-1n)).toBe('-1.999999999');
  expect(formatNanoseconds(0n)).toBe('0.000000000');
  expect(formatModtime(2n ** 63n)).toBe('2262-04-11 23:47:16 +0000');
  expect(formatModtime(300_000_000_000n * 1_000_000_000n)).toBeUndefined();
  expect(parseModtime('2024-05-01 14:00:00 +0200')).toBe(1_714_564_800_000_000_000n);
  expect(parseModtime('2024-05-01T12:00:00Z')).toBeUndefined();
});

test('what does not read is left out, not guessed', () => {
  const read = parseOwnMetadata({
    owner: '-1',
    group: '4294967296',
    permissions: '0999',
    modtime: 'now',
    lfsazsync_mtime: '1.5',
  });
  expect(read).toEqual({ attributes: {} });
  expect(parseOwnMetadata({ permissions: '0755', modtime: '1970-01-01 00:00:01 +0000' }).attributes).toEqual({
    mode: 0o755,
    mtime: 1_000_000_000n,
  });
});

test('percent-encoding is reversible and leaves visible ASCII alone', () => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) =>
      percentDecode(percentEncode(Buffer.from(bytes))).equals(Buffer.from(bytes)),
    ),
  );
  expect(percentEncode(Buffer.from('../a-b_c/~x'))).toBe('../a-b_c/~x');
});

test('merging keeps the keys of others, in their own case, and replaces ours in any', () => {
  expect(mergeMetadata({ Team: 'blue', OWNER: '1', gone: 'x' }, { owner: '2', GONE: undefined })).toEqual({
    Team: 'blue',
    owner: '2',
  });
});

test('what the service refuses is told', () => {
  expect(metadataProblem({ ok: 'x' })).toBeUndefined();
  expect(metadataProblem({ 'a-b': 'x' })).toMatch(/identifier/);
  expect(metadataProblem({ a: 'ü' })).toMatch(/not ASCII/);
  expect(metadataProblem({ a: 'x\ny' })).toMatch(/not ASCII/);
  const full = { a: 'x'.repeat(MAX_METADATA_BYTES - 1) };
  expect(metadataBytes(full)).toBe(MAX_METADATA_BYTES);
  expect(metadataProblem(full)).toBeUndefined();
  expect(metadataProblem({ a: `${full.a}x` })).toMatch(/8193 bytes/);
});

describe('the identity of a blob', () => {
  test('reads what it writes', () => {
    expect(blobIdentityOf(identityMetadata(file))).toEqual(file);
  });

  test.each([
    [{ lfsazsync_fs: 'nonsense' }],
    [{ lfsazsync_fid: '0x1' }],
    [{ lfsazsync_kind: 'fifo' }],
    [{ lfsazsync_fs: '' }],
  ])('is none when %j', (change) => {
    expect(blobIdentityOf({ ...identityMetadata(file), ...change })).toBeUndefined();
  });

  test('leaves out what does not read', () => {
    const odd = { lfsazsync_gen: 'x', lfsazsync_size: '-1', lfsazsync_crc64: 'short' };
    expect(blobIdentityOf({ ...identityMetadata(file), ...odd })).toEqual({ fs: FS, fid: FID, kind: 'file' });
  });
});
