import { OperatorError } from '../errors.ts';
import type { Log } from '../log.ts';
import { askService } from './client.ts';
import { ControlServer } from './server.ts';

/** What who holds a lock says of itself. */
export interface RunHolder {
  readonly pid: number;
  /** ISO 8601. */
  readonly since: string;
  /** What it works on, for people. */
  readonly path: string;
}

/**
 * Takes the lock of a kind of work of which there is one at a time for a catalog: a socket beside it, which the kernel takes
 * back from a process that dies, and which says who holds it.
 * @param o.name of the work, as of its command: the socket's name
 * @param o.title what is at work, for people (`A <name>`)
 * @param o.code of the error (`<NAME>_RUNNING`)
 * @throws OperatorError (exit `locked`), naming the holder
 */
export async function lockRun(o: {
  directory: string;
  version: string;
  name: string;
  path: string;
  hint: string;
  log: Log;
  title?: string;
  code?: string;
}): Promise<{ release(): Promise<void> }> {
  const { directory, version, name, path, log } = o;
  const holder: RunHolder = { pid: process.pid, since: new Date().toISOString(), path };
  try {
    const handlers = { status: () => holder };
    const server = await ControlServer.open({ directory, name: `${name}.sock`, version, handlers, log });
    return { release: () => server.close() };
  } catch (error) {
    if (error instanceof OperatorError && error.code === 'CONTROL_SOCKET_TAKEN') throw await running(o);
    throw error;
  }
}

async function running(o: {
  directory: string;
  name: string;
  hint: string;
  title?: string;
  code?: string;
}): Promise<OperatorError> {
  const {
    directory,
    name,
    hint,
    title = `${/^[aeiou]/.test(name) ? 'An' : 'A'} ${name}`,
    code = `${name.toUpperCase()}_RUNNING`,
  } = o;
  const target = { directory, name: `${name}.sock`, service: name, start: `lfsazsync ${name}` };
  const asked = askService(target, 'status', {}, { timeout: 5_000 });
  const holder = (await asked.catch(() => undefined)) as RunHolder | undefined;
  const who = holder === undefined ? '' : `: process ${holder.pid} since ${holder.since}, of ${holder.path}`;
  return new OperatorError(`${title} is at work already${who}.`, {
    code,
    hint,
    exit: 'locked',
  });
}
