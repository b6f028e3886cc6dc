import type { LustreFiles } from '../lustre/attributes.ts';
import { ERRNO } from '../lustre/errno.ts';
import { HSM, type HsmState, isReleased } from '../lustre/hsm-state.ts';
import type { Log } from '../service/log.ts';
import type { Task } from './task.ts';

/**
 * Ends an archive with an error. Lustre marks an archived file dirty for that, whatever the error but EALREADY, and does
 * so too when another machine has archived the file meanwhile and somebody has released it: it then refuses to restore
 * it. A released file has no data that could be newer than its copy; so its archive ends with EALREADY, and one that was
 * released in the last moment is marked clean again.
 */
export async function endFailedArchive(
  task: Task,
  ending: { readonly errno: number; readonly again: boolean },
  files: LustreFiles,
  log: Log,
): Promise<void> {
  const { fid } = task.action;
  if (isReleased((await hsmOf(task, files)) ?? NO_STATE)) return await task.fail(ERRNO.EALREADY, false);
  await task.fail(ending.errno, ending.again);
  const now = (await hsmOf(task, files)) ?? NO_STATE;
  if (!isReleased(now) || (now.states & HSM.DIRTY) === 0) return;
  await files.setHsm(fid, { clear: HSM.DIRTY });
  log.info('file was archived by another and released during its archive: not dirty', { fid });
}

const NO_STATE: HsmState = { states: 0, archive: 0 };

/** Undefined when it can't be told: the action must be ended all the same. */
async function hsmOf(task: Task, files: LustreFiles): Promise<HsmState | undefined> {
  try {
    return (await files.get({ fid: task.action.fid }, { parts: ['hsm'] })).hsm;
  } catch {
    return undefined;
  }
}
