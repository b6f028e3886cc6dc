import type { Pipeline } from '@azure/core-rest-pipeline';
import { type BlockBlobClient, ContainerClient, newPipeline } from '@azure/storage-blob';
import { type Crc64, crc64Header } from '../checksum/crc64.ts';
import type { BlobAccess } from './credential.ts';
import { HotRequests, requireName } from './hot-requests.ts';
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

const USER_AGENT = `lfsazsync Node/${process.versions.node}`;

/** Clients of blobs that are kept: an archive asks for its blob more than once, and large ones for every block. */
const KEPT = 256;

export interface ClientOptions {
  /** Of the account, without a slash at its end. */
  readonly endpoint: string;
  readonly container: string;
  readonly http: LeanHttpClient;
  readonly crc64: Crc64;
}

/** The SDK's clients of one container and its blobs, with one credential. */
export class BlobClients {
  readonly container: ContainerClient;
  /** The requests of the data path. */
  readonly hot: HotRequests;
  readonly #blobs = new Map<string, BlockBlobClient>();

  constructor(options: ClientOptions, access: BlobAccess) {
    const url = `${options.endpoint}/${options.container}`;
    const container = new LeanContainerClient(
      access.sas === undefined ? url : `${url}?${access.sas.reveal()}`,
      newPipeline(access.credential, {
        retryOptions: { maxTries: 1 },
        keepAliveOptions: { enable: true },
        userAgentOptions: { userAgentPrefix: 'lfsazsync' },
      }),
      options,
    );
    this.container = container;
    this.hot = new HotRequests({
      pipeline: container.signing,
      http: options.http,
      url,
      query: access.sas?.reveal(),
      version: container.version,
      userAgent: USER_AGENT,
    });
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

/**
 * The SDK's container client, whose pipeline ends in our HTTP client. All clients made from it share the pipeline. The
 * `httpClient` that newPipeline takes is of the former generation (core-http): each request and each answer would be
 * converted there and back, headers and all.
 */
class LeanContainerClient extends ContainerClient {
  /** What is left of the pipeline for requests that are whole: the policy that signs, or nothing. */
  readonly signing: Pipeline;
  /** `x-ms-version`. */
  readonly version: string;

  constructor(url: string, pipeline: ReturnType<typeof newPipeline>, { http, crc64 }: ClientOptions) {
    super(url, pipeline);
    const { pipeline: core, version } = this.storageClientContext;
    for (const name of UNUSED) core.removePolicy({ name });
    this.version = version;
    this.signing = core.clone();
    for (const name of UNUSED_BY_HOT) this.signing.removePolicy({ name });
    core.addPolicy({
      name: 'lfsazsyncCommitChecksum',
      sendRequest(request, next) {
        // Contents are buffers and bring their own. A text is the block list, which the SDK writes.
        if (typeof request.body === 'string') {
          request.headers.set('x-ms-content-crc64', crc64Header(crc64.of(Buffer.from(request.body))));
        }
        return next(request);
      },
    });
    core.addPolicy(
      { name: 'lfsazsyncHttpClient', sendRequest: (request) => http.sendRequest(request) },
      { afterPhase: 'Sign' },
    );
  }
}
