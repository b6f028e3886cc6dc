import { blobNameOf } from '../blob/naming.ts';
import type { Fate } from '../identity/destination.ts';
import type { Fid } from '../identity/fid.ts';
import { ERRNO } from '../lustre/errno.ts';
import type { LustreFileSystem } from '../lustre/file-system.ts';
import { ActionError, hasErrno } from './action-error.ts';

/** What became of an object, and where it is: see {@link Fate}. */
export interface WhereIs {
  readonly alive: boolean;
  /** Its paths; undefined when Lustre could not say. Empty: unlinked, but still open: it is not dead. */
  readonly paths?: readonly Buffer[] | undefined;
}

/**
 * Whether an object of this file system still exists. Dead is only what Lustre answers ENOENT for by FID, while the
 * file system at the mount is provably the one with our UUID: it is read again before and after. Every other failure
 * is passed on: it proves nothing.
 */
export async function whereIs(fs: LustreFileSystem, fsUuid: string, fid: Fid): Promise<WhereIs> {
  try {
    const found = await fs.files.get({ fid }, { parts: ['paths'] });
    return { alive: true, paths: found.paths };
  } catch (error) {
    if (!hasErrno(error, ERRNO.ENOENT)) throw error;
  }
  await mustBeOurs(fs, fsUuid);
  // Once more, now that the mount is known to be ours: the first answer may have come from something else.
  try {
    const found = await fs.files.get({ fid }, { parts: ['paths'] });
    return { alive: true, paths: found.paths };
  } catch (error) {
    if (!hasErrno(error, ERRNO.ENOENT)) throw error;
  }
  await mustBeOurs(fs, fsUuid);
  return { alive: false };
}

/** The fate of an object as the decision at a blob's name needs it. */
export async function fateAt(
  fs: LustreFileSystem,
  fsUuid: string,
  fid: Fid,
  name: string,
  prefix: string,
): Promise<Fate> {
  const found = await whereIs(fs, fsUuid, fid);
  if (!found.alive) return 'dead';
  if (found.paths === undefined || found.paths.length === 0) return 'here';
  const isHere = found.paths.some((path) => {
    const named = blobNameOf(path, prefix);
    return named.ok && named.name === name;
  });
  return isHere ? 'here' : 'elsewhere';
}

/** Rejects when the file system at the mount is not, or no longer, the one that this process works for. */
export async function mustBeOurs(fs: LustreFileSystem, fsUuid: string): Promise<void> {
  const found = await fs.readUuid();
  if (found === fsUuid) return;
  throw new ActionError(
    'other-file-system',
    ERRNO.ESTALE,
    `the file system at ${fs.mount} has the UUID ${found ?? '(none)'}, not ${fsUuid}`,
  );
}
