import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { OperatorError } from '../service/errors.ts';
import { controlName } from './control.ts';
import { isBlobError } from './errors.ts';
import { reservedName } from './naming.ts';
import { readSmallBlob } from './small-blob.ts';
import type { BlobStore } from './store.ts';

/** Who follows: what a second follower is told. */
export interface Holder {
  readonly host: string;
  readonly pid: number;
  /** ISO 8601. */
  readonly since: string;
}

export interface LeaseOptions {
  readonly holder: Holder;
  /** How long it outlives a holder that died, seconds, 15 to 60; default 30. */
  readonly seconds?: number;
  /** That of a process of this machine which is known to be dead: its lease is taken over. Otherwise a new one. */
  readonly id?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told of a renewal that failed and is tried again. */
  readonly onTrouble?: (error: unknown) => void;
}

const DEFAULT_SECONDS = 30;
/** Of the time that is left, kept for work that is just ending, milliseconds. */
const MARGIN_MS = 3_000;
const MAX_HOLDER_BYTES = 4096;

/** Why work under a lease is stopped: the reason of its signal. */
export class LeaseLostError extends Error {
  /** It ran out, since the service could not be reached in time: nobody need have it. Otherwise it was taken away. */
  readonly late: boolean;

  constructor(message: string, { late, cause }: { late: boolean; cause?: unknown }) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'LeaseLostError';
    this.late = late;
  }
}

/**
 * The lease on the control blob: whoever has it is the only one that moves and removes what is in the container. It is
 * renewed in the background; when that fails for too long, or somebody has broken it, `lost` is aborted before another
 * can have it. Conditions on every write remain what protects the data: a process may be stopped for any time between
 * a look at `lost` and its request.
 */
export class ContainerLease {
  readonly #store: BlobStore;
  readonly #name: string;
  readonly #id: string;
  readonly #milliseconds: number;
  readonly #onTrouble: (error: unknown) => void;
  readonly #lost = new AbortController();
  readonly #ended = new AbortController();
  #renewing: Promise<void>;
  /** By performance.now(): it ends then unless it is renewed. Counted from before the request. */
  #until: number;

  /**
   * Takes the lease. @throws OperatorError FOLLOWER_RUNNING with the holder's name, when another one has it;
   * CONTROL_MISSING when the container has no control blob
   */
  static async take(store: BlobStore, options: LeaseOptions): Promise<ContainerLease> {
    const { seconds = DEFAULT_SECONDS, signal, id = randomUUID() } = options;
    const name = controlName(store.prefix);
    const asked = performance.now();
    try {
      await store.lease(name, id, { seconds }, signal);
    } catch (error) {
      if (isBlobError(error, 'LEASED')) throw await held(store, seconds, signal);
      if (!isBlobError(error, 'NOT_FOUND')) throw error;
      throw new OperatorError(`${where(store)} has no control blob`, {
        code: 'CONTROL_MISSING',
        hint: 'Run `lfsazsync setup`: it says whose container this is.',
      });
    }
    const lease = new ContainerLease(store, name, id, asked, { ...options, seconds });
    try {
      await writeHolder(store, options.holder, signal);
    } catch (error) {
      await lease.release();
      throw error;
    }
    return lease;
  }

  private constructor(
    store: BlobStore,
    name: string,
    id: string,
    asked: number,
    { seconds, onTrouble }: LeaseOptions & { readonly seconds: number },
  ) {
    this.#store = store;
    this.#name = name;
    this.#id = id;
    this.#milliseconds = seconds * 1000;
    this.#onTrouble = onTrouble ?? (() => undefined);
    this.#until = asked + this.#milliseconds;
    this.#renewing = this.#renewOn();
  }

  /** What the lease is known by, for whoever takes it over after this process's death. */
  get id(): string {
    return this.#id;
  }

  /** Aborted, with a {@link LeaseLostError}, as soon as the lease may be another's. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** Gives it back, so that the next follower need not wait. Never rejects. */
  async release(): Promise<void> {
    this.#ended.abort();
    await this.#renewing;
    if (this.#lost.signal.aborted) return;
    await this.#store.lease(this.#name, this.#id, 'release', AbortSignal.timeout(5_000)).catch(this.#onTrouble);
  }

  async #renewOn(): Promise<void> {
    let wait = this.#milliseconds / 3;
    while (await this.#sleep(Math.min(wait, this.#left()))) {
      if (this.#left() <= 0) return this.#lose('it could not be renewed in time', { late: true });
      const asked = performance.now();
      const inTime = AbortSignal.any([this.#ended.signal, AbortSignal.timeout(Math.max(1, Math.ceil(this.#left())))]);
      try {
        await this.#store.lease(this.#name, this.#id, 'renew', inTime);
        this.#until = asked + this.#milliseconds;
        wait = this.#milliseconds / 3;
      } catch (error) {
        if (this.#ended.signal.aborted) return;
        // Broken, taken by another after it had run out, or the control blob is gone: no time will bring it back.
        if (isBlobError(error, 'LEASED', 'NOT_FOUND', 'CONTAINER_NOT_FOUND', 'CONDITION'))
          return this.#lose('it was broken, or another has it', { late: false, cause: error });
        this.#onTrouble(error);
        wait = 500;
      }
    }
  }

  /** Milliseconds that are left, without the margin. */
  #left(): number {
    return this.#until - MARGIN_MS - performance.now();
  }

  #lose(why: string, details: { late: boolean; cause?: unknown }): void {
    this.#lost.abort(
      new LeaseLostError(`the lease on ${this.#name} of ${where(this.#store)} is lost: ${why}`, details),
    );
  }

  async #sleep(milliseconds: number): Promise<boolean> {
    return delay(Math.max(0, milliseconds), true, { signal: this.#ended.signal, ref: false }).catch(() => false);
  }
}

/** What the holder says of itself, beside the lease; the lease itself has no room for a name. */
function holderName(store: BlobStore): string {
  return reservedName(store.prefix, 'follower');
}

async function writeHolder(store: BlobStore, holder: Holder, signal: AbortSignal | undefined): Promise<void> {
  const name = holderName(store);
  const body = Buffer.from(`${JSON.stringify(holder)}\n`);
  for (;;) {
    const there = await store.head(name, { signal });
    try {
      const condition = there === undefined ? ({ ifNoneMatch: '*' } as const) : { ifMatch: there.etag };
      await store.put(name, body, { condition, metadata: {}, signal });
      return;
    } catch (error) {
      if (!isBlobError(error, 'CONDITION')) throw error;
    }
  }
}

/** Who was the last to take the lease, in words for people; undefined when nobody says so. */
export async function lastHolder(store: BlobStore, signal?: AbortSignal): Promise<string | undefined> {
  const found = await readSmallBlob(store, holderName(store), MAX_HOLDER_BYTES, signal);
  return found === undefined || found === 'too large' ? undefined : describeHolder(found.bytes);
}

async function held(store: BlobStore, seconds: number, signal: AbortSignal | undefined): Promise<OperatorError> {
  const holder = await lastHolder(store, signal);
  return new OperatorError(
    `${where(store)} is followed already${holder === undefined ? '' : `: by ${holder}, which was the last to begin`}`,
    {
      code: 'FOLLOWER_RUNNING',
      exit: 'tryAgain',
      hint: `One follower per file system. If that one is dead, its lease ends within ${seconds} seconds: try again then.`,
    },
  );
}

function describeHolder(bytes: Buffer): string | undefined {
  try {
    const { host, pid, since } = JSON.parse(bytes.toString('utf8')) as Partial<Record<keyof Holder, unknown>>;
    if (typeof host !== 'string' || typeof pid !== 'number' || typeof since !== 'string') return undefined;
    return `process ${pid} on ${JSON.stringify(host).slice(1, -1)}, since ${since}`;
  } catch {
    return undefined;
  }
}

function where(store: BlobStore): string {
  const below = store.prefix === '' ? '' : ` below ${JSON.stringify(store.prefix)}`;
  return `container ${store.container} of account ${store.account}${below}`;
}
