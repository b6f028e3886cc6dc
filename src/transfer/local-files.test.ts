import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadCrc64, nativeAddon } from '../checksum/crc64.ts';
import { openSink, openSource } from './local-files.ts';

const HOLE = 64 * 1024;
const BLOCK = 4 * HOLE;
const crc64 = await loadCrc64();
let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lfsazsync-files-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

test('the native addon is there: what follows tests both ways', () => {
  expect(nativeAddon()).toBeDefined();
});

describe.each([
  ['with the addon', nativeAddon()],
  ['without it', undefined],
] as const)('%s', (_, addon) => {
  /** All of a file, as an upload reads it. */
  async function readAll(path: string, size: number, blockSize: number) {
    const source = await openSource(path, BigInt(size), size <= blockSize, addon);
    const pieces: Buffer[] = [];
    try {
      for (let at = 0; at < size || at === 0; at += blockSize) {
        const buffer = Buffer.alloc(Math.min(blockSize, size - at) + 1);
        const read = await source.read(at, buffer);
        const bytes = typeof read === 'number' ? read : read.bytes;
        const piece = buffer.subarray(0, Math.min(bytes, blockSize));
        if (typeof read === 'object') expect(read.crc64).toBe(crc64.of(buffer.subarray(0, bytes)));
        pieces.push(piece);
      }
    } finally {
      await source.close();
    }
    return Buffer.concat(pieces);
  }

  async function write(path: string, content: Buffer, blockSize: number, again: boolean): Promise<void> {
    const whole = content.length <= blockSize;
    const sink = await openSink(path, BigInt(content.length), { whole, again }, addon);
    try {
      const starts = Array.from({ length: Math.ceil(content.length / blockSize) }, (__, index) => index * blockSize);
      await Promise.all(
        starts.reverse().map(async (at) => {
          const piece = content.subarray(at, at + blockSize);
          const sum = await sink.write(piece, at);
          if (sum !== undefined) expect(sum).toBe(crc64.of(piece));
        }),
      );
      await sink.finish();
    } finally {
      await sink.close();
    }
  }

  test.each([0, 1, 4096, HOLE, BLOCK, BLOCK + 1, (1 << 20) + 1, 3 * BLOCK - 1])('%i bytes', async (size) => {
    const path = join(directory, 'f');
    const content = randomBytes(size);
    for (const blockSize of [BLOCK, 8 << 20]) {
      await writeFile(path, '');
      await write(path, content, blockSize, false);
      expect((await readFile(path)).equals(content)).toBe(true);
      expect((await readAll(path, size, blockSize)).equals(content)).toBe(true);
    }
  });

  test('any mixture of data and zeros comes out as it went in; what was there before is gone', async () => {
    const run = fc.record({ length: fc.integer({ min: 1, max: 3 * HOLE }), value: fc.constantFrom(0, 0, 1, 255) });
    const path = join(directory, 'mixed');
    await fc.assert(
      fc.asyncProperty(
        fc.array(run, { maxLength: 6 }),
        fc.constantFrom(HOLE, BLOCK, 8 << 20),
        async (runs, blockSize) => {
          const content = Buffer.concat(runs.map(({ length, value }) => Buffer.alloc(length, value)));
          await writeFile(path, randomBytes(content.length + 77_777));
          await write(path, content, blockSize, true);
          expect((await readFile(path)).equals(content)).toBe(true);
        },
      ),
      { numRuns: 40 },
    );
  });

  test('whole pieces of zeros are left out', async () => {
    const content = Buffer.alloc(12 * HOLE);
    content.fill(1, 0, 5);
    content.fill(1, 7 * HOLE, 7 * HOLE + 5);
    for (const blockSize of [BLOCK, 8 << 20]) {
      const path = join(directory, `holes${blockSize}`);
      await writeFile(path, '');
      await write(path, content, blockSize, false);
      expect((await readFile(path)).equals(content)).toBe(true);
      expect((await stat(path)).blocks * 512).toBeLessThan(4 * HOLE);
    }
  });

  test('a file that is shorter or longer than was said shows it', async () => {
    const path = join(directory, 'short');
    await writeFile(path, randomBytes(100));
    expect(await readAll(path, 150, BLOCK)).toHaveLength(100);
    const source = await openSource(path, 99n, true, addon);
    const read = await source.read(0, Buffer.alloc(100));
    await source.close();
    expect(typeof read === 'number' ? read : read.bytes).toBe(100);
  });

  test('errors are those of the system, with call and path', async () => {
    const missing = join(directory, 'missing');
    const reading = async (path: string) => {
      const source = await openSource(path, 5n, true, addon);
      await source.read(0, Buffer.alloc(6)).finally(() => source.close());
    };
    await expect(reading(missing)).rejects.toMatchObject({ code: 'ENOENT', errno: -2, syscall: 'open' });
    await expect(reading(directory)).rejects.toMatchObject({ code: 'EISDIR', errno: -21, syscall: 'read' });
    const small = Buffer.alloc(100, 1);
    await expect(write(missing, small, BLOCK, false)).rejects.toMatchObject({ code: 'ENOENT', syscall: 'open' });
    await expect(write('/dev/full', small, BLOCK, false)).rejects.toMatchObject({
      code: 'ENOSPC',
      errno: -28,
      syscall: 'write',
    });
    const large = Buffer.alloc(2 * BLOCK, 1);
    await expect(write('/dev/full', large, BLOCK, false)).rejects.toMatchObject({
      code: 'ENOSPC',
      errno: -28,
      syscall: 'write',
    });
  });
});

test('the addon takes nothing that could be understood as something else', () => {
  const addon = nativeAddon();
  expect(() => addon?.readFile('/a\0b', Buffer.alloc(1))).toThrow(TypeError);
  expect(() => addon?.readBlock(-1, 0, Buffer.alloc(1))).toThrow(TypeError);
  expect(() => addon?.readBlock(0, -1, Buffer.alloc(1))).toThrow(TypeError);
  // biome-ignore lint/suspicious/noExplicitAny: that is what is tested
  expect(() => addon?.writeFile('/tmp', 'text' as any, false)).toThrow(TypeError);
});
