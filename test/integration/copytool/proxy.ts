import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

/** What is done to a request: passed on (undefined), held for ever, or answered with this status. */
export type Verdict = undefined | 'stall' | { readonly status: number; readonly code: string };

/** Stands between the product and the endpoint, passes requests on, and holds those back that a rule says. */
export class StallingProxy {
  readonly #server: Server;
  readonly #target: URL;
  readonly #sockets = new Set<Socket>();
  /** Requests that were held back so far. */
  stalled = 0;
  rule: (request: IncomingMessage) => Verdict = () => undefined;

  private constructor(server: Server, target: URL) {
    this.#server = server;
    this.#target = target;
  }

  static async start(connectionString: string): Promise<StallingProxy> {
    const target = new URL(/BlobEndpoint=([^;]+)/.exec(connectionString)?.[1] ?? '');
    const server = createServer();
    const proxy = new StallingProxy(server, target);
    server.on('connection', (socket) => {
      proxy.#sockets.add(socket);
      socket.on('close', () => proxy.#sockets.delete(socket));
    });
    server.on('request', (incoming, outgoing) => proxy.#pass(incoming, outgoing));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  /** The connection string that leads through the proxy. */
  through(connectionString: string): string {
    const { port } = this.#server.address() as AddressInfo;
    return connectionString.replace(this.#target.host, `127.0.0.1:${port}`);
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #pass(incoming: IncomingMessage, outgoing: ServerResponse): void {
    const verdict = this.rule(incoming);
    if (verdict === 'stall') {
      this.stalled += 1;
      incoming.resume();
      return;
    }
    if (verdict !== undefined) {
      incoming.resume();
      outgoing.writeHead(verdict.status, { 'x-ms-error-code': verdict.code, 'content-length': 0 }).end();
      return;
    }
    // The signature covers the path, not the host.
    const { hostname, port } = this.#target;
    const onward = request(
      { hostname, port, method: incoming.method, path: incoming.url, headers: incoming.headers },
      (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.rawHeaders);
        answer.pipe(outgoing);
      },
    );
    onward.on('error', () => outgoing.destroy());
    outgoing.on('close', () => onward.destroy());
    incoming.pipe(onward);
  }
}
