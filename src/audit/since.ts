import type { Catalog } from '../catalog/catalog.ts';

/** Checkpoints of those who note in the catalog what they see in the container: each has `since`. */
const NOTERS = ['sweep', 'verify'] as const;

/**
 * A second from which on what is noted as seen was seen by the caller: later than everything that was noted before. The
 * caller keeps it in its checkpoint before it notes anything, and notes nothing as seen earlier.
 */
export async function newSince(catalog: Catalog): Promise<number> {
  const last = await Promise.all(NOTERS.map((name) => catalog.checkpoint(name)));
  const seconds = last.map((one) => (one?.state as { since?: number } | undefined)?.since ?? 0);
  return Math.max(Math.floor(Date.now() / 1000), ...seconds) + 1;
}
