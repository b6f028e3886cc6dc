import { decodeXattrs } from '../blob/xattrs.ts';
import type { Fid } from '../identity/fid.ts';
import type { LustreFiles } from '../lustre/attributes.ts';
import { ERRNO, errnoText } from '../lustre/errno.ts';
import { printable } from '../lustre/printable.ts';
import { ErrnoError } from '../service/errors.ts';

const CREATE = 1;

/**
 * Sets the extended attributes of users that a blob's metadata says (`lfsazsync_xattr`).
 * @param over otherwise those that are there stay as they are
 * @returns what could not be set and why, in words; undefined: all is set
 */
export async function restoreXattrs(
  files: Pick<LustreFiles, 'setXattr'>,
  fid: Fid,
  text: string,
  { over }: { readonly over: boolean },
): Promise<string | undefined> {
  const refused: string[] = [];
  for (const { name, value } of decodeXattrs(text)) {
    const named = name.toString('utf8');
    const errno = Buffer.from(named, 'utf8').equals(name)
      ? await files.setXattr(fid, named, value, over ? 0 : CREATE).then(() => 0, errnoOf)
      : ERRNO.EINVAL;
    if (errno !== 0 && errno !== ERRNO.EEXIST) refused.push(`${printable(name)}: ${errnoText(errno)}`);
  }
  return refused.length === 0 ? undefined : `extended attributes could not be set: ${refused.join('; ')}`;
}

function errnoOf(error: unknown): number {
  if (error instanceof ErrnoError) return error.errno;
  throw error;
}
