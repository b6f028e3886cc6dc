import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { BlobIdentity, BlobKind } from './blob-identity.ts';
import {
  type ConflictSettings,
  type Decision,
  decideDestination,
  type Fate,
  type Newcomer,
  type Occupant,
} from './destination.ts';
import { type Fid, parseFid } from './fid.ts';

const FS = '0b0e7a52-6f0c-4e3c-9a8e-2f4b6d1c9e10';
const OTHER_FS = '11111111-6f0c-4e3c-9a8e-2f4b6d1c9e10';
const OURS = 'aaaaaaaa-0000-4000-8000-000000000001';
const THEIRS = 'aaaaaaaa-0000-4000-8000-000000000002';
const F = parseFid('0x200000401:0x1:0x0') as Fid;
const G = parseFid('0x200000401:0x2:0x0') as Fid;
const ETAG = '"0x8DC"';

const newcomer: Newcomer = { fsUuid: FS, fid: F, generation: { seq: 5, uuid: OURS } };
const SETTINGS: ConflictSettings = { stranger: 'fail', dead: 'overwrite' };

function occupant(identity: Partial<BlobIdentity> | undefined, more: Partial<Occupant> = {}): Occupant {
  const full: BlobIdentity = {
    fs: FS,
    fid: G,
    kind: 'file',
    generation: { seq: 2, uuid: THEIRS },
    size: 6n,
    ...identity,
  };
  return { etag: ETAG, length: 6n, ...(identity === undefined ? {} : { identity: full }), ...more };
}

const never = (): Promise<Fate> => Promise.reject(new Error('nobody should have asked'));
const fate = (answer: Fate) => () => Promise.resolve(answer);
const decide = (
  there: Occupant | undefined,
  ask: (fid: Fid) => Promise<Fate> = never,
  settings = SETTINGS,
  who = newcomer,
) => decideDestination(there, who, settings, ask);
const overwrite = (replaces: string) => ({ do: 'commit', condition: { ifMatch: ETAG }, replaces });

describe('at a blob’s name', () => {
  test('nothing: written only if it stays so', async () => {
    expect(await decide(undefined)).toEqual({ do: 'commit', condition: { ifNoneMatch: '*' }, replaces: 'nothing' });
  });

  test('the file’s own copy: overwritten, unless it is later', async () => {
    const own = (seq: number) => occupant({ fid: F, generation: { seq, uuid: THEIRS } });
    expect(await decide(own(4))).toEqual(overwrite('own copy'));
    expect(await decide(own(5))).toEqual(overwrite('own copy'));
    expect(await decide(own(6))).toMatchObject({ do: 'refuse', code: 'newer-version', again: true });
  });

  test('an own copy in any state that is not its end is overwritten too', async () => {
    expect(await decide(occupant({ fid: F }, { copyStatus: 'failed' }))).toEqual(overwrite('own copy'));
    expect(await decide(occupant({ fid: F }, { length: 1n }))).toEqual(overwrite('own copy'));
    const { generation: _, ...without } = occupant({ fid: F }).identity as BlobIdentity;
    expect(await decide({ etag: ETAG, length: 6n, identity: without })).toEqual(overwrite('own copy'));
  });

  test('what this very attempt has written: done', async () => {
    expect(await decide(occupant({ fid: F, generation: { seq: 5, uuid: OURS } }))).toEqual({ do: 'done', etag: ETAG });
  });

  test.each(['failed', 'aborted'] as const)(
    'what a copy of this very version left that %s: overwritten',
    async (copyStatus) => {
      const left = occupant({ fid: F, generation: { seq: 5, uuid: OURS } }, { length: 0n, copyStatus });
      expect(await decide(left)).toEqual(overwrite('own copy'));
    },
  );

  test.each<BlobKind>(['dir', 'symlink', 'link'])('a marker of the file itself (%s): overwritten', async (kind) => {
    expect(await decide(occupant({ fid: F, kind }))).toEqual(overwrite('marker'));
  });

  test.each<[BlobKind, Fate, unknown]>([
    ['dir', 'dead', overwrite('marker')],
    ['dir', 'elsewhere', overwrite('marker')],
    ['dir', 'here', { do: 'refuse', code: 'marker', again: true }],
    ['symlink', 'dead', overwrite('marker')],
    ['symlink', 'elsewhere', overwrite('marker')],
    ['symlink', 'here', { do: 'refuse', code: 'marker', again: true }],
    ['link', 'dead', overwrite('marker')],
    ['link', 'elsewhere', { do: 'refuse', code: 'marker', again: true }],
    ['link', 'here', { do: 'refuse', code: 'marker', again: true }],
    ['file', 'dead', overwrite("dead file's copy")],
    ['file', 'elsewhere', { do: 'refuse', code: 'other-file', again: true }],
    ['file', 'here', { do: 'refuse', code: 'other-file', again: true }],
  ])('the %s of another object that is %s', async (kind, answer, expected) => {
    const asked: Fid[] = [];
    const ask = (fid: Fid) => {
      asked.push(fid);
      return Promise.resolve(answer);
    };
    expect(await decide(occupant({ kind }), ask)).toMatchObject(expected as object);
    expect(asked).toEqual([G]);
  });

  test('a dead file’s copy, where the setting says fail', async () => {
    const settings: ConflictSettings = { stranger: 'overwrite', dead: 'fail' };
    expect(await decide(occupant({}), fate('dead'), settings)).toMatchObject({ do: 'refuse', code: 'dead-file' });
  });

  test('a blob that is not ours at all: as the setting says, and only if it is known to be no import’s', async () => {
    const settings = (known?: boolean): ConflictSettings => ({
      stranger: 'overwrite',
      dead: 'fail',
      ...(known === undefined ? {} : { isUnbound: () => Promise.resolve(known) }),
    });
    const there = occupant(undefined);
    expect(await decide(there)).toMatchObject({ do: 'refuse', code: 'stranger', again: false });
    expect(await decide(there, never, settings())).toMatchObject({ do: 'refuse', code: 'maybe-imported' });
    expect(await decide(there, never, settings(false))).toMatchObject({ do: 'refuse', code: 'maybe-imported' });
    expect(await decide(there, never, settings(true))).toEqual(overwrite("stranger's blob"));
  });

  test.each<[string, Occupant]>([
    ['of another file system', occupant({ fs: OTHER_FS })],
    ['of another file system with the same FID', occupant({ fs: OTHER_FS, fid: F })],
    [
      'of another file system with our own uuid',
      occupant({ fs: OTHER_FS, fid: F, generation: { seq: 5, uuid: OURS } }),
    ],
  ])('a blob %s: left alone whatever the setting says, without asking Lustre about its FID', async (_, there) => {
    expect(await decide(there)).toMatchObject({ do: 'refuse', code: 'stranger', again: false });
    const settings: ConflictSettings = {
      stranger: 'overwrite',
      dead: 'overwrite',
      isUnbound: () => Promise.resolve(true),
    };
    expect(await decide(there, never, settings)).toMatchObject({ do: 'refuse', code: 'stranger', again: false });
  });

  test('what an imported file of a file system that was taken over left behind', async () => {
    const settings = (known: boolean): ConflictSettings => ({
      ...SETTINGS,
      isLeftBehind: () => Promise.resolve(known),
    });
    const there = occupant({ fs: OTHER_FS, fid: F });
    expect(await decide(there, never, settings(true))).toEqual(overwrite("dead file's copy"));
    expect(await decide(there, never, settings(false))).toMatchObject({ do: 'refuse', code: 'stranger' });
    expect(await decide(occupant(undefined), never, settings(true))).toMatchObject({ do: 'refuse', code: 'stranger' });
  });

  test('a blob under a server-side copy: later', async () => {
    for (const there of [
      occupant({ fid: F }, { copyStatus: 'pending' }),
      occupant(undefined, { copyStatus: 'pending' }),
    ]) {
      expect(await decide(there, never, { stranger: 'overwrite', dead: 'overwrite' })).toMatchObject({
        do: 'refuse',
        code: 'pending-copy',
        again: true,
      });
    }
  });

  test('a page or append blob: never', async () => {
    const there = occupant(undefined, { blobType: 'AppendBlob' });
    expect(await decide(there, never, { stranger: 'overwrite', dead: 'overwrite' })).toMatchObject({
      do: 'refuse',
      code: 'blob-type',
    });
    expect(await decide(occupant({ fid: F }, { blobType: 'BlockBlob' }))).toEqual(overwrite('own copy'));
  });

  test('the blob that the file was imported from: its own, as long as it is exactly that', async () => {
    const bound: Newcomer = { ...newcomer, record: { fid: F, size: 6n, bind: { etag: ETAG } } };
    expect(await decide(occupant(undefined), never, SETTINGS, bound)).toEqual(overwrite('imported copy'));
    expect(await decide(occupant(undefined, { etag: '"0x8DD"' }), never, SETTINGS, bound)).toMatchObject({
      do: 'refuse',
      code: 'stranger',
    });
    const copied: Newcomer = { ...bound, record: { fid: G, size: 6n, bind: { etag: ETAG } } };
    expect(await decide(occupant(undefined), never, SETTINGS, copied)).toMatchObject({
      do: 'refuse',
      code: 'stranger',
    });
    const generation = { seq: 2, uuid: THEIRS };
    const other: Newcomer = { ...newcomer, record: { fid: F, size: 6n, bind: { fs: OTHER_FS, fid: G, generation } } };
    expect(await decide(occupant({ fs: OTHER_FS, fid: G, generation }), never, SETTINGS, other)).toEqual(
      overwrite('imported copy'),
    );
  });

  test('an error that is not ENOENT is not death: it is passed on', async () => {
    const broken = () => Promise.reject(new Error('Input/output error'));
    await expect(decide(occupant({}), broken)).rejects.toThrow('Input/output error');
  });
});

test('no living file’s copy is ever overwritten, and every commit is conditional on what was seen', async () => {
  const identities: fc.Arbitrary<BlobIdentity | undefined> = fc.option(
    fc.record({
      fs: fc.constantFrom(FS, OTHER_FS),
      fid: fc.constantFrom(F, G),
      kind: fc.constantFrom<BlobKind>('file', 'dir', 'symlink', 'link'),
      generation: fc.record({ seq: fc.integer({ min: 1, max: 9 }), uuid: fc.constantFrom(OURS, THEIRS) }),
      size: fc.constant(6n),
    }),
    { nil: undefined },
  );
  const settings = fc.record({
    stranger: fc.constantFrom('fail', 'overwrite'),
    dead: fc.constantFrom('fail', 'overwrite'),
    isUnbound: fc.constantFrom(
      () => Promise.resolve(true),
      () => Promise.resolve(false),
    ),
    isLeftBehind: fc.constantFrom(
      undefined,
      () => Promise.resolve(true),
      () => Promise.resolve(false),
    ),
  }) as fc.Arbitrary<ConflictSettings>;
  const states = fc.constantFrom(undefined, 'success', 'pending', 'failed', 'aborted') as fc.Arbitrary<
    Occupant['copyStatus']
  >;
  await fc.assert(
    fc.asyncProperty(
      identities,
      settings,
      states,
      fc.constantFrom<Fate>('dead', 'elsewhere', 'here'),
      async (identity, how, copyStatus, answer) => {
        const there: Occupant = { etag: ETAG, length: 6n, ...(identity === undefined ? {} : { identity }), copyStatus };
        const decision: Decision = await decide(there, fate(answer), how);
        if (decision.do !== 'commit') return;
        expect(decision.condition).toEqual({ ifMatch: ETAG });
        expect(copyStatus).not.toBe('pending');
        const isOurs = identity?.fs === FS;
        if (isOurs && identity.kind === 'file' && identity.fid !== F)
          expect([answer, how.dead]).toEqual(['dead', 'overwrite']);
        if (isOurs && identity.kind === 'file' && identity.fid === F)
          expect(identity.generation?.seq).toBeLessThanOrEqual(5);
        if (isOurs && identity.kind === 'link' && identity.fid !== F) expect(answer).toBe('dead');
        if (isOurs) return;
        if (identity !== undefined) {
          expect(await how.isLeftBehind?.(there)).toBe(true);
          return;
        }
        expect([how.stranger, await how.isUnbound?.(there)]).toEqual(['overwrite', true]);
      },
    ),
    { numRuns: 3000 },
  );
});
