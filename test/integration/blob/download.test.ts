import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { BufferPool } from '../../../src/blob/buffers.ts';
import { type DownloadOptions, downloadBlob } from '../../../src/blob/download.ts';
import type { BlobStore } from '../../../src/blob/store.ts';
import { uploadFile } from '../../../src/blob/upload.ts';
import { sha256 } from '../../support/blob-gateway.ts';
import { sourceOf, uploadOptions, useAzurite } from './setup.ts';

const world = useAzurite();

/** Downloads into memory; the result and what arrived. */
async function download(store: BlobStore, name: string, options: Partial<DownloadOptions> = {}) {
  const state = await store.head(name);
  if (state === undefined) throw new Error(`${name} is not there`);
  const bytes = Buffer.alloc(Number(state.length));
  const buffers = new BufferPool(1 << 20);
  const result = downloadBlob(store, name, {
    etag: state.etag,
    length: state.length,
    into: {
      async write(buffer, position) {
        buffer.copy(bytes, position);
        return undefined;
      },
    },
    blockSize: 65_536,
    concurrency: 4,
    buffers,
    ...options,
  });
  return { bytes, buffers, result, state };
}

async function uploaded(store: BlobStore, name: string, size: number): Promise<Buffer> {
  const bytes = randomBytes(size);
  await uploadFile(store, name, sourceOf(bytes), uploadOptions());
  return bytes;
}

describe('what was uploaded comes back, with its checksum', () => {
  test.each([0, 1, 65_535, 65_536, 65_537, 1_000_000])('%i bytes', async (size) => {
    const store = await world.open();
    const sent = await uploaded(store, 'f', size);
    let progress = 0;
    const { bytes, result, buffers } = await download(store, 'f', { onBytes: (more) => (progress += more) });
    expect(await result).toMatchObject({ bytes: BigInt(size), crc64: store.crc64.of(sent) });
    expect(sha256(bytes)).toBe(sha256(sent));
    expect(progress).toBe(size);
    expect(buffers.bytesInFlight).toBe(0);
  });
});

test('a small blob takes one request', async () => {
  const store = await world.open();
  await uploaded(store, 'f', 1000);
  world.gateway.requests.length = 0;
  await (await download(store, 'f')).result;
  expect(world.gateway.requests.map((request) => request.operation)).toEqual(['Get Blob Properties', 'Get Blob']);
});

describe('the ETag changes on the way', () => {
  /** Changes the blob before the third range is served. */
  const beforeThirdRange = (change: () => Promise<unknown>) => {
    let ranges = 0;
    world.gateway.interfere = async (request) => {
      if (request.operation === 'Get Blob' && ++ranges === 3) await change();
      return undefined;
    };
  };

  test('by new metadata: goes on with the new one, asked for once', async () => {
    const store = await world.open();
    const sent = await uploaded(store, 'f', 1_000_000);
    const { etag } = (await store.head('f')) ?? { etag: '' };
    beforeThirdRange(() => store.setMetadata('f', { permissions: '0600' }, { ifMatch: etag }));
    let asked = 0;
    const { bytes, result } = await download(store, 'f', {
      async onEtagChanged() {
        asked += 1;
        return (await store.head('f'))?.etag;
      },
    });
    expect(await result).toMatchObject({ crc64: store.crc64.of(sent), etag: (await store.head('f'))?.etag });
    expect(sha256(bytes)).toBe(sha256(sent));
    expect(asked).toBe(1);
  });

  test('by other content: fails, and says so', async () => {
    const store = await world.open();
    await uploaded(store, 'f', 1_000_000);
    const other = randomBytes(1_000_000);
    beforeThirdRange(() => world.client.getBlockBlobClient('f').upload(other, other.length));
    const { result, buffers } = await download(store, 'f', { onEtagChanged: async () => undefined });
    await expect(result).rejects.toMatchObject({ code: 'CONDITION', azureCode: 'ConditionNotMet' });
    expect(buffers.bytesInFlight).toBe(0);
  });

  test('without anybody to ask: fails', async () => {
    const store = await world.open();
    await uploaded(store, 'f', 1_000_000);
    const { etag } = (await store.head('f')) ?? { etag: '' };
    beforeThirdRange(() => store.setMetadata('f', { a: 'b' }, { ifMatch: etag }));
    await expect((await download(store, 'f')).result).rejects.toMatchObject({ code: 'CONDITION' });
  });

  test('the blob goes away: fails, and a look finds nothing', async () => {
    const store = await world.open();
    await uploaded(store, 'f', 1_000_000);
    beforeThirdRange(() => world.client.getBlobClient('f').delete());
    // The service says 404 here, Azurite 412: callers look again on either.
    await expect((await download(store, 'f')).result).rejects.toMatchObject({
      code: expect.stringMatching(/^(NOT_FOUND|CONDITION)$/),
    });
    expect(await store.head('f')).toBeUndefined();
  });
});

test('a body that breaks off is taken up where it broke off', async () => {
  const store = await world.open();
  const sent = await uploaded(store, 'f', 60_000);
  const { bytes, result } = await download(store, 'f');
  let broken = 0;
  world.gateway.interfere = (request) =>
    request.operation === 'Get Blob' && broken++ < 2 ? { truncate: 20_000 } : undefined;
  await result;
  expect(sha256(bytes)).toBe(sha256(sent));
  const ranges = world.gateway.requests
    .filter((request) => request.operation === 'Get Blob')
    .map((request) => request.headers['x-ms-range']);
  expect(ranges).toEqual(['bytes=0-59999', 'bytes=20000-59999', 'bytes=40000-59999']);
});

test('a connection that stalls in the middle of a body ends, and the rest is fetched', async () => {
  const store = await world.open({}, { idleTimeout: 300 });
  const sent = await uploaded(store, 'f', 60_000);
  let stalled = 0;
  world.gateway.interfere = (request) =>
    request.operation === 'Get Blob' && stalled++ === 0 ? { stallAfter: 10_000 } : undefined;
  const { bytes, result } = await download(store, 'f');
  await result;
  expect(sha256(bytes)).toBe(sha256(sent));
  expect(stalled).toBe(2);
});

test('bodies that always break off: an error of the network in the end, not a short file', async () => {
  const store = await world.open();
  await uploaded(store, 'f', 60_000);
  world.gateway.interfere = (request) => (request.operation === 'Get Blob' ? { truncate: 0 } : undefined);
  await expect((await download(store, 'f')).result).rejects.toMatchObject({ code: 'NETWORK', retriable: true });
});

test('a blob of another length than its state said is refused', async () => {
  const store = await world.open();
  await uploaded(store, 'f', 1000);
  const { result } = await download(store, 'f', { length: 999n });
  await expect(result).rejects.toMatchObject({ code: 'LENGTH' });
  const { result: longer } = await download(store, 'f', { length: 1001n });
  await expect(longer).rejects.toMatchObject({ code: 'LENGTH' });
});

test('an error of the sink, or an abort, ends it and gives the memory back', async () => {
  const store = await world.open();
  await uploaded(store, 'f', 1_000_000);
  const full = await download(store, 'f', { into: { write: async () => Promise.reject(new Error('disk full')) } });
  await expect(full.result).rejects.toThrow('disk full');
  expect(full.buffers.bytesInFlight).toBe(0);

  const controller = new AbortController();
  const aborted = await download(store, 'f', {
    signal: controller.signal,
    onBytes: () => controller.abort(new Error('cancelled')),
  });
  await expect(aborted.result).rejects.toThrow('cancelled');
  expect(aborted.buffers.bytesInFlight).toBe(0);
});
