import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { simLibrary, simPrograms } from './project.ts';
import { run } from './run.ts';
import type { SandboxDirectory } from './sandbox-directory.ts';
import { MDT, type StandInOptions, standInEnv, startStandIn } from './stand-in.ts';

/** The file system that a test works on: the stand-in's, or a real Lustre that the environment names. */
export interface TestFileSystem {
  readonly standIn: boolean;
  /** Mount points; several only on the stand-in, each a client of its own. */
  readonly mounts: readonly string[];
  /** A fresh directory in the first mount: the only place that tests write to. */
  readonly tree: string;
  readonly mdt: string;
  /** The library to open: a path, or a name for the dynamic linker. */
  readonly llapi: string;
  readonly changelogUser: string | undefined;
  readonly env: Readonly<Record<string, string>>;
}

function freshTree(mount: string): string {
  const tree = join(mount, `lfsazsync-test-${process.pid}-${randomBytes(4).toString('hex')}`);
  mkdirSync(tree, { mode: 0o755 });
  return tree;
}

/** The real Lustre client mount that LFSAZSYNC_TEST_MOUNT names; undefined without it. */
function realLustre(): TestFileSystem | undefined {
  const mount = process.env['LFSAZSYNC_TEST_MOUNT'];
  if (mount === undefined || mount === '') return undefined;
  const mdt = process.env['LFSAZSYNC_TEST_MDT'];
  if (mdt === undefined || mdt === '') {
    throw new Error('LFSAZSYNC_TEST_MOUNT is set, so LFSAZSYNC_TEST_MDT must name its MDT, such as lustrefs-MDT0000');
  }
  return {
    standIn: false,
    mounts: [mount],
    tree: freshTree(mount),
    mdt,
    llapi: process.env['LFSAZSYNC_TEST_LLAPI'] ?? 'liblustreapi.so.1',
    changelogUser: process.env['LFSAZSYNC_TEST_CHANGELOG_USER'],
    env: { PATH: process.env['PATH'] ?? '' },
  };
}

/** `lctl` as on the stand-in's metadata server; gives what it printed. */
async function serverLctl(env: Readonly<Record<string, string>>, args: readonly string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await run(join(simPrograms, 'lctl'), args, {
    env: { ...process.env, ...env, LUSTRE_SIM_NODE: 'server' },
    timeout: 20_000,
  });
  if (exitCode !== 0) throw new Error(`lctl ${args.join(' ')}: ${stderr || stdout}`);
  return stdout.trim();
}

/** A changelog user of the stand-in, registered as the server's administrator does. */
export async function registerChangelogUser(env: Readonly<Record<string, string>>): Promise<string> {
  return await serverLctl(env, ['--device', MDT, 'changelog_register', '-n']);
}

/** How many actions the stand-in's coordinator gives out at the same time. */
export async function setMaxRequests(env: Readonly<Record<string, string>>, count: number): Promise<void> {
  await serverLctl(env, ['set_param', `mdt.*.hsm.max_requests=${count}`]);
}

/** Starts the stand-in, as found: `tree` is its first mount itself, and nobody reads the changelog yet. */
export async function standInFileSystem(records: SandboxDirectory, options: StandInOptions): Promise<TestFileSystem> {
  const mounts = await startStandIn(records, options);
  return {
    standIn: true,
    mounts,
    tree: mounts[0] ?? '',
    mdt: MDT,
    llapi: simLibrary,
    changelogUser: undefined,
    env: standInEnv(records),
  };
}

/** The file system for a test: the real one that the environment names, else a new stand-in. */
export async function testFileSystem(
  records: SandboxDirectory,
  options: StandInOptions & { readonly standInOnly?: boolean },
): Promise<TestFileSystem> {
  const real = options.standInOnly === true ? undefined : realLustre();
  if (real !== undefined) return real;
  const standIn = await standInFileSystem(records, options);
  return { ...standIn, tree: freshTree(standIn.tree), changelogUser: await registerChangelogUser(standIn.env) };
}

/** Removes what a test left in its directory of a real file system; the stand-in's goes with its directory. */
export function leaveTree(fileSystem: TestFileSystem): void {
  if (!fileSystem.standIn) rmSync(fileSystem.tree, { recursive: true, force: true });
}

/** The PATH of the product's processes: the Node that runs the tests first, because the executable asks for `node`. */
export function pathWithNode(path: string): string {
  return [join(process.execPath, '..'), path].join(':');
}
