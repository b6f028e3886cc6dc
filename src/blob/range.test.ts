import { expect, test } from 'vitest';
import { TruncatedError } from '../http/answer-reader.ts';
import type { HotRequests } from './hot-requests.ts';
import { readRange } from './range.ts';
import type { BlobWire } from './wire.ts';

test('an answer that breaks off after its last byte is asked for again as a whole', async () => {
  const asked: unknown[] = [];
  const getRange: HotRequests['getRange'] = async (_, { range, target }) => {
    asked.push(range);
    const headers = new Map([['content-range', `bytes ${range?.[0]}-${range?.[1]}/100`]]);
    const into = target({ get: (name: string) => headers.get(name) } as Parameters<typeof target>[0]);
    if (into !== undefined) into.filled = into.buffer.length;
    if (asked.length === 1) throw new TruncatedError(10);
    return { get: () => '"1"' } as unknown as Awaited<ReturnType<HotRequests['getRange']>>;
  };
  // Tries twice, as the retries do.
  const run = async (_: unknown, work: (clients: unknown) => Promise<unknown>) => {
    const clients = { hot: { getRange } };
    return await work(clients).catch(() => work(clients));
  };
  const wire = { run } as unknown as BlobWire;
  const subject = { verb: 'read', account: 'a', container: 'c', blob: 'b' } as const;
  const request = { offset: 20, into: Buffer.alloc(10), ifMatch: '"1"', blobLength: 100n };
  expect(await readRange(wire, subject, 'b', request)).toEqual({ etag: '"1"' });
  expect(asked).toEqual([
    [20, 29],
    [20, 29],
  ]);
});
