import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { copyBlob } from '../../../src/blob/copy.ts';
import { listFlat } from '../../../src/blob/list.ts';
import { metadataOf } from '../../../src/blob/metadata.ts';
import { checkContainer } from '../../../src/blob/preflight.ts';
import { BlobStore, type StoreOptions } from '../../../src/blob/store.ts';
import { uploadFile } from '../../../src/blob/upload.ts';
import { nextGeneration } from '../../../src/identity/generation.ts';
import { type Azurite, startAzurite } from '../../support/azurite.ts';
import { projectRoot } from '../../support/project.ts';
import { run } from '../../support/run.ts';
import { TEST_CA, TEST_CERTIFICATE, TEST_KEY } from '../../support/tls.ts';
import { FID, FS, QUICK, sourceOf, uploadOptions } from './setup.ts';

// The machine's identity, as the templates have it: tokens of the metadata service, over TLS.

/** What the metadata service of a machine answers. */
interface MetadataService {
  readonly address: string;
  readonly asked: URL[];
  answer: () => { readonly status: number; readonly body: object };
  readonly stop: () => void;
}

let directory: string;
let azurite: Azurite;
let machine: MetadataService;
let container: string;
const stores: BlobStore[] = [];
const authorities = tls.getCACertificates('default');

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'lfsazsync-identity-'));
  const [cert, key] = [join(directory, 'cert.pem'), join(directory, 'key.pem')];
  writeFileSync(cert, TEST_CERTIFICATE);
  writeFileSync(key, TEST_KEY);
  tls.setDefaultCACertificates([...authorities, TEST_CA]);
  azurite = await startAzurite({ tls: { cert, key } });
  machine = await startMetadataService();
});
afterAll(async () => {
  for (const store of stores) store.close();
  machine?.stop();
  await azurite?.stop();
  tls.setDefaultCACertificates(authorities);
  rmSync(directory, { recursive: true });
});
beforeEach(async () => {
  machine.asked.length = 0;
  machine.answer = () => ({ status: 200, body: tokenFor('https://storage.azure.com') });
  container = `c${randomUUID()}`;
  await azurite.containerClient(container).create();
});

function tokenFor(resource: string) {
  const now = Math.floor(Date.now() / 1000);
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const claims = {
    aud: resource,
    iss: 'https://sts.windows.net/tenant/',
    iat: now - 60,
    nbf: now - 60,
    exp: now + 3600,
  };
  const access_token = `${part({ alg: 'RS256', typ: 'JWT' })}.${part(claims)}.${part({ n: randomUUID() })}`;
  return { access_token, expires_in: '3600', expires_on: String(now + 3600), resource, token_type: 'Bearer' };
}

async function startMetadataService(): Promise<MetadataService> {
  const server = http.createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://x');
    service.asked.push(url);
    const { status, body } = service.answer();
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  process.env['AZURE_POD_IDENTITY_AUTHORITY_HOST'] = address;
  const service: MetadataService = {
    address,
    asked: [],
    answer: () => ({ status: 200, body: tokenFor('https://storage.azure.com') }),
    stop: () => {
      delete process.env['AZURE_POD_IDENTITY_AUTHORITY_HOST'];
      server.closeAllConnections();
      server.close();
    },
  };
  return service;
}

/** A store that signs in as an identity that nobody else in this process is: tokens are kept for the whole of it. */
async function open(options: StoreOptions = {}): Promise<{ store: BlobStore; clientId: string }> {
  const clientId = randomUUID();
  const archive = {
    ...{ endpoint: azurite.endpoint, container, prefix: '', accessTier: undefined, rehydrate: 'none' as const },
    credential: { type: 'managed_identity' as const, clientId },
  };
  const store = await BlobStore.open(archive, { retry: QUICK, idleTimeout: 10_000, ...options });
  stores.push(store);
  return { store, clientId };
}

test('everything that is asked of a container is signed with its token', async () => {
  const { store, clientId } = await open();
  expect(await checkContainer(store, { need: 'write' })).toMatchObject({ sasExpires: undefined });
  const bytes = randomBytes(300_000);
  const { etag } = await uploadFile(store, 'a b/ü', sourceOf(bytes), uploadOptions({ blockSize: 65_536 }));
  const into = Buffer.alloc(bytes.length);
  await store.readRange('a b/ü', { offset: 0, into, ifMatch: etag, blobLength: BigInt(bytes.length) });
  expect(into.equals(bytes)).toBe(true);

  const generation = nextGeneration();
  const identity = { fs: FS, fid: FID, kind: 'file', generation, size: 3n, crc64: '0'.repeat(16) } as const;
  const metadata = metadataOf({ identity, attributes: { uid: 1, gid: 2, mode: 0o644, mtime: 0n } });
  await store.put('c', Buffer.from('abc'), { condition: { ifNoneMatch: '*' }, metadata });
  const source = await store.head('c');
  if (source === undefined) throw new Error('not there');
  expect((await copyBlob(store, source, 'd', { condition: { ifNoneMatch: '*' }, metadata })).length).toBe(3n);
  const changed = await store.setMetadata('d', { k: 'v' }, { ifMatch: (await store.head('d'))?.etag ?? '' });
  const lease = randomUUID();
  await store.lease('d', lease, { seconds: 15 });
  await store.lease('d', lease, 'release');
  expect(await store.delete('d', { ifMatch: changed.etag })).toBe(true);
  const { value } = await listFlat(store).next();
  expect(value?.blobs.map(({ name }: { name: string }) => name)).toEqual(['a b/ü', 'c']);

  expect(machine.asked.length).toBeGreaterThan(0);
  for (const { searchParams } of machine.asked) {
    expect(searchParams.get('resource')?.replace(/\/$/, '')).toBe('https://storage.azure.com');
    expect(searchParams.get('client_id')).toBe(clientId);
  }
});

test('a machine without the identity is told as such; work is held until it has one', async () => {
  const denied = { status: 400, body: { error: 'invalid_request', error_description: 'Identity not found' } };
  machine.answer = () => denied;
  const { store } = await open();
  await expect(store.head('a')).rejects.toMatchObject({
    ...{ code: 'AUTH', authReason: 'credential', exit: 'notAuthorised' },
    hint: expect.stringMatching(/client_id/),
  });
  store.holdFor(60_000);
  const looking = store.head('a');
  machine.answer = () => ({ status: 200, body: tokenFor('https://storage.azure.com') });
  expect(await looking).toBeUndefined();
});

// No proxy gets to the metadata service, which is the machine's own.
test.each(['HTTPS_PROXY', 'HTTP_PROXY'])('tokens are not asked for through %s', async (name) => {
  const asking = `
    import { openCredential } from './src/blob/credential.ts';
    const credential = { type: 'managed_identity', clientId: '${randomUUID()}' };
    const { auth } = await openCredential({ endpoint: 'https://account.example', credential });
    const { token } = await (await auth.access()).credential.getToken('https://storage.azure.com/.default');
    console.log(token.slice(0, 2));`;
  const { stdout, stderr } = await run(process.execPath, ['--input-type=module', '-e', asking], {
    cwd: projectRoot,
    env: { [name]: 'http://127.0.0.1:9', AZURE_POD_IDENTITY_AUTHORITY_HOST: machine.address },
  });
  expect(stdout, stderr).toBe('ey\n');
  expect(machine.asked).toHaveLength(1);
});
