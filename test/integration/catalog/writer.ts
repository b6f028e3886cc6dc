import { openCatalog } from '../../../src/catalog/open.ts';
import { ROOT_FID } from '../../../src/identity/fid.ts';
import { entry, fid } from '../../support/catalog.ts';

/**
 * A process that fills a catalog until it is killed: `writer.ts FILE MDT FIRST`. Batch n holds 50 files, a rename of the
 * directory that they are in, a death, a mark and the MDT's index n. It prints n when the batch is said to be durable.
 */
const [, , file = '', mdt = '', first = '1'] = process.argv;
const catalog = openCatalog({ file, create: true });
const base = Number(mdt.slice(-1)) * 1_000_000;
const directory = fid(base, 0x300000400);

for (let n = Number(first); ; n++) {
  const files = Array.from({ length: 50 }, (_, index) => fid(base + n * 50 + index));
  await catalog.apply({
    puts: [
      { entry: entry(directory, { type: 'dir' }), links: [{ parent: ROOT_FID, name: Buffer.from(`${mdt}-${n}`) }] },
      ...files.map((one, index) => ({
        entry: entry(one, { size: BigInt(n), uid: n % 3, hsm: index % 2 === 0 ? 0x9 : 0, archive: 1 }),
        links: [{ parent: directory, name: Buffer.from(`f${n}-${index}`) }],
      })),
    ],
    deaths: [{ fid: fid(base + (n - 1) * 50), at: n }],
    marks: [{ fid: fid(n), hints: 1, since: n }],
    journal: [{ fid: directory, reasons: 1, since: n }],
    cursors: [{ mdt, applied: n }],
  });
  process.stdout.write(`${n}\n`);
}
