import type { HttpHeaders, PipelineResponse } from '@azure/core-rest-pipeline';
import { crc64Header } from '../checksum/crc64.ts';
import type { BodyTarget } from '../http/answer-reader.ts';
import { BlobError } from './errors.ts';
import type { TransferRequest } from './http-client.ts';
import type { BlobMetadata } from './metadata.ts';
import { PlainHeaders } from './request-headers.ts';

/**
 * The requests of the data path: Put Blob, Put Block, Put Block List, ranges of Get Blob, Get Blob Properties, listings. They are
 * put together here by hand, and signed by what is left of the SDK's pipeline; with a SAS nothing is. The SDK's clients,
 * which speak everything else, spend four times the CPU of a small upload on it.
 * Rejects with {@link RefusedError} for an answer that is not the one asked for.
 * https://learn.microsoft.com/rest/api/storageservices/operations-on-blobs
 */

/** State that a blob must be in. */
export interface RequestCondition {
  readonly ifMatch?: string;
  readonly ifNoneMatch?: string;
}

export interface HotOptions {
  /** Of the container, without query. */
  readonly url: string;
  /** The SAS; undefined where requests are signed. */
  readonly query: string | undefined;
  readonly send: (request: TransferRequest) => Promise<PipelineResponse>;
}

export interface WriteFields {
  readonly condition: RequestCondition;
  readonly metadata: BlobMetadata;
  readonly contentType: string;
  readonly tier?: string | undefined;
}

/** What a copy of a blob is to be; its content type comes along. */
export interface CopyFields extends Omit<WriteFields, 'contentType'> {
  /** Version of the source that is copied. */
  readonly sourceEtag?: string;
  /** A previous version of the source, which never changes, in place of what it is now. */
  readonly sourceVersion?: string;
}

export interface RangeAsked {
  readonly ifMatch: string;
  /** First and last byte; undefined for the whole blob. */
  readonly range: readonly [number, number] | undefined;
  /** Called with the headers of the answer: where the bytes go. What it throws ends the request. */
  readonly target: (headers: PlainHeaders) => BodyTarget;
}

type Fields = Record<string, string>;

/**
 * Knows all that is asked for here and through the SDK; every cloud has it. Cold is the newest of it (2021-12-02). The SDK's own
 * is so new that not all clouds know it, and one that does not refuses every request.
 */
export const SERVICE_VERSION = '2023-11-03';
/** The longest URL that the service takes as the source of a copy, bytes. A name's bytes may be three each in a URL. */
const MAX_SOURCE_URL = 2048;
const NOTHING = new Uint8Array(0);
const USER_AGENT = `lfsazsync Node/${process.versions.node}`;

export class HotRequests {
  readonly #options: HotOptions;
  readonly #query: string;

  constructor(options: HotOptions) {
    this.#options = options;
    this.#query = options.query === undefined ? '' : `?${options.query}`;
  }

  /** Put Blob, checked by the service against its CRC64. */
  putBlob(name: string, body: Uint8Array, crc64: bigint, write: WriteFields, signal?: AbortSignal): Promise<Written> {
    const fields: Fields = { 'x-ms-blob-type': 'BlockBlob', 'x-ms-content-crc64': crc64Header(crc64) };
    addWriteFields(fields, write);
    return this.#write(name, '', fields, body, signal);
  }

  /** Put Block, checked by the service against its CRC64. */
  putBlock(name: string, id: string, body: Uint8Array, crc64: bigint, signal?: AbortSignal): Promise<Written> {
    const fields = { 'x-ms-content-crc64': crc64Header(crc64) };
    return this.#write(name, `comp=block&blockid=${encodeURIComponent(id)}`, fields, body, signal);
  }

  /** Put Block List. @param list XML, with its CRC64 */
  putBlockList(name: string, list: Buffer, crc64: bigint, write: WriteFields, signal?: AbortSignal): Promise<Written> {
    const fields: Fields = { 'content-type': 'application/xml', 'x-ms-content-crc64': crc64Header(crc64) };
    addWriteFields(fields, write);
    return this.#write(name, 'comp=blocklist', fields, list, signal);
  }

  /** Get Blob, under the ETag, right into memory. */
  async getRange(name: string, { ifMatch, range, target }: RangeAsked, signal?: AbortSignal): Promise<PlainHeaders> {
    const fields: Fields = { 'if-match': ifMatch };
    if (range !== undefined) fields['x-ms-range'] = `bytes=${range[0]}-${range[1]}`;
    const { headers } = await this.#send('GET', name, '', fields, { signal, target, success: [200, 206] });
    return headers as PlainHeaders;
  }

  /** Get Blob Properties. */
  async properties(name: string, ifMatch: string | undefined, signal?: AbortSignal): Promise<PlainHeaders> {
    const fields: Fields = ifMatch === undefined ? {} : { 'if-match': ifMatch };
    const { headers } = await this.#send('HEAD', name, '', fields, { signal, success: [200] });
    return headers as PlainHeaders;
  }

  /** List Blobs: the XML of the answer. @param version of the service, where ours does not know what is asked */
  async listBlobs(
    query: Readonly<Record<string, string>>,
    signal?: AbortSignal,
    version = SERVICE_VERSION,
  ): Promise<string> {
    const asked = Object.entries(query).map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
    const listing = ['restype=container', 'comp=list', ...asked].join('&');
    const fields = { 'x-ms-version': version };
    const response = await this.#send('GET', undefined, listing, fields, { signal, success: [200] });
    return response.bodyAsText ?? '';
  }

  /**
   * Copy Blob within the container. The service reads the source with the credential of this request: a key's signature
   * or a token stands for both, a SAS has to be in the source's URL, too.
   * https://learn.microsoft.com/rest/api/storageservices/copy-blob
   */
  async copyBlob(name: string, source: string, copy: CopyFields, signal?: AbortSignal): Promise<Written> {
    const { condition, metadata, tier, sourceEtag, sourceVersion } = copy;
    const fields: Fields = { 'x-ms-copy-source': this.#sourceUrl(source, sourceVersion) };
    if (sourceEtag !== undefined) fields['x-ms-source-if-match'] = sourceEtag;
    addWriteConditions(fields, { condition, metadata, tier });
    const { headers } = await this.#send('PUT', name, '', fields, { body: NOTHING, signal, success: [202] });
    return { etag: headers.get('etag') ?? '' };
  }

  /** Whether the service takes the URL of this blob as the source of a copy, by its length. */
  isCopySource(name: string, version?: string): boolean {
    return this.#sourceUrl(name, version).length <= MAX_SOURCE_URL;
  }

  #sourceUrl(name: string, version?: string): string {
    const query = version === undefined ? '' : `versionid=${encodeURIComponent(version)}`;
    return `${this.#options.url}/${pathOf(name)}${joined(this.#query, query)}`;
  }

  async #write(name: string, query: string, fields: Fields, body: Uint8Array, signal?: AbortSignal): Promise<Written> {
    const { headers } = await this.#send('PUT', name, query, fields, { body, signal, success: [201] });
    return { etag: headers.get('etag') ?? '' };
  }

  async #send(
    method: 'GET' | 'HEAD' | 'PUT',
    /** undefined: the container itself. */
    name: string | undefined,
    query: string,
    fields: Fields,
    rest: {
      readonly body?: Uint8Array;
      readonly signal: AbortSignal | undefined;
      readonly target?: RangeAsked['target'];
      readonly success: readonly number[];
    },
  ): Promise<PipelineResponse> {
    const { url, send } = this.#options;
    fields['x-ms-version'] ??= SERVICE_VERSION;
    fields['user-agent'] = USER_AGENT;
    // Signed with what is in it; the HTTP client would say the same.
    if (rest.body !== undefined) fields['content-length'] = String(rest.body.length);
    const { signal, target, body } = rest;
    const request: TransferRequest = {
      url: `${url}${name === undefined ? '' : `/${pathOf(name)}`}${joined(this.#query, query)}`,
      method,
      headers: new PlainHeaders(fields),
      timeout: 0,
      withCredentials: false,
      requestId: '',
      allowInsecureConnection: true,
      ...(body === undefined ? {} : { body }),
      ...(signal === undefined ? {} : { abortSignal: signal }),
      ...(target === undefined ? {} : { target }),
    };
    const response = await send(request);
    if (!rest.success.includes(response.status)) throw new RefusedError(response);
    return response;
  }
}

interface Written {
  readonly etag: string;
}

function addWriteFields(fields: Fields, write: WriteFields): void {
  fields['x-ms-blob-content-type'] = write.contentType;
  addWriteConditions(fields, write);
}

function addWriteConditions(fields: Fields, { condition, metadata, tier }: Omit<WriteFields, 'contentType'>): void {
  if (condition.ifMatch !== undefined) fields['if-match'] = condition.ifMatch;
  if (condition.ifNoneMatch !== undefined) fields['if-none-match'] = condition.ifNoneMatch;
  if (tier !== undefined) fields['x-ms-access-tier'] = tier;
  for (const key in metadata) fields[`x-ms-meta-${key.toLowerCase()}`] = metadata[key] as string;
}

/**
 * A blob's name as the path of a URL, the same as the SDK's clients make of it.
 * @throws BlobError INVALID for a name that the way to the service would change
 */
export function pathOf(name: string): string {
  requireName(name);
  if (/^[A-Za-z0-9/_.!~*()-]*$/.test(name)) return name;
  return encodeURIComponent(name).replaceAll('%2F', '/').replaceAll("'", '%27');
}

/** @throws BlobError INVALID for a name that the way to the service would change */
export function requireName(name: string): void {
  // A URL loses such segments, and then names another blob.
  if (name !== '' && !/(?:^|\/)\.{1,2}(?:\/|$)/.test(name)) return;
  throw new BlobError(`there is no way to the blob ${JSON.stringify(name)}: its name is not one for a URL`, {
    code: 'INVALID',
  });
}

function joined(sas: string, query: string): string {
  if (query === '') return sas;
  return sas === '' ? `?${query}` : `${sas}&${query}`;
}

/** The XML of a block list: the newest block of each ID, in this order. */
export function blockListXml(ids: readonly string[]): Buffer {
  const blocks = ids.map((id) => `<Latest>${id}</Latest>`).join('');
  return Buffer.from(`<?xml version="1.0" encoding="UTF-8" standalone="yes"?><BlockList>${blocks}</BlockList>`);
}

/** An answer that is an error; free of what was asked. */
export class RefusedError extends Error {
  readonly status: number;
  readonly headers: HttpHeaders;
  readonly body: string;
  /** Azure's own; it is in a header, or only in the body. */
  readonly azureCode: string | undefined;

  constructor({ status, headers, bodyAsText }: PipelineResponse) {
    super(`answer ${status}`);
    this.name = 'RefusedError';
    this.status = status;
    this.headers = headers;
    this.body = bodyAsText ?? '';
    this.azureCode = headers.get('x-ms-error-code') ?? /<Code>([^<]+)<\/Code>/.exec(this.body)?.[1];
  }
}
