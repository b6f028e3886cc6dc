import type { FileIdentity } from '../identity/copy-of.ts';
import type { Fid } from '../identity/fid.ts';
import { type FileRecord, LOCATION_XATTR, parseFileRecord, RECORD_XATTR } from '../identity/file-record.ts';
import type { FileLayout, FileStat, LustreFiles } from '../lustre/attributes.ts';
import { ERRNO, errnoText } from '../lustre/errno.ts';
import type { HsmState } from '../lustre/hsm-state.ts';
import { ErrnoError } from '../service/errors.ts';
import { ActionError } from './action-error.ts';

/** A file as one look at Lustre shows it: all that an action decides by. */
export interface FileView extends FileIdentity {
  readonly stat: FileStat;
  readonly hsm: HsmState;
  /** Every link; empty: unlinked, but still open somewhere. */
  readonly paths: readonly Buffer[];
  /** `trusted.lfsazsync`, whoever it speaks of. */
  readonly record?: FileRecord;
  /** `trusted.lfsazsync_at`: a blob name, unverified. */
  readonly location?: string;
  readonly layout?: FileLayout;
}

/**
 * Looks at a regular file by its FID. Rejects with ENOENT (an ErrnoError) when there is no such file, with an
 * ActionError when it is not a regular file.
 */
export async function viewFile(files: LustreFiles, fid: Fid): Promise<FileView> {
  const found = await files.get(
    { fid },
    { parts: ['stat', 'hsm', 'paths', 'xattrs', 'layout'], xattrs: [RECORD_XATTR, LOCATION_XATTR] },
  );
  const { stat, hsm, paths, xattrs, layout } = found;
  for (const part of ['stat', 'hsm', 'paths', 'xattrs'] as const) {
    const errno = found.errors.get(part);
    if (errno !== undefined)
      throw new ErrnoError(errno, `reading ${part} of ${fid}`, `reading ${part} of ${fid}: ${errnoText(errno)}`);
  }
  if (stat === undefined || hsm === undefined || paths === undefined) {
    throw new ActionError('incomplete', ERRNO.EIO, `Lustre did not tell all of ${fid}`);
  }
  if (stat.type !== 'file')
    throw new ActionError('not-a-file', ERRNO.EINVAL, `${fid} is a ${stat.type}, not a regular file`);
  const recordValue = xattrs?.get(RECORD_XATTR);
  const record = recordValue === undefined ? undefined : parseFileRecord(recordValue);
  const location = xattrs?.get(LOCATION_XATTR)?.toString('utf8');
  return {
    fid,
    size: stat.size,
    stat,
    hsm,
    paths,
    ...(record === undefined ? {} : { record }),
    ...(location === undefined || location === '' ? {} : { location }),
    ...(layout === undefined ? {} : { layout }),
  };
}
