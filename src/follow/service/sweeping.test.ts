import { afterEach, beforeEach, expect, test } from 'vitest';
import { scratch } from '../../../test/support/catalog.ts';
import { silentLog as log } from '../../../test/support/silent-log.ts';
import type { Catalog } from '../../catalog/catalog.ts';
import { openCatalog } from '../../catalog/open.ts';
import { Bell } from '../../service/bell.ts';
import { isSweepWanted, sweepOn, wantSweep } from './sweeping.ts';

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

test('sweeps come in their time, too, when no scan ever comes to its end', async () => {
  await catalog.apply({ cursors: [{ mdt: 'fs-MDT0000', rescan: 'the first start' }] });
  await wantSweep(catalog);
  expect(await isSweepWanted(catalog)).toBe(false);
  const [bell, stop] = [new Bell(), new AbortController()];
  // As looks at files and attempts to scan ring it, all the time.
  const ringing = setInterval(() => bell.ring(), 5);
  try {
    await sweepOn({
      ...{ catalog, fsUuid: '', stores: new Map(), config: { stateDir: place.directory }, version: '0', log, bell },
      settings: () => ({ interval: 50, parallel: 1 }),
      onSwept: () => stop.abort(),
      stop: stop.signal,
    });
  } finally {
    clearInterval(ringing);
  }
  expect(await catalog.runs('sweep', 10)).toMatchObject([{ outcome: 'complete' }]);
});
