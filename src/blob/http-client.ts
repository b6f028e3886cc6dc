import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';
import type { HttpClient, PipelineRequest, PipelineResponse, RawHttpHeaders } from '@azure/core-rest-pipeline';
import { type BodyTarget, TruncatedError } from '../http/answer-reader.ts';
import { StalledError } from '../http/connection.ts';
import { Connections } from '../http/connections.ts';
import { requestHead } from '../http/request-head.ts';
import { PlainHeaders } from './request-headers.ts';

// Pages of a listing have some megabytes. What is larger than this is no answer of the service to what we ask for.
const MAX_TEXT_BYTES = 128 << 20;

/** A request whose answer, when it is what was asked for, goes right into memory. */
export interface TransferRequest extends PipelineRequest {
  readonly headers: PlainHeaders;
  readonly body?: Uint8Array;
  readonly target?: (headers: PlainHeaders) => BodyTarget;
}

/**
 * Sends the requests of the SDK's pipeline to one endpoint, in place of the SDK's own client, which waits for ever for a
 * connection on which nothing moves: this one ends it. Connections are kept alive, the last used first; proxies are
 * those of the environment, NO_PROXY included.
 *
 * Requests of the data path go over connections of our own, which cost a quarter of node:http's CPU; where the
 * environment names a proxy, they go over node:http as all others do.
 * Rejects with the errors of node:net, node:tls, node:http and src/http, {@link StrangerError} or the signal's.
 */
export class LeanHttpClient implements HttpClient {
  readonly #url: URL;
  readonly #idleTimeout: number;
  readonly #agent: http.Agent;
  readonly #request: typeof http.request;
  readonly #connections: Connections | undefined;

  /** @param idleTimeout milliseconds without a byte in either direction after which a connection is given up */
  constructor(endpoint: string, idleTimeout: number) {
    this.#url = new URL(endpoint);
    this.#idleTimeout = idleTimeout;
    const options = { keepAlive: true, scheduling: 'lifo', maxFreeSockets: 256, proxyEnv: process.env } as const;
    const plain = this.#url.protocol === 'http:';
    this.#agent = plain ? new http.Agent(options) : new https.Agent(options);
    this.#request = plain ? http.request : https.request;
    this.#connections = mayHaveProxy(plain) ? undefined : new Connections(this.#url, idleTimeout);
  }

  /** Ends idle connections. Requests at work are not touched. */
  close(): void {
    this.#agent.destroy();
    this.#connections?.close();
  }

  sendRequest(request: PipelineRequest): Promise<PipelineResponse> {
    // Signatures go to the endpoint and to nobody else.
    const target = targetOf(request, this.#url.origin);
    if (target === undefined) return Promise.reject(new Error('a request for another endpoint'));
    return this.#connections !== undefined && isTransfer(request)
      ? this.#direct(this.#connections, request, target)
      : this.#classic(request, target);
  }

  async #direct(connections: Connections, request: TransferRequest, path: string): Promise<PipelineResponse> {
    const { method, body, target } = request;
    const answer = await connections.exchange({
      method,
      head: requestHead(method, path, this.#url.host, request.headers.fields),
      body,
      signal: request.abortSignal as AbortSignal | undefined,
      target: (answered) => {
        const headers = new PlainHeaders(answered.fields);
        refuseStranger(answered.status, headers);
        return answered.status < 300 ? target?.(headers) : undefined;
      },
    });
    const { status } = answer;
    const headers = new PlainHeaders(answer.fields);
    refuseStranger(status, headers);
    return { request, status, headers, bodyAsText: answer.body.length === 0 ? '' : answer.body.toString('utf8') };
  }

  #classic(request: PipelineRequest, path: string): Promise<PipelineResponse> {
    const { protocol, hostname, port } = this.#url;
    return new Promise((resolve, reject) => {
      let stalled: StalledError | undefined;
      const client = this.#request({
        agent: this.#agent,
        protocol,
        hostname: hostname.replace(/^\[|\]$/g, ''),
        port,
        method: request.method,
        path,
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
        // Only set-cookie is a list, which the service never sends.
        const headers = new PlainHeaders(body.headers as RawHttpHeaders);
        try {
          refuseStranger(status, headers);
          const read = (text: string) => resolve({ request, status, headers, bodyAsText: text });
          if (status < 300 && isTransfer(request) && request.target !== undefined) {
            readInto(body, request.target(headers)).then(() => read(''), fail);
          } else {
            readText(body).then(read, fail);
          }
        } catch (error) {
          client.destroy();
          reject(error);
        }
      });
      // The SDK makes no other bodies of what it is given here.
      client.end(request.body as Uint8Array | string | undefined);
    });
  }
}

/** Path and query of a request to this origin; undefined for one to another. */
function targetOf({ url }: PipelineRequest, origin: string): string | undefined {
  return url.startsWith(origin) && url[origin.length] === '/' ? url.slice(origin.length) : undefined;
}

function isTransfer(request: PipelineRequest): request is TransferRequest {
  return request.headers instanceof PlainHeaders;
}

/** Whether the environment names a proxy for this protocol. NO_PROXY is left to node:http, which then takes all. */
function mayHaveProxy(plain: boolean): boolean {
  const name = plain ? 'http_proxy' : 'https_proxy';
  return (process.env[name] ?? process.env[name.toUpperCase()] ?? '') !== '';
}

/**
 * A page of some device in between would otherwise pass for a success, or for a blob that is gone.
 * @throws StrangerError
 */
function refuseStranger(status: number, headers: PlainHeaders): void {
  if (status >= 300 && status !== 404) return;
  if (!headers.has('x-ms-request-id') && !headers.has('x-ms-error-code')) throw new StrangerError();
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

/** Rejects with TruncatedError when it ends before it should, for whatever reason. */
function readInto(body: IncomingMessage, target: BodyTarget): Promise<void> {
  return new Promise((resolve, reject) => {
    const expected = Number(body.headers['content-length'] ?? target.buffer.length - target.filled) + target.filled;
    const ended = () => (target.filled === expected ? resolve() : reject(new TruncatedError(target.filled, expected)));
    body.on('data', (bytes: Buffer) => {
      if (bytes.length <= target.buffer.length - target.filled)
        target.filled += bytes.copy(target.buffer, target.filled);
      else body.destroy();
    });
    body.on('end', ended);
    body.on('error', ended);
    body.on('close', ended);
  });
}
