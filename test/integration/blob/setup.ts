import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import { BufferPool } from '../../../src/blob/buffers.ts';
import { type BlobMetadata, metadataOf } from '../../../src/blob/metadata.ts';
import { BlobStore, type StoreConfig, type StoreOptions } from '../../../src/blob/store.ts';
import type { UploadOptions, UploadSource } from '../../../src/blob/upload.ts';
import type { BlobKind } from '../../../src/identity/blob-identity.ts';
import type { Fid } from '../../../src/identity/fid.ts';
import { type Generation, nextGeneration } from '../../../src/identity/generation.ts';
import { type Azurite, startAzurite } from '../../support/azurite.ts';
import { type BlobGateway, startGateway } from '../../support/blob-gateway.ts';

export const FS = '11111111-2222-4333-8444-555555555555';
export const FID = '0x200000401:0x1:0x0' as Fid;

/** Retries without the waits that a real service deserves. */
export const QUICK = { tries: 4, firstDelay: 1, maxDelay: 4 };

/** One Azurite and one gateway before it for a test file; a fresh container and a quiet gateway for every test. */
export function useAzurite() {
  let azurite: Azurite;
  let gateway: BlobGateway;
  const stores: BlobStore[] = [];
  const world = {
    container: '',
    get azurite() {
      return azurite;
    },
    get gateway() {
      return gateway;
    },
    /** The SDK's view of the container, independent of what is tested. */
    get client() {
      return azurite.containerClient(world.container);
    },
    /** A store that signs with the account's key, through the gateway. */
    async open(config: Partial<StoreConfig> = {}, options: StoreOptions = {}): Promise<BlobStore> {
      const connection = azurite.connectionString.replace(azurite.endpoint, gateway.endpoint);
      const store = await BlobStore.open(
        {
          endpoint: undefined,
          container: world.container,
          prefix: '',
          credential: { type: 'connection_string', env: 'CONNECTION' },
          accessTier: undefined,
          rehydrate: 'none',
          ...config,
        },
        { retry: QUICK, idleTimeout: 10_000, env: { CONNECTION: connection }, ...options },
      );
      stores.push(store);
      return store;
    },
    /** A store that signs with a container SAS of these permissions, through the gateway. */
    openWithSas(permissions: string, config: Partial<StoreConfig> = {}): Promise<BlobStore> {
      return world.open(
        { endpoint: gateway.endpoint, credential: { type: 'sas', env: 'SAS' }, ...config },
        { env: { SAS: azurite.containerSas(world.container, permissions) } },
      );
    },
  };
  beforeAll(async () => {
    azurite = await startAzurite();
    gateway = await startGateway(azurite.endpoint);
  });
  beforeEach(async () => {
    world.container = `c${randomUUID()}`;
    await world.client.create();
    gateway.interfere = () => undefined;
    gateway.requests.length = 0;
  });
  afterEach(() => {
    for (const store of stores.splice(0)) store.close();
  });
  afterAll(async () => {
    await gateway.stop();
    await azurite.stop();
  });
  return world;
}

/** Metadata as archive writes it. */
export function metadata(kind: BlobKind = 'file', fid: Fid = FID): BlobMetadata {
  return metadataOf({
    identity: { fs: FS, fid, kind },
    attributes: { uid: 1000, gid: 100, mode: 0o644, mtime: 1_714_564_800_123_456_789n },
  });
}

/** A source in memory, honest unless told otherwise. */
export function sourceOf(bytes: Buffer, size = BigInt(bytes.length)): UploadSource {
  return {
    size,
    async read(position, buffer) {
      return position >= bytes.length ? 0 : bytes.copy(buffer, 0, position);
    },
  };
}

/** Options of an upload onto a name where nothing is. */
export function uploadOptions(
  options: Partial<UploadOptions> = {},
): UploadOptions & { readonly generation: Generation } {
  return {
    generation: nextGeneration(),
    concurrency: 3,
    buffers: new BufferPool(64 << 20),
    metadata: metadata(),
    beforeCommit: async () => ({ condition: { ifNoneMatch: '*' } }),
    ...options,
  };
}
