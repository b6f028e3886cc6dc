import { RestError } from '@azure/storage-blob';
import type { Crc64 } from '../checksum/crc64.ts';
import { BlobClients } from './clients.ts';
import type { BlobAccess, BlobAuth } from './credential.ts';
import { errorOfAnswer, errorOfNetwork } from './error-classes.ts';
import { BlobError, describeSubject, type RequestSubject } from './errors.ts';
import { LeanHttpClient } from './http-client.ts';
import { type RetryOptions, withRetries } from './retry.ts';

export interface WireOptions {
  readonly endpoint: string;
  readonly account: string;
  readonly container: string;
  readonly auth: BlobAuth;
  readonly crc64: Crc64;
  readonly retry: RetryOptions;
  /** Milliseconds without a byte in either direction after which a connection is given up. */
  readonly idleTimeout: number;
  readonly onRetry?: (error: Error, delay: number) => void;
}

export interface WireRequest {
  /** For messages: `write`, `read`, … */
  readonly verb: string;
  /** Blob name, for messages; absent for the container itself. */
  readonly blob?: string;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs operations of the SDK's clients: with our own retries, with a credential that may be replaced on the way, and
 * with errors that are BlobErrors, free of secrets.
 */
export class BlobWire {
  readonly #options: WireOptions;
  readonly #host: string;
  readonly #http: LeanHttpClient;
  #access: BlobAccess | undefined;
  #clients: BlobClients | undefined;

  constructor(options: WireOptions) {
    this.#options = options;
    this.#host = new URL(options.endpoint).host;
    this.#http = new LeanHttpClient(options.endpoint, options.idleTimeout);
  }

  /** Calls `work`, once for every try, with the clients of that time. */
  run<T>(request: WireRequest, work: (clients: BlobClients) => Promise<T>): Promise<T> {
    const { auth, retry, onRetry } = this.#options;
    return withRetries({
      options: retry,
      signal: request.signal,
      attempt: () => this.#attempt(request, work),
      refresh: () => auth.refresh(),
      ...(onRetry === undefined ? {} : { onRetry }),
    });
  }

  /** Ends idle connections. Requests at work are not touched. */
  close(): void {
    this.#http.close();
  }

  async #attempt<T>(request: WireRequest, work: (clients: BlobClients) => Promise<T>): Promise<T> {
    try {
      return await work(this.#clientsFor(await this.#options.auth.access()));
    } catch (error) {
      request.signal?.throwIfAborted();
      throw this.#translated(request, error);
    }
  }

  #clientsFor(access: BlobAccess): BlobClients {
    if (this.#clients === undefined || this.#access !== access) {
      this.#clients = new BlobClients({ ...this.#options, http: this.#http }, access);
      this.#access = access;
    }
    return this.#clients;
  }

  #translated(request: WireRequest, error: unknown): unknown {
    const { account, container } = this.#options;
    const subject: RequestSubject = {
      verb: request.verb,
      account,
      container,
      ...(request.blob === undefined ? {} : { blob: request.blob }),
    };
    if (error instanceof RestError) return errorOfRest(subject, error);
    // What the SDK says to an answer without a length or an ETag.
    if (error instanceof RangeError) return unreadable(subject);
    if (error instanceof Error && isTransportError(error)) return errorOfNetwork(subject, error, this.#host);
    return error;
  }
}

/** Errors of sockets, TLS and parsing carry a string code; ours and those of callbacks' own making do not. */
function isTransportError(error: Error): boolean {
  if (error.name === 'BlobError' || error.name === 'AbortError') return false;
  return typeof (error as NodeJS.ErrnoException).code === 'string';
}

/** The SDK's error holds request and response, and with them signatures: only what is named here gets out. */
function errorOfRest(subject: RequestSubject, { code, response, statusCode }: RestError): BlobError {
  const status = response?.status ?? statusCode ?? 0;
  if (status < 300) return unreadable(subject);
  const azureCode = response?.headers.get('x-ms-error-code') ?? (code === RestError.PARSE_ERROR ? undefined : code);
  const requestId = response?.headers.get('x-ms-request-id');
  const retryAfter = Number(response?.headers.get('retry-after'));
  return errorOfAnswer(subject, {
    status,
    body: response?.bodyAsText ?? '',
    ...(azureCode === undefined ? {} : { azureCode }),
    ...(requestId === undefined ? {} : { requestId }),
    ...(retryAfter >= 0 ? { retryAfter: retryAfter * 1000 } : {}),
  });
}

function unreadable(subject: RequestSubject): BlobError {
  return new BlobError(`${describeSubject(subject)}: the answer is not one of the Blob service`, {
    code: 'SERVER',
    retriable: true,
    ambiguous: true,
    hint: 'Check the endpoint and, where there is one, the proxy.',
  });
}
