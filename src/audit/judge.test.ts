import { describe, expect, test } from 'vitest';
import { metadataOf } from '../blob/metadata.ts';
import { type BlobState, blobState } from '../blob/state.ts';
import { isBound } from '../copies/bound.ts';
import type { BlobIdentity, BlobKind } from '../identity/blob-identity.ts';
import { type Fid, parseFid } from '../identity/fid.ts';
import { HSM } from '../lustre/hsm-state.ts';
import { judge } from './judge.ts';
import type { Subject } from './subject.ts';

const FID = parseFid('0x200000401:0x1:0x0') as Fid;
const FS = '11111111-1111-4111-8111-111111111111';
const UUID = '22222222-2222-4222-8222-222222222222';
const CLEAN = HSM.EXISTS | HSM.ARCHIVED;

const subject = (changes: Partial<Subject> = {}): Subject => ({
  ...{ type: 'file', mode: 0o644, uid: 1, gid: 2, mtime: 1_700_000_000, size: 5n, nlink: 1, hsm: CLEAN, archive: 1 },
  ...{ names: new Set(['d/a']), unnameable: 0 },
  ...changes,
});

interface BlobChanges {
  readonly name?: string;
  readonly length?: bigint;
  readonly identity?: Partial<BlobIdentity>;
  readonly attributes?: Partial<Subject>;
  readonly metadata?: Record<string, string>;
  readonly linkTo?: string;
  readonly copyStatus?: string;
}

function blob(kind: BlobKind, changes: BlobChanges = {}) {
  const { name = 'd/a', length = kind === 'file' ? 5n : 0n, linkTo } = changes;
  const file = kind === 'file' ? { generation: { seq: 1, uuid: UUID }, size: length, crc64: '0'.repeat(16) } : {};
  const identity: BlobIdentity = { fs: FS, fid: FID, kind, ...file, ...changes.identity };
  const { mode, uid, gid, mtime } = { ...subject(), ...changes.attributes };
  const attributes = { mode, uid, gid, mtime: BigInt(mtime) * 1_000_000_000n };
  const metadata = {
    ...metadataOf({ identity, attributes, ...(linkTo === undefined ? {} : { linkTo }) }),
    ...changes.metadata,
  };
  const unset = { accessTier: undefined, archiveStatus: undefined, leaseState: undefined, customerKey: undefined };
  return blobState({
    ...{ name, etag: '"1"', length, metadata, lastModified: new Date(0), blobType: 'BlockBlob' },
    ...unset,
    copyStatus: changes.copyStatus,
  }) as BlobState & { identity: BlobIdentity };
}

const CONTEXT = { archive: 1, prefix: '' };

describe('the copy of a file', () => {
  const cases: [string, Parameters<typeof blob>[1], Partial<Subject>, string[]][] = [
    ['as it should be', {}, {}, []],
    ['with another mode', { attributes: { mode: 0o600 } }, {}, ['attributes']],
    ['with another owner', { attributes: { uid: 9 } }, {}, ['attributes']],
    ['a second older', { attributes: { mtime: 1_699_999_999 } }, {}, ['attributes']],
    ['from before 1970', { attributes: { mtime: -5 } }, { mtime: -5 }, []],
    ['with a fraction of a second', { metadata: { lfsazsync_mtime: '1700000000.500000000' } }, {}, []],
    ['and a key of others', { metadata: { theirs: '1' } }, {}, []],
    ['setuid, which `permissions` can’t say', { attributes: { mode: 0o4755 } }, { mode: 0o755 }, ['attributes']],
    ['at another name', { name: 'd/b' }, {}, ['place']],
    ['in staging', { name: `.lfsazsync/staging/${FID}` }, {}, ['staged']],
    ['of another length than it says', { identity: { size: 6n } }, {}, ['size']],
    ['of another length than the file', { length: 6n }, {}, ['size']],
    ['of an unfinished copy', { copyStatus: 'pending' }, {}, ['unfinished']],
    ['that was copied', { copyStatus: 'success' }, {}, []],
    ['in another archive', {}, { archive: 2 }, ['archive']],
    ['of a file that is not in HSM', { name: 'x' }, { hsm: 0, archive: 0 }, ['unclaimed']],
    [
      'of a modified file, whatever it is',
      { name: 'x', length: 7n, attributes: { uid: 9 } },
      { hsm: CLEAN | HSM.DIRTY },
      [],
    ],
    ['of a file without a name', { name: 'x' }, { names: new Set() }, []],
    ['of a file that can’t be named', { name: 'x' }, { names: new Set(), unnameable: 1 }, ['place']],
    ['of a directory', {}, { type: 'dir' }, ['kind']],
  ];
  test.each(cases)('%s', (_, changes, of, expected) => {
    expect(judge(blob('file', changes), subject(of), CONTEXT)).toEqual(expected);
  });

  test('what an import bound says no size, until it is archived', () => {
    const identity = blob('file').identity;
    const { generation: _, size: __, crc64: ___, ...bare } = identity;
    const from = { ...blob('file'), identity: { ...bare, from: 'etag:"1"' } };
    expect(judge(from, subject(), CONTEXT)).toEqual(['attributes']);
    expect(judge({ ...from, metadata: { ...from.metadata, lfsazsync_from: 'etag:"1"' } }, subject(), CONTEXT)).toEqual(
      [],
    );
  });

  test('of another version than is known', () => {
    expect(judge(blob('file'), subject(), { ...CONTEXT, generation: `1-${UUID}` })).toEqual([]);
    expect(judge(blob('file'), subject(), { ...CONTEXT, generation: `2-${UUID}` })).toEqual(['generation']);
  });
});

describe('markers', () => {
  test('of a directory and a symlink', () => {
    expect(judge(blob('dir'), subject({ type: 'dir', size: 4096n }), CONTEXT)).toEqual([]);
    expect(judge(blob('dir', { name: 'd/b' }), subject({ type: 'dir' }), CONTEXT)).toEqual(['place']);
    expect(judge(blob('dir', { length: 1n }), subject({ type: 'dir' }), CONTEXT)).toEqual(['target']);
    expect(judge(blob('symlink', { length: 5n }), subject({ type: 'symlink' }), CONTEXT)).toEqual([]);
    expect(judge(blob('symlink', { length: 4n }), subject({ type: 'symlink' }), CONTEXT)).toEqual(['target']);
    expect(judge(blob('symlink', { length: 5n }), subject({ type: 'dir' }), CONTEXT)).toEqual(['kind']);
    const { hdi_isfolder: _, ...metadata } = blob('dir').metadata;
    expect(judge({ ...blob('dir'), metadata }, subject({ type: 'dir' }), CONTEXT)).toEqual(['attributes']);
  });

  test('of hard links', () => {
    const links = { names: new Set(['d/a', 'd/b', 'd/c']), nlink: 3 };
    const link = blob('link', { name: 'd/b', linkTo: 'd/a' });
    expect(judge(link, subject(links), CONTEXT)).toEqual([]);
    expect(judge(link, subject(links), { ...CONTEXT, contentAt: new Set(['d/a', 'old']) })).toEqual([]);
    expect(judge(link, subject(links), { ...CONTEXT, contentAt: new Set(['d/c']) })).toEqual(['link']);
    expect(judge(blob('link', { name: 'd/b', linkTo: 'd/b' }), subject(links), CONTEXT)).toEqual(['link']);
    expect(judge(link, subject({ names: new Set(['d/b']) }), CONTEXT)).toEqual(['place']);
    expect(judge(link, subject({ ...links, hsm: 0 }), CONTEXT)).toEqual(['place']);
    expect(
      judge(blob('link', { name: 'd/b', linkTo: 'd/a', attributes: { uid: 9 } }), subject(links), CONTEXT),
    ).toEqual(['attributes']);
  });
});

test('what a file was bound to', () => {
  const base = { fid: FID, archive: 1, name: 'd/a', size: 5n };
  expect(isBound({ ...base, bind: 'etag:1' }, blob('file'))).toBe(true);
  expect(isBound({ ...base, bind: 'etag:"2"' }, blob('file'))).toBe(false);
  expect(isBound({ ...base, size: 6n, bind: 'etag:"1"' }, blob('file'))).toBe(false);
  expect(isBound({ ...base, bind: `${FS}/${FID}/1-${UUID}` }, blob('file'))).toBe(true);
  expect(isBound({ ...base, bind: `${FS}/${FID}/2-${UUID}` }, blob('file'))).toBe(false);
});
