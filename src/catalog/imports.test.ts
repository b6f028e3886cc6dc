import { afterEach, beforeEach, expect, test } from 'vitest';
import { collect, scratch } from '../../test/support/catalog.ts';
import type { Fid } from '../identity/fid.ts';
import type { Catalog } from './catalog.ts';
import { openCatalog } from './open.ts';
import type { Entry } from './types.ts';

let place: ReturnType<typeof scratch>;
let catalog: Catalog;

beforeEach(() => {
  place = scratch();
  catalog = openCatalog({ file: place.file, create: true });
});
afterEach(async () => {
  expect(await catalog.check()).toEqual([]);
  catalog.close();
  place.remove();
});

const fid = (number: number) => `0x200000401:0x${number.toString(16)}:0x0` as Fid;
const entry = (number: number): Entry => ({
  ...{ fid: fid(number), type: 'file', mode: 0o644, uid: 0, gid: 0, project: 0, size: 1n, blocks: 1n, nlink: 1 },
  ...{ atime: 0, mtime: 0, ctime: 0, hsm: 13, archive: 1, osts: [], pool: '' },
});

test('ranges go on where they were, and end', async () => {
  const range = (place: string, token?: string) => ({ place, flat: false, ...(token === undefined ? {} : { token }) });
  await catalog.apply({ imports: { restart: true, ranges: [range('b/'), range('a/')] } });
  expect(await catalog.importRanges(10)).toEqual([range('a/'), range('b/')]);
  await catalog.apply({
    imports: { ranges: [range('a/', 'next'), { place: 'a/x/', flat: true }], rangesDone: [{ place: 'b/' }] },
  });
  expect(await catalog.importRanges(1)).toEqual([range('a/', 'next')]);
  expect(await catalog.importRangeCount()).toBe(2);
  // Parts of one directory: each ends where the next begins, and each is done on its own.
  const part = { place: 'a/', start: 'a/m', flat: false, end: 'a/z' };
  await catalog.apply({ imports: { ranges: [part, { ...range('a/', 'next'), end: 'a/m' }] } });
  await catalog.apply({ imports: { ranges: [{ ...part, token: 'on', end: 'a/p' }] } });
  expect(await catalog.importRanges(10)).toEqual([
    { ...range('a/', 'next'), end: 'a/m' },
    { ...part, token: 'on', end: 'a/p' },
    { place: 'a/x/', flat: true },
  ]);
  await catalog.apply({ imports: { rangesDone: [{ place: 'a/' }] } });
  expect(await catalog.importRanges(1)).toEqual([{ ...part, token: 'on', end: 'a/p' }]);
  await catalog.apply({ imports: { restart: true, ranges: [range('')] } });
  expect(await catalog.importRanges(10)).toEqual([range('')]);
});

test('links and directories wait until they are done; a new import keeps the directories', async () => {
  const link = (name: string) => ({
    name,
    path: Buffer.from([0x61, 0xff]),
    target: name === 'b' ? undefined : 't',
    etag: '1',
  });
  const directory = { fid: fid(9), mode: 0o1755, uid: 1, gid: 2, mtime: -5 };
  await catalog.apply({ imports: { links: [link('b'), link('a')], directories: [directory] } });
  expect(await collect(catalog.importLinks())).toEqual([link('a'), link('b')]);
  await catalog.apply({ imports: { linksDone: ['a'] } });
  expect(await collect(catalog.importLinks())).toEqual([link('b')]);
  await catalog.apply({ imports: { restart: true } });
  expect(await collect(catalog.importLinks())).toEqual([]);
  expect(await collect(catalog.importDirectories())).toEqual([directory]);
  await catalog.apply({ imports: { directoriesDone: [fid(9)] } });
  expect(await collect(catalog.importDirectories())).toEqual([]);
});

test('what stands for a blob is alive; what was not seen again is gone, below the right beginning of names only', async () => {
  const blob = (name: string) => ({ archive: 1, name, kind: 'file' as const, etag: `"${name}"`, verifiedAt: 100 });
  const names = ['é/a', 'é/b', 'éa', 'other'];
  await catalog.apply({
    puts: names.map((_, i) => ({ entry: entry(i + 1), links: [] })),
    blobs: names.map((name, i) => ({ fid: fid(i + 1), blob: blob(name) })),
    bindings: names.map((name, i) => ({ fid: fid(i + 1), archive: 1, name, bind: `etag:"${name}"`, size: 1n })),
  });
  const found = await catalog.importedAt(1, ['é/a', 'nobody']);
  expect([...found]).toEqual([['é/a', { fid: fid(1), kind: 'file', etag: '"é/a"', bind: 'etag:"é/a"' }]]);
  await catalog.apply({ imports: { seen: [{ fid: fid(1), archive: 1, name: 'é/a' }] } });
  const gone = { name: 'é/b', fid: fid(2), bound: true };
  expect(await collect(catalog.importsGone(1, 'é/', 200))).toEqual([gone]);
  expect(await collect(catalog.importsGone(2, 'é/', 200))).toEqual([]);
  await catalog.apply({ deaths: [{ fid: fid(1), at: 1 }] });
  expect((await catalog.importedAt(1, ['é/a'])).size).toBe(0);
});
