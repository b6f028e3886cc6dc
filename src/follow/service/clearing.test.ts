import { afterEach, beforeEach, expect, test } from 'vitest';
import { scratch } from '../../../test/support/catalog.ts';
import { waitUntil } from '../../../test/support/wait.ts';
import type { Catalog } from '../../catalog/catalog.ts';
import { catalogError } from '../../catalog/errors.ts';
import { openCatalog } from '../../catalog/open.ts';
import type { ChangelogReader } from '../../lustre/changelog-reader.ts';
import type { Log } from '../../service/log.ts';
import { Clearing } from './clearing.ts';

const nothing = () => undefined;
const log: Log = { error: nothing, warn: nothing, info: nothing, debug: nothing, trace: nothing, child: () => log };
let place: ReturnType<typeof scratch>;
let catalog: Catalog;
beforeEach(() => {
  place = scratch();
  catalog = openCatalog({ file: place.file, create: true });
});
afterEach(() => {
  catalog.close();
  place.remove();
});

test('a disk that is full right after the MDT was told to forget records is no end: it is noted with the next ones', async () => {
  const cleared: number[] = [];
  const reader = { clear: async (index: number) => void cleared.push(index) } as unknown as ChangelogReader;
  let full = true;
  const apply: Catalog['apply'] = async (batch) => {
    if (full) throw catalogError(Object.assign(new Error('database or disk is full'), { errcode: 13 }), place.file);
    return catalog.apply(batch);
  };
  const clearing = new Clearing({ mdt: 'fs-MDT0000', catalog: { apply } as Catalog, log, step: async () => undefined });
  const stop = new AbortController();
  const running = clearing.run(() => reader, stop.signal);
  clearing.upTo(7);
  await waitUntil('the first ones are cleared', () => clearing.cleared === 7);
  full = false;
  clearing.upTo(9);
  await waitUntil('the next ones are cleared', () => clearing.cleared === 9);
  stop.abort();
  await running;
  expect(cleared).toEqual([7, 9]);
  expect(await catalog.cursors()).toMatchObject([{ cleared: 9 }]);
});
