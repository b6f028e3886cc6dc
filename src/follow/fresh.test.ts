import { describe, expect, test } from 'vitest';
import { fid, scratch } from '../../test/support/catalog.ts';
import { openCatalog } from '../catalog/open.ts';
import { ROOT_FID } from '../identity/fid.ts';
import { formatFileRecord } from '../identity/file-record.ts';
import type { EntryState, ScanEntry } from '../lustre/scan-entry.ts';
import { freshOf, freshOfScan } from './fresh.ts';
import { markUnseen, scanIn } from './scan-in.ts';

const F = fid(1);
const record = {
  fid: F,
  generation: { seq: 1, uuid: '00000000-0000-4000-8000-000000000000' },
  size: 6n,
  crc64: '0'.repeat(16),
};
describe('by FID', () => {
  const of = (changes: Partial<EntryState>) => freshOf({ ...state, ...changes });
  const state: EntryState = {
    ...{ fid: F, type: 'file', mode: 0o644, uid: 1, gid: 2, nlink: 1, size: 6, blocks: 8, atime: 1, mtime: -1 },
    ...{ ctime: 3, btime: null, project: null, hsm: 0, archive: 0, osts: [], pool: '', record: null, lemur: null },
    ...{ links: [{ parent: ROOT_FID, name: Buffer.from('a') }], linksComplete: true },
  };

  test('a record that was copied from another file is none', () => {
    expect(of({ record: formatFileRecord(record) })?.record).toEqual(record);
    expect(of({ record: formatFileRecord({ ...record, fid: fid(2) }) })?.record).toBeUndefined();
  });

  test('names are known if all are there, and the root and the nameless have none', () => {
    expect(of({})?.links).toHaveLength(1);
    expect(of({ nlink: 2, linksComplete: false })?.links).toBeUndefined();
    expect(of({ nlink: 0, links: null })?.links).toEqual([]);
    expect(of({ fid: ROOT_FID, type: 'dir', nlink: 5, links: [] })?.links).toEqual([]);
  });

  test('without its HSM state nothing is known', () => {
    expect(of({ hsm: null })).toBeUndefined();
  });
});

describe('from a scan', () => {
  const scanned: ScanEntry = {
    ...{ fid: F, parent: ROOT_FID, name: Buffer.from('a'), type: 'file', mode: 0o644, uid: 1, gid: 2, nlink: 1 },
    ...{ size: 6, blocks: 8, atime: 1, mtime: 2, ctime: 3, btime: null, project: 7, hsm: 0x9, archive: 1 },
    ...{ osts: [2], pool: 'p', record: formatFileRecord(record), lemur: null, links: null, linksComplete: true },
  };

  test('an entry with its name and its record', () => {
    expect(freshOfScan(scanned)).toMatchObject({
      entry: { size: 6n, project: 7, hsm: 0x9, osts: [2], pool: 'p' },
      links: [{ parent: ROOT_FID, name: Buffer.from('a') }],
      record,
    });
    expect(freshOfScan({ ...scanned, project: null, record: null })).toMatchObject({ entry: { project: 0 } });
  });

  test('all names of a file with several', () => {
    const links = [...[ROOT_FID, fid(9)].map((parent) => ({ parent, name: Buffer.from('x') }))];
    expect(freshOfScan({ ...scanned, name: Buffer.from('x'), nlink: 2, links })?.links).toEqual(links);
  });

  test('goes into the catalog; a file that is met twice once, and what was not seen well enough as a mark', async () => {
    const place = scratch();
    const catalog = openCatalog({ file: place.file, create: true });
    try {
      const links = [ROOT_FID, fid(9)].map((parent) => ({ parent, name: Buffer.from('x') }));
      const twice = { ...scanned, fid: fid(2), name: Buffer.from('x'), nlink: 2, record: null, links };
      const begun = await catalog.beginScan();
      const timing = { now: 5000, settle: 0, again: 0 };
      const unclear = { ...scanned, fid: fid(3), hsm: null };
      expect(
        await scanIn(catalog, { entries: [scanned, twice, twice, unclear], directories: [] }, begun, timing),
      ).toMatchObject({ added: 2 });
      const known = await catalog.known([F, fid(2)]);
      expect(known.get(F)).toMatchObject({ entry: { size: 6n }, links: [{ name: Buffer.from('a') }] });
      expect(known.get(fid(2))?.links).toHaveLength(2);
      expect((await catalog.marks(undefined, 9)).map((mark) => mark.fid)).toEqual(
        expect.arrayContaining([fid(3), fid(9), ROOT_FID]),
      );
      expect(await markUnseen(catalog, await catalog.now(), timing)).toBe(2);
    } finally {
      catalog.close();
      place.remove();
    }
  });

  test('what the scan did not see enough of is not taken from it', () => {
    expect(freshOfScan({ ...scanned, hsm: null })).toBeUndefined();
    expect(freshOfScan({ ...scanned, links: [], linksComplete: false })).toBeUndefined();
    const inStripes = [fid(8), fid(9)].map((parent) => ({ parent, name: scanned.name }));
    expect(freshOfScan({ ...scanned, nlink: 2, links: inStripes })).toBeUndefined();
  });
});
