import { askService } from '../../service/control/client.ts';
import { ControlServer } from '../../service/control/server.ts';
import { OperatorError } from '../../service/errors.ts';
import type { Log } from '../../service/log.ts';

const SOCKET = 'changelog-follow.sock';

/** What a follower says of itself. */
interface LockHolder {
  readonly pid: number;
  /** ISO 8601. */
  readonly since: string;
}

/**
 * Takes the catalog's follower lock: a socket beside it, which the kernel takes back from a process that dies. While it
 * is held, the lease that an earlier follower of this catalog had is nobody's.
 * @throws OperatorError FOLLOWER_RUNNING (exit `locked`), naming the holder
 */
export async function lockFollower(o: {
  directory: string;
  version: string;
  log: Log;
}): Promise<{ release(): Promise<void> }> {
  const holder: LockHolder = { pid: process.pid, since: new Date().toISOString() };
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
  const target = { directory, name: SOCKET, service: 'changelog-follow', start: 'lfsazsync changelog-follow' };
  const asked = askService(target, 'status', {}, { timeout: 5_000 });
  const holder = (await asked.catch(() => undefined)) as LockHolder | undefined;
  const who = holder === undefined ? '' : `: process ${holder.pid} since ${holder.since}`;
  return new OperatorError(`A follower is at work with this catalog already${who}.`, {
    code: 'FOLLOWER_RUNNING',
    hint: 'One follower per catalog and file system: stop that one first.',
    exit: 'locked',
  });
}
