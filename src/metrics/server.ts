import { chmod, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { isIP } from 'node:net';
import { OperatorError } from '../service/errors.ts';

/** Where metrics are served: on loopback, or at a Unix socket. */
export type ListenAddress = { readonly host: string; readonly port: number } | { readonly path: string };

/**
 * Reads `127.0.0.1:9470`, `[::1]:9470`, `localhost:9470` or `unix:/run/lfsazsync/metrics.sock`.
 * @throws OperatorError for anything else, addresses that others can reach included
 */
export function parseListenAddress(text: string): ListenAddress {
  if (/^unix:\/./.test(text)) return { path: text.slice('unix:'.length) };
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2] ?? '';
  const port = Number(match?.[3]);
  const loopback = host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
  if (match !== null && loopback && port <= 65_535) return { host, port };
  throw new OperatorError(`metrics can't be served at ${JSON.stringify(text)}`, {
    code: 'LISTEN_ADDRESS',
    hint: 'Name a loopback address with a port, such as 127.0.0.1:9470, or a socket as unix:/run/lfsazsync/metrics.sock. A proxy can pass it on.',
    exit: 'usage',
  });
}

const TEXT = { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' };

/** Serves `/metrics`, made anew for each request; those that come meanwhile share it. Resolves when it listens. */
export async function serveMetrics(address: ListenAddress, make: () => Promise<string>): Promise<Server> {
  let making: Promise<string> | undefined;
  const shared = () => {
    making ??= make().finally(() => {
      making = undefined;
    });
    return making;
  };
  const server = createServer({ requestTimeout: 10_000, headersTimeout: 10_000 }, (request, response) => {
    const known = request.url === '/metrics' || request.url === '/';
    if (!known || (request.method !== 'GET' && request.method !== 'HEAD')) {
      response.writeHead(known ? 405 : 404, TEXT).end();
      return;
    }
    shared().then(
      (text) => response.writeHead(200, TEXT).end(request.method === 'HEAD' ? undefined : text),
      (error: Error) => response.writeHead(500, TEXT).end(`# ${error.message.replaceAll('\n', ' ')}\n`),
    );
  });
  server.maxConnections = 32;
  if ('path' in address) await rm(address.path, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) =>
      reject(
        new OperatorError(`metrics can't be served: ${cause.message}`, {
          code: 'LISTEN_FAILED',
          hint: 'Is another process there? Choose another address.',
          cause,
        }),
      ),
    );
    server.listen(address, () => resolve());
  });
  if ('path' in address) await chmod(address.path, 0o660);
  return server;
}
