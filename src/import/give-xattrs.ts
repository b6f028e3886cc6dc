import type { BlobState } from '../blob/state.ts';
import { readXattrs } from '../blob/xattrs.ts';
import { restoreXattrs } from '../copies/restore-xattrs.ts';
import type { Fid } from '../identity/fid.ts';
import { forEachBounded } from '../service/bounded.ts';
import { tell } from './problems.ts';
import type { ImportWorld, LustrePart } from './world.ts';

/** Files at the same time. */
const AT_ONCE = 16;

/**
 * Gives files and directories the extended attributes that their blobs have, where these are kept (`metadata.xattrs`).
 * What can't be given (the file system has no ACLs, say) is a warning, and no error.
 * @param over what is there already is overwritten: of things that were just made, and can have inherited no more than an ACL
 */
export async function giveXattrs(
  world: ImportWorld,
  { files }: Pick<LustrePart, 'files'>,
  things: readonly { readonly fid: Fid; readonly blob: BlobState }[],
  { over }: { readonly over: boolean },
): Promise<void> {
  if (!files.keepsXattrs) return;
  const giving = things.filter(({ blob }) => readXattrs(blob.metadata) !== undefined);
  const giveOne = async ({ fid, blob }: (typeof giving)[number]): Promise<void> => {
    const detail = await restoreXattrs(files, fid, readXattrs(blob.metadata) ?? '', { over });
    if (detail !== undefined) tell(world, { outcome: 'warning', blob: blob.name, code: 'xattrs', detail });
  };
  await forEachBounded(giving, giveOne, { concurrency: AT_ONCE, signal: world.signal });
}
