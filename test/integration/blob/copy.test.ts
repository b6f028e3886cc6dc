import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { copyBlob } from '../../../src/blob/copy.ts';
import { mergeMetadata, metadataOf } from '../../../src/blob/metadata.ts';
import type { BlobStore } from '../../../src/blob/store.ts';
import { nextGeneration } from '../../../src/identity/generation.ts';
import { FID, FS, useAzurite } from './setup.ts';

const world = useAzurite();
const generation = nextGeneration();

function metadataFor(size: number, uid = 1000) {
  const identity = { fs: FS, fid: FID, kind: 'file', generation, size: BigInt(size), crc64: '0'.repeat(16) } as const;
  return metadataOf({ identity, attributes: { uid, gid: 100, mode: 0o644, mtime: 1_714_564_800_000_000_000n } });
}

/** A file's copy at `name`, as an archive leaves it. */
async function archived(store: BlobStore, name: string, bytes: Buffer, tier?: string) {
  await store.put(name, bytes, { condition: { ifNoneMatch: '*' }, metadata: metadataFor(bytes.length), tier });
  return mustBe(store, name);
}

async function mustBe(store: BlobStore, name: string) {
  const state = await store.head(name);
  if (state === undefined) throw new Error(`${name} is not there`);
  return state;
}

const absent = { ifNoneMatch: '*' } as const;
const content = async (name: string) => world.client.getBlobClient(name).downloadToBuffer();
const isCopy = ({ headers }: { headers: object }) => 'x-ms-copy-source' in headers;

test.each([0, 1, 1_000_000])('%i bytes: content, tier, new metadata; the source stays', async (size) => {
  const store = await world.open();
  const bytes = randomBytes(size);
  const source = await archived(store, 'a b/ä', bytes, 'Cool');
  const made = await copyBlob(store, source, 'b', { condition: absent, metadata: metadataFor(size, 7) });
  expect(made).toMatchObject({ length: BigInt(size), copyStatus: 'success', accessTier: 'Cool' });
  expect(made.metadata['owner']).toBe('7');
  expect(made.identity?.generation).toEqual(generation);
  expect(await content('b')).toEqual(bytes);
  expect((await mustBe(store, 'a b/ä')).etag).toBe(source.etag);
});

// Accounts of block blobs that are premium say Premium of their blobs and take no tier; Smart is a tier of accounts.
test.each([
  ['Premium', 'true', undefined],
  ['Smart', undefined, undefined],
  ['Hot', 'true', undefined],
  ['Hot', undefined, 'Hot'],
  ['Cold', undefined, 'Cold'],
])('a source of tier %s, inferred: %s, is copied to tier %s', async (tier, inferred, asked) => {
  const store = await world.open();
  await archived(store, 'a', Buffer.from('abc'));
  const says = { 'x-ms-access-tier': tier, 'x-ms-access-tier-inferred': inferred };
  world.gateway.interfere = ({ operation }) => (operation === 'Get Blob Properties' ? { headers: says } : undefined);
  const source = await mustBe(store, 'a');
  await copyBlob(store, source, 'b', { condition: absent, metadata: metadataFor(3) });
  expect(world.gateway.requests.filter(isCopy).map(({ headers }) => headers['x-ms-access-tier'])).toEqual([asked]);
});

test('with a SAS, which is in the URL of the source and in no message', async () => {
  const store = await world.openWithSas('rwdl', { endpoint: world.azurite.endpoint });
  const bytes = randomBytes(1000);
  const source = await archived(store, 'a', bytes);
  await copyBlob(store, source, 'b', { condition: absent, metadata: metadataFor(1000) });
  expect(await content('b')).toEqual(bytes);
  const failed: unknown = await copyBlob(store, { ...source, etag: '"0x1"' }, 'c', {
    ...{ condition: absent, metadata: metadataFor(1000) },
  }).catch((error: unknown) => error);
  expect(failed).toMatchObject({ code: 'SOURCE_CONDITION' });
  expect(String((failed as Error).stack)).not.toMatch(/sig=/);
});

test('a source whose URL is too long for the service is carried', async () => {
  const store = await world.open();
  const name = 'ü'.repeat(500);
  const bytes = randomBytes(20_000_000);
  const source = await archived(store, name, bytes);
  world.gateway.requests.length = 0;
  await copyBlob(store, source, 'b', { condition: absent, metadata: metadataFor(bytes.length) });
  expect(world.gateway.requests.some(isCopy)).toBe(false);
  expect((await content('b')).equals(bytes)).toBe(true);
  const empty = await archived(store, `${name}0`, Buffer.alloc(0));
  await copyBlob(store, empty, 'c', { condition: absent, metadata: metadataFor(0) });
  expect((await mustBe(store, 'c')).length).toBe(0n);
});

test('something else at the destination, another version of the source, and a source that is gone are refused', async () => {
  const store = await world.open();
  const source = await archived(store, 'a', Buffer.from('new'));
  await store.put('b', Buffer.from('other'), { condition: absent, metadata: {} });
  const metadata = metadataFor(3);
  await expect(copyBlob(store, source, 'b', { condition: absent, metadata })).rejects.toMatchObject({
    code: 'CONDITION',
  });
  const { etag } = await store.put('a', Buffer.from('newer'), { condition: { ifMatch: source.etag }, metadata });
  await expect(copyBlob(store, source, 'c', { condition: absent, metadata })).rejects.toMatchObject({
    code: 'SOURCE_CONDITION',
  });
  await store.delete('a', { ifMatch: etag });
  await expect(copyBlob(store, source, 'c', { condition: absent, metadata })).rejects.toMatchObject({
    code: 'NOT_FOUND',
  });
  expect(await content('b')).toEqual(Buffer.from('other'));
  expect(await store.head('c')).toBeUndefined();
});

test('an answer that was lost, and a copy that another process made: both are recognised', async () => {
  const store = await world.open();
  const source = await archived(store, 'a', Buffer.from('abc'));
  let lost = 0;
  world.gateway.interfere = (request) => (isCopy(request) && lost++ === 0 ? 'lose-answer' : undefined);
  await copyBlob(store, source, 'b', { condition: absent, metadata: metadataFor(3) });
  expect(lost).toBe(2);
  const again = await copyBlob(store, source, 'b', { condition: absent, metadata: metadataFor(3) });
  expect(again.etag).toBe((await mustBe(store, 'b')).etag);
});

test('a leased source is copied, and can only be deleted when the lease is over', async () => {
  const store = await world.open();
  const source = await archived(store, 'a', Buffer.from('abc'));
  const lease = world.client.getBlobClient('a').getBlobLeaseClient();
  await lease.acquireLease(60);
  await copyBlob(store, source, 'b', { condition: absent, metadata: metadataFor(3) });
  await expect(store.delete('a', { ifMatch: source.etag })).rejects.toMatchObject({ code: 'LEASED' });
});

test('a source in the Archive tier stays where it is, and the error says so', async () => {
  const store = await world.open();
  await archived(store, 'a', Buffer.from('abc'));
  await store.setTier('a', 'Archive');
  const source = await mustBe(store, 'a');
  await expect(copyBlob(store, source, 'b', { condition: absent, metadata: metadataFor(3) })).rejects.toMatchObject({
    code: 'ARCHIVED',
    retriable: false,
  });
  expect(await store.head('b')).toBeUndefined();
});

test('keys of others come along when they are given', async () => {
  const store = await world.open();
  const source = await archived(store, 'a', Buffer.from('abc'));
  const metadata = mergeMetadata({ ...source.metadata, theirs: 'x' }, metadataFor(3));
  expect((await copyBlob(store, source, 'b', { condition: absent, metadata })).metadata['theirs']).toBe('x');
});

test('a copy that is under way is waited for; one that failed is an error, and the next try replaces what it left', async () => {
  const store = await world.open();
  const source = await archived(store, 'a', Buffer.from('abc'));
  let looks = 0;
  const says = (status: string) => ({ headers: { 'x-ms-copy-status': status } });
  world.gateway.interfere = ({ method }) => (method === 'HEAD' && looks++ < 3 ? says('pending') : undefined);
  const options = { condition: absent, metadata: metadataFor(3) };
  expect(await copyBlob(store, source, 'b', options)).toMatchObject({ copyStatus: 'success' });
  expect(looks).toBe(4);
  world.gateway.interfere = ({ method }) => (method === 'HEAD' ? says('failed') : undefined);
  await expect(copyBlob(store, source, 'c', options)).rejects.toMatchObject({ code: 'SERVER', retriable: true });
  world.gateway.interfere = () => undefined;
  const left = await mustBe(store, 'c');
  await copyBlob(store, source, 'c', { ...options, condition: { ifMatch: left.etag } });
});

test('waiting ends with the signal', async () => {
  const store = await world.open();
  const source = await archived(store, 'a', Buffer.from('abc'));
  const stop = new AbortController();
  world.gateway.interfere = ({ method }) => {
    if (method !== 'HEAD') return undefined;
    stop.abort(new Error('stopped'));
    return { headers: { 'x-ms-copy-status': 'pending' } };
  };
  const options = { condition: absent, metadata: metadataFor(3), signal: stop.signal };
  await expect(copyBlob(store, source, 'b', options)).rejects.toThrow('stopped');
});
