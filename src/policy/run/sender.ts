import type { Asked } from '../../catalog/types.ts';
import type { Fid } from '../../identity/fid.ts';
import { ERRNO } from '../../lustre/errno.ts';
import { HSM } from '../../lustre/hsm-state.ts';
import type { HsmRequest } from '../../lustre/lfs.ts';
import { type Answer, askFor, type BatchSize, type SecondLook } from '../../request/ask.ts';
import { secondLookOf } from '../../request/states.ts';
import type { RequestFile, Why } from '../../request/types.ts';
import type { States } from '../../request/verbs.ts';
import { ErrnoError } from '../../service/errors.ts';
import type { Chosen } from './judge.ts';

/** What came of asking for a file. `in-use`: for now; `stuck`: clean, and Lustre won't release it as it is. */
export type Sent =
  | { readonly is: 'asked' | 'vanished' | 'unasked' | 'in-use' | 'stuck' }
  | { readonly is: 'refused' | 'failed'; readonly why: Why };

export interface SenderOptions {
  readonly action: 'archive' | 'release';
  readonly mount: string;
  readonly lfs?: string | undefined;
  readonly send: (request: HsmRequest) => Promise<void>;
  readonly states: (fids: readonly Fid[]) => Promise<readonly (States | ErrnoError)[]>;
  /** Those that are still to be asked for, looked at once more where that is long ago. */
  readonly recheck: (batch: readonly Chosen[]) => Promise<readonly Chosen[]>;
  /** Kept before anything is asked, so that a later run knows what may be under way. */
  readonly intend: (batch: readonly Chosen[]) => Promise<void>;
  /** Told once for each file of a batch, all at once. */
  readonly onSent: (results: readonly (readonly [Chosen, Sent])[]) => Promise<void>;
  readonly onRequest: () => void;
  readonly size: BatchSize;
  readonly parallel: number;
  /** No further request is begun; what is at work finishes. */
  readonly stopped: () => boolean;
}

/** Gathers files into requests, one archive id each, and keeps several requests at work. */
export class Sender {
  readonly #options: SenderOptions;
  readonly #held = new Map<number, Chosen[]>();
  readonly #running = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;

  constructor(options: SenderOptions) {
    this.#options = options;
  }

  /** Takes a file; returns when there is room for the next one. @throws what has met a request that makes going on senseless */
  async add(chosen: Chosen): Promise<void> {
    const key = this.#options.action === 'archive' ? chosen.archive : 0;
    const batch = this.#held.get(key) ?? [];
    this.#held.set(key, batch);
    batch.push(chosen);
    if (batch.length < this.#options.size.limit) return;
    this.#held.delete(key);
    await this.#dispatch(batch);
  }

  /** Sends what is gathered, and waits for all that is at work. */
  async flush(): Promise<void> {
    const batches = [...this.#held.values()];
    this.#held.clear();
    for (const batch of batches) await this.#dispatch(batch);
    await Promise.all(this.#running);
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** Lets go of what is gathered, and waits for what is at work. Never rejects. */
  async abandon(): Promise<void> {
    const left = [...this.#held.values()].flat();
    this.#held.clear();
    await Promise.all(this.#running);
    await this.#options.onSent(left.map((chosen) => [chosen, { is: 'unasked' }] as const)).catch(() => undefined);
  }

  async #dispatch(batch: readonly Chosen[]): Promise<void> {
    while (this.#running.size >= this.#options.parallel) await Promise.race(this.#running);
    if (this.#failure !== undefined) {
      await this.#options.onSent(batch.map((chosen) => [chosen, { is: 'unasked' }] as const));
      throw this.#failure.error;
    }
    const task: Promise<void> = this.#ask(batch)
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => this.#running.delete(task));
    this.#running.add(task);
  }

  async #ask(batch: readonly Chosen[]): Promise<void> {
    const { states, intend, recheck, onSent, size, stopped, action } = this.#options;
    const results: (readonly [Chosen, Sent])[] = [];
    const still = stopped() ? [] : await recheck(batch);
    if (stopped()) {
      await onSent(still.map((chosen) => [chosen, { is: 'unasked' }] as const));
      return;
    }
    if (still.length === 0) return;
    const files = new Map(still.map((chosen) => [requestFileOf(chosen), chosen] as const));
    await intend(still);
    try {
      await askFor([...files.keys()], {
        send: (some) => this.#send(some, files),
        lookAgain: async (some) => {
          const looks = await states(some.map(({ fid }) => fid));
          return some.map((file, at): SecondLook => secondLookOf(action, file, looks[at], files.get(file)?.archive));
        },
        answer: (file, answer) => {
          results.push([files.get(file) as Chosen, sentOf(action, answer)]);
        },
        stopped,
        size,
      });
    } finally {
      await onSent(results);
    }
  }

  async #send(some: readonly RequestFile[], files: ReadonlyMap<RequestFile, Chosen>): Promise<void> {
    const { action, mount, lfs, send, onRequest } = this.#options;
    const first = some[0] === undefined ? undefined : files.get(some[0]);
    const archive = action === 'archive' ? first?.archive : undefined;
    onRequest();
    await send({ action, fids: some.map(({ fid }) => fid), mount, archive, lfs });
  }
}

/** Marks a file dirty whose copy, as it is, lets nobody release it. @returns whether it is dirty now */
export async function markDirty(
  files: { setHsm(fid: Fid, change: { set: number }): Promise<void> },
  fid: Fid,
): Promise<boolean> {
  try {
    await files.setHsm(fid, { set: HSM.EXISTS | HSM.DIRTY });
    return true;
  } catch (error) {
    // Released by somebody meanwhile (EINVAL), or gone: there is nothing to mark.
    if (error instanceof ErrnoError && (error.errno === ERRNO.EINVAL || error.errno === ERRNO.ENOENT)) return false;
    throw error;
  }
}

function requestFileOf({ file }: Chosen): RequestFile {
  const { fid, fresh, action } = file;
  const { size, hsm, archive } = fresh.entry;
  return { fid, path: Buffer.from(fid), size, hsm: { states: hsm, archive }, action };
}

function sentOf(action: 'archive' | 'release', answer: Answer): Sent {
  switch (answer.is) {
    case 'asked':
    case 'done':
      return { is: 'asked' };
    case 'failed':
      // Its state allows a release, so what Lustre objects to is the data: another version than was archived.
      if (action === 'release' && answer.why.code === 'EPERM') return { is: 'stuck' };
      // Open for writing, or opened while it was on the way: then its lease is broken (mdt_hsm_release).
      if (action === 'release' && ['EBUSY', 'ESTALE'].includes(answer.why.code)) return { is: 'in-use' };
      return { is: 'failed', why: answer.why };
    case 'refused':
      return { is: 'refused', why: answer.why };
    default:
      return { is: answer.is };
  }
}

export function askedRow(chosen: Chosen, policy: string, run: number, at: number): Asked {
  const { fid, size, mtime } = chosen.file.fresh.entry;
  return { policy, fid, run, at, size, mtime };
}
