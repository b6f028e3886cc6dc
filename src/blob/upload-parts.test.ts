import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { blockId, blockSizeFor, MAX_BLOB_BYTES, MAX_BLOCK_BYTES, MAX_BLOCKS } from './blocks.ts';
import { BufferPool } from './buffers.ts';

const MIB = 1 << 20;

describe('the block size', () => {
  test('is enough for the file, within the limits, and no larger than needed', () => {
    const wished = fc.oneof(fc.constant('auto' as const), fc.integer({ min: 65_536, max: MAX_BLOCK_BYTES }));
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: MAX_BLOB_BYTES }), wished, (size, wish) => {
        const block = blockSizeFor(size, wish);
        expect(BigInt(block) * BigInt(MAX_BLOCKS)).toBeGreaterThanOrEqual(size);
        expect(block).toBeLessThanOrEqual(MAX_BLOCK_BYTES);
        const least = wish === 'auto' ? 8 * MIB : wish;
        if (block !== least) {
          expect(block % MIB).toBe(0);
          expect(BigInt(Math.max(least, block - MIB)) * BigInt(MAX_BLOCKS)).toBeLessThan(size);
        }
      }),
    );
  });

  test('at the edges', () => {
    expect(blockSizeFor(0n)).toBe(8 * MIB);
    expect(blockSizeFor(BigInt(8 * MIB) * 50_000n)).toBe(8 * MIB);
    expect(blockSizeFor(BigInt(8 * MIB) * 50_000n + 1n)).toBe(9 * MIB);
    expect(blockSizeFor(MAX_BLOB_BYTES)).toBe(MAX_BLOCK_BYTES);
    expect(() => blockSizeFor(MAX_BLOB_BYTES + 1n)).toThrow(/larger than a blob can be/);
  });
});

test('block IDs: all of one length, different for every writer and index', () => {
  const generations = [
    { seq: 1, uuid: 'aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee' },
    { seq: 999_999_999_999_999, uuid: 'aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeef' },
  ];
  const ids = generations.flatMap((generation) => [0, 1, 49_999].map((index) => blockId(generation, index)));
  expect(new Set(ids).size).toBe(6);
  for (const id of ids) {
    expect(Buffer.from(id, 'base64')).toHaveLength(48);
    expect(id).toMatch(/^[A-Za-z0-9+/]{64}$/);
  }
});

describe('the memory for data on the way', () => {
  test('stays within the budget, first come, first served', async () => {
    const pool = new BufferPool(100);
    const first = await pool.acquire(60);
    const order: string[] = [];
    const noted = async (size: number, name: string) => {
      const loan = await pool.acquire(size);
      order.push(name);
      return loan;
    };
    const large = noted(80, 'large');
    const small = noted(10, 'small');
    await new Promise(setImmediate);
    expect(order).toEqual([]);
    first.release();
    (await large).release();
    (await small).release();
    expect(order).toEqual(['large', 'small']);
    expect(pool.bytesInFlight).toBe(0);
  });

  test('lets one through that is larger than the whole budget, alone', async () => {
    const pool = new BufferPool(100);
    const small = await pool.acquire(10);
    let granted = false;
    const huge = pool.acquire(1000).then((loan) => {
      granted = true;
      return loan;
    });
    await new Promise(setImmediate);
    expect(granted).toBe(false);
    small.release();
    expect((await huge).buffer).toHaveLength(1000);
  });

  test('uses buffers again, and a second release does nothing', async () => {
    const pool = new BufferPool(100);
    const one = await pool.acquire(50);
    one.release();
    one.release();
    expect(pool.bytesInFlight).toBe(0);
    const [two, three] = [await pool.acquire(50), await pool.acquire(50)];
    expect(two.buffer).toBe(one.buffer);
    expect(three.buffer).not.toBe(one.buffer);
  });

  test('an abort leaves the queue, and those behind move up', async () => {
    const pool = new BufferPool(100);
    const first = await pool.acquire(60);
    const controller = new AbortController();
    const large = pool.acquire(80, controller.signal);
    const small = pool.acquire(30);
    controller.abort(new Error('cancelled'));
    await expect(large).rejects.toThrow('cancelled');
    (await small).release();
    first.release();
    expect(pool.bytesInFlight).toBe(0);
  });

  test('any order of loans and returns keeps the count', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 150 }), { maxLength: 40 }), async (sizes) => {
        const pool = new BufferPool(200);
        await Promise.all(
          sizes.map(async (size) => {
            const loan = await pool.acquire(size);
            expect(pool.bytesInFlight).toBeLessThanOrEqual(200);
            await new Promise(setImmediate);
            loan.release();
          }),
        );
        expect(pool.bytesInFlight).toBe(0);
      }),
    );
  });
});
