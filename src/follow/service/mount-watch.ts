import type { LustreFileSystem } from '../../lustre/file-system.ts';
import { pause } from '../../service/bell.ts';

const EVERY_MS = 2_000;

/**
 * Looks again and again whether the mount point still shows the file system, also while nothing happens in it.
 * @throws OperatorError FILE_SYSTEM_CHANGED
 */
export async function watchMount(fs: Pick<LustreFileSystem, 'mustBeMounted'>, stop: AbortSignal): Promise<void> {
  while (!stop.aborted) {
    await fs.mustBeMounted();
    await pause(EVERY_MS, stop);
  }
}
