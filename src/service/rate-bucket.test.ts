import { once } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RateWork } from '../../test/support/rate-worker.ts';
import { waitUntil } from '../../test/support/wait.ts';
import { type BucketClock, RateBucket, takeAll } from './rate-bucket.ts';

const KiB = 1024;
const MiB = 1024 * KiB;

/** Time that only goes by when it is told to. */
class ManualClock implements BucketClock {
  #now = 1_000_000;
  readonly #timers = new Set<{ at: number; then: () => void }>();

  now(): number {
    return this.#now;
  }

  after(milliseconds: number, then: () => void): () => void {
    const timer = { at: this.#now + milliseconds, then };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  get timers(): number {
    return this.#timers.size;
  }

  async go(milliseconds: number): Promise<void> {
    const end = this.#now + milliseconds;
    await settled();
    for (;;) {
      const next = [...this.#timers].filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      this.#timers.delete(next);
      this.#now = next.at;
      next.then();
      await settled();
    }
    this.#now = end;
  }
}

/** Until everything has run that runs without time going by. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) await setImmediate();
}

function newBucket(rate?: number): { bucket: RateBucket; clock: ManualClock } {
  const clock = new ManualClock();
  const bucket = new RateBucket(undefined, clock);
  if (rate !== undefined) bucket.setRate(rate);
  return { bucket, clock };
}

/** Takes blocks one after the other for ever, as a transfer's slot does. */
function keepTaking(bucket: RateBucket, bytes: number, signal?: AbortSignal): { taken: number } {
  const count = { taken: 0 };
  const loop = async () => {
    for (;;) {
      await bucket.take(bytes, signal);
      count.taken += bytes;
    }
  };
  loop().catch(() => {});
  return count;
}

describe('RateBucket', () => {
  it('lets everything through without a limit, and counts it', async () => {
    const { bucket, clock } = newBucket();
    for (let i = 0; i < 1000; i += 1) await bucket.take(64 * MiB);
    expect(bucket.figures()).toEqual({ held: false, waiting: 0, total: BigInt(64_000 * MiB) });
    expect(clock.timers).toBe(0);
  });

  it('lets in the rate, whatever takes: never more at any time, and not less while something waits', async () => {
    const sizes = fc.constantFrom(1, 4 * KiB, 300 * KiB, MiB, MiB + 1, 8 * MiB, 64 * MiB);
    await fc.assert(
      fc.asyncProperty(
        fc.array(sizes, { minLength: 1, maxLength: 12 }),
        fc.constantFrom(100 * KiB, 3 * MiB, 250 * MiB),
        fc.array(fc.integer({ min: 1, max: 30_000 }), { minLength: 1, maxLength: 8 }),
        async (takers, rate, times) => {
          const { bucket, clock } = newBucket(rate);
          const stop = new AbortController();
          // More bytes a take than a millisecond gives: a taker of one byte would make millions of takes.
          const least = Math.ceil(rate / 200);
          for (const bytes of takers) keepTaking(bucket, Math.max(bytes, least), stop.signal);
          // One block of each lane is let in before it is paid for.
          const burst = takers.reduce((sum, bytes) => Math.max(sum, bytes), least) + MiB + rate / 10 + least;
          let elapsed = 0;
          for (const time of times) {
            await clock.go(time);
            elapsed += time;
            const fair = (rate * elapsed) / 1000;
            const taken = Number(bucket.figures().total);
            expect(taken).toBeLessThanOrEqual(fair + burst);
            expect(taken).toBeGreaterThanOrEqual(fair - rate / 50);
          }
          stop.abort(new Error('enough'));
          await settled();
          expect(bucket.figures().waiting).toBe(0);
          expect(clock.timers).toBe(0);
        },
      ),
      { numRuns: 30 },
    );
  });

  it('does not let small files wait behind a queue of large blocks, and either way has half', async () => {
    const { bucket, clock } = newBucket(100 * MiB);
    const large = Array.from({ length: 64 }, () => keepTaking(bucket, 64 * MiB));
    await clock.go(5_000);
    let through = false;
    void bucket.take(4 * KiB).then(() => {
      through = true;
    });
    await settled();
    expect(through).toBe(true);
    const before = large.reduce((sum, { taken }) => sum + taken, 0);
    const small = Array.from({ length: 32 }, () => keepTaking(bucket, MiB));
    await clock.go(20_000);
    const largeTaken = large.reduce((sum, { taken }) => sum + taken, 0) - before;
    const smallTaken = small.reduce((sum, { taken }) => sum + taken, 0);
    expect(Math.abs(largeTaken - 1000 * MiB)).toBeLessThanOrEqual(128 * MiB);
    expect(Math.abs(smallTaken - 1000 * MiB)).toBeLessThanOrEqual(32 * MiB);
  });

  it('serves those of one size in the order they came', async () => {
    const { bucket, clock } = newBucket(MiB);
    const order: number[] = [];
    for (let i = 0; i < 20; i += 1) void bucket.take(i % 2 === 0 ? 2 * MiB : 5 * MiB).then(() => order.push(i));
    await clock.go(200_000);
    expect(order).toEqual(Array.from({ length: 20 }, (_, i) => i));
  });

  it('takes a new rate at once for those who wait', async () => {
    const { bucket, clock } = newBucket(KiB);
    await bucket.take(100 * MiB);
    let through = 0;
    for (let i = 0; i < 3; i += 1) void bucket.take(100 * MiB).then(() => through++);
    await clock.go(1_000);
    expect(through).toBe(0);
    bucket.setRate(100 * MiB);
    await clock.go(1_100);
    expect(through).toBe(1);
    bucket.setRate(undefined);
    await settled();
    await waitUntil('all are through', () => through === 3);
    bucket.setRate(KiB);
    await clock.go(0);
    await bucket.take(MiB);
    expect(bucket.figures()).toEqual({ rate: KiB, held: false, waiting: 0, total: BigInt(401 * MiB) });
  });

  it('holds everything while it is held, saves nothing up, and goes on where it was', async () => {
    const { bucket, clock } = newBucket(MiB);
    const large = Array.from({ length: 8 }, () => keepTaking(bucket, 4 * MiB));
    const taken = () => large.reduce((sum, count) => sum + count.taken, 0);
    await clock.go(10_000);
    const before = taken();
    bucket.setHeld(true);
    await clock.go(3_600_000);
    expect(taken()).toBe(before);
    expect(bucket.figures()).toMatchObject({ held: true, waiting: 8 });
    // Nobody polls while nothing can happen.
    expect(clock.timers).toBe(0);
    bucket.setHeld(false);
    await clock.go(10_000);
    expect(taken() - before).toBeGreaterThanOrEqual(4 * MiB);
    expect(taken() - before).toBeLessThanOrEqual(15 * MiB);
  });

  it('holds without a limit, too', async () => {
    const { bucket } = newBucket();
    expect(await takeAll([bucket], 1)).toBe(false);
    bucket.setHeld(true);
    let through = false;
    const take = takeAll([bucket], 1).then((held) => {
      through = true;
      return held;
    });
    await settled();
    expect(through).toBe(false);
    bucket.setHeld(false);
    expect(await take).toBe(true);
  });

  it('lets go of what is aborted at once, limited or held, and gives its share to those behind', async () => {
    const { bucket, clock } = newBucket(MiB);
    await bucket.take(2 * MiB);
    const abort = new AbortController();
    const first = bucket.take(500 * MiB, abort.signal);
    let through = false;
    void bucket.take(2 * MiB).then(() => {
      through = true;
    });
    await clock.go(1_000);
    abort.abort(new Error('cancelled'));
    await expect(first).rejects.toThrow('cancelled');
    // Only what was let in is still to be paid for.
    await clock.go(900);
    expect(through).toBe(false);
    await clock.go(200);
    expect(through).toBe(true);
    bucket.setHeld(true);
    const second = new AbortController();
    const held = bucket.take(1, second.signal);
    second.abort(new Error('cancelled, too'));
    await expect(held).rejects.toThrow('cancelled, too');
    await expect(bucket.take(1, second.signal)).rejects.toThrow('cancelled, too');
    expect(bucket.figures()).toMatchObject({ waiting: 0, total: BigInt(4 * MiB) });
  });

  it('refuses rates that are none', () => {
    const { bucket } = newBucket();
    for (const rate of [0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY])
      expect(() => bucket.setRate(rate)).toThrow(RangeError);
  });

  it('goes through several buckets in turn', async () => {
    const own = newBucket();
    const common = newBucket();
    common.bucket.setHeld(true);
    const take = takeAll([own.bucket, common.bucket], 7);
    await settled();
    expect(own.bucket.figures().total).toBe(7n);
    expect(common.bucket.figures().waiting).toBe(1);
    common.bucket.setHeld(false);
    await take;
  });
});

describe('RateBucket in several threads', () => {
  const worker = (work: RateWork) =>
    new Worker(new URL('../../test/support/rate-worker.ts', import.meta.url), { workerData: work });

  it('never lets in more than the rate, all together', async () => {
    const bucket = new RateBucket();
    const [takers, takes, bytes, rate, threads] = [4, 50, 64 * KiB, 64 * MiB, 3];
    bucket.setRate(rate);
    const started = process.hrtime.bigint();
    const workers = Array.from({ length: threads }, () => worker({ shared: bucket.shared, takers, takes, bytes }));
    await Promise.all(workers.map((thread) => once(thread, 'message')));
    const elapsed = Number(process.hrtime.bigint() - started) / 1e9;
    const total = threads * takers * takes * bytes;
    expect(bucket.figures()).toEqual({ rate, held: false, waiting: 0, total: BigInt(total) });
    expect(total).toBeLessThanOrEqual(rate * elapsed + bytes + rate / 10);
    await Promise.all(workers.map((thread) => thread.terminate()));
  });

  it('changes and holds reach every thread', async () => {
    const bucket = new RateBucket();
    bucket.setRate(1);
    // The first block is let in; the second one would take days.
    const workers = [0, 1].map(() => worker({ shared: bucket.shared, takers: 2, takes: 3, bytes: MiB }));
    const done = Promise.all(workers.map((thread) => once(thread, 'message')));
    await waitUntil('all wait', () => bucket.figures().waiting === 4);
    bucket.setHeld(true);
    bucket.setRate(undefined);
    expect(bucket.figures()).toMatchObject({ held: true, waiting: 4 });
    bucket.setHeld(false);
    await done;
    expect(bucket.figures()).toEqual({ held: false, waiting: 0, total: BigInt(12 * MiB) });
    await Promise.all(workers.map((thread) => thread.terminate()));
  });
});
