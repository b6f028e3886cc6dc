import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { BlobIdentity } from '../identity/blob-identity.ts';
import type { Fid } from '../identity/fid.ts';
import { type MetadataInput, metadataOf } from './metadata.ts';
import { blobNameOf } from './naming.ts';
import { READ_DEFAULTS, readBlob } from './reading.ts';
import type { ReadAs, ReadBlob, ReadFile } from './reading-types.ts';
import { blobState } from './state.ts';

const FS = '11111111-2222-4333-8444-555555555555';
const FID = '0x200000401:0x1:0x0' as Fid;
const UUID = 'aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee';
const LAST_MODIFIED = new Date('2026-02-03T04:05:06Z');

/** A blob as a listing gives it. */
function aBlob(name: string, metadata: Record<string, string> = {}, more: Partial<ReadBlob> = {}): ReadBlob {
  const { copyStatus, accessTier, archiveStatus, leaseState, customerKey, ...rest } = more;
  return blobState({
    name,
    etag: '"0x8D1"',
    length: 5n,
    metadata,
    lastModified: LAST_MODIFIED,
    blobType: 'BlockBlob',
    copyStatus,
    accessTier,
    archiveStatus,
    leaseState,
    customerKey,
    ...rest,
  });
}

const read = (blob: ReadBlob, prefix = '') => readBlob(blob, { prefix, defaults: READ_DEFAULTS });
const outcome = (as: ReadAs) => (as.kind === 'refused' ? as.reason : as.kind);
const codes = (as: ReadAs) => ('warnings' in as ? as.warnings.map(({ code }) => code) : []);

const segment = fc
  .oneof(
    fc.uint8Array({ minLength: 1, maxLength: 40 }),
    fc.string({ unit: 'binary', minLength: 1, maxLength: 20 }).map((text) => Buffer.from(text)),
    fc.constantFrom('%41', '100%', 'a.', 'a\\b', '.lfsazsync', '..a', '%2E', 'a\nb').map((text) => Buffer.from(text)),
  )
  .map((bytes) => Buffer.from(bytes).filter((byte) => byte !== 0 && byte !== 0x2f))
  .map((bytes) => Buffer.from(bytes))
  .filter((bytes) => bytes.length > 0 && bytes.toString('latin1') !== '.' && bytes.toString('latin1') !== '..');
const path = fc
  .array(segment, { minLength: 1, maxLength: 4 })
  .map((parts) => Buffer.concat(parts.flatMap((part, index) => (index === 0 ? [part] : [Buffer.from('/'), part]))));
const attributes = fc.record({
  uid: fc.integer({ min: 0, max: 0xfffffffe }),
  gid: fc.integer({ min: 0, max: 0xfffffffe }),
  mode: fc.integer({ min: 0, max: 0o7777 }),
  mtime: fc.bigInt({ min: -(2n ** 62n), max: 2n ** 62n }),
});

describe('what we wrote', () => {
  test('a file reads back as it was, bound to its version, with any case of keys', () => {
    fc.assert(
      fc.property(
        path,
        attributes,
        fc.bigInt(0n, 2n ** 60n),
        fc.constantFrom('', 'pre/fix'),
        (at, was, size, prefix) => {
          const named = blobNameOf(at, prefix);
          fc.pre(named.ok && at.toString('latin1').split('/', 1)[0] !== '.lustre');
          const generation = { seq: 7, uuid: UUID };
          const identity: BlobIdentity = {
            fs: FS,
            fid: FID,
            kind: 'file',
            generation,
            size,
            crc64: 'ae8b14860a799888',
          };
          const metadata = upper(metadataOf({ identity, attributes: was }));
          const back = read(aBlob((named as { name: string }).name, metadata, { length: size }), prefix);
          expect(back).toEqual({
            kind: 'file',
            path: at,
            attributes: { ...was, style: 'lfsazsync' },
            size,
            bind: { fs: FS, fid: FID, generation },
            warnings: [],
          });
        },
      ),
    );
  });

  test('directories, symlinks and links', () => {
    const target = fc
      .uint8Array({ minLength: 1, maxLength: 4095 })
      .map((bytes) => Buffer.from(bytes.map((b) => b || 1)));
    fc.assert(
      fc.property(attributes, target, (was, to) => {
        const of = (kind: 'dir' | 'symlink' | 'link', more: Partial<MetadataInput> = {}) =>
          metadataOf({ identity: { fs: FS, fid: FID, kind }, attributes: was, ...more });
        const expected = { path: Buffer.from('x'), attributes: { ...was, style: 'lfsazsync' }, warnings: [] };
        const empty = { length: 0n };
        expect(read(aBlob('x', of('dir'), empty))).toEqual({ kind: 'dir', ...expected, explicit: true });
        const link = read(aBlob('x', of('link', { linkTo: 'dé ep/100%' }), empty));
        expect(link).toEqual({ kind: 'link', ...expected, linkTo: 'dé ep/100%', of: { fs: FS, fid: FID } });
        const metadata = of('symlink', { target: to });
        const symlink = read(aBlob('x', metadata, { length: BigInt(to.length) }));
        expect(symlink).toEqual({ kind: 'symlink', ...expected, ...('symlink' in metadata ? { target: to } : {}) });
      }),
    );
  });

  test('a link whose name is too long for the metadata has the hash', () => {
    const metadata = metadataOf({
      identity: { fs: FS, fid: FID, kind: 'link' },
      attributes: { uid: 1, gid: 1, mode: 0o644, mtime: 0n },
      linkTo: '語'.repeat(1024),
    });
    expect(read(aBlob('x', metadata, { length: 0n }))).toMatchObject({
      kind: 'link',
      linkToSha256: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
  });

  const ours = (change: Record<string, string | undefined>, more: Partial<ReadBlob> = {}) => {
    const metadata: Record<string, string | undefined> = {
      ...metadataOf({
        identity: {
          fs: FS,
          fid: FID,
          kind: 'file',
          generation: { seq: 1, uuid: UUID },
          size: 5n,
          crc64: '0'.repeat(16),
        },
        attributes: { uid: 1000, gid: 100, mode: 0o4755, mtime: 1_714_564_800_123_456_789n },
      }),
      ...change,
    };
    const kept = Object.entries(metadata).filter((entry): entry is [string, string] => entry[1] !== undefined);
    return read(aBlob('f', Object.fromEntries(kept), more)) as ReadFile;
  };

  test('what people edit counts: permissions without the setuid bit that was, times in whole seconds', () => {
    const file = ours({ permissions: '0700', owner: '7', modtime: '2020-01-01 00:00:00 +0000' });
    expect(file.attributes).toEqual({
      uid: 7,
      gid: 100,
      mode: 0o700,
      mtime: 1_577_836_800_000_000_000n,
      style: 'lfsazsync',
    });
    expect(codes(file)).toEqual(['attribute-edited', 'attribute-edited']);
    expect(codes(ours({}))).toEqual([]);
    expect(ours({ lfsazsync_mode: undefined, lfsazsync_mtime: undefined }).attributes).toMatchObject({
      mode: 0o755,
      mtime: 1_714_564_800_000_000_000n,
    });
  });

  test('content that is not what was archived is bound by its ETag, and told', () => {
    const etag = { etag: '"0x8D1"' };
    expect(ours({}, { length: 6n })).toMatchObject({ bind: etag, size: 6n, warnings: [{ code: 'not-as-archived' }] });
    expect(ours({ lfsazsync_gen: 'x' })).toMatchObject({ bind: etag, warnings: [{ code: 'not-as-archived' }] });
    expect(ours({ lfsazsync_fid: 'x' })).toMatchObject({ bind: etag, warnings: [] });
  });

  test('our own blobs are passed over, staged copies told', () => {
    const of = (name: string, prefix = '') => read(aBlob(name), prefix);
    expect(of('.lfsazsync/control')).toEqual({ kind: 'reserved', what: 'own' });
    expect(of('.lfsazsync/staging/0x1:0x2:0x0')).toEqual({ kind: 'reserved', what: 'staging' });
    expect(of('p/.lfsazsync/staging/0x1:0x2:0x0', 'p')).toEqual({ kind: 'reserved', what: 'staging' });
    expect(of('p', 'p')).toEqual({ kind: 'reserved', what: 'root' });
    expect(of('p/', 'p')).toEqual({ kind: 'reserved', what: 'root' });
    expect(of('%2Elfsazsync/control')).toMatchObject({ kind: 'file', path: Buffer.from('.lfsazsync/control') });
  });
});

describe('names', () => {
  test.each<[string, string]>([
    ['a//b', 'name-empty-segment'],
    ['/a', 'name-empty-segment'],
    ['a//', 'name-empty-segment'],
    ['/', 'name-empty-segment'],
    ['', 'name-empty-segment'],
    ['a/../b', 'name-dot-segment'],
    ['./a', 'name-dot-segment'],
    ['..', 'name-dot-segment'],
    ['a\0b', 'name-nul'],
    ['x'.repeat(256), 'name-segment-too-long'],
    [`ok/${'é'.repeat(128)}`, 'name-segment-too-long'],
    [`${'a/'.repeat(3000)}a`, 'name-too-long'],
    ['\ud800', 'name-not-text'],
    ['.lustre/fid', 'name-reserved-by-lustre'],
    ['d/.\x0c\x13\x14\x12:VOLATILE::1234', 'name-reserved-by-lustre'],
  ])('%j is refused: %s', (name, reason) => {
    const as = read(aBlob(name));
    expect(outcome(as)).toBe(reason);
    expect(as).toMatchObject({ detail: expect.stringMatching(/^\S.*\S$/) });
  });

  test('what is not below the prefix', () => {
    expect(outcome(read(aBlob('other/a'), 'pre'))).toBe('outside-prefix');
    expect(outcome(read(aBlob('prefix'), 'pre'))).toBe('outside-prefix');
    expect(read(aBlob('pre/a'), 'pre')).toMatchObject({ kind: 'file', path: Buffer.from('a') });
  });

  test.each([
    ['x'.repeat(255), 'x'.repeat(255), []],
    ['a%0Ab', 'a\nb', []],
    ['100%41', '100%41', []],
    ['a.', 'a.', ['other-name']],
    ['a%2541', 'a%2541', ['other-name']],
    ['\u0085', '\u0085', ['other-name']],
    ['\ue000', '\ue000', ['other-name']],
    ['%2E%2E', '%2E%2E', ['other-name']],
    ['%00', '%00', ['other-name']],
  ])('%j is %j', (name, expected, warnings) => {
    const as = read(aBlob(name));
    expect(as).toMatchObject({ kind: 'file', path: Buffer.from(expected) });
    expect(codes(as)).toEqual(warnings);
  });

  test('two names are never read as one path, unless it is told or both mark a directory', () => {
    const part = fc.oneof(
      fc.string({ unit: 'binary', minLength: 1, maxLength: 3 }),
      fc.constantFrom('%', '%2', '%25', '%2E', '%0A', '%41', '.', '\n', '\\', '\u0085', 'a', '/', '%5C', 'E', '5'),
    );
    const name = fc.array(part, { minLength: 1, maxLength: 5 }).map((parts) => parts.join(''));
    fc.assert(
      fc.property(name, name, (a, b) => {
        fc.pre(a !== b);
        const [as, bs] = [read(aBlob(a)), read(aBlob(b))];
        if (!('path' in as) || !('path' in bs) || !as.path.equals(bs.path)) return;
        const told = [...codes(as), ...codes(bs)].includes('other-name');
        expect(told || a === `${b}/` || b === `${a}/`).toBe(true);
      }),
      { numRuns: 20_000 },
    );
    expect(codes(read(aBlob('a%2E')))).toEqual([]);
    expect(codes(read(aBlob('a.')))).toEqual(['other-name']);
  });

  test('a path that is read leads a file system nowhere else', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.constantFrom('', 'p'), (name, prefix) => {
        const as = read(aBlob(name, {}, { length: 0n }), prefix);
        if (!('path' in as)) return;
        const segments = as.path.toString('latin1').split('/');
        for (const one of segments) {
          expect(['', '.', '..']).not.toContain(one);
          expect(one.length).toBeLessThanOrEqual(255);
          expect(one).not.toContain('\0');
        }
      }),
    );
  });
});

test('nothing throws, whatever the metadata, and every attribute is one that a file system takes', () => {
  const key = fc.oneof(
    fc.constantFrom(
      ...['owner', 'Group', 'PERMISSIONS', 'modtime', 'uid', 'gid', 'perm', 'posix_owner', 'posix_group', 'posix_ino'],
      ...[
        'hdi_isfolder',
        'ftype',
        'is_symlink',
        'is_fifo',
        'is_char_dev',
        'symlink',
        'encryptiondata',
        'hdi_permission',
      ],
      ...['file-permissions', 'rename_file_permissions', 'file_mtime', 'file-owner', 'hdi_tmpupload', 'asv_isfolder'],
      ...['lfsazsync_fs', 'lfsazsync_fid', 'lfsazsync_kind', 'lfsazsync_gen', 'lfsazsync_size', 'lfsazsync_mode'],
      ...['lfsazsync_mtime', 'lfsazsync_link', 'lfsazsync_link_sha256', 'lfsazsync_from', 'constructor', '__proto__'],
    ),
    fc.string(),
  );
  const value = fc.oneof(
    fc.string(),
    fc.constantFrom(
      'true',
      'LNK',
      FS,
      FID,
      'dir',
      'file',
      'link',
      'symlink',
      `1-${UUID}`,
      '0644',
      '99999999999999',
      '',
    ),
    fc.constantFrom('{"permissions":"rwx"}', '{"permissions":1}', 'null', '[', '4294967295', '-1', '1e3', '5ns', '%'),
    fc.integer().map(String),
    fc.bigInt().map(String),
  );
  const blob = fc.record({
    metadata: fc.dictionary(key, value, { maxKeys: 12 }),
    length: fc.bigInt({ min: 0n, max: 2n ** 63n }),
    blobType: fc.constantFrom('BlockBlob', 'PageBlob', 'AppendBlob'),
    lastModified: fc.date({ noInvalidDate: false }),
  });
  fc.assert(
    fc.property(blob, fc.string({ unit: 'binary' }), ({ metadata, ...more }, name) => {
      const as = read(aBlob(name, metadata, more));
      if (!('attributes' in as)) return;
      const { uid, gid, mode, mtime } = as.attributes;
      for (const id of [uid, gid]) expect(Number.isInteger(id) && id >= 0 && id < 0xffffffff).toBe(true);
      expect(mode & ~0o7777).toBe(0);
      expect(typeof mtime).toBe('bigint');
    }),
    { numRuns: 5000 },
  );
});

function upper(metadata: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(metadata).map(([key, value]) => [key.toUpperCase(), value]));
}
