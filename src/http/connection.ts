import net from 'node:net';
import tls from 'node:tls';
import { type Answer, AnswerReader, type AnswerReaderOptions, ReadScratch, TruncatedError } from './answer-reader.ts';

export interface ConnectionOptions {
  readonly host: string;
  readonly port: number;
  /** Whether TLS is spoken; certificates are checked against Node's authorities. */
  readonly secure: boolean;
  /** A TLS session to take up again. */
  readonly session?: Buffer | undefined;
  /** Called with TLS sessions that later connections may take up again. */
  readonly onSession?: ((session: Buffer) => void) | undefined;
  /**
   * Milliseconds without a byte in either direction after which the connection is given up; and twice in a row with
   * hardly any of an answer.
   */
  readonly idleTimeout: number;
  /** Called once when the connection can't be used any more. */
  readonly onClosed: (connection: Connection) => void;
}

export interface Exchange extends AnswerReaderOptions {
  /** Request line and fields, with the empty line after them; latin1. See {@link requestHead}. */
  readonly head: string;
  /** Must not be changed before the promise settles. */
  readonly body?: Uint8Array | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Nothing came or went for too long. */
export class StalledError extends Error {
  readonly code = 'STALLED';

  constructor(idle: number, what = 'no byte came or went for') {
    super(`${what} ${idle / 1000} seconds`);
    this.name = 'StalledError';
  }
}

class ClosedError extends Error {
  readonly code = 'ECONNRESET';

  constructor() {
    super('the connection was closed');
    this.name = 'ClosedError';
  }
}

// An answer that comes slower than this, in bytes per idle timeout, takes its place from others for nothing.
const LEAST_PROGRESS = 16 << 10;
// Up to here head and body are put together: one write, one packet or two.
const JOINED = 24 << 10;
// TLS encrypts what a write holds as a whole, into new memory: in pieces it stays in the processor's cache.
const TLS_PIECE = 256 << 10;

interface Active {
  readonly exchange: Exchange;
  readonly reader: AnswerReader;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (reason: unknown) => void;
  readonly onAbort: (() => void) | undefined;
  /** Bytes since progress was looked at last. */
  received: number;
}

/**
 * One connection to a server, for one exchange after the other. What arrives is read right into the buffer that it is
 * meant for: the socket allocates nothing, and a read takes as much as the kernel has.
 */
export class Connection {
  readonly #options: ConnectionOptions;
  readonly #socket: net.Socket;
  readonly #scratch = new ReadScratch();
  #joined: Buffer | undefined;
  #active: Active | undefined;
  #usable = true;
  #progress: NodeJS.Timeout | undefined;
  /** The exchange that was at work when progress was looked at last, how much it had got, and how often too little. */
  #watched: Active | undefined;
  #slow = 0;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    const { host, port } = options;
    const onread = { buffer: () => this.#room(), callback: (bytes: number) => this.#received(bytes) };
    this.#socket = options.secure
      ? tls.connect({
          host,
          port,
          onread,
          ALPNProtocols: ['http/1.1'],
          ...(net.isIP(host) === 0 ? { servername: host } : {}),
          ...(options.session === undefined ? {} : { session: options.session }),
        } as tls.ConnectionOptions)
      : net.connect({ host, port, onread });
    const socket = this.#socket;
    socket.setNoDelay(true);
    socket.setTimeout(options.idleTimeout);
    socket.on('timeout', () => this.#end(new StalledError(options.idleTimeout)));
    socket.on('error', (error) => this.#end(error));
    socket.on('end', () => this.#ended());
    socket.on('close', () => this.#end(new ClosedError()));
    if (options.onSession !== undefined) socket.on('session', options.onSession);
  }

  /** Whether an exchange may begin: none is at work, and the last one left the connection whole. */
  get usable(): boolean {
    return this.#usable && this.#active === undefined;
  }

  /**
   * Sends a request and reads its answer. Whatever goes wrong ends the connection, an abort too; nothing is sent again.
   * Buffers are the caller's own again as soon as the promise settles.
   * Rejects with errors of the socket, StalledError, TruncatedError, MalformedAnswerError, or the signal's reason.
   */
  exchange(exchange: Exchange): Promise<Answer> {
    const { signal } = exchange;
    if (signal?.aborted === true) return Promise.reject(signal.reason);
    if (!this.usable) return Promise.reject(new ClosedError());
    return new Promise((resolve, reject) => {
      const onAbort = signal === undefined ? undefined : () => this.#end(signal.reason);
      const reader = new AnswerReader(this.#scratch, exchange);
      this.#active = { exchange, reader, resolve, reject, onAbort, received: 0 };
      if (onAbort !== undefined) signal?.addEventListener('abort', onAbort);
      this.#progress ??= setInterval(() => this.#lookAtProgress(), this.#options.idleTimeout).unref();
      this.#write(exchange);
    });
  }

  /** Ends the connection; an exchange at work fails. */
  close(): void {
    this.#end(new ClosedError());
  }

  #write({ head, body }: Exchange): void {
    const socket = this.#socket;
    const size = body?.length ?? 0;
    if (body === undefined || size === 0) {
      socket.write(head, 'latin1');
    } else if (head.length + size <= JOINED) {
      this.#joined ??= Buffer.allocUnsafeSlow(JOINED);
      this.#joined.write(head, 'latin1');
      this.#joined.set(body, head.length);
      socket.write(this.#joined.subarray(0, head.length + size));
    } else if (this.#options.secure) {
      socket.write(head, 'latin1');
      this.#writePieces(body, 0);
    } else {
      socket.cork();
      socket.write(head, 'latin1');
      socket.write(body);
      socket.uncork();
    }
  }

  #writePieces(body: Uint8Array, from: number): void {
    const piece = body.subarray(from, from + TLS_PIECE);
    const next = from + piece.length;
    if (next >= body.length) this.#socket.write(piece);
    else
      this.#socket.write(piece, () => {
        if (!this.#socket.destroyed) this.#writePieces(body, next);
      });
  }

  /** Where the socket puts what it reads next. */
  #room(): Buffer {
    return this.#active?.reader.room() ?? this.#scratch.buffer;
  }

  /** @returns whether to go on reading */
  #received(bytes: number): boolean {
    const active = this.#active;
    if (active === undefined) {
      // Nobody asked: a server's farewell.
      this.#end(new ClosedError());
      return false;
    }
    active.received += bytes;
    try {
      active.reader.received(bytes);
      if (active.reader.answer !== undefined) this.#answered(active, active.reader.answer);
    } catch (error) {
      this.#end(error);
    }
    return this.#usable;
  }

  /** While a request is being sent, the socket's own timeout is enough: it counts what the server takes. */
  #lookAtProgress(): void {
    const active = this.#active;
    const slow = active !== undefined && active === this.#watched && active.received < LEAST_PROGRESS;
    this.#slow = slow && this.#socket.writableLength === 0 ? this.#slow + 1 : 0;
    this.#watched = active;
    if (active !== undefined) active.received = 0;
    const { idleTimeout } = this.#options;
    if (this.#slow >= 2) this.#end(new StalledError(2 * idleTimeout, `fewer than ${2 * LEAST_PROGRESS} bytes came in`));
  }

  #answered(active: Active, answer: Answer): void {
    // An answer that comes before all of the request has gone is a refusal: the rest is not wanted.
    const sent = this.#socket.writableLength === 0;
    if (!answer.keepAlive || !sent || active.reader.surplus) this.#retire();
    this.#settle();
    active.resolve(answer);
  }

  #ended(): void {
    const active = this.#active;
    if (active === undefined || !active.reader.begun) {
      this.#end(new ClosedError());
      return;
    }
    try {
      active.reader.ended();
      const { answer } = active.reader;
      this.#retire();
      this.#settle();
      if (answer === undefined) active.reject(new TruncatedError(0));
      else active.resolve({ ...answer, keepAlive: false });
    } catch (error) {
      this.#end(error);
    }
  }

  /** Takes the exchange off; its promise is the caller's to settle. */
  #settle(): void {
    const active = this.#active;
    this.#active = undefined;
    if (active?.onAbort !== undefined) active.exchange.signal?.removeEventListener('abort', active.onAbort);
  }

  #retire(): void {
    if (!this.#usable) return;
    this.#usable = false;
    clearInterval(this.#progress);
    // Nothing is read or written from here on: buffers are free.
    this.#socket.destroy();
    this.#options.onClosed(this);
  }

  #end(reason: unknown): void {
    const active = this.#active;
    this.#retire();
    this.#settle();
    active?.reject(reason);
  }
}
