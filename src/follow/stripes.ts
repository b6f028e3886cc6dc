import type { Catalog } from '../catalog/catalog.ts';
import type { Fid } from '../identity/fid.ts';
import type { Fresh, Seen } from './fresh.ts';

/** Stripes of directories that are striped over metadata servers, each with its directory. */
export type Stripes = ReadonlyMap<Fid, Fid>;

/**
 * Directories that names are in and that are neither among what was seen nor known: those that the catalog knows as stripes of
 * another one, and those that nobody knows.
 */
export async function strangeParents(
  catalog: Pick<Catalog, 'present' | 'stripes'>,
  seen: ReadonlyMap<Fid, Seen>,
): Promise<{ readonly stripes: Stripes; readonly unknown: readonly Fid[] }> {
  const parents = new Set<Fid>();
  for (const one of seen.values()) {
    if (one.kind === 'alive') for (const { parent } of one.fresh.links ?? []) parents.add(parent);
  }
  const strange = [...parents].filter((parent) => seen.get(parent)?.kind !== 'alive');
  const present = strange.length === 0 ? new Set<Fid>() : await catalog.present(strange);
  const absent = strange.filter((parent) => !present.has(parent));
  const stripes = absent.length === 0 ? new Map<Fid, Fid>() : await catalog.stripes(absent);
  return { stripes, unknown: absent.filter((parent) => !stripes.has(parent)) };
}

/** What was seen, with names in stripes as names in their directories: so they are compared, and kept. */
export function inDirectories(seen: ReadonlyMap<Fid, Seen>, stripes: Stripes): ReadonlyMap<Fid, Seen> {
  if (stripes.size === 0) return seen;
  return new Map(
    [...seen].map(([fid, one]) => [fid, one.kind === 'alive' ? { ...one, fresh: named(one.fresh, stripes) } : one]),
  );
}

function named(fresh: Fresh, stripes: Stripes): Fresh {
  const { links } = fresh;
  if (links === undefined || !links.some(({ parent }) => stripes.has(parent))) return fresh;
  return { ...fresh, links: links.map((link) => ({ ...link, parent: stripes.get(link.parent) ?? link.parent })) };
}
