import { randomBytes } from 'node:crypto';
import { lstat, rename, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { OperatorError } from '../errors.ts';
import type { Log } from '../log.ts';
import { serveConnection } from './connection.ts';
import { isAnswering } from './probe.ts';
import { withAddress } from './socket-path.ts';
import { inTurn } from './turn.ts';

/** Carries out an operation; what it returns is the reply's result, plain JSON. Errors become the reply's error. */
export type ControlHandler = (args: Readonly<Record<string, unknown>>) => unknown;

export interface ControlOptions {
  /** Where the socket is made; it must exist. */
  readonly directory: string;
  /** From `socketName`. */
  readonly name: string;
  /** Of this program, for clients that speak another version of the protocol. */
  readonly version: string;
  readonly handlers: Readonly<Record<string, ControlHandler>>;
  readonly log: Log;
}

/** More clients than this at the same time are turned away. */
const CONNECTIONS = 32;

/**
 * A service's control socket: only its own user (and root) may connect. It never keeps the process alive.
 */
export class ControlServer {
  readonly path: string;
  readonly #server: Server;
  readonly #sockets: ReadonlySet<Socket>;
  readonly #inode: bigint;

  /**
   * Opens it. A socket that a dead process left behind is replaced.
   * @throws OperatorError (exit `locked`) when another process answers there
   */
  static async open(options: ControlOptions): Promise<ControlServer> {
    const { directory, name } = options;
    const sockets = new Set<Socket>();
    const server = newServer(options, sockets);
    // Bound under another name first: under its own it answers from its first moment on.
    const draft = `.${randomBytes(6).toString('hex')}.sock`;
    const path = join(directory, name);
    await withAddress(directory, draft, (address) => listen(server, address));
    try {
      const { ino } = await lstat(join(directory, draft), { bigint: true });
      await inTurn(directory, name, () => publish(directory, draft, name));
      return new ControlServer(path, server, sockets, ino);
    } catch (error) {
      server.close();
      throw error;
    } finally {
      await rm(join(directory, draft), { force: true });
    }
  }

  private constructor(path: string, server: Server, sockets: ReadonlySet<Socket>, inode: bigint) {
    this.path = path;
    this.#server = server;
    this.#sockets = sockets;
    this.#inode = inode;
  }

  /** Ends all connections and removes the socket, unless another service has taken its place. */
  async close(): Promise<void> {
    const isOurs = await lstat(this.path, { bigint: true }).then(
      ({ ino }) => ino === this.#inode,
      () => false,
    );
    if (isOurs) await rm(this.path, { force: true });
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

function newServer(options: ControlOptions, sockets: Set<Socket>): Server {
  // A client that has sent all it wants to say still gets its replies.
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    if (sockets.size >= CONNECTIONS) {
      socket.destroy();
      return;
    }
    sockets.add(socket);
    socket.unref();
    socket.once('close', () => sockets.delete(socket));
    serveConnection(socket, options);
  });
  server.unref();
  return server;
}

/** With access for its owner alone from the first moment on: the mask counts while the socket is bound, which is at once. */
function listen(server: Server, address: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    const mask = process.umask(0o177);
    try {
      server.listen(address, () => {
        server.off('error', reject);
        server.on('error', () => {});
        resolve();
      });
    } finally {
      process.umask(mask);
    }
  });
}

/** Gives the socket its name, which a dead one may still have. */
async function publish(directory: string, draft: string, name: string): Promise<void> {
  if (await isAnswering(directory, name)) throw taken(directory, name);
  await rename(join(directory, draft), join(directory, name));
}

function taken(directory: string, name: string): OperatorError {
  return new OperatorError(`another process answers at the control socket ${join(directory, name)}`, {
    code: 'CONTROL_SOCKET_TAKEN',
    exit: 'locked',
    hint: 'The same service is at work already: stop it first, or give this one another `run_dir`.',
  });
}
