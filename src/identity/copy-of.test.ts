import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { BlobIdentity } from './blob-identity.ts';
import { type BlobFacts, examineCopy, type FileIdentity, holdsRecorded, isCopyOf } from './copy-of.ts';
import { type Fid, parseFid } from './fid.ts';
import { type CopyRecord, formatBinding } from './file-record.ts';

const FS = '0b0e7a52-6f0c-4e3c-9a8e-2f4b6d1c9e10';
const OTHER_FS = '11111111-6f0c-4e3c-9a8e-2f4b6d1c9e10';
const U1 = 'aaaaaaaa-0000-4000-8000-000000000001';
const U2 = 'aaaaaaaa-0000-4000-8000-000000000002';
const F = parseFid('0x200000401:0x1:0x0') as Fid;
const G = parseFid('0x200000401:0x2:0x0') as Fid;
const CRC = 'ae8b14860a799888';

const record: CopyRecord = { fid: F, generation: { seq: 3, uuid: U1 }, size: 6n, crc64: CRC };
const file: FileIdentity = { fid: F, size: 6n, record };
const identity: BlobIdentity = { fs: FS, fid: F, kind: 'file', generation: { seq: 3, uuid: U1 }, size: 6n, crc64: CRC };
const blob: BlobFacts = { etag: '"0x1"', length: 6n, identity };

test('our UUID, its FID, its sequence and its length make a blob the copy', () => {
  expect(examineCopy(file, blob, FS, false)).toEqual({ copy: true, by: 'record' });
  expect(isCopyOf(file, { ...blob, copyStatus: 'success' }, FS)).toBe(true);
  expect(isCopyOf(file, { ...blob, identity: { ...identity, generation: { seq: 4, uuid: U2 } } }, FS)).toBe(true);
});

describe('what is not the copy', () => {
  const wrong: [string, BlobFacts][] = [
    ['a stranger’s blob', { etag: '"1"', length: 6n }],
    ['another file system’s', { ...blob, identity: { ...identity, fs: OTHER_FS } }],
    ['another file’s', { ...blob, identity: { ...identity, fid: G } }],
    ['an older version', { ...blob, identity: { ...identity, generation: { seq: 2, uuid: U1 } } }],
    ['one without a generation', { ...blob, identity: { fs: FS, fid: F, kind: 'file', size: 6n, crc64: CRC } }],
    ['a truncated one', { ...blob, length: 5n }],
    ['one without a size', { ...blob, identity: { fs: FS, fid: F, kind: 'file', generation: { seq: 3, uuid: U1 } } }],
    ['one being copied', { ...blob, copyStatus: 'pending' }],
    ['one whose copy failed', { ...blob, copyStatus: 'failed' }],
    ['one whose copy was aborted', { ...blob, copyStatus: 'aborted' }],
    ['a directory’s marker', { ...blob, identity: { ...identity, kind: 'dir' } }],
    ['a link’s marker', { ...blob, identity: { ...identity, kind: 'link' } }],
  ];
  test.each(wrong)('%s', (_, other) => {
    expect(isCopyOf(file, other, FS, true)).toBe(false);
  });
});

describe('without a record of its own', () => {
  test.each<[string, FileIdentity]>([
    ['no record', { fid: F, size: 6n }],
    [
      'the record of the file that it was copied from',
      { fid: F, size: 6n, record: { ...record, fid: G, generation: { seq: 99, uuid: U2 } } },
    ],
  ])('%s: the blob at the current path, with FID and size, is accepted', (_, bare) => {
    expect(examineCopy(bare, blob, FS, true)).toEqual({ copy: true, by: 'fallback' });
    expect(isCopyOf(bare, blob, FS, false)).toBe(false);
    expect(isCopyOf({ ...bare, size: 7n }, blob, FS, true)).toBe(false);
    expect(isCopyOf(bare, { ...blob, identity: { ...identity, fid: G } }, FS, true)).toBe(false);
    expect(isCopyOf(bare, { ...blob, identity: { ...identity, fs: OTHER_FS } }, FS, true)).toBe(false);
  });
});

describe('an imported file', () => {
  const bind = { fs: OTHER_FS, fid: G, generation: { seq: 7, uuid: U2 } };
  const imported: FileIdentity = { fid: F, size: 6n, record: { fid: F, size: 6n, bind } };
  const source: BlobFacts = {
    etag: '"0x1"',
    length: 6n,
    identity: { fs: OTHER_FS, fid: G, kind: 'file', generation: { seq: 7, uuid: U2 }, size: 6n, crc64: CRC },
  };
  test('is bound to exactly the version that was imported', () => {
    expect(examineCopy(imported, source, FS, true)).toEqual({ copy: true, by: 'binding' });
    const withGeneration = (seq: number, uuid: string) => ({
      ...source,
      identity: { ...(source.identity as BlobIdentity), generation: { seq, uuid } },
    });
    expect(isCopyOf(imported, withGeneration(8, U2), FS)).toBe(false);
    expect(isCopyOf(imported, withGeneration(7, U1), FS)).toBe(false);
    expect(isCopyOf(imported, { ...source, length: 7n }, FS)).toBe(false);
    expect(isCopyOf(imported, { etag: '"0x1"', length: 6n }, FS)).toBe(false);
  });
  test('knows what we made of it', () => {
    const stamped: BlobFacts = { ...blob, identity: { ...identity, from: formatBinding(bind) } };
    expect(examineCopy(imported, stamped, FS, false)).toEqual({ copy: true, by: 'stamped' });
    expect(isCopyOf(imported, { ...stamped, identity: { ...identity, from: 'etag:"0x9"' } }, FS)).toBe(false);
    expect(isCopyOf(imported, blob, FS, true)).toBe(false);
    expect(isCopyOf(imported, { ...stamped, length: 5n }, FS)).toBe(false);
  });
  test('bound to an ETag, accepts no other', () => {
    const foreign: FileIdentity = { fid: F, size: 6n, record: { fid: F, size: 6n, bind: { etag: '"0x8DC"' } } };
    expect(examineCopy(foreign, { etag: '0x8DC', length: 6n }, FS, false)).toEqual({ copy: true, by: 'binding' });
    expect(isCopyOf(foreign, { etag: '"0x8DD"', length: 6n }, FS, true)).toBe(false);
    expect(isCopyOf(foreign, { etag: '"0x8DC"', length: 7n }, FS, true)).toBe(false);
    expect(isCopyOf(foreign, { etag: '"0x8DC"', length: 6n, copyStatus: 'pending' }, FS, true)).toBe(false);
  });
});

test('holds what is recorded only with the same size and checksum', () => {
  expect(holdsRecorded(record, identity)).toBe(true);
  expect(holdsRecorded(record, { ...identity, generation: { seq: 9, uuid: U2 } })).toBe(true);
  expect(holdsRecorded(record, { ...identity, crc64: '0000000000000000' })).toBe(false);
  expect(holdsRecorded(record, { ...identity, size: 7n })).toBe(false);
});

test('nothing of another file or file system is ever a copy, whatever else agrees', () => {
  const identities = fc.record({
    fs: fc.constantFrom(FS, OTHER_FS),
    fid: fc.constantFrom(F, G),
    kind: fc.constantFrom('file', 'dir', 'symlink', 'link'),
    generation: fc.record({ seq: fc.nat(5), uuid: fc.constantFrom(U1, U2) }),
    size: fc.bigInt(5n, 7n),
    crc64: fc.constantFrom(CRC, '0000000000000000'),
  }) as fc.Arbitrary<BlobIdentity>;
  const files = fc.constantFrom<FileIdentity>(
    file,
    { fid: F, size: 6n },
    { fid: F, size: 6n, record: { ...record, fid: G } },
  );
  fc.assert(
    fc.property(files, identities, fc.bigInt(5n, 7n), fc.boolean(), (some, theirs, length, here) => {
      if (!isCopyOf(some, { etag: '"1"', length, identity: theirs }, FS, here)) return;
      expect(theirs).toMatchObject({ fs: FS, fid: F, kind: 'file' });
      expect(theirs.size).toBe(length);
      if (some === file) expect(theirs.generation?.seq).toBeGreaterThanOrEqual(3);
      else expect([length, here]).toEqual([6n, true]);
    }),
    { numRuns: 2000 },
  );
});
