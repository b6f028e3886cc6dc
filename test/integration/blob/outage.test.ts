import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BufferPool } from '../../../src/blob/buffers.ts';
import { downloadBlob } from '../../../src/blob/download.ts';
import type { EndpointEvent } from '../../../src/blob/endpoint.ts';
import type { BlobStore, StoreOptions } from '../../../src/blob/store.ts';
import { uploadFile } from '../../../src/blob/upload.ts';
import { BlobWire } from '../../../src/blob/wire.ts';
import { loadCrc64 } from '../../../src/checksum/crc64.ts';
import { Secret } from '../../../src/service/secret.ts';
import type { Interference } from '../../support/blob-gateway.ts';
import { waitUntil } from '../../support/wait.ts';
import { metadata, sourceOf, uploadOptions, useAzurite } from './setup.ts';

const world = useAzurite();

/** Holds for long, and tries often: an outage of a test lasts a moment. */
const HOLDING = { tries: 3, firstDelay: 2, maxDelay: 20, hold: 60_000 };

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

async function holding(options: StoreOptions = {}): Promise<{ store: BlobStore; events: EndpointEvent[] }> {
  const events: EndpointEvent[] = [];
  const connection = world.azurite.connectionString.replace(world.azurite.endpoint, world.gateway.endpoint);
  const store = await world.open(
    {},
    {
      retry: HOLDING,
      idleTimeout: 200,
      env: { CONNECTION: connection },
      onEndpoint: (event) => events.push(event),
      ...options,
    },
  );
  return { store, events };
}

const isDown = (store: BlobStore) =>
  waitUntil('the endpoint is known to be down', async () => store.health.state === 'down');
const requests = () => world.gateway.requests.length;

const OUTAGES: readonly (readonly [string, Interference])[] = [
  ['connections are reset', 'cut'],
  ['connections stall', 'stall'],
  ['500', { answer: { status: 500, code: 'InternalError' } }],
  ['503 with Retry-After', { answer: { status: 503, code: 'ServerBusy', headers: { 'retry-after': '0' } } }],
  ['503 of a device in between', { answer: { status: 503 } }],
  ['502 with a page', { answer: { status: 502, body: '<html>Bad gateway' } }],
  ['a page with 200', { answer: { status: 200, body: '<html>Sign in' } }],
  ['the account is disabled', { answer: { status: 403, code: 'AccountIsDisabled' } }],
  ['the account is being created', { answer: { status: 409, code: 'AccountBeingCreated' } }],
  ['network rules', { answer: { status: 403, code: 'AuthorizationFailure' } }],
];

describe.each(OUTAGES)('while %s', (_name, interference) => {
  test('an upload and a download are held, and go on afterwards', async () => {
    const { store } = await holding();
    const old = randomBytes(300_000);
    const { etag } = await uploadFile(store, 'old', sourceOf(old), uploadOptions({ blockSize: 65_536 }));
    world.gateway.interfere = () => interference;
    const fresh = randomBytes(300_000);
    const got = Buffer.alloc(old.length);
    const into = { write: async (bytes: Buffer, position: number) => void bytes.copy(got, position) };
    const buffers = new BufferPool(1 << 20);
    const work = Promise.all([
      uploadFile(store, 'fresh', sourceOf(fresh), uploadOptions({ blockSize: 65_536, buffers })),
      uploadFile(store, 'small', sourceOf(fresh.subarray(0, 100)), uploadOptions({ buffers })),
      downloadBlob(store, 'old', {
        etag,
        length: BigInt(old.length),
        into,
        blockSize: 65_536,
        concurrency: 3,
        buffers,
      }),
      store.delete('nothing', { ifMatch: '"0x1"' }),
    ]);
    await waitUntil('it was tried in vain', async () => requests() > 30);
    world.gateway.interfere = () => undefined;
    await work;
    expect((await world.client.getBlobClient('fresh').downloadToBuffer()).equals(fresh)).toBe(true);
    expect((await world.client.getBlobClient('small').downloadToBuffer()).equals(fresh.subarray(0, 100))).toBe(true);
    expect(got.equals(old)).toBe(true);
    expect(buffers.bytesInFlight).toBe(0);
  });
});

describe('during an outage', () => {
  test('one request at a time goes out, however many wait; it is told once, and its end', async () => {
    const { store, events } = await holding({ idleTimeout: 30_000 });
    world.gateway.interfere = () => 'cut';
    const work = Promise.all(Array.from({ length: 500 }, (_, index) => store.head(`f${index}`)));
    await waitUntil(
      'all were tried once, wait, and it is told',
      async () => store.health.waiting > 490 && events.length > 0,
    );
    const before = requests();
    await delay(400);
    // Every 10 to 20 ms one, with room for what was on its way; not all that wait each time.
    expect(requests() - before).toBeLessThan(100);
    expect(store.health.state).toBe('down');
    expect(store.health.waiting).toBeGreaterThan(490);
    world.gateway.interfere = () => undefined;
    expect((await work).every((state) => state === undefined)).toBe(true);
    expect(events.map(({ state }) => state)).toEqual(['down', 'up']);
    expect(store.health).toMatchObject({ state: 'up', waiting: 0 });
  });

  test('memory is given back, and taken again afterwards', async () => {
    const { store } = await holding();
    const content = randomBytes(1 << 20);
    let staged = 0;
    world.gateway.interfere = ({ operation }) => (operation === 'Put Block' && staged++ < 3 ? undefined : 'cut');
    const buffers = new BufferPool(512 << 10);
    const work = uploadFile(store, 'f', sourceOf(content), uploadOptions({ blockSize: 65_536, buffers }));
    await isDown(store);
    await waitUntil('nothing is on loan', async () => buffers.bytesInFlight === 0);
    world.gateway.interfere = () => undefined;
    await work;
    expect((await world.client.getBlobClient('f').downloadToBuffer()).equals(content)).toBe(true);
  });

  test('a small file is decided on anew afterwards, and not committed when it has changed', async () => {
    const { store } = await holding();
    const content = Buffer.from('as it was');
    const buffers = new BufferPool(1 << 20);
    let decisions = 0;
    const options = uploadOptions({
      buffers,
      beforeCommit: async () => {
        decisions += 1;
        return { condition: { ifNoneMatch: '*' } };
      },
    });
    world.gateway.interfere = ({ operation }) => (operation === 'Put Blob' ? 'cut' : undefined);
    const unchanged = uploadFile(store, 'same', sourceOf(content), options);
    await waitUntil('it is tried again', async () => decisions > 2);
    world.gateway.interfere = () => undefined;
    await unchanged;
    expect((await world.client.getBlobClient('same').downloadToBuffer()).toString()).toBe('as it was');

    world.gateway.interfere = () => 'cut';
    const changed = uploadFile(store, 'other', sourceOf(content), {
      ...options,
      generation: uploadOptions().generation,
    });
    await waitUntil('its memory is given back', async () => buffers.bytesInFlight === 0);
    content.write('AS');
    world.gateway.interfere = () => undefined;
    await expect(changed).rejects.toMatchObject({ code: 'FILE_CHANGED' });
    expect(await world.client.getBlobClient('other').exists()).toBe(false);
  });

  test('a stop is heard at once', async () => {
    const { store } = await holding({ retry: { ...HOLDING, firstDelay: 60_000, maxDelay: 60_000 } });
    world.gateway.interfere = () => 'cut';
    const stop = new AbortController();
    const work = Array.from({ length: 10 }, (_, index) => store.head(`f${index}`, { signal: stop.signal }));
    const settled = Promise.allSettled(work);
    await isDown(store);
    stop.abort(new Error('stopped'));
    expect((await settled).map((one) => one.status === 'rejected' && one.reason.message)).toEqual(
      work.map(() => 'stopped'),
    );
    expect(store.health.waiting).toBe(0);
  });

  test('work is given up when it was held for long enough', async () => {
    const { store } = await holding({ retry: { ...HOLDING, hold: 300 } });
    world.gateway.interfere = () => 'cut';
    await expect(store.head('f')).rejects.toMatchObject({ code: 'NETWORK', retriable: true });
    await expect(uploadFile(store, 'g', sourceOf(Buffer.from('x')), uploadOptions())).rejects.toMatchObject({
      code: 'NETWORK',
    });
    world.gateway.interfere = () => undefined;
    expect(await store.head('f')).toBeUndefined();
  });

  test('it is over without anybody waiting for it', async () => {
    const { store, events } = await holding();
    world.gateway.interfere = () => 'cut';
    const stop = new AbortController();
    const work = store.head('f', { signal: stop.signal });
    await waitUntil('it is told', async () => events.length > 0);
    stop.abort();
    await expect(work).rejects.toThrow();
    // As the service does with a SAS of the container, which is for its blobs and its list only.
    world.gateway.interfere = ({ operation }) =>
      operation.includes('container') ? { answer: { status: 403, code: 'AuthorizationFailure' } } : undefined;
    await waitUntil('the end is told', async () => events.at(-1)?.state === 'up');
  });
});

test('a request that fails while others of its kind succeed is given up, and nobody else is held', async () => {
  const { store, events } = await holding();
  world.gateway.interfere = ({ url }) =>
    url.includes('/poisoned') ? { answer: { status: 500, code: 'InternalError' } } : undefined;
  let done = false;
  const others = (async () => {
    while (!done) await store.head('healthy');
  })();
  await expect(store.head('poisoned')).rejects.toMatchObject({ code: 'SERVER' });
  done = true;
  await others;
  expect(events.filter(({ state }) => state === 'down').length).toBeLessThanOrEqual(1);
});

test('a name that DNS does not know is told as such, and held', async () => {
  const endpoint = 'http://no-such-host.invalid/devstoreaccount1';
  const connection = world.azurite.connectionString.replace(world.azurite.endpoint, endpoint);
  const { store, events } = await holding({
    env: { CONNECTION: connection },
    idleTimeout: 30_000,
    retry: { ...HOLDING, hold: 1_000 },
  });
  await expect(store.head('f')).rejects.toMatchObject({
    code: 'NETWORK',
    message: expect.stringMatching(
      /no-such-host\.invalid could not be reached: (its name is not known to DNS|DNS does not answer)/,
    ),
  });
  expect(events.map(({ state }) => state)).toEqual(['down']);
});

test('a missing permission is not held', async () => {
  const { store, events } = await holding();
  world.gateway.interfere = () => ({ answer: { status: 403, code: 'AuthorizationPermissionMismatch' } });
  await expect(store.head('f')).rejects.toMatchObject({ code: 'AUTH', authReason: 'permission' });
  expect(events).toEqual([]);
});

test('a role that an identity has lost, or has not got yet, is held: it is for the whole container', async () => {
  const sas = new Secret(world.azurite.containerSas(world.container, 'rwdl'));
  const wire = new BlobWire({
    ...{ endpoint: world.gateway.endpoint, account: 'a', container: world.container, crc64: await loadCrc64() },
    ...{ probe: 'probe', retry: HOLDING, idleTimeout: 10_000 },
    auth: {
      kind: 'token',
      sas: undefined,
      renewal: '',
      access: async () => ({ kind: 'sas', sas }),
      refresh: async () => false,
    },
  });
  const refused: Interference = { answer: { status: 403, code: 'AuthorizationPermissionMismatch' } };
  world.gateway.interfere = (_, number) => (number <= 5 ? refused : undefined);
  const look = () => wire.run({ verb: 'look at', blob: 'a' }, ({ hot }) => hot.properties('a', undefined));
  await expect(look()).rejects.toMatchObject({ code: 'NOT_FOUND' });
  expect(requests()).toBeGreaterThan(5);
  wire.holdFor(0);
  world.gateway.interfere = () => refused;
  await expect(look()).rejects.toMatchObject({ code: 'AUTH', authReason: 'role', hint: expect.stringMatching(/role/) });
  wire.close();
});

describe('what was done although its answer was lost is recognised after the outage', () => {
  /** Lets the first of these be carried out without its answer, then nothing for a while. */
  const lostBefore = (operation: string) => {
    let done = false;
    world.gateway.interfere = (request) => {
      if (done) return 'cut';
      if (request.operation !== operation) return undefined;
      done = true;
      return 'lose-answer';
    };
  };
  const overSoon = async (store: BlobStore) => {
    await isDown(store);
    world.gateway.interfere = () => undefined;
  };

  test.each([
    ['Put Blob', 1_000],
    ['Put Block List', 300_000],
  ])('%s', async (operation, size) => {
    const { store } = await holding();
    const content = randomBytes(size);
    lostBefore(operation);
    const options = uploadOptions({ blockSize: 65_536 });
    const work = uploadFile(store, 'f', sourceOf(content), options);
    await overSoon(store);
    const { etag } = await work;
    expect((await store.head('f'))?.etag).toBe(etag);
    expect((await store.head('f'))?.identity?.generation?.uuid).toBe(options.generation.uuid);
    const commits = world.gateway.requests.filter(
      (request) => request.operation === operation && request.headers['if-none-match'],
    );
    expect(commits.length).toBeGreaterThan(0);
    expect((await world.client.getBlobClient('f').downloadToBuffer()).equals(content)).toBe(true);
  });

  test('Delete Blob', async () => {
    const { store } = await holding();
    const { etag } = await store.put('f', Buffer.from('x'), { condition: { ifNoneMatch: '*' }, metadata: {} });
    lostBefore('Delete Blob');
    const work = store.delete('f', { ifMatch: etag });
    await overSoon(store);
    expect(await work).toBe(true);
  });

  test('Set Blob Metadata', async () => {
    const { store } = await holding();
    const { etag } = await store.put('f', Buffer.from('x'), { condition: { ifNoneMatch: '*' }, metadata: metadata() });
    lostBefore('Set Blob Metadata');
    const work = store.setMetadata('f', { mode: '0600' }, { ifMatch: etag });
    await overSoon(store);
    const written = await work;
    expect(await store.head('f')).toMatchObject({ etag: written.etag, metadata: { mode: '0600' } });
  });
});

describe('a refused credential', () => {
  let directory: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'moods-'));
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  const valid = () => world.azurite.containerSas(world.container, 'racwdl');
  const expired = () =>
    world.azurite.containerSas(world.container, 'racwdl', {
      starts: new Date(Date.now() - 7_200_000),
      expires: new Date(Date.now() - 3_600_000),
    });

  async function withFile(first: string) {
    const file = join(directory, `${world.container}.sas`);
    const write = (sas: string) => writeFileSync(file, `${sas}\n`, { mode: 0o600 });
    write(first);
    const events: EndpointEvent[] = [];
    const store = await world.open(
      { endpoint: world.gateway.endpoint, credential: { type: 'sas', file } },
      { retry: HOLDING, onEndpoint: (event) => events.push(event) },
    );
    return { store, events, write, file };
  }

  test('holds the work until its file has another; what to do is said, without the secret', async () => {
    const { store, events, write, file } = await withFile(expired());
    const work = Promise.all([
      store.head('a'),
      store.put('b', Buffer.from('b'), { condition: { ifNoneMatch: '*' }, metadata: {} }),
    ]);
    await waitUntil('it is told', async () => events.length > 0);
    expect(events[0]).toMatchObject({ state: 'down', code: 'AUTH', hint: expect.stringContaining(file) });
    expect(JSON.stringify(events)).not.toContain('sig=');
    write(valid());
    await work;
    expect(await world.client.getBlobClient('b').exists()).toBe(true);
    expect(events.at(-1)?.state).toBe('up');
  });

  test('that was replaced on the way: many requests notice, none is held and none fails', async () => {
    const { store, events, write, file } = await withFile(valid());
    await store.head('a');
    const old = new URLSearchParams(readFileSync(file, 'utf8').trim()).get('sig');
    // As after a rotated key: the service refuses the old signature.
    world.gateway.interfere = ({ url }) =>
      new URL(url, 'http://x').searchParams.get('sig') === old
        ? { answer: { status: 403, code: 'AuthenticationFailed' } }
        : undefined;
    write(world.azurite.containerSas(world.container, 'racwdl', { expires: new Date(Date.now() + 7_200_000) }));
    await Promise.all(Array.from({ length: 40 }, (_, index) => store.head(`f${index}`)));
    expect(events).toEqual([]);
  });

  test('a look at the file by hand is enough, even with the next try far away', async () => {
    const { store, write } = await withFile(expired());
    const work = store.head('a');
    await isDown(store);
    write(valid());
    await store.refresh();
    expect(await work).toBeUndefined();
  });
});

test('an hour of tries, shortened: memory stays flat while thousands wait', async () => {
  const { store } = await holding({ retry: { ...HOLDING, firstDelay: 1, maxDelay: 1 } });
  world.gateway.interfere = () => 'cut';
  const stop = new AbortController();
  const work = Promise.allSettled(
    Array.from({ length: 5_000 }, (_, index) => store.head(`f${index}`, { signal: stop.signal })),
  );
  await isDown(store);
  const used = async (tries: number) => {
    const from = requests();
    await waitUntil(`${tries} more tries`, async () => requests() - from > tries, { timeout: 60_000 });
    world.gateway.requests.length = 0;
    collectGarbage();
    return process.memoryUsage().heapUsed;
  };
  // An hour has 120 tries at the usual interval of 30 seconds.
  await used(200);
  const before = await used(200);
  const after = await used(1_000);
  stop.abort(new Error('enough'));
  await work;
  expect(store.health.waiting).toBe(0);
  expect((after - before) / (1 << 20)).toBeLessThan(4);
});
