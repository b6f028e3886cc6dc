import type { Catalog } from '../../catalog/catalog.ts';
import type { Run } from '../../catalog/types.ts';

/** More runs of all policies than there can be since a policy's last one. */
const LOOKED_BACK = 1_000;

/**
 * A policy's runs that never told their end. The caller holds the policy's lock: they are dead. Once `markKilled` was
 * called they are those with the outcome `killed`.
 */
export async function killedRuns(catalog: Pick<Catalog, 'runs'>, policy: string): Promise<Set<number>> {
  const runs = await latestRuns(catalog, policy);
  return new Set(runs.filter(({ outcome }) => outcome === 'killed').map(({ id }) => id));
}

/** Gives runs that never told their end one. @returns how many there were */
export async function markKilled(catalog: Pick<Catalog, 'runs' | 'endRun'>, policy: string): Promise<number> {
  const dead = (await latestRuns(catalog, policy)).filter(({ ended }) => ended === undefined);
  for (const { id, detail } of dead) await catalog.endRun(id, 'killed', detail);
  return dead.length;
}

/** When a policy's last run began, milliseconds since 1970. */
export async function lastRunOf(catalog: Pick<Catalog, 'runs'>, policy: string): Promise<number | undefined> {
  return (await latestRuns(catalog, policy))[0]?.started;
}

async function latestRuns(catalog: Pick<Catalog, 'runs'>, policy: string): Promise<Run[]> {
  return (await catalog.runs('policy', LOOKED_BACK)).filter(({ name }) => name === policy);
}
