import { parentPort, workerData } from 'node:worker_threads';
import { RateBucket } from '../../src/service/rate-bucket.ts';

/** A thread that takes blocks from a bucket, several at a time, until it has had its number; then it says so. */
export interface RateWork {
  readonly shared: SharedArrayBuffer;
  readonly takers: number;
  readonly takes: number;
  readonly bytes: number;
}

if (parentPort !== null) {
  const port = parentPort;
  const { shared, takers, takes, bytes } = workerData as RateWork;
  const bucket = new RateBucket(shared);
  // Keeps the thread: what waits for a change alone would not.
  port.on('message', () => {});
  const taker = async () => {
    for (let take = 0; take < takes; take += 1) await bucket.take(bytes);
  };
  await Promise.all(Array.from({ length: takers }, taker));
  port.postMessage('done');
  port.close();
}
