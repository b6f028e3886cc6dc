import { blobNameOf } from '../../blob/naming.ts';
import type { CopyOwner } from '../../copies/search-copy.ts';
import type { Fate } from '../../identity/destination.ts';
import type { Fid } from '../../identity/fid.ts';
import { LOCATION_XATTR, parseFileRecord, RECORD_XATTR } from '../../identity/file-record.ts';
import type { FileAttributes, FileStat } from '../../lustre/attributes.ts';
import { ERRNO, errnoText } from '../../lustre/errno.ts';
import type { LustreFileSystem } from '../../lustre/file-system.ts';
import type { HsmState } from '../../lustre/hsm-state.ts';
import { ErrnoError, OperatorError } from '../../service/errors.ts';
import { ReconcileError } from './errors.ts';

/** Something alive, as Lustre shows it just now. */
export interface View extends CopyOwner {
  readonly stat: FileStat;
  /** Nothing for other things than files. */
  readonly hsm: HsmState;
}

type Where = Pick<ReconcileParts, 'fs' | 'fsUuid'>;
interface ReconcileParts {
  readonly fs: LustreFileSystem;
  readonly fsUuid: string;
}

const NO_HSM: HsmState = { states: 0, archive: 0 };

/**
 * Looks at a FID in Lustre. `dead` is ENOENT by FID, twice, under our UUID; whatever else fails rejects and proves
 * nothing. Rejects with FILE_SYSTEM_CHANGED when another file system, or none of ours, is mounted.
 */
export async function lookAt(where: Where, fid: Fid): Promise<View | 'dead'> {
  const once = () =>
    where.fs.files
      .get({ fid }, { parts: ['stat', 'hsm', 'paths', 'xattrs'], xattrs: [RECORD_XATTR, LOCATION_XATTR] })
      .then((found) => (found.errors.get('stat') === ERRNO.ENOENT ? 'dead' : viewOf(fid, found)))
      .catch((error: unknown) => {
        if (error instanceof ErrnoError && error.errno === ERRNO.ENOENT) return 'dead' as const;
        throw error;
      });
  const first = await once();
  if (first !== 'dead') return first;
  await mustBeOurs(where);
  const second = await once();
  if (second === 'dead') await mustBeOurs(where);
  return second;
}

/** Rejects unless the file system at the mount is the one that the container belongs to. */
export async function mustBeOurs({ fs, fsUuid }: Where): Promise<void> {
  await fs.mustBeMounted();
  const uuid = await fs.readUuid();
  if (uuid === fsUuid) return;
  throw new OperatorError(`The file system at ${fs.mount} has the UUID ${uuid ?? '(none)'}, not ${fsUuid}.`, {
    code: 'FILE_SYSTEM_CHANGED',
    hint: 'Another file system was mounted in its place. Mount the right one; nothing was taken for deleted.',
  });
}

/** What became of an object, seen from a blob's name. */
export async function fateAt(where: Where, fid: Fid, name: string, prefix: string): Promise<Fate> {
  const view = await lookAt(where, fid);
  if (view === 'dead') return 'dead';
  if (view.paths.length === 0) return 'elsewhere';
  return view.paths.some((path) => isNamed(path, name, prefix)) ? 'here' : 'elsewhere';
}

function isNamed(path: Buffer, name: string, prefix: string): boolean {
  const named = blobNameOf(path, prefix);
  return named.ok && named.name === name;
}

function viewOf(fid: Fid, found: FileAttributes): View {
  const { stat, hsm, paths, xattrs, errors } = found;
  const isFile = stat?.type === 'file';
  for (const part of ['stat', 'hsm', 'paths', 'xattrs'] as const) {
    const errno = errors.get(part);
    // Only files have an HSM state; not everything else has attributes.
    if (errno === undefined || (!isFile && part !== 'stat' && part !== 'paths')) continue;
    throw new ErrnoError(errno, `reading ${part} of ${fid}`, `reading ${part} of ${fid}: ${errnoText(errno)}`);
  }
  if (stat === undefined || paths === undefined || (isFile && hsm === undefined))
    throw new ReconcileError('incomplete', 'later', `Lustre did not tell all of ${fid}`);
  const value = xattrs?.get(RECORD_XATTR);
  const record = value === undefined ? undefined : parseFileRecord(value);
  const location = xattrs?.get(LOCATION_XATTR)?.toString('utf8');
  return {
    ...{ fid, stat, paths, size: stat.size, hsm: hsm ?? NO_HSM },
    ...(record === undefined ? {} : { record }),
    ...(location === undefined || location === '' ? {} : { location }),
  };
}
