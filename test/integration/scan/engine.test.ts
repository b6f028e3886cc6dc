import { rm } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Catalog } from '../../../src/catalog/catalog.ts';
import { openCatalog } from '../../../src/catalog/open.ts';
import { LustreSource } from '../../../src/follow/lustre-source.ts';
import { type Fid, parseFid } from '../../../src/identity/fid.ts';
import { ERRNO } from '../../../src/lustre/errno.ts';
import { type LustreFileSystem, openFileSystem } from '../../../src/lustre/file-system.ts';
import { type ScanBatch, Scanner } from '../../../src/lustre/scanner.ts';
import { runScan, type ScanOptions } from '../../../src/scan/scan.ts';
import { EVERYTHING } from '../../../src/scan/target.ts';
import type { ScanProblem } from '../../../src/scan/types.ts';
import { collect, scratch } from '../../support/catalog.ts';
import { helperPath } from '../../support/project.ts';
import { useStandIn } from '../lustre-sim/fixture.ts';

// What the stand-in has no fault for: a directory that can't be read, and a mount that goes away between two batches.

const UUID = '0b0e7a52-6f0c-4e3c-9a8e-2f4b6d1c9e10';
const standIn = useStandIn();
let fileSystem: LustreFileSystem;
let place: ReturnType<typeof scratch>;
let catalog: Catalog;

beforeAll(async () => {
  const { mount, llapi } = standIn.it.sandbox;
  fileSystem = await openFileSystem({ mount, liblustreapi: llapi, helper: helperPath });
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

function scan(changes: Partial<ScanOptions> = {}) {
  const source = new LustreSource(fileSystem, UUID);
  return runScan({
    ...{ catalog, source, target: EVERYTHING, startScanner },
    checkFileSystem: () => source.checkFileSystem(),
    timing: () => ({ now: Date.now(), settle: 0, again: 0 }),
    signal: new AbortController().signal,
    ...changes,
  });
}

function startScanner(): Promise<Scanner> {
  const { mount, llapi } = standIn.it.sandbox;
  return Scanner.start({ mount, liblustreapi: llapi, helper: helperPath });
}

/** A walk that can't read one directory. */
async function startWithout(directory: Fid): Promise<Pick<Scanner, 'walk' | 'close'>> {
  const scanner = await startScanner();
  const without = ({ entries, directories, failures }: ScanBatch): ScanBatch => ({
    entries: entries.filter(({ parent }) => parent !== directory),
    directories: directories.map((one) => (one.fid === directory ? { ...one, errno: ERRNO.EIO } : one)),
    failures,
  });
  return {
    close: () => scanner.close(),
    async *walk(roots) {
      for await (const batch of scanner.walk(roots)) yield without(batch);
    },
  };
}

test('a directory that can’t be read proves nothing, and is told', async () => {
  const c = standIn.it;
  await c.directory('shut/door');
  const inside = parseFid(await c.fid(await c.write('shut/door/inside'))) as Fid;
  const beside = await c.write('shut/beside');
  const gone = parseFid(await c.fid(beside)) as Fid;
  const door = parseFid(await c.fid(c.path('shut/door'))) as Fid;
  expect(await scan()).toMatchObject({ outcome: 'complete', unreadable: 0 });
  const before = await catalog.lastScan();
  await rm(beside);
  const problems: ScanProblem[] = [];
  const second = await scan({
    startScanner: () => startWithout(door),
    onProblem: (problem) => {
      problems.push(problem);
    },
  });
  expect(second).toMatchObject({ outcome: 'partial', unreadable: 1, vanished: 1 });
  expect(problems).toEqual([{ directory: door, errno: ERRNO.EIO }]);
  expect(await catalog.present([inside, gone])).toEqual(new Set([inside]));
  expect(await catalog.lastScan(), 'it has not seen everything').toBe(before);
  expect(await scan()).toMatchObject({ outcome: 'complete', resumed: false, added: 0, vanished: 0 });
});

test('a file system that is not there any more ends it: nothing of that counts, and it goes on later', async () => {
  await standIn.it.write('stays');
  await scan();
  const entries = await collect(catalog.entries());
  const checkFileSystem = () => Promise.reject(new Error('another file system'));
  await expect(scan({ checkFileSystem })).rejects.toThrow('another file system');
  expect(await collect(catalog.entries())).toEqual(entries);
  expect(await collect(catalog.unwalked())).toHaveLength(1);
  expect((await catalog.runs('scan', 1))[0]).toMatchObject({ outcome: 'failed' });
  expect(await scan()).toMatchObject({ outcome: 'complete', resumed: true, vanished: 0 });
});
