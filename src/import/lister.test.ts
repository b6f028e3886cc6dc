import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { BlobState } from '../blob/state.ts';
import type { ImportRange } from '../catalog/types.ts';
import { DryLedger } from './ledger.ts';
import { listAll, type Page } from './lister.ts';

/** A listing of these names, as the service gives it, so many a page. */
function container(names: readonly string[], pageSize: number) {
  const sorted = [...new Set(names)].sort();
  return async ({ place, flat, token }: ImportRange): Promise<Page> => {
    await new Promise((resolve) => setImmediate(resolve));
    const items: (string | { directory: string })[] = [];
    for (const name of sorted) {
      if (!name.startsWith(place)) continue;
      const slash = flat ? -1 : name.indexOf('/', place.length);
      const item = slash === -1 ? name : { directory: name.slice(0, slash + 1) };
      const last = items.at(-1);
      if (typeof item === 'object' && typeof last === 'object' && last.directory === item.directory) continue;
      items.push(item);
    }
    const from = Number(token ?? 0);
    const page = items.slice(from, from + pageSize);
    return {
      blobs: page.filter((item) => typeof item === 'string').map((name) => ({ name }) as BlobState),
      directories: page.flatMap((item) => (typeof item === 'string' ? [] : [item.directory])),
      ...(from + pageSize < items.length ? { next: String(from + pageSize) } : {}),
    };
  };
}

const names = fc
  .uniqueArray(fc.array(fc.constantFrom('a', 'b', 'cc', 'a-b', 'z.', 'é'), { minLength: 1, maxLength: 5 }), {
    maxLength: 200,
  })
  .map((paths) => paths.map((path) => path.join('/')));

test('every name is listed, whatever the pages, levels and kills', async () => {
  await fc.assert(
    fc.asyncProperty(
      names,
      fc.integer({ min: 1, max: 50 }),
      fc.array(fc.nat(20), { maxLength: 4 }),
      async (all, size, kills) => {
        const ledger = new DryLedger(undefined, 1);
        await ledger.commit({ imports: { ranges: [{ place: '', flat: false }] } });
        const seen = new Map<string, number>();
        const run = (left: number) =>
          listAll({
            ...{ ledger, prefix: '', list: container(all, size), wanted: () => true, concurrency: 3 },
            signal: new AbortController().signal,
            take: async (blobs, progress) => {
              if (left-- === 0) throw new Error('killed');
              for (const { name } of blobs) seen.set(name, (seen.get(name) ?? 0) + 1);
              await ledger.commit({ imports: progress });
            },
          });
        for (const kill of kills) await run(kill).catch((error: Error) => expect(error.message).toBe('killed'));
        await run(-1);
        expect([...seen.keys()].sort()).toEqual([...new Set(all)].sort());
        expect(await ledger.rangeCount()).toBe(0);
        // What was made and said so is not made again.
        expect([...seen.values()].every((times) => times === 1)).toBe(true);
      },
    ),
    { numRuns: 100 },
  );
});

test('our own directory and what is not wanted are not listed', async () => {
  const ledger = new DryLedger(undefined, 1);
  await ledger.commit({ imports: { ranges: [{ place: 'p/', flat: false }] } });
  const listed: string[] = [];
  await listAll({
    ...{ ledger, prefix: 'p', concurrency: 2, signal: new AbortController().signal },
    list: container(['p/.lfsazsync/control', 'p/a/b', 'p/no/c', 'p/d'], 10),
    wanted: (start) => start !== 'p/no/',
    take: async (blobs, progress) => {
      listed.push(...blobs.map(({ name }) => name));
      await ledger.commit({ imports: progress });
    },
  });
  expect(listed.sort()).toEqual(['p/a/b', 'p/d']);
});
