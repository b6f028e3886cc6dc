import type { Fid } from '../identity/fid.ts';
import type { LustreFiles } from '../lustre/attributes.ts';
import { ERRNO } from '../lustre/errno.ts';
import { HSM, type HsmState, isClean, isDirty, isReleased } from '../lustre/hsm-state.ts';
import type { Log } from '../service/log.ts';
import { hasErrno } from './action-error.ts';
import type { Task } from './task.ts';

/** More looks than any sequence of other machines' restores and releases takes. */
const MOST_LOOKS = 10;

/**
 * Ends an archive with an error. Lustre marks an archived file dirty for that, whatever the error but EALREADY, and does
 * so too when another machine has archived the file meanwhile and somebody has released it: it then refuses to restore
 * it. A released file has no data that could be newer than its copy; so its archive ends with EALREADY, and one that was
 * released in the last moment is marked clean again. So is one that was dirty before: the coordinator gave an archive up
 * whose machine was gone.
 */
export async function endFailedArchive(
  task: Pick<Task, 'action' | 'fail'>,
  ending: { readonly errno: number; readonly again: boolean },
  files: Pick<LustreFiles, 'get' | 'setHsm'>,
  log: Log,
): Promise<void> {
  const { fid } = task.action;
  if (await isReleasedNow(fid, files)) await task.fail(ERRNO.EALREADY, false);
  else await task.fail(ending.errno, ending.again);
  await clearDirtyIfReleased(fid, files, log);
}

/** Whether the file has no data in Lustre; false when that can't be told. */
export async function isReleasedNow(fid: Fid, files: Pick<LustreFiles, 'get'>): Promise<boolean> {
  return isReleased((await hsmOf(fid, files)) ?? NO_STATE);
}

/**
 * Clears the DIRTY of a released file. Between a look and the change that follows it another machine may have done the
 * same, and the file been restored and written to: that DIRTY told of data that no copy has, and is set back. Hence each
 * change is followed by a look, until there is nothing to change. Of a file that is released by then Lustre has itself
 * compared the data version with the archived one.
 */
export async function clearDirtyIfReleased(
  fid: Fid,
  files: Pick<LustreFiles, 'get' | 'setHsm'>,
  log: Log,
): Promise<void> {
  let cleared = false;
  for (let look = 0; look < MOST_LOOKS; look++) {
    const now = await hsmOf(fid, files);
    if (now === undefined) {
      if (cleared) log.warn('file was marked clean and can not be looked at any more: archive it again', { fid });
      return;
    }
    if (isReleased(now) && isDirty(now)) {
      await files.setHsm(fid, { clear: HSM.DIRTY });
      cleared = true;
      log.info('file was archived by another and released during its archive: not dirty', { fid });
    } else if (cleared && isClean(now) && !isReleased(now)) {
      await files.setHsm(fid, { set: HSM.DIRTY }).catch((error: Error) => {
        // Lustre marks no released file dirty, and needs no such mark there: it was archived anew.
        if (!hasErrno(error, ERRNO.EINVAL)) throw error;
      });
      log.info('file was restored while it was marked clean, marking it dirty', { fid });
    } else return;
  }
}

const NO_STATE: HsmState = { states: 0, archive: 0 };

/** Undefined when it can't be told: the action must be ended all the same. */
async function hsmOf(fid: Fid, files: Pick<LustreFiles, 'get'>): Promise<HsmState | undefined> {
  try {
    return (await files.get({ fid }, { parts: ['hsm'] })).hsm;
  } catch {
    return undefined;
  }
}
