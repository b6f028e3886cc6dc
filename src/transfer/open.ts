import { availableParallelism } from 'node:os';
import { type ThreadPoolOptions, TransferThreads } from './thread-pool.ts';
import type { Transfers } from './types.ts';

/** More threads than this move more than a network takes. */
const MOST_BY_ITSELF = 8;

/**
 * So many threads as are of use here: on a single core they only cost; otherwise one core is left to the rest.
 * @param wished what the configuration says
 */
export function threadsFor(wished: number | 'auto', cores = availableParallelism()): number {
  if (wished !== 'auto') return wished;
  return cores <= 1 ? 0 : Math.min(cores - 1, MOST_BY_ITSELF);
}

/** Transfers in so many threads; with none, in the calling thread. */
export async function openTransfers(options: ThreadPoolOptions): Promise<Transfers> {
  if (options.threads > 0) return new TransferThreads(options);
  const { TransferEngine } = await import('./engine.ts');
  return await TransferEngine.open({ ...options, thread: '' });
}
