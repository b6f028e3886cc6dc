import type { BlobStore } from '../blob/store.ts';
import { chooseCanonical, type NamedPath, nameLinks } from '../copies/names.ts';
import type { Fid } from '../identity/fid.ts';
import { ERRNO } from '../lustre/errno.ts';
import type { LustreFileSystem } from '../lustre/file-system.ts';
import { ActionError } from './action-error.ts';

/**
 * The name at which a file's content belongs ({@link chooseCanonical}). Rejects with an ActionError when the file has no
 * link, or none that can be a blob's name.
 */
export async function canonicalName(
  file: { readonly fid: Fid; readonly paths: readonly Buffer[] },
  archive: { readonly store: BlobStore; readonly prefix: string },
  fs: LustreFileSystem,
  fsUuid: string,
  signal?: AbortSignal,
): Promise<NamedPath> {
  if (file.paths.length === 0) {
    throw new ActionError('unlinked', ERRNO.ENOENT, 'the file has no name any more: it was unlinked');
  }
  const { named, refused } = nameLinks(file.paths, archive.prefix);
  const chosen = await chooseCanonical(file.fid, named, archive.store, fs, fsUuid, signal);
  if (chosen !== undefined) return chosen;
  throw new ActionError('name', ERRNO.ENAMETOOLONG, `no name of the file can be a blob's name: ${refused[0] ?? ''}`);
}
