import { afterEach, beforeEach, expect, test } from 'vitest';
import { entry, fid, scratch } from '../../../test/support/catalog.ts';
import type { Catalog } from '../../catalog/catalog.ts';
import { openCatalog } from '../../catalog/open.ts';
import type { Fresh } from '../../follow/fresh.ts';
import { type FileSource, refresh } from '../../follow/refresh.ts';
import { type Fid, ROOT_FID } from '../../identity/fid.ts';
import { lookAtFiles } from './look.ts';

const F = fid(1);
const [root, file] = [entry(ROOT_FID, { type: 'dir' }), entry(F, { hsm: 9, archive: 1 })];
const links = [{ parent: ROOT_FID, name: Buffer.from('f') }];
let place: ReturnType<typeof scratch>;
let catalog: Catalog;

beforeEach(async () => {
  place = scratch();
  catalog = openCatalog({ file: place.file, create: true });
  await catalog.apply({
    puts: [
      { entry: root, links: [] },
      { entry: file, links },
    ],
  });
});
afterEach(() => {
  catalog.close();
  place.remove();
});

/** Where everything is alive, and what happens right after it was looked at. */
function source(then: () => Promise<unknown>): FileSource {
  const fresh: Fresh = { entry: { ...file, atime: file.atime + 1 }, links };
  const action = { action: 'NOOP', state: 'none', done: 0n } as const;
  return {
    look: async (fids: readonly Fid[]) => {
      await then();
      return new Map(fids.map((one) => [one, { kind: 'alive', fresh, action }]));
    },
    stripes: async () => new Map(),
  };
}

test('a file that is removed while a run looks at it, and buried by the follower, stays dead', async () => {
  const bury = () => catalog.apply({ deaths: [{ fid: F, at: 1 }] });
  const note = (batch: Parameters<Catalog['apply']>[0]) => catalog.apply(batch);
  const options = { files: { getMany: async () => [] }, catalog, note, now: Date.now, settle: 0 };
  const needs = { paths: false, creation: false, xattrs: [] };
  const looked = await lookAtFiles({ ...options, source: source(bury) }, [F], needs);
  expect(looked.get(F)).toMatchObject({ fid: F });
  expect(await catalog.present([F])).toEqual(new Set());
  expect(await catalog.tombstone(F)).toMatchObject({ path: Buffer.from('f') });
  expect(await catalog.check()).toEqual([]);
});

test('the same of the follower’s look: its mark stays', async () => {
  await catalog.apply({ marks: [{ fid: F, hints: 0, since: 1 }] });
  const timing = () => ({ now: Date.now(), settle: 0, again: 0 });
  const bury = () => catalog.apply({ deaths: [{ fid: F, at: 1 }] });
  await refresh(catalog, source(bury), { after: undefined, limit: 10, timing });
  expect(await catalog.present([F])).toEqual(new Set());
  expect(await catalog.tombstone(F)).toBeDefined();
  expect((await catalog.marks(undefined, 10)).map((mark) => mark.fid)).toEqual([F]);
});
