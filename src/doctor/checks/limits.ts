import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Finding, ok, unknown, warning } from '../types.ts';

const ENOUGH_FILES = 4_096;
/** The runtime has about a dozen, each worker and each of the helper's workers one more. */
const ENOUGH_THREADS = 512;

/** How many threads a process may still have, and who says so. */
interface ThreadLimit {
  readonly room: number;
  readonly seen: string;
  /** What raises it. */
  readonly how: string;
}

/**
 * Open files and threads, of this process.
 * @param proc its directory in /proc; `cgroups`: where cgroups are mounted
 */
export async function limits(proc = '/proc/self', cgroups = '/sys/fs/cgroup'): Promise<Finding> {
  const text = await readFile(join(proc, 'limits'), 'utf8');
  const files = numberOf(text, 'Max open files');
  const processes = numberOf(text, 'Max processes');
  if (files === undefined || processes === undefined)
    return unknown('the limits of this process can’t be read', 'See `ulimit -n` and `ulimit -u`.');
  const byUser: ThreadLimit = {
    ...{ room: processes, seen: `${shown(processes)} processes and threads of a user` },
    how: 'LimitNPROC of the unit, ulimit -u',
  };
  const byGroup = await groupLimit(await readFile(join(proc, 'cgroup'), 'utf8').catch(() => ''), cgroups);
  const seen = [`${shown(files)} open files`, byUser.seen, ...(byGroup === undefined ? [] : [byGroup.seen])].join(', ');
  const fixes = [
    ...(files >= ENOUGH_FILES
      ? []
      : [
          `Raise the limit of open files to ${ENOUGH_FILES} or more (LimitNOFILE of the unit, ulimit -n); the units of lfsazsync setup do.`,
        ]),
    ...[byUser, byGroup].flatMap((limit) =>
      limit === undefined || limit.room >= ENOUGH_THREADS
        ? []
        : [`Leave room for ${ENOUGH_THREADS} threads or more (${limit.how}).`],
    ),
  ];
  return fixes.length === 0 ? ok(seen) : warning(seen, fixes.join(' '));
}

const shown = (limit: number) => (limit === Number.POSITIVE_INFINITY ? 'unlimited' : String(limit));

/** The soft limit. */
function numberOf(text: string, name: string): number | undefined {
  const soft = new RegExp(`^${name}\\s+(\\d+|unlimited)`, 'm').exec(text)?.[1];
  if (soft === undefined) return undefined;
  return soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft);
}

/** The tightest among the process's group and those above it; undefined: none of them has a limit. @param text /proc/PID/cgroup */
async function groupLimit(text: string, cgroups: string): Promise<ThreadLimit | undefined> {
  const limits: ThreadLimit[] = [];
  for (const line of text.split('\n')) {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (path === undefined || (controllers !== '' && controllers !== 'pids')) continue;
    // cgroup v2 has one tree, v1 one for each controller.
    const top = controllers === '' ? cgroups : join(cgroups, 'pids');
    for (let at = path; ; at = dirname(at)) {
      const [max, current] = await Promise.all(
        ['pids.max', 'pids.current'].map(async (name) =>
          Number(await readFile(join(top, at, name), 'utf8').catch(() => Number.NaN)),
        ),
      );
      // `max`, and where there is no such file: no limit.
      if (max !== undefined && !Number.isNaN(max))
        limits.push({
          room: max - (current || 0),
          seen: `${max} processes and threads of the control group ${at}, ${current || 0} in use`,
          how: `TasksMax of the unit, pids.max of ${join(top, at)}`,
        });
      if (at === '/') break;
    }
  }
  return limits.sort((a, b) => a.room - b.room)[0];
}
