import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BlobError } from '../blob/errors.ts';
import type { BlobState } from '../blob/state.ts';
import type { ImportRange } from '../catalog/types.ts';
import { DryLedger } from './ledger.ts';
import { listAll, type Page } from './lister.ts';

type Order = 'UTF-8' | 'UTF-16';

/** What the service makes of `startFrom`: nothing, an error, or what it says. */
type StartFrom = 'known' | 'ignored' | 'refused';

/** A listing of these names, as the service gives it, so many a page. */
function container(names: readonly string[], pageSize: number, order: Order = 'UTF-8', startFrom: StartFrom = 'known') {
  const compare = (a: string, b: string) =>
    order === 'UTF-8' ? Buffer.compare(Buffer.from(a), Buffer.from(b)) : a < b ? -1 : a === b ? 0 : 1;
  const sorted = [...new Set(names)].sort(compare);
  return async ({ place, start, flat, token }: ImportRange, most = pageSize): Promise<Page> => {
    await new Promise((resolve) => setImmediate(resolve));
    if (start !== undefined && startFrom === 'refused') throw new BlobError('no such version', { code: 'INVALID' });
    const items: (string | { directory: string })[] = [];
    for (const name of sorted) {
      if (!name.startsWith(place)) continue;
      if (start !== undefined && startFrom === 'known' && compare(name, start) < 0) continue;
      const slash = flat ? -1 : name.indexOf('/', place.length);
      const item = slash === -1 ? name : { directory: name.slice(0, slash + 1) };
      const last = items.at(-1);
      if (typeof item === 'object' && typeof last === 'object' && last.directory === item.directory) continue;
      items.push(item);
    }
    const from = Number(token ?? 0);
    const page = items.slice(from, from + most);
    return {
      blobs: page.filter((item) => typeof item === 'string').map((name) => ({ name }) as BlobState),
      directories: page.flatMap((item) => (typeof item === 'string' ? [] : [item.directory])),
      ...(from + most < items.length ? { next: String(from + most) } : {}),
    };
  };
}

const names = fc
  .uniqueArray(fc.array(fc.constantFrom('a', 'b', 'cc', 'a-b', 'z.', 'é'), { minLength: 1, maxLength: 5 }), {
    maxLength: 200,
  })
  .map((paths) => paths.map((path) => path.join('/')));

/** Many in few directories, of every alphabet: also what the two orders put differently, and the last character before the surrogates. */
const flatNames = fc
  .uniqueArray(
    fc.array(fc.constantFrom('0', '1', '9', 'a', '/', '~', '\u0001', '\u0080', 'é', '漢', '\ud7ff', '\uffe8', '😀'), {
      minLength: 2,
      maxLength: 6,
    }),
    { minLength: 60, maxLength: 200 },
  )
  .map((all) => all.map((one) => `d/${one.join('')}`));

test('every name is listed once, whatever the pages, levels, parts and kills', async () => {
  let divided = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(names, flatNames),
      fc.integer({ min: 1, max: 20 }),
      fc.array(fc.nat(20), { maxLength: 4 }),
      fc.constantFrom<Order>('UTF-8', 'UTF-16'),
      fc.constantFrom<StartFrom>('known', 'known', 'ignored', 'refused'),
      async (all, size, kills, order, startFrom) => {
        const ledger = new DryLedger(undefined, 1);
        await ledger.commit({ imports: { ranges: [{ place: '', flat: false }] } });
        const seen = new Map<string, number>();
        const run = (left: number) =>
          listAll({
            ...{ ledger, prefix: '', list: container(all, size, order, startFrom), wanted: () => true, concurrency: 3 },
            signal: new AbortController().signal,
            take: async (blobs, progress) => {
              if (left-- === 0) throw new Error('killed');
              for (const { name } of blobs) seen.set(name, (seen.get(name) ?? 0) + 1);
              divided += (progress.ranges ?? []).filter(
                ({ start, token }) => start !== undefined && token === undefined,
              ).length;
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
    { numRuns: 150 },
  );
  expect(divided).toBeGreaterThan(20);
});

test('one flat directory keeps all busy, each with a part of it', async () => {
  const all = Array.from({ length: 2_000 }, (_, index) => `d/f${String(index * 37).padStart(7, '0')}`);
  const ledger = new DryLedger(undefined, 1);
  await ledger.commit({ imports: { ranges: [{ place: 'd/', flat: true }] } });
  const list = container(all, 50);
  let [requests, atOnce, rounds] = [0, 0, 0];
  let round: Promise<void> | undefined;
  await listAll({
    ...{ ledger, prefix: '', wanted: () => true, concurrency: 4, signal: new AbortController().signal },
    // An endpoint whose answers all take one round: how many rounds there are is how long it takes.
    list: async (range, most) => {
      requests += 1;
      atOnce += 1;
      round ??= new Promise((resolve) => setTimeout(resolve, 1)).then(() => {
        round = undefined;
        rounds += 1;
      });
      await round;
      atOnce -= 1;
      return list(range, most);
    },
    take: (_, progress) => ledger.commit({ imports: progress }),
  });
  expect(atOnce).toBe(0);
  // 40 pages; with parts that begin, end and are looked for, some more.
  expect(requests).toBeLessThan(120);
  expect(rounds).toBeLessThan(36);
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
