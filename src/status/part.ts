import { BugError, OperatorError } from '../service/errors.ts';

/** Why a part of the snapshot is missing. */
export interface Unavailable {
  readonly available: false;
  /** A stable name, such as `CATALOG_MISSING` or `NO_ANSWER`. */
  readonly code: string;
  readonly reason: string;
  readonly hint?: string;
}

/** A part of the snapshot: what was found, or why it is not known. */
export type Part<T extends object> = ({ readonly available: true } & T) | Unavailable;

/**
 * Gathers one part, with so much patience: whatever goes wrong is the part's own, and never holds up the others.
 * @param what for the reason, such as `the file system`
 * @param patience milliseconds
 */
export async function partOf<T extends object>(
  what: string,
  patience: number,
  work: (signal: AbortSignal) => T | Promise<T>,
): Promise<Part<T>> {
  const late = new AbortController();
  const silent = new OperatorError(`${what}: no answer for ${patience / 1000} s`, { code: 'NO_ANSWER' });
  const timer = setTimeout(() => late.abort(silent), patience);
  const gaveUp = new Promise<never>((_, reject) => {
    late.signal.addEventListener('abort', () => reject(late.signal.reason), { once: true });
  });
  try {
    const found = await Promise.race([gaveUp, (async () => await work(late.signal))()]);
    return { available: true, ...found };
  } catch (error) {
    if (error instanceof BugError) throw error;
    return unavailable(error);
  } finally {
    clearTimeout(timer);
    gaveUp.catch(() => {});
  }
}

export function unavailable(error: unknown): Unavailable {
  const { code, hint, message } = error as Partial<OperatorError> & Error;
  return {
    available: false,
    code: typeof code === 'string' ? code : 'FAILED',
    reason: message,
    ...(typeof hint === 'string' ? { hint } : {}),
  };
}
