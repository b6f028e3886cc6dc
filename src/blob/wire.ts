import type { RestError } from '@azure/storage-blob';
import type { Crc64 } from '../checksum/crc64.ts';
import { BlobClients } from './clients.ts';
import type { BlobAccess, BlobAuth } from './credential.ts';
import { Endpoint, type EndpointEvent, type EndpointHealth, type RequestKind } from './endpoint.ts';
import { errorOfAnswer, errorOfNetwork } from './error-classes.ts';
import { BlobError, describeSubject, type RequestSubject } from './errors.ts';
import { type HeldTry, hold } from './hold.ts';
import { RefusedError } from './hot-requests.ts';
import { LeanHttpClient } from './http-client.ts';
import { type RetryPolicy, withRetries } from './retry.ts';

export interface WireOptions {
  readonly endpoint: string;
  readonly account: string;
  readonly container: string;
  readonly auth: BlobAuth;
  readonly crc64: Crc64;
  /** Name of a blob to look at, to see whether the endpoint answers. */
  readonly probe: string;
  readonly retry: RetryPolicy;
  /** Milliseconds without a byte in either direction after which a connection is given up. */
  readonly idleTimeout: number;
  readonly onRetry?: (error: BlobError, delay: number) => void;
  /** Told when the endpoint goes out of reach or refuses the credential, and when that is over; only while holding. */
  readonly onEndpoint?: (event: EndpointEvent) => void;
}

export interface WireRequest {
  /** For messages: `write`, `read`, … */
  readonly verb: string;
  /** Blob name, for messages; absent for the container itself. */
  readonly blob?: string;
  /** Default `read`. */
  readonly kind?: RequestKind;
  /** False for a part of work that is held as a whole, see {@link BlobWire.hold}. Default true. */
  readonly held?: boolean | undefined;
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
  readonly #endpoint: Endpoint;
  #policy: RetryPolicy;
  #access: BlobAccess | undefined;
  #clients: BlobClients | undefined;

  constructor(options: WireOptions) {
    this.#options = options;
    this.#host = new URL(options.endpoint).host;
    this.#http = new LeanHttpClient(options.endpoint, options.idleTimeout);
    this.#policy = options.retry;
    this.#endpoint = new Endpoint(
      options.retry,
      // Of a blob: a SAS of the container may not ask for the container itself. Whether it is there does not matter.
      () =>
        this.run({ verb: 'look at', blob: options.probe, held: false }, ({ hot }) =>
          hot.properties(options.probe, undefined),
        ),
      (event) => options.onEndpoint?.(event),
    );
  }

  /** How the endpoint is now. */
  get health(): EndpointHealth {
    return this.#endpoint.health;
  }

  /** From now on work is held for so many milliseconds while the endpoint does not answer. */
  holdFor(milliseconds: number): void {
    this.#policy = { ...this.#policy, hold: milliseconds };
  }

  /** Calls `work`, once for every try, with the clients of that time. */
  run<T>(request: WireRequest, work: (clients: BlobClients) => Promise<T>): Promise<T> {
    const { signal, kind = 'read', held = true } = request;
    return held ? this.hold(kind, signal, () => this.#tries(request, work)) : this.#tries(request, work);
  }

  /** Holds work of several steps as a whole, see {@link hold}; its requests say that they are not held themselves. */
  hold<T>(kind: RequestKind, signal: AbortSignal | undefined, work: (turn: HeldTry) => Promise<T>): Promise<T> {
    return hold({ endpoint: this.#endpoint, policy: this.#policy, kind, signal }, work);
  }

  /** Reads the credential again. True when there is another one, which is then tried at once. */
  async refresh(): Promise<boolean> {
    const isNew = await this.#options.auth.refresh();
    if (isNew) this.#endpoint.nudge();
    return isNew;
  }

  /** Ends idle connections. Requests at work are not touched. */
  close(): void {
    this.#endpoint.stop();
    this.#http.close();
  }

  #tries<T>(request: WireRequest, work: (clients: BlobClients) => Promise<T>): Promise<T> {
    const { auth, onRetry } = this.#options;
    let access: BlobAccess | undefined;
    return withRetries({
      policy: this.#policy,
      signal: request.signal,
      attempt: async () => {
        try {
          access = await auth.access();
          const result = await work(this.#clientsFor(access));
          this.#endpoint.answered(request.kind ?? 'read');
          return result;
        } catch (error) {
          request.signal?.throwIfAborted();
          throw this.#translated(request, error);
        }
      },
      refresh: () => auth.refresh(access),
      onFailure: (error) => {
        if (this.#policy.hold === 0) return false;
        this.#endpoint.failed(error, request.kind ?? 'read');
        return this.#endpoint.down;
      },
      ...(onRetry === undefined ? {} : { onRetry }),
    });
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
    if (error instanceof RefusedError) return renewable(errorOfRefusal(subject, error), this.#options.auth);
    if (isRestError(error)) return renewable(errorOfRest(subject, error), this.#options.auth);
    // What the SDK says to an answer without a length or an ETag.
    if (error instanceof RangeError) return unreadable(subject);
    if (error instanceof Error && isTransportError(error)) return errorOfNetwork(subject, error, this.#host);
    return error;
  }
}

/**
 * A credential that is refused as a whole, or is over by its own words: the hint says where its successor belongs. What an
 * identity may do is said by its role, which it has for the whole container or not at all.
 */
function renewable(error: BlobError, { kind, sas, renewal }: BlobAuth): BlobError {
  if (error.code !== 'AUTH') return error;
  if (kind === 'token' && error.authReason === 'permission') return error.withHint(ROLE_HINT, 'role');
  const isOver = sas?.expires !== undefined && sas.expires.getTime() < Date.now();
  return isOver || error.authReason === 'expired' || error.authReason === 'signature' ? error.withHint(renewal) : error;
}

const ROLE_HINT =
  'Give the identity the role Storage Blob Data Contributor on the container; one that was just given needs up to ten minutes.';

/** Errors of sockets, TLS and parsing carry a string code; ours and those of callbacks' own making do not. */
function isTransportError(error: Error): boolean {
  if (error.name === 'BlobError' || error.name === 'AbortError') return false;
  return typeof (error as NodeJS.ErrnoException).code === 'string';
}

/** Without its class: the SDK may not even be loaded. */
function isRestError(error: unknown): error is RestError {
  return error instanceof Error && error.name === 'RestError';
}

/** The SDK's error holds request and response, and with them signatures: only what is named here gets out. */
function errorOfRest(subject: RequestSubject, { code, response, statusCode }: RestError): BlobError {
  const status = response?.status ?? statusCode ?? 0;
  if (status < 300) return unreadable(subject);
  const azureCode = response?.headers.get('x-ms-error-code') ?? (code === 'PARSE_ERROR' ? undefined : code);
  return refusal(subject, status, response?.bodyAsText ?? '', azureCode, (name) => response?.headers.get(name));
}

function errorOfRefusal(subject: RequestSubject, { status, headers, body, azureCode }: RefusedError): BlobError {
  if (status < 300) return unreadable(subject);
  return refusal(subject, status, body, azureCode, (name) => headers.get(name));
}

function refusal(
  subject: RequestSubject,
  status: number,
  body: string,
  azureCode: string | undefined,
  header: (name: string) => string | undefined,
): BlobError {
  const requestId = header('x-ms-request-id');
  const retryAfter = waitAskedFor(header('retry-after'));
  return errorOfAnswer(subject, {
    status,
    body,
    ...(azureCode === undefined ? {} : { azureCode }),
    ...(requestId === undefined ? {} : { requestId }),
    ...(retryAfter === undefined ? {} : { retryAfter }),
  });
}

/** Milliseconds from a Retry-After header: seconds or a date. */
export function waitAskedFor(header: string | undefined, now = Date.now()): number | undefined {
  const text = header?.trim() ?? '';
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

function unreadable(subject: RequestSubject): BlobError {
  return new BlobError(`${describeSubject(subject)}: the answer is not one of the Blob service`, {
    code: 'SERVER',
    retriable: true,
    ambiguous: true,
    hint: 'Check the endpoint and, where there is one, the proxy.',
  });
}
