import { access, constants, readdir, readFile, stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { formatBytes } from '../../service/units.ts';
import type { DoctorContext } from '../context.ts';
import { type Check, type Finding, failed, ok, warning } from '../types.ts';
import { limits } from './limits.ts';

const OLDEST_NODE = [22, 19] as const;
const LITTLE_ROOM = 1 << 30;

/** Programs that do the same work: two of them on one file system take each other's actions, and delete each other's copies. */
const RIVALS: ReadonlyMap<string, string> = new Map([
  ['lhsmd', 'lemur’s HSM agent'],
  ['lhsm-plugin-az', 'lemur’s mover for Azure'],
  ['lhsmtool_posix', 'Lustre’s copytool for directories'],
  ['robinhood', 'Robinhood'],
  ['lustremetasync', 'the follower of the original deployment'],
]);

/** File systems that forget, or whose locks SQLite can't rely on, by their magic number (statfs(2)). */
const UNFIT_FOR_STATE: ReadonlyMap<number, string> = new Map([
  [0x01021994, 'is in memory: after a restart of the machine it is empty'],
  [0x6969, 'is on NFS: the catalog needs a local disk'],
  [0xff534d42, 'is on CIFS: the catalog needs a local disk'],
  [0xfe534d42, 'is on SMB: the catalog needs a local disk'],
  [0x0bd00bd0, 'is on Lustre: when that stops, so does what should say why'],
]);

export const machineChecks: readonly Check<DoctorContext>[] = [
  { id: 'machine.node', run: () => Promise.resolve(node(process.versions.node)) },
  { id: 'machine.user', run: () => Promise.resolve(user(process.geteuid?.() ?? -1)) },
  { id: 'machine.limits', run: () => limits() },
  { id: 'machine.rivals', run: async () => rivals(await commandsRunning()) },
  { id: 'machine.state', run: ({ config }) => directory(config.stateDir, 'state_dir', true) },
  { id: 'machine.run', run: ({ config }) => directory(config.runDir, 'run_dir', false) },
];

export function node(version: string): Finding {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [needMajor, needMinor] = OLDEST_NODE;
  return major > needMajor || (major === needMajor && minor >= needMinor)
    ? ok(`Node.js ${version}`)
    : failed(`Node.js ${version}`, `Use Node.js ${OLDEST_NODE.join('.')} or newer; the packages bring one along.`);
}

export function user(uid: number): Finding {
  return uid === 0
    ? ok('root')
    : failed(
        `user ${uid}`,
        'Run it as root: Lustre gives changelogs, trusted.* attributes and archive requests to root only.',
      );
}

/** @param running names of commands by process id */
export function rivals(running: ReadonlyMap<number, string>): Finding {
  const found = [...running].flatMap(([pid, name]) => {
    const what = RIVALS.get(name);
    return what === undefined ? [] : [`${what} (${name}, process ${pid})`];
  });
  return found.length === 0
    ? ok('no other HSM agent or policy engine')
    : failed(
        `at work on this machine: ${found.join(', ')}`,
        'Stop and disable it before lfsazsync serves the same file system; docs/migration.md says how to move over.',
      );
}

async function commandsRunning(): Promise<Map<number, string>> {
  const running = new Map<number, string>();
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    // It may be gone by now.
    const name = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '');
    if (name !== '') running.set(Number(pid), name.trimEnd());
  }
  return running;
}

async function directory(path: string, setting: string, isState: boolean): Promise<Finding> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) {
    return warning(
      `${setting} ${path} is not there yet`,
      'Run `lfsazsync setup`, or start a service: it is made then.',
    );
  }
  if (!found.isDirectory())
    return failed(`${setting} ${path} is no directory`, `Move it away, or correct \`${setting}\`.`);
  const writable = await access(path, constants.W_OK | constants.X_OK).then(
    () => true,
    () => false,
  );
  if (!writable)
    return failed(
      `${setting} ${path} can’t be written`,
      'See who owns it, and whether its file system is mounted read-only.',
    );
  if ((found.mode & 0o022) !== 0)
    return failed(
      `${setting} ${path} can be written by others than root`,
      `chmod 750 ${path}: who can write there can make root’s services do things.`,
    );
  if (!isState) return ok(path);
  const disk = await statfs(path);
  const unfit = UNFIT_FOR_STATE.get(disk.type);
  if (unfit !== undefined)
    return warning(
      `${setting} ${path} ${unfit}`,
      `Let \`${setting}\` name a directory on a local disk that survives a restart.`,
    );
  return room(path, disk);
}

/** @param disk as of statfs(2) */
export function room(path: string, disk: { bavail: number; bsize: number; blocks: number }): Finding {
  const { bavail, bsize, blocks } = disk;
  const free = bavail * bsize;
  const seen = `${path}, ${formatBytes(free)} free`;
  return free < LITTLE_ROOM || bavail < blocks / 20
    ? warning(
        seen,
        `Make room in ${dirname(path)}: the catalog takes about 160 bytes a file, and up to 64 MiB for its log.`,
      )
    : ok(seen);
}
