import { afterEach, beforeEach, expect, test } from 'vitest';
import { scratch } from '../../test/support/catalog.ts';
import { silentLog as log } from '../../test/support/silent-log.ts';
import type { BlobState } from '../blob/state.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { openCatalog } from '../catalog/open.ts';
import { IMPORT_CHECKPOINT } from '../catalog/types.ts';
import type { Fid } from '../identity/fid.ts';
import { type BindingsOptions, isLeftBehind, isUnbound } from './bindings.ts';

const UUID = '0b0e7a52-6f0c-4e3c-9a8e-2f4b6d1c9e10';
const FID = '0x200000401:0x1:0x0' as Fid;

let place: ReturnType<typeof scratch>;
let catalog: Catalog;
let dead: boolean;

beforeEach(async () => {
  place = scratch();
  catalog = openCatalog({ file: place.file, create: true });
  dead = false;
  await catalog.claim(UUID);
});
afterEach(() => {
  catalog.close();
  place.remove();
});

const options = (over: Partial<BindingsOptions> = {}): BindingsOptions => ({
  ...{ file: place.file, fsUuid: UUID, log },
  ...{ isKeptUpToDate: async () => true, isDead: async () => dead },
  ...over,
});
const ask = (name = 'a', over: Partial<BindingsOptions> = {}) => isUnbound(options(over), 1, name);

async function scanned(): Promise<void> {
  await catalog.endScan(await catalog.beginScan(), 'complete');
}

test('only a catalog that knows all can say that no file was imported from a blob', async () => {
  expect(await ask('a', { file: `${place.file}.not-there` })).toBe(false);
  expect(await ask()).toBe(false);
  await scanned();
  expect(await ask()).toBe(true);
  expect(await ask('a', { fsUuid: UUID.replace('0', '1') })).toBe(false);
  expect(await ask('a', { isKeptUpToDate: async () => false })).toBe(false);
  await catalog.apply({ checkpoints: [{ name: IMPORT_CHECKPOINT, state: {} }] });
  expect(await ask()).toBe(false);
});

test('a blob is bound as long as a file that was imported from it lives', async () => {
  await scanned();
  await catalog.apply({ bindings: [{ fid: FID, archive: 1, name: 'a', bind: 'etag:"1"', size: 1n }] });
  expect(await ask('a')).toBe(false);
  expect(await ask('b')).toBe(true);
  dead = true;
  expect(await ask('a')).toBe(true);
  expect(await ask('a', { isDead: () => Promise.reject(new Error('unmounted')) })).toBe(false);
});

test('a blob is left behind once the file that was imported from that very version is dead', async () => {
  const blob = (over: Partial<BlobState> = {}): BlobState => ({
    ...{ name: 'a', etag: '"1"', length: 1n, metadata: {} },
    ...{ blobType: 'BlockBlob', lastModified: new Date(0) },
    ...over,
  });
  const left = (over?: Partial<BlobState>, how?: Partial<BindingsOptions>) => isLeftBehind(options(how), 1, blob(over));
  await scanned();
  dead = true;
  expect(await left()).toBe(false);
  await catalog.apply({ bindings: [{ fid: FID, archive: 1, name: 'a', bind: 'etag:"1"', size: 1n }] });
  expect(await left()).toBe(true);
  expect(await left({ etag: '"2"' })).toBe(false);
  expect(await left({ name: 'b' })).toBe(false);
  expect(await left({}, { isKeptUpToDate: async () => false })).toBe(false);
  dead = false;
  expect(await left()).toBe(false);
});
