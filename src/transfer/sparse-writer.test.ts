import { mkdtemp, open, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SparseWriter } from './sparse-writer.ts';

const HOLE = 64 * 1024;
let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lfsazsync-sparse-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

async function written(
  content: Buffer,
  pieces: readonly [number, number][],
): Promise<{ bytes: Buffer; blocks: number }> {
  const file = join(directory, 'file');
  const handle = await open(file, 'w');
  try {
    const writer = new SparseWriter(handle);
    for (const [from, to] of pieces) await writer.write(content.subarray(from, to), from);
    await handle.truncate(content.length);
    await handle.sync();
  } finally {
    await handle.close();
  }
  return { bytes: await readFile(file), blocks: (await stat(file)).blocks };
}

test('any mixture of data and zeros, in pieces in any order, comes out as it went in', async () => {
  const run = fc.record({ length: fc.integer({ min: 1, max: 3 * HOLE }), value: fc.constantFrom(0, 0, 1, 255) });
  await fc.assert(
    fc.asyncProperty(
      fc.array(run, { maxLength: 6 }),
      fc.array(fc.nat(), { maxLength: 4 }),
      fc.boolean(),
      async (runs, cuts, backwards) => {
        const content = Buffer.concat(runs.map(({ length, value }) => Buffer.alloc(length, value)));
        const places = [
          0,
          ...cuts.map((cut) => (content.length === 0 ? 0 : cut % content.length)).sort((a, b) => a - b),
          content.length,
        ];
        const pieces = places.slice(1).map((to, index): [number, number] => [places[index] ?? 0, to]);
        const { bytes } = await written(content, backwards ? pieces.reverse() : pieces);
        expect(bytes.equals(content)).toBe(true);
      },
    ),
    { numRuns: 60 },
  );
});

test('zeros take no room', async () => {
  const content = Buffer.alloc(64 * HOLE);
  content.fill(7, 10 * HOLE, 11 * HOLE);
  const { bytes, blocks } = await written(content, [[0, content.length]]);
  expect(bytes.equals(content)).toBe(true);
  expect(blocks * 512).toBeLessThan(4 * HOLE);
});
