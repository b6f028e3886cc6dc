import { afterEach, beforeEach, expect, test } from 'vitest';
import { entry, fid, scratch } from '../../../test/support/catalog.ts';
import type { Catalog } from '../../catalog/catalog.ts';
import { openCatalog } from '../../catalog/open.ts';
import { ROOT_FID } from '../../identity/fid.ts';
import { REASON } from '../reasons.ts';
import type { ReconcileContext } from './context.ts';
import { journalSubtree } from './subtree.ts';

const [D, A, B, C, E] = [fid(1), fid(2), fid(3), fid(4), fid(5)];
let place: ReturnType<typeof scratch>;
let catalog: Catalog;

beforeEach(async () => {
  place = scratch();
  catalog = openCatalog({ file: place.file, create: true });
  const link = (parent: typeof D, name: string) => [{ parent, name: Buffer.from(name) }];
  const archived = { hsm: 9, archive: 1 };
  await catalog.apply({
    puts: [
      { entry: entry(ROOT_FID, { type: 'dir' }), links: [] },
      { entry: entry(D, { type: 'dir' }), links: link(ROOT_FID, 'd') },
      { entry: entry(A, archived), links: link(D, 'a') },
      { entry: entry(B, { type: 'dir' }), links: link(D, 'b') },
      { entry: entry(C, archived), links: link(B, 'c') },
      { entry: entry(E, archived), links: link(D, 'e') },
    ],
  });
});
afterEach(() => {
  catalog.close();
  place.remove();
});

const context = (signal = new AbortController().signal) => ({ catalog, signal }) as unknown as ReconcileContext;

/** What is in the journal but the directory itself, and how far that is. */
async function journal() {
  const rows = await catalog.journalDue(Number.MAX_SAFE_INTEGER, 10);
  const below = rows.filter((row) => row.fid !== D).map((row) => row.fid);
  return { below: below.sort(), progress: rows.find((row) => row.fid === D)?.progress?.toString() };
}

test('a directory that moved has all below it looked at, and goes on where a killed one was', async () => {
  const { stamp } = await catalog.apply({ journal: [{ fid: D, reasons: REASON.TREE, since: 7 }] });
  await journalSubtree(context(), D, { stamp, since: 7, progress: Buffer.from('b/c') });
  expect(await journal()).toEqual({ below: [E], progress: 'e' });
  await journalSubtree(context(), D, { stamp, since: 7 });
  expect(await journal()).toEqual({ below: [A, B, C, E], progress: 'e' });
  expect(await catalog.journalEntry(C)).toMatchObject({ reasons: REASON.NAMES, since: 7 });
});

test('what it notes does not count when the directory moved again meanwhile', async () => {
  const { stamp } = await catalog.apply({ journal: [{ fid: D, reasons: REASON.TREE, since: 7 }] });
  await catalog.apply({ journal: [{ fid: D, reasons: REASON.TREE, since: 8, afresh: true }] });
  await journalSubtree(context(), D, { stamp, since: 7 });
  expect(await journal()).toEqual({ below: [A, B, C, E], progress: undefined });
});

test('it ends when it is to stop', async () => {
  const { stamp } = await catalog.apply({ journal: [{ fid: D, reasons: REASON.TREE, since: 7 }] });
  const stopped = AbortSignal.abort(new Error('the lease is lost'));
  await expect(journalSubtree(context(stopped), D, { stamp, since: 7 })).rejects.toThrow('the lease is lost');
  expect(await journal()).toEqual({ below: [], progress: undefined });
});
