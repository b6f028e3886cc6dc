import { type Crc64, loadCrc64 } from '../checksum/crc64.ts';
import type { ArchiveConfig } from '../config/types.ts';
import { OperatorError } from '../service/errors.ts';
import type { BlobClients } from './clients.ts';
import { openCredential, type SasFacts } from './credential.ts';
import type { EndpointEvent, EndpointHealth, RequestKind } from './endpoint.ts';
import { BlobError, describeSubject, isBlobError } from './errors.ts';
import type { HeldTry } from './hold.ts';
import { blockListXml, type WriteFields } from './hot-requests.ts';
import { readKeptPage, readPage } from './list.ts';
import type { KeptPage, ListDepth, ListOptions, ListPage } from './list-types.ts';
import { type BlobMetadata, mergeMetadata, metadataProblem } from './metadata.ts';
import { prefixProblem, reservedName } from './naming.ts';
import { type RangeRequest, type RangeResult, readRange } from './range.ts';
import { DEFAULT_RETRY, type RetryPolicy } from './retry.ts';
import { type BlobState, stateFromHeaders } from './state.ts';
import { BlobWire, type WireRequest } from './wire.ts';

/** Every write says in what state the blob must be: that of an ETag, or absent. There is no other way to write. */
export type WriteCondition = { readonly ifMatch: string } | { readonly ifNoneMatch: '*' };

/** The part of a logger that is used here. */
export interface StoreLog {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

export interface StoreOptions {
  readonly log?: StoreLog;
  /** Gets a line for every deletion and every overwrite. */
  readonly audit?: Pick<StoreLog, 'info'>;
  /** Ends every request. */
  readonly signal?: AbortSignal;
  /** Default: for a command, whose user waits. A service holds its work, see {@link RetryPolicy.hold}. */
  readonly retry?: Partial<RetryPolicy>;
  /** Told of every try that failed and is made again, with the delay before that in milliseconds. */
  readonly onRetry?: (error: BlobError, delay: number) => void;
  /** Told when the endpoint goes out of reach or refuses the credential, and when that is over; only while holding. */
  readonly onEndpoint?: (event: EndpointEvent) => void;
  /** Milliseconds without a byte after which a connection is given up; default one minute. */
  readonly idleTimeout?: number;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** What the store needs to know of an archive's configuration. */
export type StoreConfig = Pick<
  ArchiveConfig,
  'endpoint' | 'container' | 'prefix' | 'credential' | 'accessTier' | 'rehydrate'
>;

export interface PutOptions {
  readonly condition: WriteCondition;
  readonly metadata: BlobMetadata;
  /** Access tier; default that of the archive's configuration. */
  readonly tier?: string | undefined;
  /** False within {@link BlobStore.hold}. */
  readonly held?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface Written {
  readonly etag: string;
}

const DEFAULT_IDLE_MS = 60_000;

/** One archive's container. All methods reject with {@link BlobError}, or with the signal's reason. */
export class BlobStore {
  readonly account: string;
  readonly endpoint: string;
  readonly container: string;
  readonly prefix: string;
  readonly rehydrate: StoreConfig['rehydrate'];
  readonly crc64: Crc64;
  /** Tier of what is written; undefined for the account's. */
  readonly accessTier: string | undefined;
  readonly #wire: BlobWire;
  readonly #options: StoreOptions;
  readonly #opened: Awaited<ReturnType<typeof openCredential>>;

  /**
   * Reads the credential and loads the checksum; sends no request yet.
   * @throws OperatorError when the configuration or the credential can't be used
   */
  static async open(archive: StoreConfig, options: StoreOptions = {}): Promise<BlobStore> {
    const problem = prefixProblem(archive.prefix);
    if (problem !== undefined) {
      throw new OperatorError(`the prefix ${JSON.stringify(archive.prefix)} can't be used: ${problem}`, {
        code: 'PREFIX_ILLEGAL',
        exit: 'usage',
        hint: 'Choose another prefix for this archive.',
      });
    }
    return new BlobStore(archive, options, await openCredential(archive, options.env), await loadCrc64());
  }

  private constructor(
    archive: StoreConfig,
    options: StoreOptions,
    opened: Awaited<ReturnType<typeof openCredential>>,
    crc64: Crc64,
  ) {
    this.account = opened.account;
    this.endpoint = opened.endpoint;
    this.container = archive.container;
    this.prefix = archive.prefix;
    this.rehydrate = archive.rehydrate;
    this.crc64 = crc64;
    this.accessTier = archive.accessTier;
    this.#options = options;
    this.#opened = opened;
    this.#wire = new BlobWire({
      endpoint: opened.endpoint,
      account: opened.account,
      container: archive.container,
      auth: opened.auth,
      crc64,
      probe: reservedName(archive.prefix, 'control'),
      retry: { ...DEFAULT_RETRY, ...options.retry },
      idleTimeout: options.idleTimeout ?? DEFAULT_IDLE_MS,
      onRetry: (error, delay) => {
        options.log?.debug({ err: error, delay: Math.round(delay) }, 'blob request is tried again');
        options.onRetry?.(error, delay);
      },
      ...(options.onEndpoint === undefined ? {} : { onEndpoint: options.onEndpoint }),
    });
  }

  /** How the endpoint is now, as far as requests of this store have shown. */
  get health(): EndpointHealth {
    return this.#wire.health;
  }

  /**
   * From now on, work is held for so many milliseconds while the endpoint does not answer or refuses the credential:
   * for a service, once it has started.
   */
  holdFor(milliseconds: number): void {
    this.#wire.holdFor(milliseconds);
  }

  /**
   * Work of several steps that is held as a whole, in place of its single requests, which say `held: false`: so that it
   * gives back what it needs while it waits, and takes it afresh. See `hold.ts`.
   */
  hold<T>(kind: RequestKind, signal: AbortSignal | undefined, work: (turn: HeldTry) => Promise<T>): Promise<T> {
    return this.#wire.hold(kind, this.#signal(signal), work);
  }

  /** What the SAS in use says of itself; undefined with another credential. */
  get sas(): SasFacts | undefined {
    return this.#opened.auth.sas;
  }

  /** Where a credential's successor belongs: a sentence. */
  get renewal(): string {
    return this.#opened.auth.renewal;
  }

  /** Reads the credential again. True when there is another one, which is then tried at once. */
  refresh(): Promise<boolean> {
    return this.#wire.refresh();
  }

  /** Ends idle connections. */
  close(): void {
    this.#wire.close();
  }

  /** The blob's state, or undefined when there is none. With `ifMatch`, CONDITION when it is another one now. */
  async head(
    name: string,
    options: { ifMatch?: string; signal?: AbortSignal | undefined } = {},
  ): Promise<BlobState | undefined> {
    const { ifMatch } = options;
    const signal = this.#signal(options.signal);
    try {
      return await this.#wire.run({ verb: 'look at', blob: name, signal }, async ({ hot }) =>
        stateFromHeaders(name, (await hot.properties(name, ifMatch, signal)).fields),
      );
    } catch (error) {
      // An answer to HEAD has no body: without the code in the header, a missing container reads as a missing blob.
      if (isBlobError(error, 'NOT_FOUND')) return undefined;
      throw error;
    }
  }

  /** Put Blob: the whole content in one request, checked by the service against its CRC64. */
  async put(name: string, body: Uint8Array, options: PutOptions & { readonly crc64?: bigint }): Promise<Written> {
    this.#checkMetadata(name, options.metadata);
    const signal = this.#signal(options.signal);
    const crc64 = options.crc64 ?? this.crc64.of(body);
    const fields = this.#writeFields(options);
    return this.#commit(
      name,
      options.condition,
      { verb: 'write', blob: name, ...writing(options), signal },
      ({ hot }) => hot.putBlob(name, body, crc64, fields, signal),
    );
  }

  /** Put Block: stages a block, checked by the service against its CRC64. Changes nothing that can be read. */
  async putBlock(
    name: string,
    blockId: string,
    body: Uint8Array,
    options: {
      readonly crc64: bigint;
      /** False within {@link BlobStore.hold}. */
      readonly held?: boolean | undefined;
      readonly signal?: AbortSignal | undefined;
    },
  ): Promise<void> {
    const signal = this.#signal(options.signal);
    await this.#wire.run({ verb: 'write a block of', blob: name, ...writing(options), signal }, ({ hot }) =>
      hot.putBlock(name, blockId, body, options.crc64, signal),
    );
  }

  /** Put Block List: makes the blob of staged blocks, and of nothing else. BLOCKS_GONE when they are not there any more. */
  async commitBlocks(name: string, blockIds: readonly string[], options: PutOptions): Promise<Written> {
    this.#checkMetadata(name, options.metadata);
    const signal = this.#signal(options.signal);
    const list = blockListXml(blockIds);
    const crc64 = this.crc64.of(list);
    const fields = this.#writeFields(options);
    return this.#commit(
      name,
      options.condition,
      { verb: 'commit', blob: name, ...writing(options), signal },
      ({ hot }) => hot.putBlockList(name, list, crc64, fields, signal),
    );
  }

  /**
   * Copy Blob: asks the service to copy the version `ifMatch` of a blob to another name; no data passes here. It may go
   * on after this resolves: see copy.ts. SOURCE_CONDITION when the source is another version now. With `version`, one of its
   * previous versions, which never change.
   */
  async startCopy(
    source: { readonly name: string } & ({ readonly ifMatch: string } | { readonly version: string }),
    name: string,
    options: Omit<PutOptions, 'held'>,
  ): Promise<Written> {
    this.#checkMetadata(name, options.metadata);
    const signal = this.#signal(options.signal);
    const { condition, metadata, tier } = options;
    const what =
      'version' in source
        ? { sourceVersion: source.version }
        : { sourceEtag: (conditions(source) as { ifMatch: string }).ifMatch };
    const fields = { condition: conditions(condition), metadata, tier, ...what };
    return this.#commit(name, condition, { verb: 'copy to', blob: name, kind: 'write', signal }, ({ hot }) =>
      hot.copyBlob(name, source.name, fields, signal),
    );
  }

  /** Whether the service can be given this blob as the source of a copy: the URL of a long name may be too long. */
  isCopySource(name: string, version?: string): Promise<boolean> {
    return this.#wire.run({ verb: 'copy', blob: name, held: false }, async ({ hot }) =>
      hot.isCopySource(name, version),
    );
  }

  /**
   * Leases a blob, or renews or gives back the lease `id`; a SAS needs `w` for it. LEASED when somebody else holds it,
   * or the lease is lost.
   * @param how of a new lease: seconds, 15 to 60
   */
  async lease(
    name: string,
    id: string,
    how: { readonly seconds: number } | 'renew' | 'release',
    signal?: AbortSignal,
  ): Promise<void> {
    const own = this.#signal(signal);
    await this.#wire.run({ verb: 'lease', blob: name, kind: 'write', held: false, signal: own }, async (clients) => {
      const lease = (await clients.sdk()).blob(name).getBlobLeaseClient(id);
      if (how === 'renew') return lease.renewLease(abortable(own));
      if (how === 'release') return lease.releaseLease(abortable(own));
      return lease.acquireLease(how.seconds, abortable(own));
    });
  }

  /** Reads a range of the version `ifMatch` into a buffer. CONDITION when the blob is another one now. */
  readRange(name: string, range: RangeRequest): Promise<RangeResult> {
    const signal = this.#signal(range.signal);
    return readRange(this.#wire, this.#subject('read', name), name, {
      ...range,
      ...(signal === undefined ? {} : { signal }),
    });
  }

  /**
   * Sets, or with undefined removes, metadata keys of the version `ifMatch`; keys of others stay. The ETag changes.
   * Rejects with CONDITION when the blob is another one now.
   */
  async setMetadata(
    name: string,
    patch: Readonly<Record<string, string | undefined>>,
    options: { readonly ifMatch: string; readonly signal?: AbortSignal | undefined },
  ): Promise<Written & { readonly metadata: BlobMetadata }> {
    const current = await this.head(name, options);
    if (current === undefined) throw this.#notFound('change metadata of', name);
    const metadata = mergeMetadata(current.metadata, patch);
    this.#checkMetadata(name, metadata);
    try {
      const signal = this.#signal(options.signal);
      const change = { conditions: conditions(options), ...abortable(signal) };
      const written = await this.#write(
        { verb: 'change metadata of', blob: name, kind: 'write', signal },
        async (clients) => (await clients.sdk()).blob(name).setMetadata(metadata, change),
      );
      return { ...written, metadata };
    } catch (error) {
      if (!isBlobError(error, 'CONDITION') || !error.ambiguous) throw error;
      // The answer to an earlier try was lost: look whether it was carried out.
      const now = await this.head(name, { signal: options.signal });
      if (now === undefined || !sameMetadata(now.metadata, metadata) || now.length !== current.length) throw error;
      return { etag: now.etag, metadata };
    }
  }

  /**
   * Deletes the version `ifMatch`. False when there was no blob, true when it was deleted. CONDITION when it is another
   * version; SNAPSHOTS when it has snapshots, which are never deleted along.
   */
  async delete(
    name: string,
    options: { readonly ifMatch: string; readonly signal?: AbortSignal | undefined },
  ): Promise<boolean> {
    try {
      const signal = this.#signal(options.signal);
      const deletion = { conditions: conditions(options), ...abortable(signal) };
      await this.#audited('delete', name, options.ifMatch, () =>
        this.#wire.run({ verb: 'delete', blob: name, kind: 'write', signal }, async (clients) =>
          (await clients.sdk()).blob(name).delete(deletion),
        ),
      );
      return true;
    } catch (error) {
      if (isBlobError(error, 'NOT_FOUND')) return error.ambiguous;
      // A condition on a blob that is gone may be answered as a failed condition too.
      if (isBlobError(error, 'CONDITION') && (await this.head(name, { signal: options.signal })) === undefined)
        return error.ambiguous;
      throw error;
    }
  }

  /**
   * Undelete Blob: what was soft-deleted of this name is there again, with all its soft-deleted snapshots and versions.
   * Does nothing to a blob that is there, but for those.
   * https://learn.microsoft.com/rest/api/storageservices/undelete-blob
   */
  async undelete(name: string, signal?: AbortSignal): Promise<void> {
    const own = this.#signal(signal);
    await this.#wire.run({ verb: 'undelete', blob: name, kind: 'write', signal: own }, async (clients) =>
      (await clients.sdk()).blob(name).undelete(abortable(own)),
    );
    this.#options.log?.info({ account: this.account, container: this.container, blob: name }, 'blob undeleted');
  }

  /** Deletes one snapshot, which never changes. False when there was none. */
  async deleteSnapshot(name: string, snapshot: string, signal?: AbortSignal): Promise<boolean> {
    const own = this.#signal(signal);
    try {
      await this.#audited('delete', `${name}?snapshot=${snapshot}`, '', () =>
        this.#wire.run({ verb: 'delete a snapshot of', blob: name, kind: 'write', signal: own }, async (clients) =>
          (await clients.sdk()).blob(name).withSnapshot(snapshot).delete(abortable(own)),
        ),
      );
      return true;
    } catch (error) {
      if (isBlobError(error, 'NOT_FOUND')) return false;
      throw error;
    }
  }

  /** Asks for another tier. From the Archive tier this takes hours; the content does not change, the ETag may. */
  async setTier(
    name: string,
    tier: string,
    options: { readonly priority?: 'Standard' | 'High'; readonly signal?: AbortSignal | undefined } = {},
  ): Promise<void> {
    const signal = this.#signal(options.signal);
    const { priority } = options;
    const change = { ...(priority === undefined ? {} : { rehydratePriority: priority }), ...abortable(signal) };
    await this.#wire.run({ verb: 'change the tier of', blob: name, kind: 'write', signal }, async (clients) =>
      (await clients.sdk()).blob(name).setAccessTier(tier, change),
    );
  }

  /**
   * Whether nothing that is written to the container can be changed or deleted, by an immutability policy or a legal hold of
   * the container; those of single versions leave the blobs as they are. AUTH for credentials of blobs alone.
   * https://learn.microsoft.com/azure/storage/blobs/immutable-storage-overview
   */
  async isWriteOnce(signal?: AbortSignal): Promise<boolean> {
    const own = this.#signal(signal);
    const said = await this.#wire.run({ verb: 'look at', signal: own }, async (clients) =>
      (await clients.sdk()).container.getProperties(abortable(own)),
    );
    const held = said.hasImmutabilityPolicy === true || said.hasLegalHold === true;
    return held && said.isImmutableStorageWithVersioningEnabled !== true;
  }

  /** Whether the account has a hierarchical namespace; undefined when the endpoint does not say. */
  async hasHierarchicalNamespace(signal?: AbortSignal): Promise<boolean | undefined> {
    const own = this.#signal(signal);
    const info = await this.#wire.run({ verb: 'ask for the kind of the account of', signal: own }, async (clients) =>
      (await clients.sdk()).container.getAccountInfo(abortable(own)),
    );
    return info.isHierarchicalNamespaceEnabled;
  }

  /**
   * Whether a blob shows that its account has a hierarchical namespace, where each is a file or a directory; undefined:
   * there is no such blob.
   */
  async isInHierarchy(name: string, signal?: AbortSignal): Promise<boolean | undefined> {
    const fields = await this.#fields(name, signal);
    return fields === undefined ? undefined : fields['x-ms-resource-type'] !== undefined;
  }

  /** Whether this blob has versions, so that what overwrites or deletes it leaves the old one; undefined: there is no such blob. */
  async isVersioned(name: string, signal?: AbortSignal): Promise<boolean | undefined> {
    const fields = await this.#fields(name, signal);
    return fields === undefined ? undefined : fields['x-ms-version-id'] !== undefined;
  }

  /** For how many days deleted blobs can be brought back, 0: not at all. AUTH for credentials of the container alone. */
  async softDeleteDays(signal?: AbortSignal): Promise<number> {
    const own = this.#signal(signal);
    const { deleteRetentionPolicy } = await this.#wire.run(
      { verb: 'ask for the soft delete of the account of', signal: own },
      async (clients) => (await clients.sdk()).service.getProperties(abortable(own)),
    );
    return deleteRetentionPolicy?.enabled === true ? (deleteRetentionPolicy.days ?? 0) : 0;
  }

  /** One page of a listing, which {@link listFlat} and {@link listLevel} make a whole of. */
  listPage(depth: ListDepth, options: ListOptions): Promise<ListPage> {
    const signal = this.#signal(options.signal);
    return this.#wire.run({ verb: 'list', signal }, async (clients) =>
      readPage(clients.hot, depth, { ...options, ...(signal === undefined ? {} : { signal }) }),
    );
  }

  /** One page of all that the account keeps, deleted things, snapshots and versions included: see kept.ts. */
  keptPage(options: ListOptions): Promise<KeptPage> {
    const signal = this.#signal(options.signal);
    return this.#wire.run({ verb: 'list what is kept in', signal }, async (clients) =>
      readKeptPage(clients.hot, { ...options, ...(signal === undefined ? {} : { signal }) }),
    );
  }

  /** All that the service says of a blob; undefined: there is no such blob. */
  async #fields(name: string, signal?: AbortSignal): Promise<Readonly<Record<string, string | undefined>> | undefined> {
    const own = this.#signal(signal);
    try {
      const { fields } = await this.#wire.run({ verb: 'look at', blob: name, signal: own }, async ({ hot }) =>
        hot.properties(name, undefined, own),
      );
      return fields;
    } catch (error) {
      if (isBlobError(error, 'NOT_FOUND')) return undefined;
      throw error;
    }
  }

  async #write(request: WireRequest, work: WriteWork): Promise<Written> {
    const { etag } = await this.#wire.run(request, work);
    return { etag: etag ?? '' };
  }

  #writeFields({ condition, metadata, tier = this.accessTier }: PutOptions): WriteFields {
    return { condition: conditions(condition), metadata, contentType: CONTENT_TYPE, tier };
  }

  #checkMetadata(name: string, metadata: BlobMetadata): void {
    const problem = metadataProblem(metadata);
    if (problem === undefined) return;
    throw new BlobError(`${describeSubject(this.#subject('write', name))}: ${problem}`, { code: 'INVALID' });
  }

  #commit(name: string, condition: WriteCondition, request: WireRequest, work: WriteWork): Promise<Written> {
    if (!('ifMatch' in condition)) return this.#write(request, work);
    return this.#audited('overwrite', name, condition.ifMatch, () => this.#write(request, work));
  }

  /** A line for what was done, and for what may have been done; none for what was refused. */
  async #audited<T>(action: 'delete' | 'overwrite', blob: string, etag: string, work: () => Promise<T>): Promise<T> {
    const fields = { action, account: this.account, container: this.container, blob, etag };
    try {
      const result = await work();
      this.#options.audit?.info({ ...fields, outcome: 'done' }, `blob ${action}`);
      return result;
    } catch (error) {
      const refused = error instanceof BlobError && !error.ambiguous;
      if (!refused) this.#options.audit?.info({ ...fields, outcome: 'unknown' }, `blob ${action}`);
      throw error;
    }
  }

  #notFound(verb: string, name: string): BlobError {
    return new BlobError(`${describeSubject(this.#subject(verb, name))}: there is no such blob`, {
      code: 'NOT_FOUND',
      status: 404,
    });
  }

  #subject(verb: string, blob: string) {
    return { verb, account: this.account, container: this.container, blob };
  }

  #signal(signal: AbortSignal | undefined): AbortSignal | undefined {
    const own = this.#options.signal;
    if (own === undefined || signal === undefined) return own ?? signal;
    return own === signal ? own : AbortSignal.any([own, signal]);
  }
}

function writing({ held }: { readonly held?: boolean | undefined }): Pick<WireRequest, 'kind' | 'held'> {
  return { kind: 'write', held };
}

type WriteWork = (clients: BlobClients) => Promise<{ readonly etag?: string }>;

const CONTENT_TYPE = 'application/octet-stream';

function conditions(condition: WriteCondition): WriteCondition {
  if (!('ifMatch' in condition)) return { ifNoneMatch: '*' };
  // An empty ETag would go out as no condition at all, a star as "whatever is there".
  const { ifMatch } = condition;
  if (!/^(?:W\/)?".+"$|^0x[0-9A-Fa-f]+$/.test(ifMatch)) throw new TypeError(`not an ETag: ${ifMatch}`);
  return { ifMatch };
}

function abortable(signal: AbortSignal | undefined): { abortSignal?: AbortSignal } {
  return signal === undefined ? {} : { abortSignal: signal };
}

function sameMetadata(a: BlobMetadata, b: BlobMetadata): boolean {
  const lower = (metadata: BlobMetadata) =>
    JSON.stringify(
      Object.entries(metadata)
        .map(([key, value]) => [key.toLowerCase(), value])
        .sort(),
    );
  return lower(a) === lower(b);
}
