import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { collect, entry, fid, scratch } from '../../test/support/catalog.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { openCatalog } from '../catalog/open.ts';
import { type Fid, ROOT_FID } from '../identity/fid.ts';
import { type ChangelogRecord, RecordType } from '../lustre/changelog-record.ts';
import type { Seen } from './fresh.ts';
import { REASON } from './reasons.ts';
import { RecordBatch } from './record-batch.ts';
import { type FileSource, refresh } from './refresh.ts';
import { batchOfFresh } from './scan-in.ts';
import { takeIn } from './take-in.ts';
import { ToldDirectories } from './told-directories.ts';

// Files that were archived and removed, with their directories, before the follower looked at any of them: what records
// said of names is all there is to find their blobs and markers by.

const MDT = 'fs-MDT0000';
const [P, D, F, E] = [fid(1), fid(2), fid(3), fid(4)];
let place: ReturnType<typeof scratch>;
let catalog: Catalog;
let directories: ToldDirectories;
let alive: Map<Fid, Seen>;
let index: number;

beforeEach(async () => {
  place = scratch();
  catalog = openCatalog({ file: place.file, create: true });
  await catalog.apply({ puts: [{ entry: entry(ROOT_FID, { type: 'dir' }), links: [] }] });
  directories = new ToldDirectories();
  alive = new Map([[ROOT_FID, { kind: 'alive', fresh: { entry: entry(ROOT_FID, { type: 'dir' }), links: [] } }]]);
  index = 0;
});
afterEach(() => {
  catalog.close();
  place.remove();
});

type About = Partial<ChangelogRecord>;
const named = (file: Fid, parent: Fid, name: string): About => ({ fid: file, parent, name: Buffer.from(name) });

function record(type: keyof typeof RecordType, about: About, flags = 0): ChangelogRecord {
  index += 1;
  const nothing = { fid: null, parent: null, name: null, uid: null, gid: null, xattr: null };
  const source = { sourceFid: null, sourceParent: null, sourceName: null };
  return { index, type: RecordType[type], flags, time: index * 1000, ...nothing, ...source, ...about };
}
const mkdir = (directory: Fid, parent: Fid, name: string) => record('MKDIR', named(directory, parent, name));
const rmdir = (directory: Fid, parent: Fid, name: string) => record('RMDIR', named(directory, parent, name), 0x1);
const archived = (file: Fid, parent: Fid, name: string) => [
  record('CREAT', named(file, parent, name)),
  record('HSM', { fid: file }, 0x280),
  record('HSM', { fid: file }, 0x0),
];
const unlinked = (file: Fid, parent: Fid, name: string) => record('UNLNK', named(file, parent, name), 0x3);
const renamed = (what: Fid, from: [Fid, string], to: [Fid, string]) =>
  record('RENME', {
    ...{ parent: to[0], name: Buffer.from(to[1]) },
    ...{ sourceFid: what, sourceParent: from[0], sourceName: Buffer.from(from[1]) },
  });

async function take(...records: ChangelogRecord[]): Promise<void> {
  const applied = (await catalog.cursors())[0]?.applied;
  const batch = new RecordBatch(MDT, applied, directories);
  for (const one of records) batch.add(one);
  await takeIn(catalog, batch);
}

/** Looks at everything that is marked, so many at a time, again and again. */
async function look(limit = 100): Promise<void> {
  const source: FileSource = {
    look: async (fids) => new Map(fids.map((one) => [one, alive.get(one) ?? { kind: 'dead' }])),
    stripes: async () => new Map(),
  };
  for (let after: Fid | undefined; (await catalog.markStats()).count > 0; ) {
    const timing = () => ({ now: Date.now(), settle: 0, again: 0 });
    after = (await refresh(catalog, source, { after, limit, timing })).next;
  }
}

const stones = async () =>
  new Map(
    (await collect(catalog.tombstones(Number.MAX_SAFE_INTEGER))).map(({ fid: of, type, path, seen }) => [
      of,
      `${type} ${path}${seen ? '' : ', never seen'}`,
    ]),
  );

const ALL_UNSEEN = new Map([
  [P, 'dir p, never seen'],
  [D, 'dir p/d, never seen'],
  [F, 'file p/d/f, never seen'],
]);

describe.each([
  ['all in one look', 100],
  ['one by one', 1],
])('looked at %s', (_, limit) => {
  test('in one batch', async () => {
    await take(
      mkdir(P, ROOT_FID, 'p'),
      mkdir(D, P, 'd'),
      ...archived(F, D, 'f'),
      unlinked(F, D, 'f'),
      rmdir(D, P, 'd'),
      rmdir(P, ROOT_FID, 'p'),
    );
    await look(limit);
    expect(await stones()).toEqual(ALL_UNSEEN);
  });

  test('however the records are split, and whatever is looked at in between', async () => {
    for (const some of [
      [mkdir(P, ROOT_FID, 'p'), mkdir(D, P, 'd')],
      archived(F, D, 'f'),
      [unlinked(F, D, 'f')],
      [rmdir(D, P, 'd')],
      [rmdir(P, ROOT_FID, 'p')],
    ]) {
      await take(...some);
      await look(limit);
    }
    expect(await stones()).toEqual(ALL_UNSEEN);
  });

  test('below a directory that was renamed meanwhile, or had been seen before', async () => {
    const root = { type: 'dir' } as const;
    await catalog.apply({
      puts: [{ entry: entry(P, root), links: [{ parent: ROOT_FID, name: Buffer.from('p') }] }],
    });
    await take(
      mkdir(D, P, 'before'),
      renamed(D, [P, 'before'], [P, 'd']),
      ...archived(F, D, 'f'),
      unlinked(F, D, 'f'),
      rmdir(D, P, 'd'),
      rmdir(P, ROOT_FID, 'p'),
    );
    await look(limit);
    expect(await stones()).toEqual(
      new Map([
        [P, 'dir p'],
        [D, 'dir p/d, never seen'],
        [F, 'file p/d/f, never seen'],
      ]),
    );
  });
});

test('a directory whose file was moved out in time is looked for, too', async () => {
  alive.set(F, {
    kind: 'alive',
    fresh: { entry: entry(F, { hsm: 0x9, archive: 1 }), links: [{ parent: ROOT_FID, name: Buffer.from('f') }] },
  });
  await take(
    mkdir(D, ROOT_FID, 'd'),
    ...archived(F, D, 'f'),
    renamed(F, [D, 'f'], [ROOT_FID, 'f']),
    rmdir(D, ROOT_FID, 'd'),
  );
  await look();
  expect(await stones()).toEqual(new Map([[D, 'dir d, never seen']]));
});

test('directories that came and went without anything archived in them cost nothing', async () => {
  await take(
    mkdir(D, ROOT_FID, 'd'),
    record('CREAT', named(E, D, 'e')),
    record('UNLNK', named(E, D, 'e'), 0x1),
    rmdir(D, ROOT_FID, 'd'),
  );
  expect((await catalog.marks(undefined, 10)).map((mark) => mark.fid)).toEqual([ROOT_FID]);
  await look();
  expect(await stones()).toEqual(new Map());
});

test('a directory that a scan meets after what is in it has that looked at again: it may have had another name until then', async () => {
  const begun = await catalog.beginScan();
  const link = (parent: Fid, name: string) => [{ parent, name: Buffer.from(name) }];
  await catalog.apply({ puts: [{ entry: entry(F), links: link(D, 'f') }] });
  const directory = (of: Fid, name: string) => ({ entry: entry(of, { type: 'dir' }), links: link(ROOT_FID, name) });
  const timing = { now: 1, settle: 0, again: 0 };
  const { journal } = await batchOfFresh(catalog, [directory(D, 'd'), directory(P, 'p')], begun, timing);
  expect(journal.map(({ fid: of, reasons }) => [of, reasons])).toEqual([
    [D, REASON.NAMES | REASON.TREE],
    [P, REASON.NAMES],
  ]);
});
