import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { BufferPool } from '../../../src/blob/buffers.ts';
import { uploadFile } from '../../../src/blob/upload.ts';
import { crc64Hex } from '../../../src/checksum/crc64.ts';
import { formatGeneration, nextGeneration } from '../../../src/identity/generation.ts';
import { sha256 } from '../../support/blob-gateway.ts';
import { metadata, sourceOf, uploadOptions, useAzurite } from './setup.ts';

const world = useAzurite();

const contentOf = async (name: string) => await world.client.getBlobClient(name).downloadToBuffer();
const names = async () => {
  const found: string[] = [];
  for await (const { name } of world.client.listBlobsFlat({ includeUncommitedBlobs: false })) found.push(name);
  return found;
};

describe('an upload arrives byte for byte, with its checksum and metadata', () => {
  test.each([
    ['nothing', 0, 65_536, 'Put Blob'],
    ['one byte', 1, 65_536, 'Put Blob'],
    ['exactly one block', 65_536, 65_536, 'Put Blob'],
    ['one byte more than a block', 65_537, 65_536, 'Put Block List'],
    ['many blocks', 40 * 65_536 - 5, 65_536, 'Put Block List'],
  ])('%s', async (_what, size, blockSize, operation) => {
    const store = await world.open();
    const bytes = randomBytes(size);
    let progress = 0;
    const options = uploadOptions({ blockSize, onBytes: (more) => (progress += more) });
    const result = await uploadFile(store, 'dir/file', sourceOf(bytes), options);

    expect(sha256(await contentOf('dir/file').catch(() => Buffer.alloc(0)))).toBe(sha256(bytes));
    const properties = await world.client.getBlobClient('dir/file').getProperties();
    expect(properties.contentLength).toBe(size);
    expect(properties.etag).toBe(result.etag);
    expect(properties.metadata).toEqual({
      ...metadata(),
      lfsazsync_gen: formatGeneration(options.generation),
      lfsazsync_size: String(size),
      lfsazsync_crc64: crc64Hex(store.crc64.of(bytes)),
    });
    expect(result).toMatchObject({ bytes: BigInt(size), crc64: store.crc64.of(bytes) });
    expect(progress).toBe(size);
    expect(world.gateway.requests.at(-1)?.operation).toBe(operation);
    expect(options.buffers.bytesInFlight).toBe(0);
  });
});

test('every body declares its CRC64, and a wrong one is refused by the endpoint', async () => {
  const store = await world.open();
  await uploadFile(store, 'blocks', sourceOf(randomBytes(200_000)), uploadOptions({ blockSize: 65_536 }));
  await uploadFile(store, 'single', sourceOf(randomBytes(2000)), uploadOptions());
  const operations = ['Put Blob', 'Put Block', 'Put Block List'];
  const bodies = world.gateway.requests.filter((request) => operations.includes(request.operation));
  expect(bodies).toHaveLength(6);
  for (const { headers } of bodies) expect(headers['x-ms-content-crc64']).toMatch(/^[A-Za-z0-9+/]{11}=$/);

  const wrong = store.put('wrong', Buffer.from('abc'), { crc64: 1n, condition: { ifNoneMatch: '*' }, metadata: {} });
  await expect(wrong).rejects.toMatchObject({ code: 'CHECKSUM', azureCode: 'Crc64Mismatch', retriable: true });
  const block = store.putBlock('wrong', 'AAAA', Buffer.from('abc'), { crc64: 1n });
  await expect(block).rejects.toMatchObject({ code: 'CHECKSUM' });
  expect(await store.head('wrong')).toBeUndefined();
});

describe('commits race', () => {
  test('two uploads onto a free name: one wins, the other is told, the content is one of the two', async () => {
    const store = await world.open();
    const contents = [randomBytes(300_000), randomBytes(300_000)];
    const results = await Promise.allSettled(
      contents.map((bytes) => uploadFile(store, 'f', sourceOf(bytes), uploadOptions({ blockSize: 65_536 }))),
    );
    const won = results.findIndex((result) => result.status === 'fulfilled');
    const lost = results[1 - won] as PromiseRejectedResult;
    expect(results.map((result) => result.status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(['CONDITION', 'BLOCKS_GONE']).toContain(lost.reason.code);
    expect(sha256(await contentOf('f'))).toBe(sha256(contents[won] as Buffer));
  });

  test('the destination changes between the decision and the commit: the newer one stays', async () => {
    const store = await world.open();
    await uploadFile(store, 'f', sourceOf(Buffer.from('old')), uploadOptions());
    const upload = uploadFile(
      store,
      'f',
      sourceOf(Buffer.from('mine')),
      uploadOptions({
        async beforeCommit() {
          const seen = await store.head('f');
          await world.client.getBlockBlobClient('f').upload('stranger', 8);
          return { condition: { ifMatch: seen?.etag ?? '' } };
        },
      }),
    );
    await expect(upload).rejects.toMatchObject({
      code: 'CONDITION',
      azureCode: 'ConditionNotMet',
      status: 412,
      retriable: false,
    });
    expect(String(await contentOf('f'))).toBe('stranger');
  });

  test('a blob that should not be there: BlobAlreadyExists is the same answer', async () => {
    const store = await world.open();
    await uploadFile(store, 'f', sourceOf(Buffer.from('old')), uploadOptions());
    const again = uploadFile(store, 'f', sourceOf(Buffer.from('new')), uploadOptions());
    await expect(again).rejects.toMatchObject({ code: 'CONDITION', azureCode: 'BlobAlreadyExists', status: 409 });
    expect(String(await contentOf('f'))).toBe('old');
  });

  test('blocks of two writers under one name never mix', async () => {
    const store = await world.open();
    const [a, b] = [Buffer.alloc(5 * 65_536, 'a'), Buffer.alloc(5 * 65_536, 'b')];
    // B stages all its blocks, under its own generation, between A's staging and A's commit.
    const first = uploadFile(
      store,
      'f',
      sourceOf(a),
      uploadOptions({
        blockSize: 65_536,
        async beforeCommit() {
          const giveUp = async () => Promise.reject(new Error('gives up before its commit'));
          await uploadFile(store, 'f', sourceOf(b), uploadOptions({ blockSize: 65_536, beforeCommit: giveUp })).catch(
            () => {},
          );
          return { condition: { ifNoneMatch: '*' } };
        },
      }),
    );
    await first;
    expect(sha256(await contentOf('f'))).toBe(sha256(a));
  });
});

describe('a commit whose answer is lost', () => {
  test.each([
    ['Put Blob', 1000],
    ['Put Block List', 200_000],
  ])('%s: the retry finds its own generation there, and is done', async (operation, size) => {
    const store = await world.open();
    let lost = 0;
    world.gateway.interfere = (request) =>
      request.operation === operation && lost++ === 0 ? 'lose-answer' : undefined;
    const bytes = randomBytes(size);
    const result = await uploadFile(store, 'f', sourceOf(bytes), uploadOptions({ blockSize: 65_536 }));
    expect(lost).toBeGreaterThan(1);
    expect(sha256(await contentOf('f'))).toBe(sha256(bytes));
    expect(result.etag).toBe((await store.head('f'))?.etag);
  });

  test('when somebody else is there instead, it is not done', async () => {
    const store = await world.open();
    let puts = 0;
    world.gateway.interfere = async (request) => {
      if (request.operation !== 'Put Blob' || puts++ > 0) return undefined;
      await world.client.getBlockBlobClient('f').upload('stranger', 8);
      return 'cut';
    };
    const upload = uploadFile(store, 'f', sourceOf(Buffer.from('mine!')), uploadOptions());
    await expect(upload).rejects.toMatchObject({ code: 'CONDITION', ambiguous: true });
    expect(String(await contentOf('f'))).toBe('stranger');
  });
});

describe('nothing is committed', () => {
  test('when aborted in the middle of the blocks', async () => {
    const store = await world.open();
    const controller = new AbortController();
    const options = uploadOptions({
      blockSize: 65_536,
      signal: controller.signal,
      onBytes: () => controller.abort(new Error('cancelled by the coordinator')),
    });
    await expect(uploadFile(store, 'f', sourceOf(randomBytes(2_000_000)), options)).rejects.toThrow(
      'cancelled by the coordinator',
    );
    expect(options.buffers.bytesInFlight).toBe(0);
    expect(await names()).toEqual([]);
    expect(world.gateway.requests.map((request) => request.operation)).not.toContain('Put Block List');
  });

  test.each([100, 200_000])('when aborted while the decision is taken (%i bytes)', async (size) => {
    const store = await world.open();
    const controller = new AbortController();
    const beforeCommit = async () => {
      controller.abort(new Error('late cancel'));
      return { condition: { ifNoneMatch: '*' as const } };
    };
    const upload = uploadFile(
      store,
      'f',
      sourceOf(randomBytes(size)),
      uploadOptions({ blockSize: 65_536, signal: controller.signal, beforeCommit }),
    );
    await expect(upload).rejects.toThrow('late cancel');
    expect(await names()).toEqual([]);
  });

  test.each([
    ['shorter, one block', 1000, 1001n],
    ['longer, one block', 1000, 999n],
    ['shorter, blocks', 200_000, 200_001n],
    ['much shorter, blocks', 100, 200_000n],
    ['longer, blocks', 200_000, 199_999n],
    ['not empty any more', 1, 0n],
  ])('when the file is %s', async (_what, real, stat) => {
    const store = await world.open();
    let asked = false;
    const options = uploadOptions({
      blockSize: 65_536,
      beforeCommit: async () => {
        asked = true;
        return { condition: { ifNoneMatch: '*' } };
      },
    });
    await expect(uploadFile(store, 'f', sourceOf(randomBytes(real), stat), options)).rejects.toMatchObject({
      code: 'FILE_CHANGED',
    });
    expect(asked).toBe(false);
    expect(options.buffers.bytesInFlight).toBe(0);
    expect(await names()).toEqual([]);
  });

  test('when the decision is no', async () => {
    const store = await world.open();
    const options = uploadOptions({
      beforeCommit: async () => Promise.reject(new Error('the data version has changed')),
    });
    await expect(uploadFile(store, 'f', sourceOf(Buffer.from('x')), options)).rejects.toThrow(
      'the data version has changed',
    );
    expect(await names()).toEqual([]);
  });
});

test('blocks discarded by another commit: told as such, to be uploaded again', async () => {
  const store = await world.open();
  // Azurite keeps uncommitted blocks through another's Put Blob; the service discards them and answers like this.
  world.gateway.interfere = ({ operation }) =>
    operation === 'Put Block List' ? { answer: { status: 400, code: 'InvalidBlockList' } } : undefined;
  const upload = uploadFile(store, 'f', sourceOf(randomBytes(200_000)), uploadOptions({ blockSize: 65_536 }));
  await expect(upload).rejects.toMatchObject({ code: 'BLOCKS_GONE', retriable: true });
  expect(await names()).toEqual([]);
});

test('a source that gives little at a time is read to its end', async () => {
  const store = await world.open();
  const bytes = randomBytes(150_000);
  const source = {
    size: BigInt(bytes.length),
    read: async (position: number, buffer: Buffer) => bytes.copy(buffer, 0, position, position + 777),
  };
  await uploadFile(store, 'f', source, uploadOptions({ blockSize: 65_536 }));
  expect(sha256(await contentOf('f'))).toBe(sha256(bytes));
});

test('files share the memory: never more in flight than the budget, whatever is uploaded', async () => {
  const store = await world.open();
  const buffers = new BufferPool(200_000);
  let most = 0;
  const files = Array.from({ length: 6 }, () => randomBytes(400_000));
  await Promise.all(
    files.map((bytes, index) => {
      const honest = sourceOf(bytes);
      const source = {
        ...honest,
        read: async (position: number, buffer: Buffer) => {
          most = Math.max(most, buffers.bytesInFlight);
          return honest.read(position, buffer);
        },
      };
      return uploadFile(
        store,
        `f${index}`,
        source,
        uploadOptions({ blockSize: 65_536, buffers, generation: nextGeneration() }),
      );
    }),
  );
  expect(most).toBeGreaterThan(65_536);
  expect(most).toBeLessThanOrEqual(200_000);
  for (const [index, bytes] of files.entries()) expect(sha256(await contentOf(`f${index}`))).toBe(sha256(bytes));
});
