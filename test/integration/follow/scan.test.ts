import { link, mkdir, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Catalog } from '../../../src/catalog/catalog.ts';
import { openCatalog } from '../../../src/catalog/open.ts';
import type { Stamp } from '../../../src/catalog/types.ts';
import { LustreSource } from '../../../src/follow/lustre-source.ts';
import { refresh } from '../../../src/follow/refresh.ts';
import { markUnseen, scanIn } from '../../../src/follow/scan-in.ts';
import { type Fid, ROOT_FID } from '../../../src/identity/fid.ts';
import { type LustreFileSystem, openFileSystem } from '../../../src/lustre/file-system.ts';
import { Scanner } from '../../../src/lustre/scanner.ts';
import { collect, scratch } from '../../support/catalog.ts';
import { helperPath } from '../../support/project.ts';
import { useStandIn } from '../lustre-sim/fixture.ts';

const UUID = '0b0e7a52-6f0c-4e3c-9a8e-2f4b6d1c9e10';
const standIn = useStandIn({ version: '2.15' });
const timing = () => ({ now: Date.now(), settle: 0, again: 0 });
let fileSystem: LustreFileSystem;
let place: ReturnType<typeof scratch>;
let catalog: Catalog;

beforeAll(async () => {
  const { sandbox } = standIn.it;
  fileSystem = await openFileSystem({ mount: sandbox.mount, liblustreapi: sandbox.llapi, helper: helperPath });
  await fileSystem.writeUuid(UUID);
});
afterAll(() => fileSystem?.close());
beforeEach(() => {
  place = scratch();
  catalog = openCatalog({ file: place.file, create: true });
});
afterEach(() => {
  catalog.close();
  place.remove();
});

/** Walks from these directories; ends after so many batches, as if killed. */
async function walk(begun: Stamp, roots: readonly Fid[], batches = Number.POSITIVE_INFINITY): Promise<void> {
  const { mount, llapi } = standIn.it.sandbox;
  const scanner = await Scanner.start({ mount, liblustreapi: llapi, helper: helperPath });
  try {
    let count = 0;
    for await (const batch of scanner.walk(roots)) {
      await scanIn(catalog, batch, begun, timing());
      if (++count >= batches) return;
    }
  } finally {
    await scanner.close();
  }
}

async function finish(begun: Stamp): Promise<void> {
  await markUnseen(catalog, begun, timing());
  await catalog.endScan(begun, 'complete');
  const source = new LustreSource(fileSystem, UUID);
  for (let after: Fid | undefined; (await catalog.markStats()).count > 0; ) {
    after = (await refresh(catalog, source, { after, limit: 100, timing })).next;
  }
}

async function scan(): Promise<void> {
  const begun = await catalog.beginScan();
  await walk(begun, [ROOT_FID]);
  await finish(begun);
}

const paths = async () => (await collect(catalog.subtree(ROOT_FID))).map((one) => one.path.toString()).sort();
const below = () => standIn.it.tree.slice(standIn.it.sandbox.mount.length + 1);

test('a scan fills the catalog; the next one finds what was renamed and what is gone', async () => {
  const { tree } = standIn.it;
  await mkdir(`${tree}/d/e`, { recursive: true });
  for (const name of ['a', 'd/b', 'd/e/c']) await writeFile(`${tree}/${name}`, name);
  await link(`${tree}/a`, `${tree}/d/second`);
  await symlink('a', `${tree}/s`);
  await scan();
  const names = ['', '/a', '/d', '/d/b', '/d/e', '/d/e/c', '/d/second', '/s'];
  const here = below();
  const inTree = async () =>
    (await paths()).filter((path) => path.startsWith(here)).map((path) => path.slice(here.length));
  expect(await inTree()).toEqual(names);
  expect(await catalog.check()).toEqual([]);
  expect(await catalog.lastScan()).toBeDefined();
  const second = (await catalog.lookup(Buffer.from(`${here}/d/second`))) as Fid;
  expect((await catalog.known([second])).get(second)?.entry?.nlink).toBe(2);

  // FUSE has one place for a directory, and the walk found it under its FID: a rename across directories needs it here.
  await stat(`${tree}/d/e`);
  await rename(`${tree}/d/e`, `${tree}/moved`);
  await rm(`${tree}/d/b`);
  await rm(`${tree}/s`);
  await scan();
  expect(await inTree()).toEqual(['', '/a', '/d', '/d/second', '/moved', '/moved/c']);
  expect(await catalog.check()).toEqual([]);
});

test('a scan that was killed goes on with the directories that it had not been through', async () => {
  const { tree } = standIn.it;
  for (let index = 0; index < 60; index++) {
    await mkdir(`${tree}/many/d${index}`, { recursive: true });
    await writeFile(`${tree}/many/d${index}/file`, '');
  }
  const begun = await catalog.beginScan();
  await catalog.apply({ met: [ROOT_FID] });
  await walk(begun, [ROOT_FID], 1);
  catalog.close();
  catalog = openCatalog({ file: place.file });
  expect(await catalog.scanning()).toBe(begun);
  await walk(begun, await collect(catalog.unwalked()));
  expect(await collect(catalog.unwalked())).toEqual([]);
  await finish(begun);
  const here = below();
  expect((await paths()).filter((path) => path.startsWith(`${here}/many/`))).toHaveLength(120);
  expect(await catalog.check()).toEqual([]);
});
