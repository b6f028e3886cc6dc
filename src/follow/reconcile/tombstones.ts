import { blobNameOf, stagingName } from '../../blob/naming.ts';
import type { Tombstone } from '../../catalog/types.ts';
import type { BlobKind } from '../../identity/blob-identity.ts';
import type { Place, ReconcileContext } from './context.ts';
import { holdName, isHeld } from './holds.ts';
import { lookAt } from './look.ts';
import { deleteOld } from './old-blobs.ts';

const MARKERS: readonly BlobKind[] = ['dir', 'symlink', 'link'];
const ALL: readonly BlobKind[] = [...MARKERS, 'file'];

/**
 * Removes what a dead object left: its markers, and with `copies` its file's copies, too. Dead is proven anew before,
 * and each blob is checked to be its own. When nothing is left it is buried in the catalog; what lives after all has no
 * tombstone any more.
 * @returns whether it is buried
 */
export async function removeDead(
  context: ReconcileContext,
  tombstone: Tombstone,
  { copies }: { readonly copies: boolean },
): Promise<boolean> {
  const { fid } = tombstone;
  if ((await lookAt(context, fid)) !== 'dead') {
    context.log.warn('file with a tombstone lives', { fid });
    await context.catalog.apply({ marks: [{ fid, hints: 0, since: Math.floor(Date.now() / 1000) }] });
    return false;
  }
  let left = false;
  for (const [archive, store] of context.archives) {
    const place = { archive, store };
    for (const name of namesOf(tombstone, place)) {
      const mayGo = async () =>
        !(await isHeld(context.catalog, fid, { archive, name })) && (await lookAt(context, fid)) === 'dead';
      const expected = { fid, kinds: copies ? ALL : MARKERS };
      const isGone = await deleteOld(context, place, name, expected, `${fid} is dead`, { mayGo });
      if (!isGone) left = true;
    }
  }
  // Blobs of an archive that is not configured any more are nobody's to remove; the tombstone stays for them.
  if (tombstone.blobs.some(({ archive }) => !context.archives.has(archive))) left = true;
  if (left) return false;
  await context.catalog.apply({ buried: [fid], checkpointsGone: [holdName(fid)] });
  return true;
}

/** Where in an archive's container blobs of a dead thing may be. */
export function namesOf({ fid, blobs, path }: Tombstone, { archive, store }: Place): Set<string> {
  const names = new Set(blobs.filter((blob) => blob.archive === archive).map(({ name }) => name));
  const named = path === undefined ? undefined : blobNameOf(path, store.prefix);
  if (named?.ok === true) names.add(named.name);
  names.add(stagingName(store.prefix, fid));
  return names;
}
