import type { Pipeline } from '@azure/core-rest-pipeline';
import {
  AnonymousCredential,
  BlobServiceClient,
  type BlockBlobClient,
  ContainerClient,
  newPipeline,
  StorageSharedKeyCredential,
} from '@azure/storage-blob';
import type { BlobAccess } from './credential.ts';
import { requireName, SERVICE_VERSION } from './hot-requests.ts';
import type { LeanHttpClient } from './http-client.ts';

/**
 * Policies of the SDK's pipeline that do what is done elsewhere, or nothing for us at a tenth of the CPU of a small
 * upload: retries (withRetries), proxies (the agent), redirects (never), logs and spans (our own log).
 */
const UNUSED = [
  'proxyPolicy',
  'wrapAbortSignalLikePolicy',
  'formDataPolicy',
  'multipartPolicy',
  'storageRequestFailureDetailsParserPolicy',
  'storageBrowserPolicy',
  'storageRetryPolicy',
  'tracingPolicy',
  'redirectPolicy',
  'logPolicy',
];

/** What does nothing for requests that are whole already. What is left signs them. */
const UNUSED_BY_HOT = [
  'serializationPolicy',
  'deserializationPolicy',
  'userAgentPolicy',
  'setClientRequestIdPolicy',
  'StorageCorrectContentLengthPolicy',
];

/** Clients of blobs that are kept: an archive asks for its blob more than once, and large ones for every block. */
const KEPT = 256;

/** The SDK's clients of one container and its blobs, with one credential. Loaded when they are needed: see clients.ts. */
export class SdkClients {
  readonly container: ContainerClient;
  /** What signs requests that are whole: what is left of the SDK's pipeline for them. */
  readonly signing: Pipeline;
  /** The account's Blob service as a whole, which not every credential may ask about. */
  readonly service: BlobServiceClient;
  readonly #blobs = new Map<string, BlockBlobClient>();

  /** @param url of the container, without query */
  constructor(url: string, http: LeanHttpClient, access: BlobAccess) {
    const query = access.kind === 'sas' ? `?${access.sas.reveal()}` : '';
    const container = new LeanContainerClient(`${url}${query}`, pipelineOf(access), http);
    this.container = container;
    this.signing = container.signing;
    const account = url.slice(0, url.lastIndexOf('/'));
    this.service = new LeanServiceClient(`${account}${query}`, pipelineOf(access), http);
  }

  /** @throws BlobError INVALID for a name that the way to the service would change */
  blob(name: string): BlockBlobClient {
    const kept = this.#blobs.get(name);
    if (kept !== undefined) return kept;
    requireName(name);
    const client = this.container.getBlockBlobClient(name);
    if (this.#blobs.size >= KEPT) this.#blobs.clear();
    this.#blobs.set(name, client);
    return client;
  }
}

function pipelineOf(access: BlobAccess) {
  return newPipeline(credentialOf(access), {
    retryOptions: { maxTries: 1 },
    keepAliveOptions: { enable: true },
    userAgentOptions: { userAgentPrefix: 'lfsazsync' },
  });
}

function credentialOf(access: BlobAccess) {
  switch (access.kind) {
    case 'sas':
      return new AnonymousCredential();
    case 'key':
      return new StorageSharedKeyCredential(access.account, access.key.reveal());
    case 'token':
      return access.credential;
  }
}

/**
 * The SDK's container client, whose pipeline ends in our HTTP client. All clients made from it share the pipeline. The
 * `httpClient` that newPipeline takes is of the former generation (core-http): each request and each answer would be
 * converted there and back, headers and all.
 */
class LeanContainerClient extends ContainerClient {
  readonly signing: Pipeline;

  constructor(url: string, pipeline: ReturnType<typeof newPipeline>, http: LeanHttpClient) {
    super(url, pipeline);
    const { pipeline: core } = this.storageClientContext;
    for (const name of UNUSED) core.removePolicy({ name });
    this.signing = core.clone();
    for (const name of UNUSED_BY_HOT) this.signing.removePolicy({ name });
    endIn(core, http);
  }
}

/** The same for requests about the account. */
class LeanServiceClient extends BlobServiceClient {
  constructor(url: string, pipeline: ReturnType<typeof newPipeline>, http: LeanHttpClient) {
    super(url, pipeline);
    const { pipeline: core } = this.storageClientContext;
    for (const name of UNUSED) core.removePolicy({ name });
    endIn(core, http);
  }
}

function endIn(core: Pipeline, http: LeanHttpClient): void {
  // After the SDK has put its own in, before it is signed.
  core.addPolicy({
    name: 'lfsazsyncServiceVersion',
    sendRequest: (request, next) => {
      request.headers.set('x-ms-version', SERVICE_VERSION);
      return next(request);
    },
  });
  core.addPolicy(
    { name: 'lfsazsyncHttpClient', sendRequest: (request) => http.sendRequest(request) },
    { afterPhase: 'Sign' },
  );
}
