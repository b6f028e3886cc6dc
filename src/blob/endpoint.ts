import { type BlobError, type BlobErrorCode, isOutage } from './errors.ts';

/** What a request does, as far as an outage can be of one kind only: a storage account may be readable and no more. */
export type RequestKind = 'read' | 'write';

/** Times in milliseconds. */
export interface EndpointPacing {
  readonly firstDelay: number;
  readonly maxDelay: number;
}

/** What became of an endpoint. A plain object: it may be sent from thread to thread. */
export type EndpointEvent =
  | {
      readonly state: 'down';
      /** Of the first failure; milliseconds since 1970. */
      readonly since: number;
      readonly code: BlobErrorCode;
      readonly reason: string;
      readonly hint: string | undefined;
    }
  | { readonly state: 'up'; readonly since: number /** Milliseconds. */; readonly lasted: number };

/** How it is now, for status and metrics. */
export interface EndpointHealth {
  readonly state: 'up' | 'down';
  /** Of the first failure of an outage; milliseconds since 1970. */
  readonly since: number | undefined;
  readonly reason: string | undefined;
  /** Requests that wait for it. */
  readonly waiting: number;
}

interface Waiter {
  readonly go: () => void;
}

/** So many failures in a row, with no answer in between, make an outage; a refused credential refuses everybody at once. */
const FAILURES_OF_AN_OUTAGE: Readonly<Record<string, number>> = { AUTH: 1, THROTTLED: 64 };
const FAILURES = 3;
/** Milliseconds without any answer, and with some failures, that make an outage in any case. */
const LONG = 30_000;
/** Milliseconds between two tries with a refused credential, at most: its file is looked at as often. */
const LONGEST_WAIT_FOR_SECRET = 5_000;
/** Node takes longer ones for 1 ms. */
const LONGEST_TIMER = 2 ** 31 - 1;

/**
 * What one store knows of its endpoint: whether it answers at all, or fails for whatever is asked of it. While it does
 * not answer, one request at a time goes out, at growing intervals, however many wait; the first answer lets all go.
 */
export class Endpoint {
  readonly #pacing: EndpointPacing;
  readonly #probe: () => Promise<unknown>;
  readonly #tell: (event: EndpointEvent) => void;
  readonly #answers: Record<RequestKind, number> = { read: 0, write: 0 };
  readonly #waiters = new Set<Waiter>();
  #failures = 0;
  #since: number | undefined;
  /** The same moment by the clock that nobody sets. */
  #began = 0;
  #error: BlobError | undefined;
  #down = false;
  #told = false;
  #turns = 0;
  /** By performance.now(). */
  #notBefore = 0;
  #stopped = false;
  #timer: NodeJS.Timeout | undefined;

  /** @param probe a request that shows whether it answers, for when nobody waits; its rejection is not looked at */
  constructor(pacing: EndpointPacing, probe: () => Promise<unknown>, tell: (event: EndpointEvent) => void) {
    this.#pacing = pacing;
    this.#probe = probe;
    this.#tell = tell;
  }

  get down(): boolean {
    return this.#down;
  }

  get health(): EndpointHealth {
    return {
      state: this.#down ? 'down' : 'up',
      since: this.#down ? this.#since : undefined,
      reason: this.#down ? this.#error?.message : undefined,
      waiting: this.#waiters.size,
    };
  }

  /** How many requests of a kind have been answered so far, well or not. */
  answers(kind: RequestKind): number {
    return this.#answers[kind];
  }

  /** A request was answered: by what it asked for, or by an error that is about it alone. */
  answered(kind: RequestKind): void {
    this.#answers[kind] += 1;
    this.#failures = 0;
    const since = this.#since;
    this.#since = undefined;
    if (!this.#down) return;
    this.#down = false;
    this.#error = undefined;
    this.#clear();
    if (this.#told && since !== undefined) this.#tell({ state: 'up', since, lasted: performance.now() - this.#began });
    this.#told = false;
    for (const { go } of [...this.#waiters]) go();
  }

  /** A request failed; errors that are about the request alone are answers. */
  failed(error: BlobError, kind: RequestKind): void {
    if (!isOutage(error)) {
      this.answered(kind);
      return;
    }
    if (this.#since === undefined) {
      this.#since = Date.now();
      this.#began = performance.now();
    }
    this.#error = error;
    this.#failures += 1;
    if (error.retryAfter !== undefined) {
      this.#notBefore = performance.now() + Math.min(error.retryAfter, 10 * this.#pacing.maxDelay);
    }
    if (this.#down) {
      // A blip is over with the first try after it; what fails then, too, is told.
      if (this.#turns > 0) this.#announce(error);
    } else if (this.#isOutage(error)) {
      this.#down = true;
      this.#turns = 0;
      this.#schedule();
    }
  }

  /** Resolves when a request may go out: now, or during an outage when it is its turn, when it is over, or at `until`. */
  ready(signal: AbortSignal | undefined, until: number): Promise<void> {
    signal?.throwIfAborted();
    if (!this.#down) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiters.delete(waiter);
        clearTimeout(late);
        signal?.removeEventListener('abort', stopped);
      };
      const waiter: Waiter = {
        go: () => {
          leave();
          resolve();
        },
      };
      const stopped = () => {
        leave();
        reject(signal?.reason);
      };
      const late = setTimeout(waiter.go, Math.min(Math.max(until - performance.now(), 0), LONGEST_TIMER));
      signal?.addEventListener('abort', stopped, { once: true });
      this.#waiters.add(waiter);
      this.#timer?.ref();
    });
  }

  /** Something was done about it, such as a new credential: the next try is now. */
  nudge(): void {
    if (!this.#down || this.#stopped) return;
    this.#clear();
    this.#turn();
  }

  /** Nothing is tried by itself from here on. Whoever waits is ended by its own signal. */
  stop(): void {
    this.#stopped = true;
    this.#clear();
  }

  #clear(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #isOutage(error: BlobError): boolean {
    if (this.#failures >= (FAILURES_OF_AN_OUTAGE[error.code] ?? FAILURES)) return true;
    return this.#failures >= FAILURES && performance.now() - this.#began >= LONG;
  }

  #announce(error: BlobError): void {
    if (this.#told || this.#since === undefined) return;
    this.#told = true;
    this.#tell({ state: 'down', since: this.#since, code: error.code, reason: error.message, hint: error.hint });
  }

  #schedule(): void {
    if (this.#stopped) return;
    const { firstDelay, maxDelay } = this.#pacing;
    const longest = this.#error?.code === 'AUTH' ? Math.min(maxDelay, LONGEST_WAIT_FOR_SECRET) : maxDelay;
    const ceiling = Math.min(longest, firstDelay * 2 ** Math.min(this.#turns, 30));
    const delay = Math.max(ceiling / 2 + Math.random() * (ceiling / 2), this.#notBefore - performance.now());
    this.#timer = setTimeout(() => this.#turn(), Math.min(delay, LONGEST_TIMER));
    if (this.#waiters.size === 0) this.#timer.unref();
  }

  #turn(): void {
    this.#turns += 1;
    this.#schedule();
    const [first] = this.#waiters;
    if (first !== undefined) first.go();
    else this.#probe().catch(() => {});
  }
}
