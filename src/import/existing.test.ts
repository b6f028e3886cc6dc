import { describe, expect, test } from 'vitest';
import { READ_DEFAULTS, readBlob } from '../blob/reading.ts';
import { blobState } from '../blob/state.ts';
import type { Fid } from '../identity/fid.ts';
import { formatFileRecord } from '../identity/file-record.ts';
import { HSM } from '../lustre/hsm-state.ts';
import type { EntryState } from '../lustre/scan-entry.ts';
import { actionFor, isHalfMade, relationOf } from './existing.ts';
import type { ImportRequest, OnConflict } from './types.ts';
import type { Wanted } from './wanted.ts';

const FID = '0x200000401:0x1:0x0' as Fid;

function wantedFile(etag = '"0x2"', content = 7): Wanted {
  const wanted = wantedOf(etag, content, {});
  if (wanted.read.kind !== 'file') throw new Error(wanted.read.kind);
  return wanted;
}

const wantedSymlink = () => wantedOf('"0x2"', 1, { ftype: 'LNK' });

function wantedOf(etag: string, content: number, metadata: Record<string, string>): Wanted {
  const blob = blobState({
    ...{ name: 'd/x', etag, length: BigInt(content), metadata, lastModified: new Date(0), blobType: 'BlockBlob' },
    ...{ copyStatus: undefined, accessTier: undefined, archiveStatus: undefined, leaseState: undefined },
    customerKey: undefined,
  });
  const read = readBlob(blob, { prefix: '', defaults: READ_DEFAULTS });
  if (read.kind !== 'file' && read.kind !== 'symlink') throw new Error(read.kind);
  return { blob, read, path: read.path };
}

const CLEAN = HSM.EXISTS | HSM.ARCHIVED;
const RELEASED = CLEAN | HSM.RELEASED;

function entry(hsm: number, over: Partial<EntryState> = {}): EntryState {
  return {
    ...{
      fid: FID,
      type: 'file',
      mode: 0o644,
      uid: 0,
      gid: 0,
      nlink: 1,
      size: 7,
      blocks: 1,
      atime: 0,
      mtime: 0,
      ctime: 0,
    },
    ...{ btime: null, project: null, hsm, archive: 1, osts: [], pool: '', record: null, lemur: null, links: null },
    linksComplete: true,
    ...over,
  };
}

const bound = (etag: string, at = 'd/x', fid = FID): Buffer => formatFileRecord({ fid, size: 7n, bind: { etag }, at });

describe('what stands at a name', () => {
  test.each([
    ['bound to this version', entry(RELEASED, { record: bound('"0x2"') }), 'present'],
    ['bound to an earlier one', entry(RELEASED, { record: bound('"0x1"') }), 'changed'],
    ['bound to another blob', entry(RELEASED, { record: bound('"0x1"', 'd/y') }), 'not-imported'],
    ['modified since', entry(CLEAN | HSM.DIRTY, { record: bound('"0x2"') }), 'changed'],
    ['half bound: the size is not set', entry(RELEASED, { record: bound('"0x2"'), size: 3 }), 'changed'],
    [
      'another file’s record, copied along',
      entry(RELEASED, { record: bound('"0x2"', 'd/x', '0x1:0x2:0x0' as Fid) }),
      'not-imported',
    ],
    ['a file of users', entry(0), 'not-imported'],
    ['a directory', entry(0, { type: 'dir' }), 'type'],
    ['a symlink', entry(0, { type: 'symlink' }), 'type'],
  ] as const)('%s', (_, there, relation) => {
    expect(relationOf(wantedFile(), there)).toBe(relation);
  });

  test('an imported symlink whose blob is a file by now, and the other way round', () => {
    const symlink = entry(0, { type: 'symlink' });
    const targets = { wanted: undefined, there: Buffer.from('x'), imported: true };
    expect(relationOf(wantedFile(), symlink, targets)).toBe('changed');
    expect(relationOf(wantedFile(), symlink, { ...targets, imported: false })).toBe('type');
    const file = entry(RELEASED, { record: bound('"0x1"') });
    expect(relationOf(wantedSymlink(), file, targets)).toBe('changed');
    expect(relationOf(wantedSymlink(), entry(RELEASED, { record: bound('"0x1"', 'd/y') }), targets)).toBe('type');
    expect(relationOf(wantedSymlink(), entry(0), targets)).toBe('type');
    const refresh = { onConflict: 'skip', refresh: true } as ImportRequest;
    const replaced = { do: 'replace', clean: true };
    expect(actionFor('changed', symlink, wantedFile(), refresh)).toEqual(replaced);
    expect(actionFor('changed', file, wantedSymlink(), refresh)).toEqual(replaced);
    expect(actionFor('changed', entry(CLEAN | HSM.DIRTY), wantedSymlink(), refresh)).toMatchObject({ code: 'dirty' });
  });
});

describe('what is done about it', () => {
  const ask = (onConflict: OnConflict, refresh = false) => ({ onConflict, refresh }) as ImportRequest;
  const released = entry(RELEASED);
  const restored = entry(CLEAN);
  const dirty = entry(CLEAN | HSM.DIRTY);

  test.each([
    ['present', released, ask('fail'), { do: 'nothing' }],
    ['present', restored, ask('overwrite-dirty'), { do: 'nothing' }],
    ['present', restored, ask('overwrite-always'), { do: 'release' }],
    ['changed', released, ask('skip'), { do: 'conflict', code: 'changed' }],
    ['changed', released, ask('overwrite-dirty'), { do: 'conflict', code: 'changed' }],
    ['changed', released, ask('skip', true), { do: 'rebind', release: false }],
    ['changed', restored, ask('skip', true), { do: 'rebind', release: true }],
    ['changed', restored, ask('overwrite-always'), { do: 'rebind', release: true }],
    ['changed', dirty, ask('skip', true), { do: 'conflict', code: 'dirty' }],
    ['changed', dirty, ask('overwrite-dirty'), { do: 'replace', clean: false }],
    ['not-imported', restored, ask('skip', true), { do: 'conflict', code: 'not-imported' }],
    ['not-imported', dirty, ask('overwrite-dirty'), { do: 'replace', clean: false }],
    ['type', entry(0, { type: 'dir' }), ask('fail'), { do: 'conflict', code: 'type' }],
    ['type', entry(0, { type: 'dir' }), ask('overwrite-always'), { do: 'replace', clean: false }],
  ] as const)('%s, case %#', (relation, there, request, action) => {
    expect(actionFor(relation, there, wantedFile(), request)).toMatchObject(action);
  });

  test('a file that was given a later time than the blob has is left alone, unless asked', () => {
    const given = { uid: 0, gid: 0, mode: 0o644, mtime: 100 };
    const record = formatFileRecord({ fid: FID, size: 7n, bind: { etag: '"0x1"' }, at: 'd/x', given });
    const act = (mtime: number, how: ImportRequest) =>
      actionFor('changed', entry(RELEASED, { record, mtime }), wantedFile(), how);
    // The blob is from the beginning of time: an older one took the place of the one that was imported.
    expect(act(100, ask('skip', true))).toEqual({ do: 'rebind', release: false });
    expect(act(101, ask('skip', true))).toMatchObject({ do: 'conflict', code: 'newer' });
    expect(act(-1, ask('skip', true))).toEqual({ do: 'rebind', release: false });
    expect(act(101, ask('overwrite-always'))).toEqual({ do: 'rebind', release: false });
    expect(act(101, ask('skip'))).toMatchObject({ do: 'conflict', code: 'changed' });
  });

  test('between empty and not empty it is made anew, but only what the archive has', () => {
    expect(actionFor('changed', released, wantedFile('"0x3"', 0), ask('skip', true))).toEqual({
      do: 'replace',
      clean: true,
    });
    const empty = entry(CLEAN, { size: 0 });
    expect(actionFor('changed', empty, wantedFile(), ask('skip', true))).toEqual({ do: 'replace', clean: true });
  });
});

describe('what a killed import may have left without its last step', () => {
  const wanted = (metadata: Record<string, string>, content = 7) => wantedOf('"0x2"', content, metadata);
  const plain = { owner: '1000', group: '1001', permissions: '0640', modtime: '1970-01-01 00:01:40 +0000' };
  const set = { ...plain, permissions: '4750' };
  const made = { uid: 1000, gid: 1001, mode: 0o640, mtime: 100 };
  const symlink = { ...made, type: 'symlink', mode: 0o777 } as const;
  test.each<[string, boolean, Record<string, string>, Partial<EntryState>]>([
    ['a file as it was made', false, plain, made],
    ['one that its users have given another mode', false, plain, { ...made, mode: 0o600 }],
    ['another owner', false, plain, { ...made, uid: 7 }],
    ['another time', false, plain, { ...made, mtime: 101 }],
    ['one without its set-user-ID', true, set, { ...made, mode: 0o750 }],
    ['the same, given to somebody else', false, set, { ...made, mode: 0o750, uid: 7 }],
    ['an empty file in the making', true, plain, { size: 0, mode: 0o1600, uid: 1000, gid: 1001, mtime: 100 }],
    ['an empty file of root’s own', false, plain, { size: 0, mode: 0o600, uid: 0, gid: 0 }],
    ['a symlink that root has yet to give away', true, plain, { ...symlink, uid: 0, gid: 0, mtime: 7 }],
    ['a symlink without its time', true, plain, { ...symlink, mtime: 7 }],
    ['a symlink that its users have given away', false, plain, { ...symlink, uid: 8 }],
  ])('%s: %s', (_, half, metadata, there) => {
    expect(isHalfMade(entry(there.size === 0 ? CLEAN : RELEASED, there), wanted(metadata, there.size ?? 7))).toBe(half);
  });
});
