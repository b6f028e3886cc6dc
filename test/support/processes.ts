import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/**
 * A process that can be recognised again after its number has been used for another one: the start time (clock ticks
 * since boot, field 22 of /proc/PID/stat) belongs to the identity.
 */
export interface ProcessIdentity {
  readonly pid: number;
  readonly startTime: string;
  readonly name: string;
}

function statFields(pid: number): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The command in parentheses may hold spaces and parentheses: count from the last one.
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}

/** The identity of a living process; undefined when there is none of this number. */
export function identify(pid: number, name: string): ProcessIdentity | undefined {
  const startTime = statFields(pid)?.[19];
  return startTime === undefined ? undefined : { pid, startTime, name };
}

/** Whether this very process is still there; a zombie counts as gone. */
export function isAlive(identity: ProcessIdentity): boolean {
  const fields = statFields(identity.pid);
  return fields !== undefined && fields[0] !== 'Z' && fields[19] === identity.startTime;
}

/** Sends a signal if this very process is still there; to its whole process group when `group` is set. */
export function signal(identity: ProcessIdentity, name: NodeJS.Signals, options: { group?: boolean } = {}): void {
  if (!isAlive(identity)) return;
  // Not every process leads a group: it itself gets the signal in any case.
  for (const target of options.group === true ? [-identity.pid, identity.pid] : [identity.pid]) {
    try {
      process.kill(target, name);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}

/** Waits until the process has gone; false when it is still there after `timeout` milliseconds. */
export async function gone(identity: ProcessIdentity, timeout: number): Promise<boolean> {
  const end = Date.now() + timeout;
  while (isAlive(identity)) {
    if (Date.now() >= end) return false;
    await delay(25);
  }
  return true;
}

/** Asks a process to end (SIGTERM), and kills it when it has not done so after `patience` milliseconds. */
export async function endProcess(
  identity: ProcessIdentity,
  options: { patience?: number; group?: boolean } = {},
): Promise<void> {
  const { patience = 10_000, group = false } = options;
  signal(identity, 'SIGTERM');
  if (!(await gone(identity, patience))) {
    signal(identity, 'SIGKILL', { group });
    await gone(identity, 10_000);
  }
}
