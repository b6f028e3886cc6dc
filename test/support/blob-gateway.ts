import { createHash } from 'node:crypto';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ContainerClient } from '@azure/storage-blob';
import { crc64Header, loadCrc64 } from '../../src/checksum/crc64.ts';

/** A request on its way to the endpoint. */
export interface GatewayRequest {
  readonly method: string;
  /** Path and query, as sent. */
  readonly url: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
  /** What it is, in the terms of the REST reference: `Put Block`, `Get Blob`, … */
  readonly operation: string;
}

/** What the gateway does with a request in place of passing it on and back. */
export type Interference =
  /** The request never reaches the endpoint. */
  | { readonly answer: { status: number; code?: string; headers?: Record<string, string>; body?: string } }
  /** The endpoint carries it out, and the connection is cut before the answer. */
  | 'lose-answer'
  /** The connection is cut before the endpoint sees anything. */
  | 'cut'
  /** Nothing happens for ever. */
  | 'stall'
  /** The answer's body ends after so many bytes, and the connection with it. */
  | { readonly truncate: number }
  /** The answer's body stops after so many bytes, and the connection stays open. */
  | { readonly stallAfter: number }
  /** A bit of the body is turned over on the way there, or on the way back. */
  | { readonly corrupt: 'request' | 'answer' }
  /** The answer's headers are changed; undefined takes one away. */
  | { readonly headers: Readonly<Record<string, string | undefined>> };

export interface BlobGateway {
  /** In place of the endpoint's. */
  readonly endpoint: string;
  readonly requests: GatewayRequest[];
  /** Asked for every request; undefined passes it on. */
  interfere: (request: GatewayRequest, number: number) => Interference | undefined | Promise<Interference | undefined>;
  stop(): Promise<void>;
}

/**
 * A reverse proxy before Azurite that fails on demand, and checks what Azurite does not: like the service, it refuses
 * a body whose `x-ms-content-crc64` is not its CRC64.
 */
export async function startGateway(target: string): Promise<BlobGateway> {
  const { origin, pathname } = new URL(target);
  const crc64 = await loadCrc64();
  const stalled = new Set<ServerResponse>();

  const handle = async (incoming: IncomingMessage, outgoing: ServerResponse) => {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    let body: Buffer = Buffer.concat(chunks);
    const { method = 'GET', url = '/', headers } = incoming;
    const request = { method, url, headers, body, operation: operationOf(method, url) };
    gateway.requests.push(request);
    const what = await gateway.interfere(request, gateway.requests.length);
    if (what === 'cut') return void outgoing.destroy();
    if (what === 'stall') return void stalled.add(outgoing);
    if (typeof what === 'object' && 'answer' in what) return void refuse(outgoing, what.answer);
    if (typeof what === 'object' && 'corrupt' in what && what.corrupt === 'request') body = corrupted(body);
    const declared = headers['x-ms-content-crc64'];
    if (declared !== undefined && declared !== crc64Header(crc64.of(body))) {
      return void refuse(outgoing, { status: 400, code: 'Crc64Mismatch' });
    }
    const answer = await forward(origin, { ...request, body });
    if (what === 'lose-answer') return void outgoing.destroy();
    const changed =
      typeof what === 'object' && 'headers' in what ? { ...answer.headers, ...what.headers } : answer.headers;
    for (const [name, value] of Object.entries(changed)) if (value === undefined) delete changed[name];
    outgoing.writeHead(answer.status, changed);
    if (typeof what === 'object' && 'truncate' in what) {
      outgoing.write(answer.body.subarray(0, what.truncate), () => outgoing.destroy());
    } else if (typeof what === 'object' && 'stallAfter' in what) {
      stalled.add(outgoing);
      outgoing.write(answer.body.subarray(0, what.stallAfter));
    } else if (typeof what === 'object' && 'corrupt' in what && what.corrupt === 'answer') {
      outgoing.end(corrupted(answer.body));
    } else {
      outgoing.end(answer.body);
    }
  };

  const server = http.createServer((incoming, outgoing) => {
    handle(incoming, outgoing).catch(() => outgoing.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const gateway: BlobGateway = {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}${pathname}`,
    requests: [],
    interfere: () => undefined,
    async stop() {
      for (const response of stalled) response.destroy();
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
  return gateway;
}

function corrupted(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  if (copy.length > 0) copy.writeUInt8(copy.readUInt8(copy.length >> 1) ^ 0x10, copy.length >> 1);
  return copy;
}

function operationOf(method: string, url: string): string {
  const query = new URL(url, 'http://x').searchParams;
  const comp = query.get('comp');
  if (query.get('restype') !== null) return `${method} ${query.get('restype')} ${comp ?? ''}`.trim();
  if (method === 'GET') return 'Get Blob';
  if (method === 'HEAD') return 'Get Blob Properties';
  if (method === 'DELETE') return 'Delete Blob';
  const names: Record<string, string> = {
    block: 'Put Block',
    blocklist: 'Put Block List',
    metadata: 'Set Blob Metadata',
    tier: 'Set Blob Tier',
  };
  return comp === null ? 'Put Blob' : (names[comp] ?? comp);
}

function refuse(
  outgoing: ServerResponse,
  {
    status,
    code,
    headers,
    body = '',
  }: { status: number; code?: string; headers?: Record<string, string>; body?: string },
): void {
  outgoing.writeHead(status, { ...headers, ...(code === undefined ? {} : { 'x-ms-error-code': code }) });
  outgoing.end(body);
}

async function forward(
  origin: string,
  request: GatewayRequest,
): Promise<{ status: number; headers: http.IncomingHttpHeaders; body: Buffer }> {
  const { host: _host, ...headers } = request.headers;
  return new Promise((resolve, reject) => {
    const url = new URL(origin);
    const client = http.request(
      // The path as it came: a parsed URL would be normalised.
      {
        hostname: url.hostname,
        port: url.port,
        method: request.method,
        path: request.url,
        headers: { ...headers, host: url.host },
        agent: false,
      },
      (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('end', () =>
          resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(chunks) }),
        );
        answer.on('error', reject);
      },
    );
    client.on('error', reject);
    client.end(request.body);
  });
}

/** SHA-256, to compare large contents in a message that can be read. */
export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/**
 * What the service does with blobs in the Archive tier, and Azurite does not: nothing can be changed, written over or
 * staged for them.
 */
export function keepingTheArchiveTier(container: ContainerClient): BlobGateway['interfere'] {
  return async ({ method, url, operation }) => {
    if (method !== 'PUT' || operation === 'Set Blob Tier' || operation === 'lease') return undefined;
    const [, , , ...segments] = new URL(url, 'http://x').pathname.split('/');
    const client = container.getBlobClient(decodeURIComponent(segments.join('/')));
    const there = (await client.exists()) ? await client.getProperties() : undefined;
    return there?.accessTier === 'Archive' ? { answer: { status: 409, code: 'BlobArchived' } } : undefined;
  };
}
