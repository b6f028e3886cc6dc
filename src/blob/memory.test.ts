import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { waitUntil } from '../../test/support/wait.ts';
import { BufferPool, type Loan } from './buffers.ts';
import { MemoryAccount, type MemoryLimits } from './memory-account.ts';

/** As many pools as there are threads, on one account. Each looks only when it is woken, as threads do. */
function pools(limits: MemoryLimits, threads: number): { account: MemoryAccount; all: BufferPool[] } {
  const account = MemoryAccount.create(limits, threads);
  const place = (index: number) => new BufferPool({ account: new MemoryAccount(account.shared), place: index });
  return { account, all: Array.from({ length: threads }, (_, index) => place(index)) };
}

const at = (all: readonly BufferPool[], index: number) => all[index] as BufferPool;
const out = (all: readonly BufferPool[]) => all.reduce((sum, pool) => sum + pool.bytesInFlight, 0);
const used = (all: readonly BufferPool[]) => all.reduce((sum, pool) => sum + pool.bytesInFlight + pool.bytesIdle, 0);

/** What was granted so far, in its order. */
function noted(): { loans: Loan[]; take: (loan: Promise<Loan>) => void } {
  const loans: Loan[] = [];
  return { loans, take: (loan) => void loan.then((one) => loans.push(one)) };
}

const settled = () => new Promise((resolve) => setTimeout(resolve, 50));

describe('the memory of several threads', () => {
  test.each([1, 3, 7, 8])('one large file has all its blocks on the way with %i threads', async (threads) => {
    const { all } = pools({ budget: 128, archive: 96 }, threads);
    for (const direction of ['archive', 'restore'] as const) {
      const file = at(all, 0).forFile(direction);
      const loans = await Promise.all(Array.from({ length: 8 }, () => file.acquire(8)));
      for (const loan of loans) loan.release();
    }
  });

  test('is never more than the budget, idle buffers included, and everybody has a turn', async () => {
    const request = fc.record({ thread: fc.nat(2), file: fc.nat(3), size: fc.integer({ min: 0, max: 100 }) });
    await fc.assert(
      fc.asyncProperty(fc.array(request, { maxLength: 40 }), async (requests) => {
        const { all } = pools({ budget: 100, archive: 70 }, 3);
        const files = all.map((pool) =>
          (['archive', 'archive', 'restore', 'restore'] as const).map((direction) => pool.forFile(direction)),
        );
        await Promise.all(
          requests.map(async ({ thread, file, size }) => {
            const loan = await files[thread]?.[file]?.acquire(size);
            expect(used(all)).toBeLessThanOrEqual(100);
            await new Promise(setImmediate);
            loan?.release();
          }),
        );
        expect(out(all)).toBe(0);
        expect(used(all)).toBeLessThanOrEqual(100);
      }),
      { numRuns: 50 },
    );
  });

  test('is given first come, first served, whichever thread asks', async () => {
    const { all } = pools({ budget: 100 }, 2);
    const first = await at(all, 0).acquire(60);
    const order: string[] = [];
    const asked = (index: number, size: number, name: string) =>
      at(all, index)
        .acquire(size)
        .then((loan) => {
          order.push(name);
          loan.release();
        });
    const large = asked(1, 80, 'large');
    const small = asked(0, 30, 'small');
    await settled();
    expect(order).toEqual([]);
    first.release();
    await Promise.all([large, small]);
    expect(order).toEqual(['large', 'small']);
  });

  test('idle buffers of one thread make room for another', async () => {
    const { all } = pools({ budget: 100 }, 2);
    (await at(all, 0).acquire(90)).release();
    expect(at(all, 0).bytesIdle).toBe(90);
    await at(all, 1).acquire(50);
    expect(used(all)).toBeLessThanOrEqual(100);
  });

  test('what a lost thread had is for the others', async () => {
    const account = MemoryAccount.create({ budget: 100 }, 2);
    account.update(0, { out: { archive: 60, restore: 30 }, idle: 10, heads: [] });
    const { loans, take } = noted();
    take(new BufferPool({ account, place: 1 }).acquire(100));
    await settled();
    expect(loans).toEqual([]);
    account.clear(0);
    await waitUntil('it is granted', () => loans.length === 1);
  });
});

describe('the memory of files whose storage target hangs', () => {
  test('is half of all at most, and a block each: the others go on', async () => {
    const { all } = pools({ budget: 160, archive: 120 }, 2);
    const hung = [0, 1, 2].map((index) => at(all, index % 2).forFile('restore'));
    const kept = noted();
    for (const file of hung) for (let block = 0; block < 8; block++) kept.take(file.acquire(10));
    await settled();
    expect(out(all)).toBeLessThanOrEqual(100);
    for (const pool of all) (await pool.forFile('restore').acquire(10)).release();
    for (const pool of all) (await pool.forFile('archive').acquire(10)).release();
  });

  test('archives leave restores their part', async () => {
    const pool = new BufferPool({ account: MemoryAccount.create({ budget: 100, archive: 70 }, 1), place: 0 });
    const kept = noted();
    for (let file = 0; file < 10; file++) kept.take(pool.forFile('archive').acquire(10));
    await settled();
    expect(kept.loans).toHaveLength(7);
    for (let file = 0; file < 3; file++) await pool.forFile('restore').acquire(10);
    expect(pool.bytesInFlight).toBe(100);
  });

  test('a file that has given back all it had gets its next block, whatever is left for further ones', async () => {
    const pool = new BufferPool(100);
    const other = pool.forFile('restore');
    for (let block = 0; block < 5; block++) await other.acquire(10);
    const file = pool.forFile('restore');
    const first = await file.acquire(10);
    const { loans, take } = noted();
    take(file.acquire(10));
    await settled();
    expect(loans).toEqual([]);
    first.release();
    await waitUntil('the next is granted', () => loans.length === 1);
  });
});

test('idle buffers of many sizes and those out are within the budget together', async () => {
  const pool = new BufferPool(64_000);
  for (let size = 600; size < 700; size++) (await pool.acquire(size)).release();
  const large = await pool.acquire(64_000);
  expect(pool.bytesInFlight + pool.bytesIdle).toBe(64_000);
  large.release();
});
