import { setTimeout as sleep } from 'node:timers/promises';
import { BlobError } from './errors.ts';

/** How often and how long to try again. Times in milliseconds. */
export interface RetryPolicy {
  /** Tries of one request, one after the other. */
  readonly tries: number;
  readonly firstDelay: number;
  readonly maxDelay: number;
  /**
   * For how long work is held while the endpoint does not answer or refuses the credential. 0: not at all, as
   * commands want it, whose users wait.
   */
  readonly hold: number;
}

export const DEFAULT_RETRY: RetryPolicy = { tries: 6, firstDelay: 400, maxDelay: 30_000, hold: 0 };

/** With what is held, tries of one request end after this: it gives its memory back and waits outside. */
const BRIEFLY = 5_000;

export interface Attempts<T> {
  readonly policy: RetryPolicy;
  readonly signal: AbortSignal | undefined;
  /** One try, numbered from 1. */
  readonly attempt: (number: number) => Promise<T>;
  /** Called on a refused credential: whether there is a new one. */
  readonly refresh: () => Promise<boolean>;
  /** Told of every failure that a new credential does not mend. Answers whether trying on is in vain for now. */
  readonly onFailure?: (error: BlobError) => boolean;
  readonly onRetry?: (error: BlobError, delay: number) => void;
}

/**
 * Tries until it works, the error is not a passing one, the tries are used up, or `signal` says stop. Waits as long as
 * the service asks for (Retry-After), otherwise with exponential back-off and jitter. An error after an earlier try
 * that may have been carried out is marked ambiguous.
 */
export async function withRetries<T>({
  policy,
  signal,
  attempt,
  refresh,
  onFailure,
  onRetry,
}: Attempts<T>): Promise<T> {
  const begun = performance.now();
  let ambiguous = false;
  let refreshed = false;
  for (let number = 1; ; number++) {
    signal?.throwIfAborted();
    try {
      return await attempt(number);
    } catch (caught) {
      signal?.throwIfAborted();
      if (!(caught instanceof BlobError)) throw caught;
      const error: BlobError = ambiguous ? caught.asAmbiguous() : caught;
      if (error.code === 'AUTH' && !refreshed && (await refresh())) {
        refreshed = true;
        continue;
      }
      const inVain = onFailure?.(caught) ?? false;
      if (!isPassing(error) || number >= policy.tries || inVain) throw error;
      ambiguous ||= error.ambiguous;
      const delay = backOff(number, error, policy);
      if (policy.hold > 0 && performance.now() + delay - begun > BRIEFLY) throw error;
      onRetry?.(error, delay);
      await sleep(delay, undefined, signal === undefined ? {} : { signal }).catch(() => signal?.throwIfAborted());
    }
  }
}

/** Worth repeating the single request; others that are retriable need more than that (the file read again, a wait). */
function isPassing(error: BlobError): boolean {
  if (!error.retriable) return false;
  return ['NETWORK', 'SERVER', 'THROTTLED', 'CHECKSUM'].includes(error.code);
}

/** Milliseconds before the next try, after so many that failed: what the service asks for, within bounds; or growing. */
export function backOff(failures: number, error: BlobError, policy: Omit<RetryPolicy, 'hold'>): number {
  if (error.retryAfter !== undefined) return Math.min(error.retryAfter, 10 * policy.maxDelay);
  const ceiling = Math.min(policy.maxDelay, policy.firstDelay * 2 ** Math.min(failures - 1, 30));
  return ceiling / 2 + Math.random() * (ceiling / 2);
}
