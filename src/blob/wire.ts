import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';
import type { BlobAuth } from './credential.ts';
import { errorOfAnswer, errorOfNetwork } from './error-classes.ts';
import type { RequestSubject } from './errors.ts';
import { HeaderMap } from './header-map.ts';
import { type RetryOptions, withRetries } from './retry.ts';

/** The REST version that we speak. 4,000 MiB blocks need 2019-12-12, checksums on Put Blob 2019-02-02. */
export const SERVICE_VERSION = '2021-12-02';

export interface WireOptions {
  readonly endpoint: string;
  readonly account: string;
  readonly container: string;
  readonly auth: BlobAuth;
  readonly retry: RetryOptions;
  /** Milliseconds without a byte in either direction after which a connection is given up. */
  readonly idleTimeout: number;
  readonly onRetry?: (error: Error, delay: number) => void;
}

export interface WireRequest {
  /** For messages: `write`, `read`, … */
  readonly verb: string;
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'DELETE';
  /** Blob name; absent for the container itself. */
  readonly blob?: string;
  /** Values are encoded here. */
  readonly query?: Readonly<Record<string, string>>;
  /** Computed for every try, so that a try can go on where the last one broke off. */
  readonly headers?: () => Readonly<Record<string, string | number>>;
  readonly body?: Uint8Array;
  readonly signal?: AbortSignal | undefined;
}

export interface WireAnswer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
}

type Consume<T> = (answer: WireAnswer, body: IncomingMessage) => Promise<T>;

/**
 * Requests to one container, lean on purpose: the SDK's pipeline costs more than twice the CPU per request. Connections
 * are kept alive, proxies are taken from the environment, stalled connections end, passing errors are tried again.
 */
export class BlobWire {
  readonly #options: WireOptions;
  readonly #origin: string;
  readonly #basePath: string;
  readonly #url: URL;
  readonly #agent: http.Agent;

  constructor(options: WireOptions) {
    this.#options = options;
    this.#url = new URL(options.endpoint);
    this.#origin = this.#url.origin;
    this.#basePath = `${this.#url.pathname.replace(/\/+$/, '')}/${options.container}`;
    const agentOptions = { keepAlive: true, scheduling: 'lifo', maxFreeSockets: 256, proxyEnv: process.env } as const;
    this.#agent = this.#url.protocol === 'http:' ? new http.Agent(agentOptions) : new https.Agent(agentOptions);
  }

  /** Sends the request; resolves with what `consume` makes of a successful answer, rejects with a BlobError. */
  send<T>(request: WireRequest, consume: Consume<T>): Promise<T> {
    const { auth, retry, onRetry } = this.#options;
    return withRetries({
      options: retry,
      signal: request.signal,
      attempt: () => this.#attempt(request, consume),
      refresh: () => auth.refresh(),
      ...(onRetry === undefined ? {} : { onRetry }),
    });
  }

  /** Sends a request of whose answer only the headers matter. */
  sendForHeaders(request: WireRequest): Promise<WireAnswer> {
    return this.send(request, async (answer, body) => {
      await drain(body);
      return answer;
    });
  }

  /** Ends idle connections. Requests at work are not touched. */
  close(): void {
    this.#agent.destroy();
  }

  async #attempt<T>(request: WireRequest, consume: Consume<T>): Promise<T> {
    const headers = new HeaderMap();
    headers.set('x-ms-version', SERVICE_VERSION);
    headers.set('x-ms-date', new Date().toUTCString());
    headers.set('user-agent', 'lfsazsync');
    if (request.method === 'PUT') headers.set('content-length', request.body?.length ?? 0);
    for (const [name, value] of Object.entries(request.headers?.() ?? {})) headers.set(name, value);
    const query = Object.entries(request.query ?? {}).map(([key, value]) => `${key}=${encodeURIComponent(value)}`);
    const blobPath = request.blob === undefined ? '' : `/${encodeBlobName(request.blob)}`;
    const signable = {
      method: request.method,
      origin: this.#origin,
      path: `${this.#basePath}${blobPath}`,
      query: query.join('&'),
      headers,
    };
    await this.#options.auth.sign(signable);
    return this.#exchange(request, signable, consume);
  }

  async #exchange<T>(
    request: WireRequest,
    { path, query, headers }: { path: string; query: string; headers: HeaderMap },
    consume: Consume<T>,
  ): Promise<T> {
    const { idleTimeout } = this.#options;
    const client = (this.#url.protocol === 'http:' ? http : https).request({
      agent: this.#agent,
      protocol: this.#url.protocol,
      hostname: this.#url.hostname.replace(/^\[|\]$/g, ''),
      port: this.#url.port,
      method: request.method,
      path: query === '' ? path : `${path}?${query}`,
      headers: Object.fromEntries(headers),
      timeout: idleTimeout,
      ...(request.signal === undefined ? {} : { signal: request.signal }),
    });
    client.on('timeout', () => client.destroy(new StalledError(idleTimeout)));
    try {
      const body = await new Promise<IncomingMessage>((resolve, reject) => {
        client.on('response', resolve);
        client.on('error', reject);
        client.end(request.body);
      });
      const answer = { status: body.statusCode ?? 0, headers: body.headers };
      if (answer.status >= 300) throw await this.#errorOf(request, answer, body);
      return await consume(answer, body);
    } catch (error) {
      client.destroy();
      request.signal?.throwIfAborted();
      if (!(error instanceof Error) || !isTransportError(error)) throw error;
      throw errorOfNetwork(this.#subject(request), error, this.#url.host);
    }
  }

  async #errorOf(request: WireRequest, answer: WireAnswer, body: IncomingMessage) {
    const text = await readText(body);
    const azureCode = answer.headers['x-ms-error-code'] ?? /<Code>([^<]+)<\/Code>/.exec(text)?.[1];
    const requestId = answer.headers['x-ms-request-id'];
    const retryAfter = Number(answer.headers['retry-after']);
    return errorOfAnswer(this.#subject(request), {
      status: answer.status,
      body: text,
      ...(typeof azureCode === 'string' ? { azureCode } : {}),
      ...(typeof requestId === 'string' ? { requestId } : {}),
      ...(Number.isFinite(retryAfter) && retryAfter >= 0 ? { retryAfter: retryAfter * 1000 } : {}),
    });
  }

  #subject(request: WireRequest): RequestSubject {
    const { account, container } = this.#options;
    return { verb: request.verb, account, container, ...(request.blob === undefined ? {} : { blob: request.blob }) };
  }
}

/** Nothing came or went for too long. */
class StalledError extends Error {
  readonly code = 'STALLED';
  constructor(idle: number) {
    super(`no byte came or went for ${idle / 1000} seconds`);
  }
}

/** The body ended before all of it was there. */
export class TruncatedError extends Error {
  readonly code = 'TRUNCATED';
  constructor(got: number, expected: number) {
    super(`the answer ended after ${got} of ${expected} bytes`);
  }
}

/** Errors of sockets, TLS and parsing carry a string code; ours and those of callbacks' own making do not. */
function isTransportError(error: Error): boolean {
  if (error.name === 'BlobError' || error.name === 'AbortError') return false;
  return typeof (error as NodeJS.ErrnoException).code === 'string';
}

function encodeBlobName(name: string): string {
  return name.split('/').map(encodeURIComponent).join('/');
}

async function drain(body: IncomingMessage): Promise<void> {
  for await (const chunk of body) void chunk;
}

const MAX_ERROR_BODY = 65_536;

async function readText(body: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of body) if (text.length < MAX_ERROR_BODY) text += String(chunk);
  return text;
}
