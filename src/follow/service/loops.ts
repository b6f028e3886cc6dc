import { isBlobError, isOutage } from '../../blob/errors.ts';
import { isCatalogError } from '../../catalog/errors.ts';
import { pause } from '../../service/bell.ts';
import { ErrnoError } from '../../service/errors.ts';
import type { Log } from '../../service/log.ts';

const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 30_000;
/** Of work that went well for so long, an error is a new one. */
const FORGIVEN_AFTER_MS = 60_000;

/**
 * Whether it may be over by itself: Lustre or a disk that does not take something just now, a storage service that does
 * not answer. Everything else ends the service.
 */
export function isPassing(error: unknown): boolean {
  if (error instanceof ErrnoError || isCatalogError(error, 'CATALOG_FULL', 'CATALOG_BUSY')) return true;
  return isBlobError(error) && isOutage(error);
}

/**
 * Runs a loop until it comes to its end, and begins it again, after growing waits, when something passing ended it.
 * Resolves early when `stop` is aborted while it waits.
 */
export async function steadily(
  name: string,
  loop: () => Promise<void>,
  { signal, log }: { signal: AbortSignal; log: Log },
): Promise<void> {
  let wait = FIRST_WAIT_MS;
  while (!signal.aborted) {
    const begun = performance.now();
    try {
      return await loop();
    } catch (error) {
      if (signal.aborted || !isPassing(error)) throw error;
      if (performance.now() - begun > FORGIVEN_AFTER_MS) wait = FIRST_WAIT_MS;
      log.warn(`${name} was interrupted, it goes on`, { err: error, waitMs: wait });
      await pause(wait, signal);
      wait = Math.min(LONGEST_WAIT_MS, wait * 2);
    }
  }
}

/**
 * Runs several loops at the same time, until all have come to their end. The first that fails ends the others: their
 * signal is aborted, and what it threw is thrown when all are over.
 */
export async function together(
  outer: AbortSignal,
  loops: readonly ((signal: AbortSignal) => Promise<void>)[],
): Promise<void> {
  const failed = new AbortController();
  const signal = AbortSignal.any([outer, failed.signal]);
  let first: { readonly error: unknown } | undefined;
  await Promise.all(
    loops.map((loop) =>
      loop(signal).catch((error: unknown) => {
        first ??= { error };
        failed.abort(error);
      }),
    ),
  );
  if (first !== undefined) throw first.error;
}
