import { askService } from '../service/control/client.ts';
import { ControlServer } from '../service/control/server.ts';
import { OperatorError } from '../service/errors.ts';
import type { Log } from '../service/log.ts';

const SOCKET = 'scan.sock';

/** What a scan says of itself. */
export interface ScanHolder {
  readonly pid: number;
  /** ISO 8601. */
  readonly since: string;
  /** What it scans, for people. */
  readonly path: string;
}

/**
 * Takes the catalog's scan lock: a socket beside it, which the kernel takes back from a process that dies, and which says
 * who holds it. One scan at a time, because there is one place for where a scan is.
 * @throws OperatorError SCAN_RUNNING (exit `locked`), naming the holder
 */
export async function lockScan(o: {
  directory: string;
  version: string;
  path: string;
  log: Log;
}): Promise<{ release(): Promise<void> }> {
  const holder: ScanHolder = { pid: process.pid, since: new Date().toISOString(), path: o.path };
  const { directory, version, log } = o;
  try {
    const handlers = { status: () => holder };
    const server = await ControlServer.open({ directory, name: SOCKET, version, handlers, log });
    return { release: () => server.close() };
  } catch (error) {
    if (error instanceof OperatorError && error.code === 'CONTROL_SOCKET_TAKEN') throw await running(directory);
    throw error;
  }
}

async function running(directory: string): Promise<OperatorError> {
  const target = { directory, name: SOCKET, service: 'scan', start: 'lfsazsync scan' };
  const asked = askService(target, 'status', {}, { timeout: 5_000 });
  const holder = (await asked.catch(() => undefined)) as ScanHolder | undefined;
  const who = holder === undefined ? '' : `: process ${holder.pid} since ${holder.since}, of ${holder.path}`;
  return new OperatorError(`A scan is at work already${who}.`, {
    code: 'SCAN_RUNNING',
    hint: 'Wait for its end, or stop it with Ctrl-C or SIGTERM; the next one goes on where it was.',
    exit: 'locked',
  });
}
