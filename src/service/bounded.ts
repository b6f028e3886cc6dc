import pLimit from 'p-limit';

export interface BoundedOptions {
  /** How many at the same time, at least 1. */
  readonly concurrency: number;
  /** Ends the taking of new items; what is at work finishes, then the reason is thrown. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs `work` for every item of a source, at most `concurrency` at the same time. The source is only asked for an item
 * when there is room for it, so a source of any length costs no memory. The first failure ends the taking of items;
 * what is at work finishes before it is thrown.
 */
export async function forEachBounded<T>(
  source: Iterable<T> | AsyncIterable<T>,
  work: (item: T) => Promise<void>,
  options: BoundedOptions,
): Promise<void> {
  const limit = pLimit(options.concurrency);
  const running = new Set<Promise<void>>();
  let failure: { readonly error: unknown } | undefined;
  try {
    for await (const item of source) {
      if (failure !== undefined || options.signal?.aborted) break;
      const task: Promise<void> = limit(() => work(item)).then(
        () => void running.delete(task),
        (error: unknown) => {
          failure ??= { error };
          running.delete(task);
        },
      );
      running.add(task);
      if (running.size >= options.concurrency) await Promise.race(running);
      if (failure !== undefined || options.signal?.aborted) break;
    }
  } catch (error) {
    failure ??= { error }; // of the source itself
  }
  await Promise.all(running);
  if (failure !== undefined) throw failure.error;
  options.signal?.throwIfAborted();
}
