import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openCatalog } from '../../../src/catalog/open.ts';
import { entry, fid, scratch } from '../../support/catalog.ts';

let place: ReturnType<typeof scratch>;
let disk: string;

beforeEach(() => {
  place = scratch();
  disk = join(place.directory, 'disk');
  mkdirSync(disk);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', disk]);
});
afterEach(() => {
  execFileSync('umount', [disk]);
  place.remove();
});

const batch = (n: number) => ({
  puts: Array.from({ length: 200 }, (_, index) => ({
    entry: entry(fid(n * 200 + index)),
    links: [{ parent: fid(1), name: Buffer.from(`a-name-of-some-length-${n}-${index}`) }],
  })),
  cursors: [{ mdt: 'fs-MDT0000', applied: n }],
});

test('a full disk: the batch is refused with what to do, nothing of it is there, and all goes on once there is room', async () => {
  const file = join(disk, 'catalog.db');
  const ballast = join(disk, 'ballast');
  writeFileSync(ballast, Buffer.alloc(1024 * 1024));
  const catalog = openCatalog({ file, create: true });
  let written = 0;
  const fill = async () => {
    for (;;) {
      await catalog.apply(batch(written + 1));
      written++;
    }
  };
  await expect(fill()).rejects.toMatchObject({
    code: 'CATALOG_FULL',
    message: `The disk with the catalog ${file} is full.`,
  });
  expect(written).toBeGreaterThan(0);
  expect((await catalog.cursors())[0]?.applied).toBe(written);
  await expect(catalog.apply(batch(written + 1))).rejects.toMatchObject({ code: 'CATALOG_FULL' });
  rmSync(ballast);
  await catalog.apply(batch(written + 1));
  expect((await catalog.cursors())[0]?.applied).toBe(written + 1);
  expect(await catalog.check()).toEqual([]);
  expect((await catalog.usage()).reduce((sum, one) => sum + one.count, 0n)).toBe(BigInt(200 * (written + 1)));
  catalog.close();
});

test('a catalog can’t be begun on a full disk, and is begun once there is room', () => {
  const ballast = join(disk, 'ballast');
  try {
    writeFileSync(ballast, Buffer.alloc(5 * 1024 * 1024));
  } catch {
    // full now
  }
  const file = join(disk, 'catalog.db');
  expect(() => openCatalog({ file, create: true })).toThrow(expect.objectContaining({ code: 'CATALOG_FULL' }));
  rmSync(ballast);
  openCatalog({ file, create: true }).close();
});
