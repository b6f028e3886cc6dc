import { accessSync, constants, existsSync, mkdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { startDetached } from './detached.ts';
import { mountAt } from './mounts.ts';
import { needBuilt, simDaemon, simLibrary, simPrograms } from './project.ts';
import { type SandboxDirectory, STAND_IN } from './sandbox-directory.ts';
import { waitUntil } from './wait.ts';

export interface StandInOptions {
  /** Clients, each with a mount of its own (default 1). */
  readonly mounts?: number;
  readonly osts?: number;
  /** Metadata servers (default 1), each with a changelog of its own. */
  readonly mdts?: number;
  /** Bytes of each OST (default 1 GiB). */
  readonly ostSize?: number;
  /** The dialect of HSM changelog records: 2.15 is what Azure Managed Lustre runs, 2.17 what the facts recorded. */
  readonly version?: '2.15' | '2.17';
}

export const FSNAME = 'lustrefs';
export const MDT = `${FSNAME}-MDT0000`;
/** The address of a Unix socket holds 108 bytes, the last of them zero. */
const SOCKET_PATH_MAX = 107;

/** The programs' directory in front of PATH, and how they find this stand-in. */
export function standInEnv(sandbox: SandboxDirectory): { PATH: string; LUSTRE_SIM_DIR: string } {
  return {
    PATH: [simPrograms, process.env['PATH'] ?? ''].join(delimiter),
    LUSTRE_SIM_DIR: sandbox.lustreDir,
  };
}

/** Why the stand-in cannot run here, as a sentence that says what to do; undefined when it can. */
export function standInObstacle(): string | undefined {
  if (process.getuid?.() !== 0)
    return 'the stand-in Lustre mounts a file system and sets trusted.* attributes: run this as root';
  try {
    accessSync('/dev/fuse', constants.R_OK | constants.W_OK);
  } catch {
    return '/dev/fuse is missing or not accessible: load the fuse module (modprobe fuse), or start the container with --device /dev/fuse --cap-add SYS_ADMIN';
  }
  if (!existsSync(simDaemon))
    return `the stand-in Lustre has not been built: run npm run setup (${simDaemon} is missing)`;
  return undefined;
}

/** Starts the stand-in with its mounts; they answer when this returns. */
export async function startStandIn(sandbox: SandboxDirectory, options: StandInOptions): Promise<string[]> {
  const obstacle = standInObstacle();
  if (obstacle !== undefined) throw new Error(obstacle);
  needBuilt(simLibrary, 'run npm run setup');
  const socket = join(sandbox.lustreDir, 'sock');
  if (Buffer.byteLength(socket) > SOCKET_PATH_MAX) {
    throw new Error(`${socket} is too long for a Unix socket (${SOCKET_PATH_MAX} bytes): choose a shorter directory`);
  }
  mkdirSync(sandbox.lustreDir, { recursive: true });
  const mountPoints = Array.from({ length: options.mounts ?? 1 }, (_, index) => sandbox.mountPoint(index));
  for (const mountPoint of mountPoints) {
    mkdirSync(mountPoint, { recursive: true });
    sandbox.recordMount(mountPoint);
  }
  await startDetached(sandbox, {
    name: STAND_IN,
    file: simDaemon,
    args: [
      ...['--dir', sandbox.lustreDir, '--fsname', FSNAME],
      ...mountPoints.flatMap((mountPoint) => ['--mount', mountPoint]),
      ...['--mdts', String(options.mdts ?? 1)],
      ...['--osts', String(options.osts ?? 2), '--ost-size', String(Math.ceil((options.ostSize ?? 2 ** 30) / 1024))],
      ...['--sim-version', options.version ?? '2.15', '--foreground', '--no-changelog-user'],
    ],
    env: { ...process.env, ...standInEnv(sandbox) },
    logFile: join(sandbox.dir, 'lustre.log'),
    ready: /^ready$/m,
  });
  for (const mountPoint of mountPoints) {
    await waitUntil(`${mountPoint} is mounted`, () => mountAt(mountPoint) !== undefined);
  }
  return mountPoints;
}
