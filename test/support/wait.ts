import { setTimeout as delay } from 'node:timers/promises';

export interface WaitOptions {
  /** Milliseconds until the wait gives up; generous, because a passing test never spends it. */
  readonly timeout?: number;
  /** Milliseconds between two looks. */
  readonly interval?: number;
  /** More to say when the wait gives up, asked for only then. */
  readonly detail?: () => string | Promise<string>;
}

/**
 * Looks again and again until `probe` gives something other than undefined or false, and returns that.
 * Errors of `probe` count as 'not yet'; the last one is the cause of the error at the end.
 */
export async function waitUntil<T>(
  what: string,
  probe: () => T | undefined | false | Promise<T | undefined | false>,
  options: WaitOptions = {},
): Promise<T> {
  const timeout = options.timeout ?? 120_000;
  const end = Date.now() + timeout;
  let last: unknown;
  for (;;) {
    try {
      const value = await probe();
      if (value !== undefined && value !== false) return value;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (Date.now() >= end) break;
    await delay(options.interval ?? 50);
  }
  const detail = options.detail === undefined ? '' : `\n${await options.detail()}`;
  throw new Error(`waited ${timeout / 1000} s in vain until ${what}${detail}`, { cause: last });
}

/** Rejects when `promise` has not settled after `timeout` milliseconds; `promise` itself goes on. */
export async function within<T>(what: string, timeout: number, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${timeout / 1000} s: ${what}`)), timeout);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
