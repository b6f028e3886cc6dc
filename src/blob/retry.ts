import { setTimeout as sleep } from 'node:timers/promises';
import { BlobError } from './errors.ts';

/** How often and how long to try again. Times in milliseconds. */
export interface RetryOptions {
  readonly tries: number;
  readonly firstDelay: number;
  readonly maxDelay: number;
}

export const DEFAULT_RETRY: RetryOptions = { tries: 6, firstDelay: 400, maxDelay: 30_000 };

export interface Attempts<T> {
  readonly options: RetryOptions;
  readonly signal: AbortSignal | undefined;
  /** One try, numbered from 1. */
  readonly attempt: (number: number) => Promise<T>;
  /** Called on a refused credential: whether there is a new one. */
  readonly refresh: () => Promise<boolean>;
  readonly onRetry?: (error: BlobError, delay: number) => void;
}

/**
 * Tries until it works, the error is not a passing one, the tries are used up, or `signal` says stop. Waits as long as
 * the service asks for (Retry-After), otherwise with exponential back-off and full jitter. An error after an earlier try
 * that may have been carried out is marked ambiguous.
 */
export async function withRetries<T>({ options, signal, attempt, refresh, onRetry }: Attempts<T>): Promise<T> {
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
      if (!isPassing(error) || number >= options.tries) throw error;
      ambiguous ||= error.ambiguous;
      const delay = delayBefore(number, error, options);
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

function delayBefore(number: number, error: BlobError, options: RetryOptions): number {
  if (error.retryAfter !== undefined) return Math.min(error.retryAfter, 10 * options.maxDelay);
  const ceiling = Math.min(options.maxDelay, options.firstDelay * 2 ** (number - 1));
  return ceiling / 2 + Math.random() * (ceiling / 2);
}
