import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { entry, fid, scratch } from '../../test/support/catalog.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { openCatalog } from '../catalog/open.ts';
import type { Fid } from '../identity/fid.ts';
import { type ChangelogRecord, RecordType } from '../lustre/changelog-record.ts';
import { HINT } from './hints.ts';
import { RecordBatch } from './record-batch.ts';
import { takeIn } from './take-in.ts';

const MDT = 'fs-MDT0000';
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

const [D, E, F, V] = [fid(1), fid(2), fid(3), fid(4)];
type About = Partial<ChangelogRecord>;

function record(index: number, type: keyof typeof RecordType | number, about: About = {}): ChangelogRecord {
  const nothing = { fid: null, parent: null, name: null, uid: null, gid: null, xattr: null };
  const source = { sourceFid: null, sourceParent: null, sourceName: null };
  return {
    index,
    type: typeof type === 'number' ? type : RecordType[type],
    flags: 0,
    time: 1_000_000 + index * 1000,
    ...nothing,
    ...source,
    ...about,
  };
}

async function take(applied: number | undefined, ...records: ChangelogRecord[]): Promise<RecordBatch> {
  const batch = new RecordBatch(MDT, applied);
  for (const one of records) batch.add(one);
  await takeIn(catalog, batch);
  return batch;
}

const marked = async () => new Map((await catalog.marks(undefined, 100)).map((mark) => [mark.fid, mark.hints]));
const named = (file: Fid, parent: Fid): About => ({ fid: file, parent, name: Buffer.from('n') });

describe('what a record marks', () => {
  const gone = { ...named(F, D), flags: 0x3 };
  const renamed = { ...named(V, E), flags: 0x3, sourceFid: F, sourceParent: D, sourceName: Buffer.from('o') };
  const victim = HINT.NAMES | HINT.UNLINKED | HINT.HAD_COPY;
  const data = HINT.DATA | HINT.ATTRIBUTES;
  const cases: [keyof typeof RecordType | number, About, [Fid, number][]][] = [
    ['MARK', {}, []],
    [
      'CREAT',
      named(F, D),
      [
        [D, HINT.CONTENTS],
        [F, HINT.BORN | HINT.NAMES],
      ],
    ],
    [
      'MKDIR',
      named(F, D),
      [
        [D, HINT.CONTENTS],
        [F, HINT.BORN | HINT.NAMES],
      ],
    ],
    [
      'HLINK',
      named(F, D),
      [
        [D, HINT.CONTENTS],
        [F, HINT.NAMES],
      ],
    ],
    [
      'UNLNK',
      gone,
      [
        [D, HINT.CONTENTS],
        [F, victim],
      ],
    ],
    [
      'UNLNK',
      { ...gone, flags: 0 },
      [
        [D, HINT.CONTENTS],
        [F, HINT.NAMES],
      ],
    ],
    [
      'RMDIR',
      { ...gone, flags: 0x1 },
      [
        [D, HINT.CONTENTS],
        [F, HINT.NAMES | HINT.UNLINKED],
      ],
    ],
    [
      'RENME',
      { ...renamed, fid: null, flags: 0 },
      [
        [D, HINT.CONTENTS],
        [E, HINT.CONTENTS],
        [F, HINT.NAMES],
      ],
    ],
    [
      'RENME',
      renamed,
      [
        [D, HINT.CONTENTS],
        [E, HINT.CONTENTS],
        [F, HINT.NAMES],
        [V, victim],
      ],
    ],
    ['CLOSE', { fid: F, flags: 0x42 }, [[F, data]]],
    ['TRUNC', { fid: F, flags: 0xf }, [[F, data]]],
    ['LYOUT', { fid: F }, [[F, data]]],
    ['SATTR', { fid: F, flags: 0x14 }, [[F, HINT.ATTRIBUTES]]],
    ['HSM', { fid: F, flags: 0x180 }, [[F, HINT.HSM]]],
    ['XATTR', { fid: F, xattr: 'user.color' }, [[F, HINT.ATTRIBUTES | HINT.XATTR]]],
    ['XATTR', { fid: F }, [[F, HINT.ATTRIBUTES | HINT.XATTR]]],
    ['XATTR', { fid: F, xattr: 'trusted.lfsazsync' }, []],
    ['XATTR', { fid: F, xattr: 'trusted.lfsazsync_at' }, []],
    ['OPEN', { fid: F }, []],
    ['GXATR', { fid: F }, []],
    ['CREAT', named('0x200000002:0x1:0x0' as Fid, '0x0:0x0:0x0' as Fid), []],
    [
      'MIGRT',
      renamed,
      [
        [D, HINT.CONTENTS],
        [E, HINT.CONTENTS],
        [F, HINT.UNKNOWN | HINT.NAMES],
        [V, HINT.UNKNOWN | HINT.NAMES],
      ],
    ],
    [99, { fid: F }, [[F, HINT.UNKNOWN | HINT.NAMES]]],
  ];
  test.each(cases)('%s %#', async (type, about, expected) => {
    await take(undefined, record(1, type, about));
    expect(await marked()).toEqual(new Map(expected));
  });
});

test('many records of a file are one mark, as old as the first', async () => {
  await take(6, record(7, 'CREAT', named(F, D)), record(8, 'CLOSE', { fid: F }), record(9, 'HSM', { fid: F }));
  expect(await catalog.marks(D, 10)).toMatchObject([
    { fid: F, hints: HINT.BORN | HINT.NAMES | HINT.DATA | HINT.ATTRIBUTES | HINT.HSM, since: 1007 },
  ]);
  expect(await catalog.cursors()).toMatchObject([
    {
      mdt: MDT,
      applied: 9,
      recordTime: 1_009_000,
      types: new Map([
        [1, 1],
        [11, 1],
        [16, 1],
      ]),
      rescan: undefined,
    },
  ]);
});

describe('what was made and removed in one batch', () => {
  const made = record(1, 'CREAT', named(F, D));
  const removed = record(3, 'UNLNK', { ...named(F, D), flags: 0x1 });

  test('costs nothing but a look at its directory', async () => {
    await take(undefined, made, record(2, 'CLOSE', { fid: F }), removed);
    expect(await marked()).toEqual(new Map([[D, HINT.CONTENTS]]));
  });

  test('is looked at if it met HSM, had a copy, or kept a name', async () => {
    await take(undefined, made, record(2, 'HSM', { fid: F }), removed);
    expect((await marked()).has(F)).toBe(true);
    await take(3, record(4, 'CREAT', named(V, D)), record(5, 'UNLNK', { ...named(V, D), flags: 0x3 }));
    expect((await marked()).has(V)).toBe(true);
    await take(5, record(6, 'CREAT', named(E, D)), record(7, 'UNLNK', { ...named(E, D), flags: 0 }));
    expect((await marked()).has(E)).toBe(true);
  });

  test('is looked at if the catalog has it, or a scan may bring it', async () => {
    await catalog.apply({ puts: [{ entry: entry(F) }] });
    await take(undefined, made, { ...removed, index: 2 });
    expect((await marked()).has(F)).toBe(true);
    const begun = await catalog.beginScan();
    await take(2, record(3, 'CREAT', named(V, D)), record(4, 'UNLNK', { ...named(V, D), flags: 0x1 }));
    expect((await marked()).has(V)).toBe(true);
    await catalog.endScan(begun, 'complete');
  });
});

describe('indexes', () => {
  const close = (index: number) => record(index, 'CLOSE', { fid: F });
  const rescan = async () => (await catalog.cursors())[0]?.rescan?.reason;

  test('begin anywhere, and what is in the catalog already is passed over', async () => {
    await take(undefined, close(57), close(58));
    const again = await take(58, close(57), close(58));
    expect(again.size).toBe(0);
    expect(await catalog.cursors()).toMatchObject([{ applied: 58, types: new Map([[11, 2]]) }]);
    expect(await rescan()).toBeUndefined();
  });

  test('a hole demands a scan, at the beginning of a batch or within', async () => {
    await take(58, close(60));
    expect(await rescan()).toBe('record 59 of fs-MDT0000 is missing');
    await catalog.endScan(await catalog.beginScan(), 'complete');
    await take(60, close(61), close(65));
    expect(await rescan()).toBe('records 62 to 64 of fs-MDT0000 are missing');
  });

  test('so does a record that can’t be read', async () => {
    const batch = new RecordBatch(MDT, 1);
    batch.addUnreadable(2);
    await takeIn(catalog, batch);
    expect(await rescan()).toBe('record 2 of fs-MDT0000 can’t be read');
    expect((await catalog.cursors())[0]?.applied).toBe(2);
  });
});
