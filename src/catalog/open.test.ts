import { copyFileSync, existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { collect, entry, fid, scratch } from '../../test/support/catalog.ts';
import { isCatalogError } from './errors.ts';
import { openCatalog, openCatalogForScan, setAsideCatalog } from './open.ts';

let place: ReturnType<typeof scratch>;

beforeEach(() => {
  place = scratch();
});
afterEach(() => place.remove());

const code = (name: string) => expect.objectContaining({ code: name });

async function filled(files: number): Promise<void> {
  const catalog = openCatalog({ file: place.file, create: true });
  const puts = Array.from({ length: files }, (_, index) => ({
    entry: entry(fid(index + 1), { hsm: 0x9, archive: 1, osts: [index % 4] }),
    links: [{ parent: fid(9_999_999), name: Buffer.from(`name-${index}`) }],
  }));
  await catalog.apply({ puts, journal: [{ fid: fid(1), reasons: 1, since: 1 }] });
  catalog.close();
}

test('where none is, it is missed, or made', () => {
  expect(() => openCatalog({ file: place.file })).toThrow(code('CATALOG_MISSING'));
  expect(() => openCatalog({ file: place.file, readOnly: true, create: true })).toThrow(code('CATALOG_MISSING'));
  openCatalog({ file: `${place.directory}/new/dir/catalog.db`, create: true }).close();
  openCatalog({ file: `${place.directory}/new/dir/catalog.db`, readOnly: true }).close();
  writeFileSync(place.file, '');
  openCatalog({ file: place.file }).close();
});

test('a newer one is refused, and not touched', async () => {
  await filled(10);
  const raw = new DatabaseSync(place.file);
  raw.exec('PRAGMA journal_mode = DELETE; PRAGMA user_version = 99');
  raw.close();
  const before = readFileSync(place.file);
  for (const open of [openCatalog, openCatalogForScan]) {
    expect(() => open({ file: place.file, create: true })).toThrow(code('CATALOG_NEWER'));
  }
  expect(readFileSync(place.file).equals(before)).toBe(true);
  expect(readdirSync(place.directory)).toEqual(['catalog.db']);
});

test('one that becomes newer while it is open takes no more batches', async () => {
  await filled(1);
  const catalog = openCatalog({ file: place.file });
  const raw = new DatabaseSync(place.file);
  raw.exec('PRAGMA user_version = 99');
  raw.close();
  await expect(catalog.apply({})).rejects.toMatchObject({ code: 'CATALOG_NEWER' });
  catalog.close();
});

test('another program’s database is refused', () => {
  const raw = new DatabaseSync(place.file);
  raw.exec('CREATE TABLE theirs (x)');
  raw.close();
  expect(() => openCatalogForScan({ file: place.file })).toThrow(code('CATALOG_OTHER_FILE'));
});

test('a damaged one is refused by every service; a scan sets it aside, tells so, and begins an empty one', async () => {
  await filled(10);
  writeFileSync(place.file, Buffer.concat([Buffer.from('garbage'), readFileSync(place.file).subarray(7)]));
  expect(() => openCatalog({ file: place.file, create: true })).toThrow(code('CATALOG_DAMAGED'));
  const { catalog, setAside } = openCatalogForScan({ file: place.file });
  expect(setAside).toMatch(/catalog\.db\.damaged-\d{8}T\d{6}Z$/);
  expect(existsSync(setAside as string)).toBe(true);
  expect(await catalog.lastScan()).toBeUndefined();
  expect(await collect(catalog.entries())).toEqual([]);
  catalog.close();
});

test('who has a file open that is set aside, or removed, is told at the next write that it did not count', async () => {
  await filled(1);
  const service = openCatalog({ file: place.file });
  setAsideCatalog(place.file);
  await expect(service.apply({ marks: [] })).rejects.toMatchObject({
    code: 'CATALOG_REPLACED',
    message: expect.stringContaining('removed'),
  });
  openCatalog({ file: place.file, create: true }).close();
  await expect(service.apply({ marks: [] })).rejects.toMatchObject({ message: expect.stringContaining('replaced') });
  service.close();
});

test('bytes damaged anywhere: everything read is an error that says so, or what was written, and never a crash', async () => {
  await filled(400);
  const whole = openCatalog({ file: place.file, readOnly: true });
  const size = (await collect(whole.entries())).length;
  whole.close();
  const sound = `${place.directory}/sound.db`;
  copyFileSync(place.file, sound);
  const length = statSync(sound).size;
  let found = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: length - 1 }),
      fc.uint8Array({ minLength: 1, maxLength: 600 }),
      async (at, bytes) => {
        const content = Buffer.from(readFileSync(sound));
        content.set(bytes.subarray(0, length - at), at);
        writeFileSync(place.file, content);
        for (const suffix of ['-wal', '-shm']) rmSync(place.file + suffix, { force: true });
        try {
          const catalog = openCatalog({ file: place.file });
          try {
            const entries = await collect(catalog.entries());
            await collect(catalog.choose({ scope: 'releasable', order: 'last_access', ost: 1, now: 2e12 }));
            await catalog.usage();
            await catalog.paths(entries.map((one) => one.fid));
            await catalog.apply({
              puts: [{ entry: entry(fid(7), { mode: 0o600 }) }],
              deaths: [{ fid: fid(3), at: 1 }],
            });
            if (entries.length !== size) expect(await catalog.check()).not.toEqual([]);
          } finally {
            catalog.close();
          }
        } catch (error) {
          if (!isCatalogError(error, 'CATALOG_DAMAGED', 'CATALOG_NEWER', 'CATALOG_OTHER_FILE')) throw error;
          found++;
        }
      },
    ),
    { numRuns: 150 },
  );
  expect(found).toBeGreaterThan(0);
}, 60_000);
