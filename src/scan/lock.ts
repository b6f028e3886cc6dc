import { lockRun } from '../service/control/run-lock.ts';
import type { Log } from '../service/log.ts';

/**
 * Takes the catalog's scan lock. One scan at a time, because there is one place for where a scan is.
 * @throws OperatorError SCAN_RUNNING (exit `locked`), naming the holder
 */
export function lockScan(o: {
  directory: string;
  version: string;
  path: string;
  log: Log;
}): Promise<{ release(): Promise<void> }> {
  const hint = 'Wait for its end, or stop it with Ctrl-C or SIGTERM; the next one goes on where it was.';
  return lockRun({ ...o, name: 'scan', hint });
}
