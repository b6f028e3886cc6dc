import { describe, expect, test } from 'vitest';
import { entry, fid } from '../../test/support/catalog.ts';
import type { Entry, Known, KnownBlob, Link } from '../catalog/types.ts';
import { ROOT_FID } from '../identity/fid.ts';
import type { FileRecord } from '../identity/file-record.ts';
import { type Before, decide, decideScanned } from './decide.ts';
import type { Fresh } from './fresh.ts';
import { HINT } from './hints.ts';
import { REASON, reasonWords } from './reasons.ts';

const F = fid(1);
const NOW = 1_700_000_000_000;
const timing = { now: NOW, settle: 5000, again: 60_000 };
const mark = { fid: F, hints: 0, since: 9 };
const here: Link[] = [{ parent: ROOT_FID, name: Buffer.from('a') }];
const there: Link[] = [{ parent: fid(7), name: Buffer.from('a') }];
const archived = { hsm: 0x9, archive: 1 };
const U = '00000000-0000-4000-8000-000000000000';
const record: FileRecord = { fid: F, generation: { seq: 2, uuid: U }, size: 6n, crc64: '0'.repeat(16), at: 'x/a' };
const blob: KnownBlob = { archive: 1, name: 'x/a', kind: 'file', generation: `2-${U}` };

const knownAs = (changes: Partial<Entry>, links: Link[] = here, blobs: KnownBlob[] = []): Known => ({
  entry: { ...entry(F, changes), seen: 5 },
  links,
  blobs,
});
const holding: Before = { links: [], blobs: [], holds: true };
const seenAs = (changes: Partial<Entry>, links: Link[] | 'unknown' = here, more: Partial<Fresh> = {}) =>
  ({ kind: 'alive', fresh: { entry: entry(F, changes), ...(links === 'unknown' ? {} : { links }), ...more } }) as const;
const reasons = (known: Known | undefined, seen: ReturnType<typeof seenAs>) =>
  reasonWords(decide(mark, known, seen, timing).journal?.reasons ?? 0);

describe('a file', () => {
  test.each<[string, Known | undefined, ReturnType<typeof seenAs>, string[]]>([
    ['new, never archived', undefined, seenAs({}), []],
    ['renamed, never archived', knownAs({}), seenAs({}, there), []],
    ['written, never archived', knownAs({}), seenAs({ size: 9n, mtime: 5 }), []],
    ['new, archived', undefined, seenAs(archived, here, { record }), ['names', 'copy']],
    ['archived for the first time', knownAs({}), seenAs(archived, here, { record }), ['copy']],
    [
      'archived again',
      knownAs(archived, here, [{ ...blob, generation: `1-${U}` }]),
      seenAs(archived, here, { record }),
      ['copy'],
    ],
    ['as it was', knownAs(archived, here, [blob]), seenAs(archived, here, { record }), []],
    ['as it was, but read', knownAs(archived, here, [blob]), seenAs({ ...archived, atime: 9 }, here, { record }), []],
    ['renamed', knownAs(archived, here, [blob]), seenAs(archived, there, { record }), ['names']],
    [
      'linked',
      knownAs(archived, here, [blob]),
      seenAs({ ...archived, nlink: 2 }, [...here, ...there], { record }),
      ['names'],
    ],
    ['chmod', knownAs(archived, here, [blob]), seenAs({ ...archived, mode: 0o600 }, here, { record }), ['attributes']],
    [
      'chmod of what is dirty',
      knownAs({ ...archived, hsm: 0xb }, here, [blob]),
      seenAs({ ...archived, hsm: 0xb, mode: 0o600 }, here, { record }),
      [],
    ],
    ['made dirty', knownAs(archived, here, [blob]), seenAs({ ...archived, hsm: 0xb }, here, { record }), []],
    ['released', knownAs(archived, here, [blob]), seenAs({ ...archived, hsm: 0xd, osts: [] }, here, { record }), []],
    [
      'clean again',
      knownAs({ ...archived, hsm: 0xb }, here, [blob]),
      seenAs({ ...archived, mode: 0 }, here, { record }),
      ['attributes', 'copy'],
    ],
    ['lost', knownAs(archived, here, [blob]), seenAs({ ...archived, hsm: 0x49 }, here, { record }), ['copy']],
    ['removed from HSM', knownAs(archived, here, [blob]), seenAs({ hsm: 0 }, here), ['copy']],
    ['some of its names unknown', knownAs({}), seenAs({ nlink: 3 }, 'unknown'), ['look']],
    ['without a name', knownAs({}), seenAs({ nlink: 0 }, []), ['look']],
  ])('%s', (_, known, seen, expected) => {
    expect(reasons(known, seen)).toEqual(expected);
  });

  test('its record says what is in the container, once', () => {
    const first = decide(mark, undefined, seenAs(archived, here, { record }), timing);
    expect(first.blob).toMatchObject({ archive: 1, name: 'x/a', kind: 'file', generation: `2-${U}`, size: 6n });
    expect(
      decide(mark, knownAs(archived, here, [blob]), seenAs(archived, here, { record }), timing).blob,
    ).toBeUndefined();
    const older = { ...blob, name: 'old', generation: `1-${U}` };
    const next = decide(mark, knownAs(archived, here, [older]), seenAs(archived, here, { record }), timing);
    expect(next.blob?.name).toBe('x/a');
  });

  test('that was imported has a binding', () => {
    const bound: FileRecord = { fid: F, size: 6n, bind: { etag: '0x1' }, at: 'foreign' };
    const decision = decide(mark, undefined, seenAs({ ...archived, hsm: 0xd }, here, { record: bound }), timing);
    expect(decision.binding).toEqual({ fid: F, archive: 1, name: 'foreign', bind: 'etag:0x1', size: 6n });
    expect(decision.blob).toBeUndefined();
  });
});

describe('others', () => {
  test.each<[string, Known | undefined, Partial<Entry>, Link[], string[]]>([
    ['a new directory', undefined, { type: 'dir' }, here, ['names']],
    ['a renamed directory', knownAs({ type: 'dir' }), { type: 'dir' }, there, ['names', 'tree']],
    ['a new directory', { links: [], blobs: [] }, { type: 'dir' }, there, ['names']],
    ['a new directory of whose files some are known', holding, { type: 'dir' }, there, ['names', 'tree']],
    [
      'a directory in which something was made',
      knownAs({ type: 'dir' }),
      { type: 'dir', mtime: 5 },
      here,
      ['attributes'],
    ],
    ['a new symlink', undefined, { type: 'symlink' }, here, ['names']],
    [
      'a symlink that changed its owner',
      knownAs({ type: 'symlink' }),
      { type: 'symlink', uid: 5 },
      here,
      ['attributes'],
    ],
    ['a fifo, renamed', knownAs({ type: 'fifo' }), { type: 'fifo', mode: 0 }, there, []],
  ])('%s', (_, known, changes, links, expected) => {
    expect(reasons(known, seenAs(changes, links))).toEqual(expected);
  });

  test('the root has no marker', () => {
    const root = { kind: 'alive', fresh: { entry: entry(ROOT_FID, { type: 'dir', mode: 0 }), links: [] } } as const;
    expect(decide({ ...mark, fid: ROOT_FID }, undefined, root, timing).journal).toBeUndefined();
  });

  test('one that moves again has all below it looked at from the beginning, however far the last time had got', () => {
    const moved = decide(mark, knownAs({ type: 'dir' }), seenAs({ type: 'dir' }, there), timing);
    expect(moved.journal).toMatchObject({ reasons: REASON.NAMES | REASON.TREE, afresh: true });
    const other = decide(mark, knownAs({ type: 'dir' }), seenAs({ type: 'dir', mode: 0 }), timing);
    expect(other.journal?.afresh).toBeUndefined();
  });

  test('a directory’s times alone wait until it settles, everything else does not', () => {
    const times = decide(mark, knownAs({ type: 'dir' }), seenAs({ type: 'dir', mtime: 5 }), timing);
    expect(times.journal?.notBefore).toBe(NOW + 5000);
    const names = decide(mark, knownAs({ type: 'dir' }), seenAs({ type: 'dir', mtime: 5 }, there), timing);
    expect(names.journal?.notBefore).toBe(NOW);
  });
});

test('the dead are told with whether a record spoke of a copy; what could not be looked at is looked at again', () => {
  expect(decide(mark, undefined, { kind: 'dead' }, timing)).toEqual({
    death: { fid: F, at: NOW / 1000, maybeCopied: false },
  });
  expect(decide({ ...mark, hints: HINT.HSM }, undefined, { kind: 'dead' }, timing).death?.maybeCopied).toBe(true);
  expect(decide({ ...mark, hints: HINT.HAD_COPY }, undefined, { kind: 'dead' }, timing).death?.maybeCopied).toBe(true);
  expect(decide(mark, knownAs({}), { kind: 'failed', error: 'EIO' }, timing)).toEqual({
    journal: { fid: F, reasons: REASON.LOOK, since: 9, notBefore: NOW + 60_000 },
  });
});

test.each([
  [0, 1000],
  [3, 3000],
  [59, 59_000],
  [600, 60_000],
])('what could not be looked at for %i s is looked at again after %i ms', (age, wait) => {
  const since = NOW / 1000 - age;
  expect(decide({ ...mark, since }, knownAs({}), { kind: 'failed', error: 'ESTALE' }, timing).journal).toMatchObject({
    notBefore: NOW + wait,
  });
});

test('a scan puts nothing over what was seen since it began, and says since when', () => {
  const { fresh } = seenAs({ mode: 0o600 });
  expect(decideScanned(fresh, knownAs({}), 4, timing)).toEqual({});
  expect(decideScanned(fresh, knownAs({}), 5, timing).put).toMatchObject({ unlessSeenAfter: 5, links: here });
});
