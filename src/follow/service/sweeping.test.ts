import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { scratch } from '../../../test/support/catalog.ts';
import { silentLog as log } from '../../../test/support/silent-log.ts';
import type { Catalog } from '../../catalog/catalog.ts';
import { openCatalog } from '../../catalog/open.ts';
import { Bell } from '../../service/bell.ts';
import { isSweepWanted, type SweepingOptions, sweepOn, wantSweep } from './sweeping.ts';

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
  // As looks at files and attempts to scan ring it, all the time.
  const bell = new Bell();
  const ringing = setInterval(() => bell.ring(), 5);
  try {
    await sweepOnce(50, bell);
  } finally {
    clearInterval(ringing);
  }
  expect(await catalog.runs('sweep', 10)).toMatchObject([{ outcome: 'complete' }]);
});

test('a sweep of the future, by a clock that has been set back since, is not waited for', async () => {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 10 * 3_600_000 });
  try {
    await catalog.endRun(await catalog.beginRun('sweep', ''), 'complete', {});
  } finally {
    vi.useRealTimers();
  }
  await sweepOnce(3_600_000, new Bell());
  expect(await catalog.runs('sweep', 10)).toHaveLength(2);
});

/** Until one sweep is done. */
async function sweepOnce(interval: number, bell: Bell): Promise<void> {
  const stop = new AbortController();
  const options: SweepingOptions = {
    ...{ catalog, fsUuid: '', stores: new Map(), config: { stateDir: place.directory }, version: '0', log, bell },
    settings: () => ({ interval, parallel: 1 }),
    onSwept: () => stop.abort(),
    stop: stop.signal,
  };
  await sweepOn(options);
}
