import { isBlobError } from '../blob/errors.ts';
import { stagingName } from '../blob/naming.ts';
import { type NamedPath, nameLinks } from '../copies/names.ts';
import { searchCopy } from '../copies/search-copy.ts';
import type { Fid } from '../identity/fid.ts';
import type { CopyRecord } from '../identity/file-record.ts';
import { formatGeneration } from '../identity/generation.ts';
import { REMOVING_XATTR } from '../identity/removal-mark.ts';
import { ERRNO } from '../lustre/errno.ts';
import { HSM, isClean, isReleased } from '../lustre/hsm-state.ts';
import { ErrnoError } from '../service/errors.ts';
import { hasErrno } from './action-error.ts';
import type { Archive, CopytoolContext } from './context.ts';
import { mustBeOurs, whereIs } from './fate.ts';
import { viewFile } from './file-view.ts';
import { letGoAfterArchive } from './removal-hold.ts';

/** An archive that Lustre has accepted. */
export interface Archived {
  readonly fid: Fid;
  readonly link: NamedPath;
  readonly record: CopyRecord;
  readonly dataVersion: bigint;
}

/**
 * Looks at the file again after its archive has ended. Written to between the end's own check and the coordinator's
 * completion: it counts as clean and could never be released, so it is marked dirty. Renamed or unlinked meanwhile: its
 * blob is not where it belongs. Never rejects: the archive itself is done.
 */
export async function afterArchive(archived: Archived, target: Archive, context: CopytoolContext): Promise<void> {
  const { fid } = archived;
  try {
    const now = await context.fs.files.get(
      { fid },
      { parts: ['hsm', 'dv', 'paths', 'xattrs'], xattrs: [REMOVING_XATTR], flush: true },
    );
    if (now.hsm !== undefined && now.dataVersion !== undefined && now.dataVersion !== archived.dataVersion) {
      if (isClean(now.hsm) && !isReleased(now.hsm))
        await markDirty(fid, 'file changed at the very end of its archive', context);
    }
    await checkCopy(archived, target, context);
    const mark = now.xattrs?.get(REMOVING_XATTR);
    if (mark !== undefined) await letGoAfterArchive(fid, mark, context);
    if (now.paths !== undefined) await checkPlace(now.paths, archived, target, context);
  } catch (error) {
    if (hasErrno(error, ERRNO.ENOENT)) await removeOrphan(archived, target, context);
    else context.log.warn('file could not be looked at after its archive', { fid, err: error });
  }
}

async function markDirty(fid: Fid, why: string, context: CopytoolContext): Promise<void> {
  // Another machine's removal may have taken EXISTS off, without which Lustre takes no DIRTY.
  await context.fs.files.setHsm(fid, { set: HSM.EXISTS | HSM.DIRTY });
  context.stats.markedDirty += 1;
  context.log.info(`${why}, marked dirty`, { fid });
}

/**
 * Another machine's removal may have begun before our commit and have deleted what we wrote. A copy that is not at the
 * name any more may have been moved by the follower, or replaced by a later archive: only if it is nowhere the file is
 * marked dirty, and archived again.
 */
async function checkCopy({ fid, link, record }: Archived, target: Archive, context: CopytoolContext): Promise<void> {
  const { store } = target;
  const identity = (await store.head(link.name))?.identity;
  const isThere = identity?.fs === context.fsUuid && identity.fid === fid;
  if (isThere && identity.generation?.uuid === record.generation.uuid) return;
  if (isThere && identity.generation !== undefined && identity.generation.seq > record.generation.seq) return;
  const file = await viewFile(context.fs.files, fid);
  const { copy } = await searchCopy(file, { store, prefix: store.prefix }, context.fsUuid);
  if (copy !== undefined) return;
  if (isReleased(file.hsm)) {
    context.log.error('copy of a released file is gone right after its archive', { fid, blob: link.name });
  } else if (isClean(file.hsm)) {
    await markDirty(fid, 'copy is gone right after its archive', context);
  }
}

async function checkPlace(
  paths: readonly Buffer[],
  archived: Archived,
  target: Archive,
  context: CopytoolContext,
): Promise<void> {
  const { fid, link } = archived;
  const { named } = nameLinks(paths, target.store.prefix);
  if (named.some(({ name }) => name === link.name)) return;
  const reason = paths.length === 0 ? 'unlinked' : 'renamed';
  const isStaged = link.name === stagingName(target.store.prefix, fid);
  if (!isStaged || paths.length === 0)
    context.log.info(`file was ${reason} during its archive`, { fid, blob: link.name });
  context.needsLook({ fid, archive: target.config.id, reason, blob: link.name });
}

/**
 * The file was unlinked during its archive. If that was its first one, its blob is an orphan from the start, and removed if it is
 * exactly the version that we have just written, of a file that is dead. What has taken an earlier copy's place is what the removed
 * file can be brought back from: that is the follower's, which keeps it for the grace period.
 */
async function removeOrphan(archived: Archived, target: Archive, context: CopytoolContext): Promise<void> {
  const { fid, link, record } = archived;
  const look = () => context.needsLook({ fid, archive: target.config.id, reason: 'unlinked', blob: link.name });
  if (record.generation.seq > 1) return look();
  try {
    const [blob, where] = await Promise.all([target.store.head(link.name), whereIs(context.fs, context.fsUuid, fid)]);
    const { identity } = blob ?? {};
    const isOurs =
      identity?.fs === context.fsUuid && identity.fid === fid && identity.generation?.uuid === record.generation.uuid;
    if (blob === undefined || !isOurs || where.alive) return look();
    await context.audit.record({
      action: 'delete',
      archive: target.config.id,
      blob: link.name,
      etag: blob.etag,
      fs: identity.fs,
      fid,
      generation: formatGeneration(record.generation),
      reason: 'the file was removed while it was archived',
    });
    await mustBeOurs(context.fs, context.fsUuid);
    await target.store.delete(link.name, { ifMatch: blob.etag });
    context.stats.orphansRemoved += 1;
    context.log.info('file was removed during its archive, its blob is deleted', { fid, blob: link.name });
  } catch (error) {
    const known = isBlobError(error) || error instanceof ErrnoError;
    context.log.warn('blob of a removed file stays', { fid, blob: link.name, err: error, known });
    look();
  }
}
