import { setTimeout as sleep } from 'node:timers/promises';
import type { Endpoint, RequestKind } from './endpoint.ts';
import { BlobError, isOutage } from './errors.ts';
import { backOff, type RetryPolicy } from './retry.ts';

export interface Holding {
  readonly endpoint: Endpoint;
  readonly policy: RetryPolicy;
  readonly kind: RequestKind;
  readonly signal: AbortSignal | undefined;
}

/** One time of work that may be held. */
export interface HeldTry {
  /** It was stopped by an operator's pause meanwhile: what comes has the whole time again. */
  renew(): void;
}

/** Failures of work that were held as long as may be: work around it does not begin to hold anew. */
const exhausted = new WeakSet<BlobError>();

/**
 * Does `work`, and does it again as long as it fails because the endpoint does not answer or refuses the credential:
 * until it works, `policy.hold` is over, or `signal` says stop. In between it waits for its turn, see {@link Endpoint};
 * what it needs much of, such as memory, `work` takes afresh each time. Work that goes on failing while the same kind of
 * work of others succeeds is given up after `policy.tries`. With `policy.hold` 0 it is just done. An error after a time
 * that may have carried it out is marked ambiguous.
 */
export async function hold<T>(
  { endpoint, policy, kind, signal }: Holding,
  work: (turn: HeldTry) => Promise<T>,
): Promise<T> {
  let until = Number.POSITIVE_INFINITY;
  const turn: HeldTry = {
    renew: () => {
      until = Number.POSITIVE_INFINITY;
    },
  };
  if (policy.hold === 0) return work(turn);
  let ambiguous = false;
  let alone = 0;
  for (let round = 1; ; round++) {
    await endpoint.ready(signal, Math.min(until, performance.now() + policy.hold));
    const answersBefore = endpoint.answers(kind);
    try {
      return await work(turn);
    } catch (caught) {
      signal?.throwIfAborted();
      if (!(caught instanceof BlobError)) throw caught;
      const error: BlobError = ambiguous ? caught.asAmbiguous() : caught;
      if (!isOutage(error) || exhausted.has(caught)) throw error;
      if (until === Number.POSITIVE_INFINITY) until = performance.now() + policy.hold;
      if (error.code !== 'THROTTLED' && endpoint.answers(kind) > answersBefore) alone += 1;
      if (alone >= policy.tries || performance.now() >= until) {
        exhausted.add(error);
        throw error;
      }
      ambiguous ||= error.ambiguous;
      if (endpoint.down) continue;
      const delay = Math.min(backOff(round, error, policy), Math.max(until - performance.now(), 0));
      await sleep(delay, undefined, signal === undefined ? {} : { signal }).catch(() => signal?.throwIfAborted());
    }
  }
}
