import http, { type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import https from 'node:https';
import type {
  HttpClient,
  HttpHeaders,
  PipelineRequest,
  PipelineResponse,
  RawHttpHeaders,
} from '@azure/core-rest-pipeline';

// Pages of a listing have some megabytes. What is larger than this is no answer of the service to what we ask for.
const MAX_TEXT_BYTES = 128 << 20;

/**
 * Sends the requests of the SDK's pipeline to one endpoint, in place of the SDK's own client, which waits for ever for a
 * connection on which nothing moves: this one ends it. Connections are kept alive, the last used first; proxies are
 * those of the environment, NO_PROXY included.
 * Rejects with the errors of node:http and node:https, {@link StalledError}, {@link StrangerError} or the signal's.
 */
export class LeanHttpClient implements HttpClient {
  readonly #url: URL;
  readonly #idleTimeout: number;
  readonly #agent: http.Agent;
  readonly #request: typeof http.request;

  /** @param idleTimeout milliseconds without a byte in either direction after which a connection is given up */
  constructor(endpoint: string, idleTimeout: number) {
    this.#url = new URL(endpoint);
    this.#idleTimeout = idleTimeout;
    const options = { keepAlive: true, scheduling: 'lifo', maxFreeSockets: 256, proxyEnv: process.env } as const;
    const plain = this.#url.protocol === 'http:';
    this.#agent = plain ? new http.Agent(options) : new https.Agent(options);
    this.#request = plain ? http.request : https.request;
  }

  /** Ends idle connections. Requests at work are not touched. */
  close(): void {
    this.#agent.destroy();
  }

  sendRequest(request: PipelineRequest): Promise<PipelineResponse> {
    const { protocol, hostname, port, origin } = this.#url;
    // Signatures go to the endpoint and to nobody else.
    if (!request.url.startsWith(`${origin}/`)) return Promise.reject(new Error('a request for another endpoint'));
    return new Promise((resolve, reject) => {
      let stalled: StalledError | undefined;
      const client = this.#request({
        agent: this.#agent,
        protocol,
        hostname: hostname.replace(/^\[|\]$/g, ''),
        port,
        method: request.method,
        path: request.url.slice(origin.length),
        headers: request.headers.toJSON(),
        timeout: this.#idleTimeout,
        ...(request.abortSignal === undefined ? {} : { signal: request.abortSignal as AbortSignal }),
      });
      const fail = (error: Error) => reject(stalled ?? error);
      client.on('timeout', () => {
        stalled = new StalledError(this.#idleTimeout);
        client.destroy(stalled);
      });
      client.on('error', fail);
      client.on('response', (body) => {
        const status = body.statusCode ?? 0;
        const headers = new AnswerHeaders(body.headers);
        if ((status < 300 || status === 404) && !isAzure(headers)) {
          client.destroy();
          return reject(new StrangerError());
        }
        if (request.streamResponseStatusCodes?.has(status) === true) {
          resolve({ request, status, headers, readableStreamBody: body });
        } else {
          readText(body).then((bodyAsText) => resolve({ request, status, headers, bodyAsText }), fail);
        }
      });
      // The SDK makes no other bodies of what it is given here.
      client.end(request.body as Uint8Array | string | undefined);
    });
  }
}

/** Nothing came or went for too long. */
class StalledError extends Error {
  readonly code = 'STALLED';
  constructor(idle: number) {
    super(`no byte came or went for ${idle / 1000} seconds`);
  }
}

/** A page of some device in between would otherwise pass for a success, or for a blob that is gone. */
function isAzure(headers: HttpHeaders): boolean {
  return headers.has('x-ms-request-id') || headers.has('x-ms-error-code');
}

/** Somebody else than the Blob service answered. */
class StrangerError extends Error {
  readonly code = 'STRANGER';
  constructor() {
    super('the answer is not one of the Blob service');
  }
}

function readText(body: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    body.on('data', (chunk: Buffer) => {
      length += chunk.length;
      chunks.push(chunk);
      if (length > MAX_TEXT_BYTES) body.destroy(new Error(`an answer of more than ${MAX_TEXT_BYTES} bytes`));
    });
    body.on('end', () => resolve(length === 0 ? '' : Buffer.concat(chunks, length).toString('utf8')));
    body.on('error', reject);
  });
}

/** The headers as node:http has them, lower case, in the form that the pipeline asks for. */
class AnswerHeaders implements HttpHeaders {
  readonly #headers: RawHttpHeaders;

  constructor(headers: IncomingHttpHeaders) {
    // Only set-cookie is a list, which the service never sends.
    this.#headers = headers as RawHttpHeaders;
  }

  get(name: string): string | undefined {
    return this.#headers[name.toLowerCase()];
  }

  has(name: string): boolean {
    return this.get(name) !== undefined;
  }

  set(name: string, value: string | number | boolean): void {
    this.#headers[name.toLowerCase()] = String(value);
  }

  delete(name: string): void {
    delete this.#headers[name.toLowerCase()];
  }

  toJSON(): RawHttpHeaders {
    return this.#headers;
  }

  [Symbol.iterator](): Iterator<[string, string]> {
    return Object.entries(this.#headers)[Symbol.iterator]();
  }
}
