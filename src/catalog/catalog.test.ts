import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { collect, entry, fid, scratch } from '../../test/support/catalog.ts';
import { parseExpression } from '../expression/parser.ts';
import { type Fid, ROOT_FID } from '../identity/fid.ts';
import type { Catalog } from './catalog.ts';
import { openCatalog } from './open.ts';
import type { KnownBlob, Link } from './types.ts';

let place: ReturnType<typeof scratch>;
let catalog: Catalog;

beforeEach(() => {
  place = scratch();
  catalog = openCatalog({ file: place.file, create: true });
});
afterEach(() => {
  catalog.close();
  place.remove();
});

const link = (parent: Fid, name: string | Buffer): Link => ({ parent, name: Buffer.from(name) });
const put = (of: Fid, links: Link[], changes = {}) => ({ entry: entry(of, changes), links });
const directory = (of: Fid, links: Link[]) => put(of, links, { type: 'dir' });
const pathsOf = async (of: Fid) =>
  (await catalog.paths([of])).get(of)?.map((one) => (one.ok ? one.path.toString('latin1') : one.reason));
const archived = { hsm: 0x9, archive: 1 };
const copy: KnownBlob = { archive: 1, name: 'd/a', kind: 'file', generation: '1-x', size: 6n, archivedAt: 5 };

describe('writes at the same time', () => {
  test('count in the order that they were asked for, each with a later stamp', async () => {
    const names = Array.from({ length: 600 }, (_, at) => `n${at}`);
    const writes = names.map((name) => catalog.apply({ puts: [put(fid(1), [link(ROOT_FID, name)])] }));
    await Promise.all(writes);
    expect(await pathsOf(fid(1))).toEqual(['n599']);
    const seen = async (of: Fid) => (await catalog.known([of])).get(of)?.entry?.seen as number;
    await Promise.all([2, 3, 4].map((of) => catalog.apply({ puts: [put(fid(of), [])] })));
    const stamps = [await seen(fid(2)), await seen(fid(3)), await seen(fid(4))];
    expect(new Set(stamps).size).toBe(3);
    expect(stamps).toEqual([...stamps].sort((a, b) => a - b));
  });

  test('fail each for itself', async () => {
    await catalog.claim('one');
    const outcomes = await Promise.allSettled([
      catalog.apply({ puts: [put(fid(1), [])] }),
      catalog.claim('another'),
      catalog.apply({ puts: [put(fid(2), [])] }),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(outcomes[1]).toMatchObject({ reason: { code: 'CATALOG_OTHER_FILE_SYSTEM' } });
    expect(await catalog.present([fid(1), fid(2)])).toEqual(new Set([fid(1), fid(2)]));
  });
});

describe('entries', () => {
  test('come back as they were put, the largest numbers too', async () => {
    const largest = {
      size: 2n ** 63n - 1n,
      blocks: 2n ** 54n,
      osts: [0, 3, 17],
      pool: 'flash',
      mtime: -1,
      uid: 2 ** 32 - 1,
      hsm: 0x2d,
      archive: 65_535,
      project: 7,
    };
    await catalog.apply({ puts: [put(fid(1), [], largest), put(fid(2), [], { type: 'sock', osts: [] })] });
    const known = await catalog.known([fid(1), fid(2), fid(3)]);
    expect(known.get(fid(1))?.entry).toEqual({ ...entry(fid(1), largest), seen: expect.any(Number) });
    expect(known.get(fid(2))?.entry).toEqual({
      ...entry(fid(2), { type: 'sock', osts: [] }),
      seen: expect.any(Number),
    });
    expect(known.get(fid(3))?.entry).toBeUndefined();
    expect(await catalog.present([fid(1), fid(3)])).toEqual(new Set([fid(1)]));
  });

  test('FIDs of every shape have a key of their own', async () => {
    const fids = [
      ROOT_FID,
      fid(0x1ffff),
      fid(0x20000),
      fid(0xffffffff),
      fid(0),
      fid(1, 12),
      '0xffffffffffffffff:0xffffffff:0xffffffff' as Fid,
      '0x200000401:0x1:0x1' as Fid,
    ];
    await catalog.apply({ puts: fids.map((one, index) => put(one, [], { uid: index })) });
    catalog.close();
    catalog = openCatalog({ file: place.file });
    const known = await catalog.known(fids);
    expect(fids.map((one) => known.get(one)?.entry?.uid)).toEqual(fids.map((_, index) => index));
    expect((await collect(catalog.entries())).map((one) => one.fid).sort()).toEqual([...fids].sort());
  });

  test('what was there when it was looked at, and was buried since, does not come back by that', async () => {
    const known = put(fid(1), [link(ROOT_FID, 'a')], { hsm: 9, archive: 1 });
    await catalog.apply({ puts: [known] });
    await catalog.apply({ deaths: [{ fid: fid(1), at: 1 }] });
    const late = { ...known, unlessGone: true };
    const blob = { archive: 1, name: 'late', kind: 'file' } as const;
    const journal = [{ fid: fid(1), reasons: 1, since: 1 }];
    expect(await catalog.apply({ puts: [late], blobs: [{ fid: fid(1), blob }], journal })).toMatchObject({
      skipped: 1,
    });
    expect(await catalog.present([fid(1)])).toEqual(new Set());
    expect(await catalog.tombstone(fid(1))).toMatchObject({ path: Buffer.from('a'), blobs: [] });
    expect((await catalog.journalStats()).count).toBe(0);
    expect(await catalog.apply({ puts: [known] })).toMatchObject({ added: 1 });
    expect(await catalog.apply({ puts: [{ ...late, unlessGone: false }] })).toMatchObject({ skipped: 0 });
    expect(await catalog.tombstone(fid(1))).toBeUndefined();
  });

  test('what was seen since, or died, is not overwritten by what a scan read before', async () => {
    const begun = await catalog.beginScan();
    await catalog.apply({ puts: [put(fid(1), [link(ROOT_FID, 'a')], { mode: 0o600 }), put(fid(3), [])] });
    await catalog.apply({
      deaths: [
        { fid: fid(3), at: 1 },
        { fid: fid(4), at: 1 },
      ],
    });
    const late = await catalog.apply({
      puts: [
        { entry: entry(fid(1), { mode: 0o777 }), links: [link(ROOT_FID, 'old')], unlessSeenAfter: begun },
        { entry: entry(fid(2)), links: [link(ROOT_FID, 'b')], unlessSeenAfter: begun },
        { entry: entry(fid(3)), links: [link(ROOT_FID, 'c')], unlessSeenAfter: begun },
        { entry: entry(fid(4)), links: [link(ROOT_FID, 'd')], unlessSeenAfter: begun },
      ],
    });
    expect(late).toMatchObject({ added: 1, changed: 0, skipped: 3 });
    expect((await catalog.known([fid(1)])).get(fid(1))?.entry?.mode).toBe(0o600);
    expect(await pathsOf(fid(1))).toEqual(['a']);
    expect(await pathsOf(fid(2))).toEqual(['b']);
    expect(await catalog.present([fid(3), fid(4)])).toEqual(new Set());
    expect(await catalog.scanning()).toBe(begun);
    await catalog.endScan(begun, 'partial');
    expect(await catalog.scanning()).toBeUndefined();
    expect(await catalog.lastScan()).toBeUndefined();
  });

  test('those that nobody saw since a scan began are told', async () => {
    await catalog.apply({ puts: [put(fid(1), []), put(fid(2), []), put(fid(3), [])] });
    const begun = await catalog.now();
    await catalog.apply({ puts: [put(fid(2), []), put(fid(4), [])] });
    expect(await collect(catalog.unseen(begun))).toEqual([fid(1), fid(3)]);
  });
});

describe('names', () => {
  const [d, e, f] = [fid(10), fid(11), fid(12)];

  test('a path is walked up through renamed directories; every link has one; names are bytes', async () => {
    const odd = Buffer.from([0x62, 0xff, 0x0a, 0x27]);
    await catalog.apply({
      puts: [
        directory(ROOT_FID, []),
        directory(d, [link(ROOT_FID, 'd')]),
        directory(e, [link(d, 'e')]),
        put(f, [link(e, odd), link(d, 'second')]),
      ],
    });
    expect(await pathsOf(f)).toEqual(['d/second', `d/e/${odd.toString('latin1')}`]);
    await catalog.apply({ puts: [directory(d, [link(ROOT_FID, 'renamed')])] });
    expect(await pathsOf(f)).toEqual(['renamed/second', `renamed/e/${odd.toString('latin1')}`]);
    expect(await catalog.lookup(Buffer.from('renamed/second'))).toBe(f);
    expect(await catalog.lookup(Buffer.from('d/second'))).toBeUndefined();
    expect(await catalog.lookup(Buffer.alloc(0))).toBe(ROOT_FID);
    expect(await pathsOf(ROOT_FID)).toEqual(['']);
  });

  test('what has no way up to the root says why', async () => {
    await catalog.apply({
      puts: [
        directory(ROOT_FID, []),
        directory(d, [link(e, 'd')]),
        directory(e, [link(d, 'e')]),
        put(f, [link(d, 'f')]),
        put(fid(1), [link(fid(99), 'orphan')]),
        put(fid(2), []),
      ],
    });
    expect(await pathsOf(f)).toEqual(['loop']);
    expect(await pathsOf(fid(1))).toEqual(['unknown-parent']);
    expect(await pathsOf(fid(2))).toEqual(['no-name']);
    expect(await pathsOf(fid(77))).toEqual(['no-name']);
    expect((await catalog.marks(undefined, 10)).map((mark) => mark.fid)).toEqual([fid(99)]);
  });

  test('who loses its name to another is marked, and keeps its other names', async () => {
    await catalog.apply({ puts: [directory(ROOT_FID, []), put(f, [link(ROOT_FID, 'a'), link(ROOT_FID, 'b')])] });
    await catalog.apply({ puts: [put(fid(1), [link(ROOT_FID, 'a')])] });
    expect(await pathsOf(fid(1))).toEqual(['a']);
    expect(await pathsOf(f)).toEqual(['b']);
    expect((await catalog.marks(undefined, 10)).map((mark) => mark.fid)).toEqual([f]);
  });

  test('what is named by a stripe of a directory is named by the directory, before and after that is known', async () => {
    const shard = fid(50);
    await catalog.apply({
      puts: [directory(ROOT_FID, []), directory(d, [link(ROOT_FID, 'd')]), put(f, [link(shard, 'f')])],
    });
    expect(await pathsOf(f)).toEqual(['unknown-parent']);
    expect(await catalog.stripes([shard, d])).toEqual(new Map());
    await catalog.apply({ shards: [{ shard, directory: d }], puts: [put(fid(1), [link(shard, 'g')])] });
    expect(await catalog.stripes([shard, d, f])).toEqual(new Map([[shard, d]]));
    expect(await pathsOf(f)).toEqual(['d/f']);
    expect(await pathsOf(fid(1))).toEqual(['d/g']);
    expect(await catalog.check()).toEqual([]);
    await catalog.apply({ puts: [put(fid(2), [link(fid(51), 'f')])] });
    await catalog.apply({ shards: [{ shard: fid(51), directory: d }] });
    expect(await pathsOf(fid(2))).toEqual(['d/f']);
    expect((await catalog.marks(undefined, 99)).map((mark) => mark.fid)).toContain(f);
  });

  test('thousands of names of one file come, stay and go', async () => {
    const names = Array.from({ length: 20_000 }, (_, index) => link(ROOT_FID, `n${index}`));
    await catalog.apply({ puts: [put(f, names)] });
    await catalog.apply({ puts: [put(f, [...names.slice(5), link(ROOT_FID, 'new'), link(ROOT_FID, 'n7')])] });
    const known = (await catalog.known([f])).get(f)?.links.map((one) => one.name.toString());
    expect(known?.sort()).toEqual([...names.slice(5).map((one) => one.name.toString()), 'new'].sort());
  });

  test('a subtree comes in the order of the names, a directory before what it holds, and goes on from anywhere', async () => {
    const puts = [directory(ROOT_FID, []), directory(d, [link(ROOT_FID, 'd')]), directory(e, [link(d, 'b')])];
    const names = Array.from({ length: 700 }, (_, index) => `n${String(index).padStart(3, '0')}`);
    names.forEach((name, index) => {
      puts.push(put(fid(1000 + index), [link(e, name)]), put(fid(3000 + index), [link(d, `z-${name}`)]));
    });
    await catalog.apply({ puts });
    const whole = (await collect(catalog.subtree(d))).map((one) => one.path.toString());
    expect(whole).toEqual(['b', ...names.map((name) => `b/${name}`), ...names.map((name) => `z-${name}`)]);
    for (const at of [0, 1, 350, 700, 701, 1000, 1400]) {
      const rest = await collect(catalog.subtree(d, Buffer.from(whole[at] as string)));
      expect(rest.map((one) => one.path.toString())).toEqual(whole.slice(at + 1));
    }
    await catalog.apply({ deaths: [{ fid: e, at: 1 }] });
    const rest = await collect(catalog.subtree(d, Buffer.from('b/n005')));
    expect(rest.map((one) => one.path.toString())).toEqual(names.map((name) => `z-${name}`));
  });
});

describe('the dead', () => {
  test('leave a tombstone with their last path and blobs if there may be a blob, and nothing otherwise', async () => {
    const d = fid(10);
    await catalog.apply({
      puts: [
        directory(ROOT_FID, []),
        directory(d, [link(ROOT_FID, 'd')]),
        put(fid(1), [link(d, 'a')], archived),
        put(fid(2), [link(d, 'b')]),
        put(fid(3), [link(d, 'c')]),
        put(fid(4), [link(d, 's')], { type: 'symlink' }),
      ],
      blobs: [{ fid: fid(1), blob: copy }],
      journal: [{ fid: fid(1), reasons: 1, since: 3 }],
    });
    const gone = [fid(1), fid(2), fid(4), d, fid(77)].map((one) => ({ fid: one, at: 100 }));
    const result = await catalog.apply({ deaths: [...gone, { fid: fid(3), at: 101, maybeCopied: true }] });
    expect(result.died).toBe(5);
    const stones = await collect(catalog.tombstones(100));
    expect(stones.map((stone) => [stone.fid, stone.path?.toString(), stone.blobs.length])).toEqual([
      [fid(1), 'd/a', 1],
      [fid(4), 'd/s', 0],
      [d, 'd', 0],
    ]);
    expect(await catalog.tombstone(fid(3))).toMatchObject({ diedAt: 101, path: Buffer.from('d/c'), size: 6n });
    expect(await catalog.tombstone(fid(2))).toBeUndefined();
    expect(await catalog.journalEntry(fid(1))).toBeUndefined();
    expect(await catalog.deaths(101)).toEqual({ count: 1, bytes: 6, oldest: 101 });
    expect(await catalog.burials(0)).toEqual({ count: 0, bytes: 0 });
    await catalog.apply({ buried: [fid(1), fid(2)] });
    expect(await catalog.burials(Date.now() / 1000 - 60)).toEqual({ count: 1, bytes: 6 });
    expect(await catalog.burials(Date.now() / 1000 + 120)).toEqual({ count: 0, bytes: 0 });
    expect(await catalog.tombstone(fid(1))).toBeUndefined();
    expect((await catalog.known([fid(1)])).get(fid(1))?.blobs).toEqual([]);
    expect(await catalog.check()).toEqual([]);
  });

  test('are found by their last path and below it, latest first; brought back, they are not counted as removed', async () => {
    const names = ['a', 'a/b', 'a/b/c', 'a-b', 'a0', 'z'];
    const numbers = new Map(names.map((name, index) => [name, index + 1]));
    const parents = { a: ROOT_FID, 'a/b': fid(1), 'a/b/c': fid(2), 'a-b': ROOT_FID, a0: ROOT_FID, z: ROOT_FID };
    await catalog.apply({
      puts: [
        directory(ROOT_FID, []),
        ...Object.entries(parents).map(([name, parent]) =>
          put(fid(numbers.get(name) as number), [link(parent, name.slice(name.lastIndexOf('/') + 1))], archived),
        ),
      ],
      blobs: [{ fid: fid(3), blob: copy }],
    });
    // What is deepest dies first.
    for (const [name, at] of [
      ['a/b/c', 5],
      ['a/b', 6],
      ['a', 7],
      ['a-b', 7],
      ['a0', 8],
      ['z', 9],
    ] as const)
      await catalog.apply({ deaths: [{ fid: fid(numbers.get(name) as number), at }] });
    const at = async (path: string) =>
      (await collect(catalog.tombstonesAt(Buffer.from(path)))).map((stone) => stone.path?.toString());
    expect(await at('a')).toEqual(['a', 'a/b', 'a/b/c']);
    expect(await at('a/b')).toEqual(['a/b', 'a/b/c']);
    expect(await at('a-b')).toEqual(['a-b']);
    expect(await at('b')).toEqual([]);
    expect((await at('')).sort()).toEqual([...names].sort());
    await catalog.apply({ exhumed: [fid(3)] });
    expect(await at('a')).toEqual(['a', 'a/b']);
    expect((await catalog.known([fid(3)])).get(fid(3))?.blobs ?? []).toEqual([]);
    expect(await catalog.burials(0)).toEqual({ count: 0, bytes: 0 });
    expect(await catalog.check()).toEqual([]);
  });

  test('a file that is seen alive has no tombstone', async () => {
    await catalog.apply({ puts: [put(fid(1), [], archived)] });
    await catalog.apply({ deaths: [{ fid: fid(1), at: 1 }] });
    await catalog.apply({ puts: [put(fid(1), [], archived)] });
    expect(await catalog.tombstone(fid(1))).toBeUndefined();
  });

  test('what seemed to be in a dead directory is looked at', async () => {
    const d = fid(10);
    await catalog.apply({
      puts: [directory(ROOT_FID, []), directory(d, [link(ROOT_FID, 'd')]), put(fid(1), [link(d, 'a')])],
    });
    await catalog.apply({ deaths: [{ fid: d, at: 1 }] });
    expect((await catalog.marks(undefined, 9)).map((mark) => mark.fid)).toEqual([fid(1)]);
  });
});

describe('candidates', () => {
  const archivable = (before: number) =>
    catalog.choose({ ...{ scope: 'archivable', order: 'last_mod' }, where: aged('last_mod'), now: before * 1000 });
  const releasable = (ost: number, before: number) =>
    catalog.choose({
      ...{ scope: 'releasable', order: 'last_access', ost },
      ...{ where: aged('last_access'), now: before * 1000 },
    });
  const aged = (field: string) => parseExpression(`${field} >= 0s`);
  test('for archive: not archived or dirty, longest unmodified first', async () => {
    const states = [0, 0x9, 0xb, 0xd, 0x20, 0x1, 0x49, 0x2b, 0x8, 0x10];
    await catalog.apply({
      puts: [
        ...states.map((hsm, index) => put(fid(index + 1), [], { hsm, mtime: 1000 - index })),
        put(fid(90), [], { type: 'dir', mtime: 5 }),
        put(fid(91), [], { mtime: 2000 }),
      ],
    });
    const chosen = await collect(archivable(1000));
    expect(chosen.map((one) => one.fid)).toEqual([fid(10), fid(6), fid(3), fid(1)]);
  });

  test('for release: by OST, least recently used first; atime or mtime, whichever is later', async () => {
    const on = (object: number, osts: number[], atime: number, mtime: number, changes = {}) =>
      put(fid(object), [], { ...archived, osts, atime, mtime, ...changes });
    await catalog.apply({
      puts: [
        on(1, [0, 1], 10, 5),
        on(2, [0], 5, 20),
        on(3, [1], 1, 1),
        on(4, [0], 1, 1, { hsm: 0xb }),
        on(5, [0], 1, 1, { size: 0n }),
        on(6, [0], 1, 1, { hsm: 0x19 }),
        on(7, [0], 1, 2),
      ],
    });
    const from = async (ost: number, before: number) => (await collect(releasable(ost, before))).map((one) => one.fid);
    expect(await from(0, 100)).toEqual([fid(7), fid(1), fid(2)]);
    expect(await from(0, 19)).toEqual([fid(7), fid(1)]);
    expect(await from(1, 100)).toEqual([fid(3), fid(1)]);
    await catalog.apply({
      puts: [on(1, [], 10, 5, { hsm: 0xd }), on(7, [1], 50, 2)],
      deaths: [{ fid: fid(3), at: 1 }],
    });
    expect(await from(0, 100)).toEqual([fid(2)]);
    expect(await from(1, 100)).toEqual([fid(7)]);
  });

  test('come in pages without gaps where many were modified in the same second', async () => {
    const many = Array.from({ length: 2500 }, (_, index) =>
      put(fid(index), [], { mtime: index < 2300 ? 7 : 8, ...(index % 2 === 0 ? archived : {}) }),
    );
    await catalog.apply({ puts: many });
    const odd = many.filter((_, index) => index % 2 === 1).map((one) => one.entry.fid);
    expect((await collect(archivable(9))).map((one) => one.fid)).toEqual(odd);
    expect(await collect(releasable(0, 1_800_000_000))).toHaveLength(1250);
  });
});

test('for a sweep: entries without a blob, and blobs that nobody has seen since', async () => {
  const files = Array.from({ length: 1500 }, (_, index) => fid(index + 1));
  await catalog.apply({
    puts: files.map((one) => put(one, [])),
    blobs: files.slice(2).map((one, index) => ({ fid: one, blob: { ...copy, verifiedAt: index < 1100 ? 100 : 50 } })),
  });
  await catalog.apply({
    blobs: [
      { fid: fid(3), blob: { ...copy, verifiedAt: 70 } },
      { fid: fid(4), blob: { ...copy, name: 'other' } },
    ],
  });
  expect((await collect(catalog.withoutBlob())).map((one) => one.fid)).toEqual(files.slice(0, 2));
  const old = await collect(catalog.unverified(100));
  expect(old).toHaveLength(398 + 2);
  expect(old.slice(0, 2)).toMatchObject([
    { fid: fid(3), blob: { name: 'd/a', verifiedAt: 70, archivedAt: 5 } },
    { fid: fid(4), blob: { name: 'other' } },
  ]);
});

describe('marks and journal', () => {
  test('a mark is done only if it was not put again since it was read', async () => {
    await catalog.apply({ marks: [{ fid: fid(1), hints: 1, since: 20 }] });
    const [read] = await catalog.marks(undefined, 10);
    await catalog.apply({ marks: [{ fid: fid(1), hints: 4, since: 10 }] });
    await catalog.apply({ looked: [{ fid: fid(1), stamp: read?.stamp as number }] });
    const [again] = await catalog.marks(undefined, 10);
    expect(again).toMatchObject({ hints: 5, since: 10 });
    expect(await catalog.markStats()).toEqual({ count: 1, oldest: 10 });
    await catalog.apply({ looked: [{ fid: fid(1), stamp: again?.stamp as number }] });
    expect(await catalog.marks(undefined, 10)).toEqual([]);
  });

  test('work waits, fails, is given up and taken up again, and is not done by what was read before it came anew', async () => {
    await catalog.apply({
      journal: [
        { fid: fid(1), reasons: 1, since: 30 },
        { fid: fid(2), reasons: 2, since: 40, notBefore: 1000 },
      ],
    });
    const due = await catalog.journalDue(500, 10);
    expect(due).toMatchObject([{ fid: fid(1), reasons: 1, tries: 0 }]);
    expect((await catalog.journalDue(1000, 1)).map((one) => one.fid)).toEqual([fid(1)]);
    expect((await catalog.journalDue(1000, 9, due[0])).map((one) => one.fid)).toEqual([fid(2)]);
    const { stamp } = due[0] as { stamp: number };
    const failed = { fid: fid(1), stamp, outcome: 'failed', error: 'EIO', notBefore: 9000 } as const;
    await catalog.apply({
      outcomes: [failed, { fid: fid(1), stamp, outcome: 'progress', progress: Buffer.from('at') }],
    });
    expect(await catalog.journalEntry(fid(1))).toMatchObject({
      tries: 1,
      error: 'EIO',
      notBefore: 9000,
      progress: Buffer.from('at'),
    });
    // What comes anew begins where the work is, unless it is to begin afresh.
    await catalog.apply({ journal: [{ fid: fid(1), reasons: 1, since: 50 }] });
    expect((await catalog.journalEntry(fid(1)))?.progress).toEqual(Buffer.from('at'));
    const afresh = await catalog.apply({ journal: [{ fid: fid(1), reasons: 1, since: 50, afresh: true }] });
    expect((await catalog.journalEntry(fid(1)))?.progress).toBeUndefined();
    await catalog.apply({ outcomes: [{ ...failed, stamp: afresh.stamp, quarantine: true }] });
    expect(await catalog.journalDue(99_999, 10)).toMatchObject([{ fid: fid(2) }]);
    expect(await catalog.quarantine(undefined, 10)).toMatchObject([{ fid: fid(1), tries: 2 }]);
    expect(await catalog.journalStats()).toEqual({ count: 2, quarantined: 1, oldest: 30, oldestWaiting: 40 });
    expect(await catalog.journalRetry([fid(1), fid(9)])).toBe(1);
    expect(await catalog.journalNext()).toBe(0);
    const [again] = await catalog.journalDue(1, 10);
    await catalog.apply({ journal: [{ fid: fid(1), reasons: 8, since: 60 }] });
    await catalog.apply({ outcomes: [{ fid: fid(1), stamp: again?.stamp as number, outcome: 'done' }] });
    expect(await catalog.journalEntry(fid(1))).toMatchObject({ reasons: 9, since: 30 });
    expect(await catalog.journalDrop([fid(1)])).toBe(1);
  });
});

test('cursors move with the records’ effects; types add up; a demand for a scan stands until one that began after it', async () => {
  const begun = (
    await catalog.apply({ cursors: [{ mdt: 'fs-MDT0000', user: 'cl1', applied: 7, types: new Map([[1, 2]]) }] })
  ).stamp;
  await catalog.apply({
    cursors: [
      {
        mdt: 'fs-MDT0000',
        applied: 9,
        cleared: 7,
        types: new Map([
          [1, 1],
          [11, 4],
        ]),
        rescan: 'gap',
      },
    ],
  });
  await catalog.endScan(begun, 'complete');
  expect(await catalog.cursors()).toMatchObject([
    {
      mdt: 'fs-MDT0000',
      user: 'cl1',
      applied: 9,
      cleared: 7,
      types: new Map([
        [1, 3],
        [11, 4],
      ]),
      rescan: { reason: 'gap' },
    },
  ]);
  expect(await catalog.lastScan()).toBe(begun);
  await catalog.endScan(await catalog.beginScan(), 'complete');
  expect((await catalog.cursors())[0]?.rescan).toBeUndefined();
});

test('the small books', async () => {
  const bound = { fid: fid(1), archive: 1, name: 'a', bind: 'etag:"0x1"', size: 2n ** 60n };
  await catalog.apply({
    bindings: [bound],
    failures: [{ fid: fid(1), kind: 'release', error: 'EPERM', notBefore: 5 }],
    checkpoints: [{ name: 'scan', state: { at: 'd/e' } }],
    events: [{ at: 1, level: 'warn', kind: 'gap', message: 'records are missing', fid: fid(1) }],
  });
  await catalog.apply({ failures: [{ fid: fid(1), kind: 'release', error: 'EBUSY', notBefore: 6 }] });
  expect(await catalog.binding(fid(1))).toEqual(bound);
  expect(await catalog.bindingsAt(1, 'a')).toEqual([bound]);
  expect(await catalog.bindingsAt(2, 'a')).toEqual([]);
  const failures = await catalog.failures([fid(1), fid(2)]);
  expect([...failures]).toMatchObject([[fid(1), [{ count: 2, error: 'EBUSY', notBefore: 6 }]]]);
  expect(await catalog.checkpoint('scan')).toMatchObject({ state: { at: 'd/e' } });
  expect(await catalog.events(5)).toEqual([
    { at: 1, level: 'warn', kind: 'gap', message: 'records are missing', fid: fid(1) },
  ]);
  const run = await catalog.beginRun('policy', 'archive');
  await catalog.endRun(run, 'done', { files: 3 });
  expect(await catalog.runs('policy', 5)).toMatchObject([{ id: run, outcome: 'done', detail: { files: 3 } }]);
  expect(await catalog.runs('scan', 5)).toEqual([]);
});

test('a catalog belongs to one file system', async () => {
  await catalog.claim('u1');
  await catalog.claim('u1');
  expect(await catalog.fileSystem()).toBe('u1');
  await expect(catalog.claim('u2')).rejects.toMatchObject({ code: 'CATALOG_OTHER_FILE_SYSTEM' });
});
