import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { type ListRange, ParallelListing } from '../../../src/audit/parallel-listing.ts';
import { useAzurite } from '../blob/setup.ts';

const world = useAzurite();

/** Deep and flat, directories with and without a blob of their own, names that are beginnings of others. */
const names = fc.uniqueArray(
  fc
    .array(fc.constantFrom('a', 'ab', 'b', 'B', 'é', '.x', 'a b', '%41'), { minLength: 1, maxLength: 5 })
    .map((segments) => segments.join('/')),
  { minLength: 1, maxLength: 40 },
);

test('every blob once, however it is divided, and wherever it is stopped and taken up again', async () => {
  const store = await world.open();
  const shape = fc.record({
    names,
    parallel: fc.integer({ min: 1, max: 4 }),
    pageSize: fc.integer({ min: 1, max: 7 }),
    pagesEach: fc.integer({ min: 1, max: 12 }),
    startsWith: fc.constantFrom('', 'a/', 'a/b/'),
  });
  await fc.assert(
    fc.asyncProperty(shape, async (o) => {
      for await (const { name } of world.client.listBlobsFlat()) await world.client.deleteBlob(name);
      await Promise.all(o.names.map((name) => world.client.getBlockBlobClient(name).upload('', 0)));
      const seen: string[] = [];
      let ranges: ListRange[] = [{ startsWith: o.startsWith }];
      for (let runs = 0; ranges.length > 0; runs++) {
        expect(runs).toBeLessThan(200);
        const stop = new AbortController();
        let pages = 0;
        const listing: ParallelListing = new ParallelListing(store, {
          ...{ ranges, parallel: o.parallel, pageSize: o.pageSize, signal: stop.signal },
          onPage: (blobs) =>
            Promise.resolve(() => {
              seen.push(...blobs.map(({ name }) => name));
              pages += 1;
              if (pages >= o.pagesEach) stop.abort();
            }),
        });
        await listing.run();
        // As a checkpoint keeps it.
        ranges = JSON.parse(JSON.stringify(listing.left)) as ListRange[];
        if (!stop.signal.aborted) expect(ranges).toEqual([]);
      }
      expect(seen.sort()).toEqual(o.names.filter((name) => name.startsWith(o.startsWith)).sort());
    }),
    { numRuns: 25 },
  );
});

test('what a page is rejected with ends the listing; the page stays to be done', async () => {
  const store = await world.open();
  for (const name of ['a', 'b', 'c/d', 'c/e']) await world.client.getBlockBlobClient(name).upload('', 0);
  const listing = new ParallelListing(store, {
    ...{ ranges: [{ startsWith: '' }], parallel: 2, pageSize: 10, signal: new AbortController().signal },
    onPage: (blobs) =>
      blobs.some(({ name }) => name.startsWith('c/'))
        ? Promise.reject(new Error('no'))
        : Promise.resolve(() => undefined),
  });
  await expect(listing.run()).rejects.toThrow('no');
  expect(listing.left).toMatchObject([{ startsWith: 'c/' }]);
});
