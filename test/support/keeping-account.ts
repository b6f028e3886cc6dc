import { type BlobItem, ContainerClient } from '@azure/storage-blob';
import { type BlobGateway, type GatewayRequest, type Interference, startGateway } from './blob-gateway.ts';

/**
 * A proxy before Azurite, which has neither, that does what a storage account with soft delete or with versioning does, as
 * its documentation has it:
 * https://learn.microsoft.com/azure/storage/blobs/soft-delete-blob-overview, …/versioning-overview,
 * https://learn.microsoft.com/rest/api/storageservices/undelete-blob, …/list-blobs, …/copy-blob
 *
 * - soft delete: what is deleted stays, and Undelete Blob makes it what it was; what is written over becomes a soft-deleted
 *   snapshot. Undelete Blob brings these along, and a blob with snapshots can't be deleted
 * - versioning: whatever changes a blob, its metadata included, leaves a version; deleting leaves no current one. A version
 *   is copied over the name; one that was deleted is undeleted first
 */
export type Keeping = { readonly softDelete: number } | { readonly versioning: true };

export interface KeepingAccount {
  /** In place of Azurite's. */
  readonly connectionString: string;
  /** With versioning and soft delete of versions: somebody deletes the previous versions of a blob. */
  deleteVersions(name: string, daysLeft: number): void;
  /** What is kept of a blob was deleted so much earlier. */
  deletedEarlier(name: string, seconds: number): void;
  stop(): Promise<void>;
}

interface Saved {
  /** Without quotes. */
  readonly etag: string;
  /** Of a version, or a snapshot. */
  readonly time: string;
  readonly body: Buffer;
  readonly metadata: Record<string, string>;
  readonly lastModified: Date;
  why: 'deleted' | 'overwritten';
  deletedAt: Date;
  /** A snapshot that is there, or a version that is not soft-deleted. */
  there: boolean;
  daysLeft: number;
}

export async function startKeepingAccount(
  connectionString: string,
  container: string,
  keeping: Keeping,
): Promise<KeepingAccount> {
  const endpoint = /BlobEndpoint=([^;]+)/.exec(connectionString)?.[1] ?? '';
  const gateway = await startGateway(endpoint);
  const account = new Account(new ContainerClient(connectionString, container), keeping);
  const root = new URL(`${endpoint}/${container}`).pathname;
  gateway.interfere = async (request) => {
    const answer = await account.answer(request, root, gateway);
    return typeof answer === 'object' && 'answer' in answer ? { answer: asService(answer.answer) } : answer;
  };
  return {
    connectionString: connectionString.replace(endpoint, gateway.endpoint),
    deleteVersions: (name, daysLeft) => account.deleteVersions(name, daysLeft),
    deletedEarlier: (name, seconds) => account.deletedEarlier(name, seconds),
    stop: () => gateway.stop(),
  };
}

/** With what every answer of the service has. */
function asService<T extends { headers?: Record<string, string> }>(answer: T): T {
  return { ...answer, headers: { 'x-ms-request-id': 'kept', 'x-ms-version': '2023-11-03', ...answer.headers } };
}

const bare = (etag: string | undefined) => (etag ?? '').replaceAll('"', '');

class Account {
  readonly #azurite: ContainerClient;
  readonly #versioning: boolean;
  readonly #days: number;
  readonly #saved = new Map<string, Saved[]>();
  #ticks = 0;

  constructor(azurite: ContainerClient, keeping: Keeping) {
    this.#azurite = azurite;
    this.#versioning = 'versioning' in keeping;
    this.#days = 'softDelete' in keeping ? keeping.softDelete : 0;
  }

  async answer(request: GatewayRequest, root: string, gateway: BlobGateway): Promise<Interference | undefined> {
    gateway.requests.length = 0;
    const { pathname, searchParams: query } = new URL(request.url, 'http://x');
    if (pathname === root) return query.get('comp') === 'list' ? this.#list(query) : undefined;
    const name = decodeURIComponent(pathname.slice(root.length + 1));
    if (request.operation === 'undelete') return this.#undelete(name);
    if (request.operation === 'Delete Blob') {
      const snapshot = query.get('snapshot');
      if (snapshot !== null) return this.#deleteSnapshot(name, snapshot);
      if (!this.#versioning && this.#of(name).some(({ there }) => there))
        return { answer: { status: 409, code: 'SnapshotsPresent' } };
      await this.#save(name, 'deleted');
    }
    const source = request.headers['x-ms-copy-source'];
    if (request.operation === 'Put Blob' && typeof source === 'string') {
      const version = new URL(source).searchParams.get('versionid');
      if (version !== null) return this.#copyVersion(name, version, request);
    }
    const writes = ['Put Blob', 'Put Block List', ...(this.#versioning ? ['Set Blob Metadata'] : [])];
    if (writes.includes(request.operation)) await this.#save(name, 'overwritten');
    return undefined;
  }

  deleteVersions(name: string, daysLeft: number): void {
    for (const one of this.#of(name)) Object.assign(one, { there: false, daysLeft, deletedAt: new Date() });
  }

  deletedEarlier(name: string, seconds: number): void {
    for (const one of this.#of(name)) one.deletedAt = new Date(one.deletedAt.getTime() - seconds * 1000);
  }

  #of(name: string): Saved[] {
    return this.#saved.get(name) ?? [];
  }

  /** What it is before a request that may change it; only if it is something else later, this was kept. */
  async #save(name: string, why: Saved['why']): Promise<void> {
    const blob = this.#azurite.getBlockBlobClient(name);
    if (!(await blob.exists())) return;
    const { etag, metadata = {}, lastModified = new Date(0) } = await blob.getProperties();
    const known = this.#of(name).find((one) => one.etag === bare(etag));
    if (known !== undefined) return void Object.assign(known, { why, deletedAt: new Date() });
    const body = await blob.downloadToBuffer().catch(() => Buffer.alloc(0));
    const saved: Saved = {
      ...{ etag: bare(etag), body, metadata, lastModified, why, time: this.#time() },
      ...{ deletedAt: new Date(), there: this.#versioning, daysLeft: this.#days },
    };
    this.#saved.set(name, [...this.#of(name), saved]);
  }

  /** Later than those before. */
  #time(): string {
    this.#ticks += 1;
    return new Date(Date.UTC(2026, 0, 1) + this.#ticks).toISOString().replace('Z', '0000Z');
  }

  async #undelete(name: string): Promise<Interference> {
    const live = await this.#azurite.getBlobClient(name).exists();
    const saved = this.#of(name);
    if (!live && saved.length === 0) return { answer: { status: 404, code: 'BlobNotFound' } };
    const base = this.#versioning || live ? undefined : baseOf(saved);
    if (base !== undefined) {
      await this.#write(name, base.body, base.metadata);
      this.#saved.set(
        name,
        saved.filter((one) => one !== base),
      );
    }
    for (const one of this.#of(name)) one.there = true;
    return { answer: { status: 200 } };
  }

  #deleteSnapshot(name: string, snapshot: string): Interference {
    const found = this.#of(name).find(({ time, there }) => there && time === snapshot);
    if (found === undefined || this.#versioning) return { answer: { status: 404, code: 'BlobNotFound' } };
    Object.assign(found, { there: false, deletedAt: new Date() });
    return { answer: { status: 202 } };
  }

  async #copyVersion(name: string, version: string, { headers }: GatewayRequest): Promise<Interference> {
    const found = this.#of(name).find(({ time, there }) => there && time === version);
    if (found === undefined) return { answer: { status: 404, code: 'BlobNotFound' } };
    // Nothing of ours writes without a condition.
    if (headers['if-none-match'] !== '*') return { answer: { status: 400, code: 'InvalidHeaderValue' } };
    if (await this.#azurite.getBlobClient(name).exists()) return { answer: { status: 409, code: 'BlobAlreadyExists' } };
    const given = Object.entries(headers).filter(([key]) => key.startsWith('x-ms-meta-'));
    const metadata = Object.fromEntries(given.map(([key, value]) => [key.slice('x-ms-meta-'.length), String(value)]));
    const { etag = '' } = await this.#write(name, found.body, given.length > 0 ? metadata : found.metadata);
    return { answer: { status: 202, headers: { etag, 'x-ms-copy-id': version, 'x-ms-copy-status': 'success' } } };
  }

  #write(name: string, body: Buffer, metadata: Record<string, string>) {
    return this.#azurite.getBlockBlobClient(name).upload(body, body.length, { metadata });
  }

  async #list(query: URLSearchParams): Promise<Interference | undefined> {
    const include = new Set((query.get('include') ?? '').split(','));
    if (!include.has('deleted') && !include.has('versions')) return undefined;
    const prefix = query.get('prefix') ?? '';
    const live = new Map<string, BlobItem>();
    for await (const item of this.#azurite.listBlobsFlat({ prefix, includeMetadata: true })) live.set(item.name, item);
    const kept = [...this.#saved.keys()].filter((name) => name.startsWith(prefix));
    const names = [...new Set([...live.keys(), ...kept])].sort();
    const all = names.flatMap((name) => this.#entries(name, live.get(name), include));
    const from = Number(query.get('marker') ?? 0);
    const most = Number(query.get('maxresults') ?? 5000);
    const next = from + most < all.length ? String(from + most) : '';
    const blobs = all.slice(from, from + most).join('');
    const body = `<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint="http://x/" ContainerName="c"><Blobs>${blobs}</Blobs><NextMarker>${next}</NextMarker></EnumerationResults>`;
    return { answer: { status: 200, headers: { 'content-type': 'application/xml' }, body } };
  }

  /** Snapshots and versions from oldest to newest, then the blob. */
  #entries(name: string, live: BlobItem | undefined, include: ReadonlySet<string>): string[] {
    const old = this.#of(name).filter(({ etag }) => etag !== bare(live?.properties.etag));
    const base = this.#versioning || live !== undefined ? undefined : baseOf(old);
    const entries: string[] = [];
    for (const one of old) {
      const isBase = one === base;
      const kind = this.#versioning ? 'versions' : 'snapshots';
      if ((!isBase && !include.has(kind)) || ((isBase || !one.there) && !include.has('deleted'))) continue;
      const tag = this.#versioning ? 'VersionId' : 'Snapshot';
      const deleted = isBase || !one.there;
      entries.push(
        entry(name, {
          head: `${isBase ? '' : `<${tag}>${one.time}</${tag}>`}${deleted ? '<Deleted>true</Deleted>' : ''}`,
          ...{ etag: one.etag, lastModified: one.lastModified, length: one.body.length, metadata: one.metadata },
          tail: deleted
            ? `<DeletedTime>${one.deletedAt.toUTCString()}</DeletedTime><RemainingRetentionDays>${one.daysLeft}</RemainingRetentionDays>`
            : '',
        }),
      );
    }
    if (live === undefined) return entries;
    const { etag, lastModified, contentLength: length = 0 } = live.properties;
    const head = this.#versioning
      ? '<VersionId>2027-01-01T00:00:00.0000000Z</VersionId><IsCurrentVersion>true</IsCurrentVersion>'
      : '';
    return [...entries, entry(name, { head, etag, lastModified, length, metadata: live.metadata ?? {}, tail: '' })];
  }
}

/** The blob itself, of what is kept of a deleted one. */
function baseOf(saved: readonly Saved[]): Saved | undefined {
  const last = saved.at(-1);
  return last?.why === 'deleted' ? last : undefined;
}

interface Entry {
  readonly head: string;
  readonly etag: string;
  readonly lastModified: Date;
  readonly length: number;
  readonly tail: string;
  readonly metadata: Readonly<Record<string, string>>;
}

function entry(name: string, { head, etag, lastModified, length, tail, metadata }: Entry): string {
  const keys = Object.entries(metadata).map(([key, value]) => `<${key}>${escaped(value)}</${key}>`);
  return `<Blob><Name>${escaped(name)}</Name>${head}<Properties><Last-Modified>${lastModified.toUTCString()}</Last-Modified><Etag>${bare(etag)}</Etag><Content-Length>${length}</Content-Length><BlobType>BlockBlob</BlobType><AccessTier>Hot</AccessTier>${tail}</Properties><Metadata>${keys.join('')}</Metadata></Blob>`;
}

const escaped = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
