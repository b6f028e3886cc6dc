import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { isBlobError } from '../../../src/blob/errors.ts';
import { crc64Hex, loadCrc64 } from '../../../src/checksum/crc64.ts';
import { type Generation, nextGeneration } from '../../../src/identity/generation.ts';
import { openTransfers, threadsFor } from '../../../src/transfer/open.ts';
import { ThreadLostError } from '../../../src/transfer/thread-lost.ts';
import type { ThreadPoolOptions } from '../../../src/transfer/thread-pool.ts';
import type { Transfers, UploadJob } from '../../../src/transfer/types.ts';
import { metadata, QUICK, useAzurite } from '../blob/setup.ts';

const KIB = 1024;
const BLOCK = 64 * KIB;
const world = useAzurite();
let directory: string;
let workers: Worker[];
const opened: Transfers[] = [];
const noticed = (worker: Worker) => workers.push(worker);

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'transfers-'));
  workers = [];
  process.on('worker', noticed);
});

afterEach(async () => {
  process.off('worker', noticed);
  await Promise.all(opened.splice(0).map((transfers) => transfers.close()));
  await rm(directory, { recursive: true });
});

async function open(threads: number, extra: Partial<ThreadPoolOptions> = {}): Promise<Transfers> {
  const sas = join(directory, 'sas');
  await writeFile(sas, world.azurite.containerSas(world.container, 'racwdl'), { mode: 0o600 });
  const transfers = await openTransfers({
    threads,
    settings: {
      archives: new Map([
        [
          7,
          {
            endpoint: world.gateway.endpoint,
            container: world.container,
            prefix: '',
            credential: { type: 'sas', file: sas },
            accessTier: undefined,
            rehydrate: 'none',
          },
        ],
      ]),
      blockSize: BLOCK,
      rangeSize: BLOCK,
      concurrency: 3,
      memory: { budget: 8 * BLOCK, archive: 6 * BLOCK },
      retry: QUICK,
      idleTimeout: 10_000,
    },
    ...extra,
  });
  opened.push(transfers);
  return transfers;
}

async function fileOf(name: string, content: Buffer): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, content);
  return path;
}

function jobOf(name: string, path: string, size: number, extra: Partial<UploadJob> = {}): UploadJob {
  return {
    archive: 7,
    name,
    path,
    size: BigInt(size),
    generation: nextGeneration(),
    beforeCommit: async () => ({ condition: { ifNoneMatch: '*' }, metadata: metadata() }),
    ...extra,
  };
}

describe.each([0, 1, 3])('with %i threads', (threads) => {
  test('files of every odd size go up and come back the same, with their checksum', async () => {
    const crc64 = await loadCrc64();
    const transfers = await open(threads);
    const sizes = [0, 1, 4095, 4096, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK - 1, 3 * BLOCK, 3 * BLOCK + 1, 700_001];
    await Promise.all(
      sizes.map(async (size) => {
        const content = randomBytes(size);
        const name = `f ${size}`;
        let told = 0;
        const uploaded = await transfers.upload(
          jobOf(name, await fileOf(`up${size}`, content), size, {
            onBytes: (bytes) => {
              told += bytes;
            },
          }),
        );
        expect(uploaded.bytes).toBe(BigInt(size));
        expect(uploaded.crc64).toBe(crc64.of(content));
        expect(told).toBe(size);
        expect((await world.client.getBlobClient(name).getProperties()).metadata).toMatchObject({
          lfsazsync_size: String(size),
          lfsazsync_crc64: crc64Hex(crc64.of(content)),
        });

        // What an earlier try has left is gone afterwards.
        const path = await fileOf(`down${size}`, randomBytes(size + 5000));
        let received = 0;
        const downloaded = await transfers.download({
          archive: 7,
          name,
          path,
          again: true,
          etag: uploaded.etag,
          length: BigInt(size),
          onBytes: (bytes) => {
            received += bytes;
          },
        });
        expect((await readFile(path)).equals(content)).toBe(true);
        expect(downloaded.crc64).toBe(uploaded.crc64);
        expect(received).toBe(size);
      }),
    );
    expect(workers).toHaveLength(threads);
  });

  test('holes stay holes', async () => {
    const transfers = await open(threads);
    const content = Buffer.alloc(16 * BLOCK);
    content.write('end', content.length - 3);
    const { etag } = await transfers.upload(jobOf('f', await fileOf('up', content), content.length));
    const path = await fileOf('down', Buffer.alloc(0));
    await transfers.download({ archive: 7, name: 'f', path, again: false, etag, length: BigInt(content.length) });
    expect((await readFile(path)).equals(content)).toBe(true);
    expect((await stat(path)).blocks * 512).toBeLessThan(4 * BLOCK);
  });

  test('the decision is asked for where the job came from; what it throws comes out, and nothing is committed', async () => {
    const transfers = await open(threads);
    const path = await fileOf('up', randomBytes(3 * BLOCK));
    class Refused extends Error {}
    const refusal = new Refused('no');
    const upload = transfers.upload(jobOf('f', path, 3 * BLOCK, { beforeCommit: () => Promise.reject(refusal) }));
    await expect(upload).rejects.toBe(refusal);
    expect(await world.client.getBlobClient('f').exists()).toBe(false);
  });

  test('a destination that is not as decided is decided on again', async () => {
    const transfers = await open(threads);
    const path = await fileOf('up', randomBytes(2 * BLOCK));
    let decisions = 0;
    const uploaded = await transfers.upload(
      jobOf('f', path, 2 * BLOCK, {
        async beforeCommit() {
          decisions += 1;
          if (decisions > 1) {
            const { etag } = await world.client.getBlobClient('f').getProperties();
            return { condition: { ifMatch: etag as string }, metadata: metadata() };
          }
          await world.client.getBlockBlobClient('f').upload('other', 5);
          return { condition: { ifNoneMatch: '*' }, metadata: metadata() };
        },
      }),
    );
    // Blocks are thrown away by another's commit: that is an answer of its own.
    expect(decisions).toBe(2);
    expect(uploaded.bytes).toBe(BigInt(2 * BLOCK));
  });

  test('another ETag of the same copy is asked for, once for all ranges', async () => {
    const transfers = await open(threads);
    const content = randomBytes(8 * BLOCK);
    const { etag } = await transfers.upload(jobOf('f', await fileOf('up', content), content.length));
    await world.client.getBlobClient('f').setMetadata({ ...metadata(), other: '1' });
    const path = await fileOf('down', Buffer.alloc(0));
    const onEtagChanged = vi.fn(async () => (await world.client.getBlobClient('f').getProperties()).etag);
    const job = { archive: 7, name: 'f', path, again: false, etag, length: BigInt(content.length) };
    await transfers.download({ ...job, onEtagChanged });
    expect((await readFile(path)).equals(content)).toBe(true);
    expect(onEtagChanged).toHaveBeenCalledTimes(1);

    await expect(transfers.download({ ...job, again: true })).rejects.toMatchObject({ code: 'CONDITION' });
    const broken = transfers.download({ ...job, again: true, onEtagChanged: () => Promise.reject(new Error('mine')) });
    await expect(broken).rejects.toThrow('mine');
  });

  test('an abort stops either direction with its own reason', async () => {
    const transfers = await open(threads);
    const content = randomBytes(20 * BLOCK);
    const { etag } = await transfers.upload(jobOf('f', await fileOf('up', content), content.length));
    const reason = new Error('cancelled');
    for (const direction of ['up', 'down'] as const) {
      const controller = new AbortController();
      world.gateway.interfere = ({ operation }, number) => {
        if (operation !== 'Put Block' && operation !== 'Get Blob') return undefined;
        if (number % 4 === 0) controller.abort(reason);
        return undefined;
      };
      const { signal } = controller;
      const path = direction === 'up' ? join(directory, 'up') : await fileOf('down', Buffer.alloc(0));
      const work =
        direction === 'up'
          ? transfers.upload(jobOf('g', path, content.length, { signal }))
          : transfers.download({ archive: 7, name: 'f', path, again: false, etag, length: 1_310_720n, signal });
      await expect(work).rejects.toBe(reason);
      await expect(transfers.upload(jobOf('h', path, content.length, { signal }))).rejects.toBe(reason);
    }
    expect(await world.client.getBlobClient('g').exists()).toBe(false);
  });

  test('errors keep what they are: of the service, of the system', async () => {
    const transfers = await open(threads);
    const path = await fileOf('down', Buffer.alloc(0));
    const missing = transfers.download({ archive: 7, name: 'nothing', path, again: false, etag: '"0x1"', length: 5n });
    await expect(missing).rejects.toSatisfy((error) => isBlobError(error, 'NOT_FOUND', 'CONDITION'));
    const noFile = transfers.upload(jobOf('f', join(directory, 'nothing'), 5));
    await expect(noFile).rejects.toMatchObject({ code: 'ENOENT', syscall: 'open', errno: -2 });
    const shorter = transfers.upload(jobOf('f', await fileOf('up', randomBytes(10)), 11));
    await expect(shorter).rejects.toMatchObject({ name: 'BlobError', code: 'FILE_CHANGED', retriable: true });
  });
});

describe('a thread that is lost', () => {
  test('fails what it was doing, clearly, and the next job gets a new one', async () => {
    const lost = vi.fn();
    const transfers = await open(2, { onLost: lost });
    const path = await fileOf('up', randomBytes(100));
    const asked = Promise.withResolvers<void>();
    const doomed = transfers.upload(
      jobOf('doomed', path, 100, {
        beforeCommit: () => {
          asked.resolve();
          return new Promise(() => {});
        },
      }),
    );
    const outcome = doomed.catch((error: unknown) => error);
    await asked.promise;
    await workers[0]?.terminate();
    expect(await outcome).toBeInstanceOf(ThreadLostError);
    expect(lost).toHaveBeenCalledTimes(1);
    expect(lost).toHaveBeenCalledWith(expect.any(ThreadLostError), 1, 'thread 0');
    await Promise.all([1, 2, 3, 4].map((n) => transfers.upload(jobOf(`f${n}`, path, 100))));
    expect(workers.length).toBeGreaterThan(1);
    expect(await world.client.getBlobClient('doomed').exists()).toBe(false);
  });

  test('that can not even start fails its jobs, again and again, but nothing else', async () => {
    const transfers = await open(1);
    await rm(join(directory, 'sas'));
    const path = await fileOf('up', randomBytes(100));
    for (let round = 0; round < 2; round++) {
      await expect(transfers.upload(jobOf('f', path, 100))).rejects.toBeInstanceOf(ThreadLostError);
    }
  });
});

test('after a close nothing is taken, and no thread is left', async () => {
  const transfers = await open(2);
  const path = await fileOf('up', randomBytes(100));
  const gone = () => Promise.all(workers.map((worker) => once(worker, 'exit')));
  await transfers.upload(jobOf('f', path, 100));
  const exits = gone();
  await transfers.close();
  await exits;
  await expect(transfers.upload(jobOf('g', path, 100))).rejects.toThrow('closed');
});

test('as many threads as are of use, unless the configuration says how many', () => {
  expect([1, 2, 4, 64].map((cores) => threadsFor('auto', cores))).toEqual([0, 1, 3, 8]);
  expect(threadsFor(5, 1)).toBe(5);
  expect(threadsFor(0, 64)).toBe(0);
});

/** Uploads under different generations never share blocks, whichever threads they are in. */
test('two uploads of one name in two threads: one commits, the other is refused', async () => {
  const transfers = await open(2);
  const content = [randomBytes(3 * BLOCK), randomBytes(3 * BLOCK)] as const;
  const generations: Generation[] = [nextGeneration(), nextGeneration()];
  const results = await Promise.allSettled(
    content.map(async (bytes, index) =>
      transfers.upload(
        jobOf('f', await fileOf(`up${index}`, bytes), bytes.length, { generation: generations[index] as Generation }),
      ),
    ),
  );
  expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  const winner = results.findIndex(({ status }) => status === 'fulfilled');
  const stored = await world.client.getBlobClient('f').downloadToBuffer();
  expect(stored.equals(content[winner] as Buffer)).toBe(true);
});
