import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openCatalog } from '../../../src/catalog/open.ts';
import { collect, scratch } from '../../support/catalog.ts';

const WRITER = fileURLToPath(new URL('writer.ts', import.meta.url));
let place: ReturnType<typeof scratch>;

beforeEach(() => {
  place = scratch();
});
afterEach(() => place.remove());

/** Runs a writer until it has acknowledged so many batches, and kills it at once. @returns the last one acknowledged */
async function writeAndKill(mdt: string, first: number, batches: number, delay: number): Promise<number> {
  const child = spawn(process.execPath, [WRITER, place.file, mdt, String(first)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const gone = once(child, 'exit');
  let last = first - 1;
  for await (const line of createInterface({ input: child.stdout })) {
    last = Number(line);
    if (last === first - 1 + batches) setTimeout(() => child.kill('SIGKILL'), delay);
  }
  const [, signal] = await gone;
  expect(signal).toBe('SIGKILL');
  return last;
}

test('killed with -9 at any moment, the catalog holds every batch that was acknowledged, and whole ones only', async () => {
  let acknowledged = 0;
  for (let round = 0; round < 5; round++) {
    acknowledged = await writeAndKill('fs-MDT0001', acknowledged + 1, 1 + round * 3, round * 1.7);
    const catalog = openCatalog({ file: place.file });
    const [cursor] = await catalog.cursors();
    const applied = cursor?.applied as number;
    expect(applied).toBeGreaterThanOrEqual(acknowledged);
    expect(await catalog.check()).toEqual([]);
    const entries = await collect(catalog.entries());
    // Every batch adds 50 files and buries one of the batch before; the directory is one more.
    expect(entries).toHaveLength(50 * applied - (applied - 1) + 1);
    expect(await catalog.lookup(Buffer.from(`fs-MDT0001-${applied}`))).toBe(
      entries.find((one) => one.type === 'dir')?.fid,
    );
    expect(await catalog.lookup(Buffer.from(`fs-MDT0001-${applied - 1}`))).toBeUndefined();
    catalog.close();
    acknowledged = applied;
  }
});

test('two processes write at once: both get through, killed or not, and a reader is never kept waiting', async () => {
  openCatalog({ file: place.file, create: true }).close();
  const writers = [writeAndKill('fs-MDT0001', 1, 40, 0), writeAndKill('fs-MDT0002', 1, 40, 0)];
  let done = false;
  const all = Promise.all(writers).finally(() => {
    done = true;
  });
  const reader = openCatalog({ file: place.file, readOnly: true });
  let reads = 0;
  while (!done) {
    await reader.usage();
    await reader.cursors();
    reads++;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  const [one, two] = (await all) as [number, number];
  expect(reads).toBeGreaterThan(0);
  const cursors = await reader.cursors();
  expect(cursors[0]?.applied).toBeGreaterThanOrEqual(one);
  expect(cursors[1]?.applied).toBeGreaterThanOrEqual(two);
  reader.close();
  const catalog = openCatalog({ file: place.file });
  expect(await catalog.check()).toEqual([]);
  catalog.close();
});

test('many processes that open a catalog at the same moment, where none is yet, all get it', async () => {
  const code = `
    import { openCatalog } from ${JSON.stringify(new URL('../../../src/catalog/open.ts', import.meta.url).href)};
    for (let n = 0; n < 20; n++) {
      const catalog = openCatalog({ file: ${JSON.stringify(place.file)}, create: true });
      await catalog.apply({ events: [{ at: n, level: 'info', kind: 'test', message: '' }] });
      catalog.close();
    }`;
  const children = Array.from({ length: 4 }, () =>
    spawn(process.execPath, ['--input-type=module', '--eval', code], { stdio: ['ignore', 'ignore', 'inherit'] }),
  );
  expect(await Promise.all(children.map(async (child) => (await once(child, 'exit'))[0]))).toEqual([0, 0, 0, 0]);
  const catalog = openCatalog({ file: place.file });
  expect(await catalog.events(1000)).toHaveLength(80);
  catalog.close();
});
