import type { Pipeline, PipelineRequest, PipelineResponse } from '@azure/core-rest-pipeline';
import { RestError } from '@azure/storage-blob';
import { crc64Header } from '../checksum/crc64.ts';
import type { BodyTarget } from '../http/answer-reader.ts';
import { BlobError } from './errors.ts';
import type { LeanHttpClient, TransferRequest } from './http-client.ts';
import type { BlobMetadata } from './metadata.ts';
import { PlainHeaders } from './request-headers.ts';

/**
 * The requests of the data path: Put Blob, Put Block, Put Block List, ranges of Get Blob, Get Blob Properties. They are
 * put together here by hand and go through what is left of the SDK's pipeline: the policy that signs, or none with a SAS.
 * The SDK's clients spend four times the CPU of a small upload on it. Everything else is spoken by those clients.
 * Rejects with the SDK's RestError, as they do.
 * https://learn.microsoft.com/rest/api/storageservices/operations-on-blobs
 */

/** State that a blob must be in. */
export interface RequestCondition {
  readonly ifMatch?: string;
  readonly ifNoneMatch?: string;
}

export interface HotOptions {
  readonly pipeline: Pipeline;
  readonly http: LeanHttpClient;
  /** Of the container, without query. */
  readonly url: string;
  /** The SAS; undefined where requests are signed. */
  readonly query: string | undefined;
  /** `x-ms-version` of the SDK's clients. */
  readonly version: string;
  readonly userAgent: string;
}

export interface WriteFields {
  readonly condition: RequestCondition;
  readonly metadata: BlobMetadata;
  readonly contentType: string;
  readonly tier?: string | undefined;
}

export interface RangeAsked {
  readonly ifMatch: string;
  /** First and last byte; undefined for the whole blob. */
  readonly range: readonly [number, number] | undefined;
  /** Called with the headers of the answer: where the bytes go. What it throws ends the request. */
  readonly target: (headers: PlainHeaders) => BodyTarget;
}

type Fields = Record<string, string>;

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

  async #write(name: string, query: string, fields: Fields, body: Uint8Array, signal?: AbortSignal): Promise<Written> {
    const { headers } = await this.#send('PUT', name, query, fields, { body, signal, success: [201] });
    return { etag: headers.get('etag') ?? '' };
  }

  async #send(
    method: 'GET' | 'HEAD' | 'PUT',
    name: string,
    query: string,
    fields: Fields,
    rest: {
      readonly body?: Uint8Array;
      readonly signal: AbortSignal | undefined;
      readonly target?: RangeAsked['target'];
      readonly success: readonly number[];
    },
  ): Promise<PipelineResponse> {
    const { pipeline, http, url, version, userAgent } = this.#options;
    fields['x-ms-version'] = version;
    fields['user-agent'] = userAgent;
    // Signed with what is in it; the HTTP client would say the same.
    if (rest.body !== undefined) fields['content-length'] = String(rest.body.length);
    const { signal, target, body } = rest;
    const request: TransferRequest = {
      url: `${url}/${pathOf(name)}${joined(this.#query, query)}`,
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
    const response = await pipeline.sendRequest(http, request);
    if (!rest.success.includes(response.status)) throw refused(request, response);
    return response;
  }
}

interface Written {
  readonly etag: string;
}

function addWriteFields(fields: Fields, { condition, metadata, contentType, tier }: WriteFields): void {
  if (condition.ifMatch !== undefined) fields['if-match'] = condition.ifMatch;
  if (condition.ifNoneMatch !== undefined) fields['if-none-match'] = condition.ifNoneMatch;
  fields['x-ms-blob-content-type'] = contentType;
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

/** As the SDK's clients say it. The code is in a header, or only in the body. */
function refused(request: PipelineRequest, response: PipelineResponse): RestError {
  const { status } = response;
  const code = response.headers.get('x-ms-error-code') ?? /<Code>([^<]+)<\/Code>/.exec(response.bodyAsText ?? '')?.[1];
  return new RestError(`answer ${status}`, {
    statusCode: status,
    request,
    response,
    ...(code === undefined ? {} : { code }),
  });
}
