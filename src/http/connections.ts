import type { Answer } from './answer-reader.ts';
import { Connection, type Exchange } from './connection.ts';

// More than are ever at work at once.
const MAX_IDLE = 256;

/** Connections to one server, kept alive; the last used is taken first, so that what is not needed falls away. */
export class Connections {
  readonly #host: string;
  readonly #port: number;
  readonly #secure: boolean;
  readonly #idleTimeout: number;
  readonly #idle: Connection[] = [];
  #session: Buffer | undefined;

  /** @param idleTimeout milliseconds without a byte in either direction after which a connection is given up */
  constructor(server: URL, idleTimeout: number) {
    this.#secure = server.protocol === 'https:';
    this.#host = server.hostname.replace(/^\[|\]$/g, '');
    this.#port = Number(server.port === '' ? (this.#secure ? 443 : 80) : server.port);
    this.#idleTimeout = idleTimeout;
  }

  /** As {@link Connection.exchange}, on a connection that is free or new. */
  async exchange(exchange: Exchange): Promise<Answer> {
    const connection = this.#take();
    try {
      return await connection.exchange(exchange);
    } finally {
      if (connection.usable) this.#keep(connection);
    }
  }

  /** Ends idle connections. Exchanges at work are not touched. */
  close(): void {
    for (const connection of this.#idle.splice(0)) connection.close();
  }

  #take(): Connection {
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) {
      if (idle.usable) return idle;
    }
    return new Connection({
      host: this.#host,
      port: this.#port,
      secure: this.#secure,
      session: this.#session,
      idleTimeout: this.#idleTimeout,
      onSession: (session) => {
        this.#session = session;
      },
      onClosed: (connection) => this.#forget(connection),
    });
  }

  #keep(connection: Connection): void {
    if (this.#idle.length < MAX_IDLE) this.#idle.push(connection);
    else connection.close();
  }

  #forget(connection: Connection): void {
    const at = this.#idle.indexOf(connection);
    if (at !== -1) this.#idle.splice(at, 1);
  }
}
