import type { Entry } from '../../catalog/types.ts';
import type { CopyOwner } from '../../copies/search-copy.ts';
import type { FileSource } from '../../follow/refresh.ts';
import type { Fid } from '../../identity/fid.ts';
import { type FileRecord, LOCATION_XATTR } from '../../identity/file-record.ts';
import type { FileStat, LustreFiles } from '../../lustre/attributes.ts';
import { ErrnoError } from '../../service/errors.ts';

/** Something alive, as Lustre shows it. */
export interface Alive {
  readonly entry: Entry;
  readonly record?: FileRecord | undefined;
  /** All names, relative to the root. */
  readonly paths: readonly Buffer[];
  readonly location?: string | undefined;
  /** Of users, where they are kept. */
  readonly userXattrs?: FileStat['userXattrs'];
}

/** What came of looking at a FID: dead is ENOENT under our UUID; what could not be looked at proves nothing. */
export type Looked = Alive | 'dead' | 'failed';

/** Looks at FIDs in bulk. Rejects with FILE_SYSTEM_CHANGED when another file system is mounted. */
export async function lookAtMany(
  { source, files }: { readonly source: Pick<FileSource, 'look'>; readonly files: LustreFiles },
  fids: readonly Fid[],
): Promise<Map<Fid, Looked>> {
  const looked = new Map<Fid, Looked>();
  if (fids.length === 0) return looked;
  const seen = await source.look(fids);
  const alive = fids.filter((fid) => seen.get(fid)?.kind === 'alive');
  const more = await files.getMany(
    alive.map((fid) => ({ fid })),
    {
      parts: files.keepsXattrs ? ['stat', 'user_xattrs', 'paths', 'xattrs'] : ['paths', 'xattrs'],
      xattrs: [LOCATION_XATTR],
    },
  );
  for (const fid of fids) looked.set(fid, seen.get(fid)?.kind === 'dead' ? 'dead' : 'failed');
  alive.forEach((fid, index) => {
    const one = seen.get(fid);
    const at = more[index];
    if (one?.kind !== 'alive' || at === undefined || at instanceof ErrnoError || at.paths === undefined) return;
    const location = at.xattrs?.get(LOCATION_XATTR)?.toString('utf8');
    const { entry, record } = one.fresh;
    const { userXattrs } = at.stat ?? {};
    looked.set(fid, { entry, record, paths: at.paths, location: location === '' ? undefined : location, userXattrs });
  });
  return looked;
}

/** As its copy is looked for. */
export function ownerOf({ entry, record, paths, location }: Alive): CopyOwner {
  const mtime = BigInt(entry.mtime) * 1_000_000_000n;
  return { fid: entry.fid, record, size: entry.size, stat: { mtime }, paths, location };
}
