import { lstat, stat, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { outOfStep } from '../support/in-step.ts';
import { mounts } from '../support/mounts.ts';
import { projectRoot } from '../support/project.ts';
import type { RunResult } from '../support/run.ts';
import { type Sandbox, startSandbox } from '../support/sandbox.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import { standInObstacle } from '../support/stand-in.ts';
import { walkTree } from '../support/tree-walk.ts';
import { waitUntil } from '../support/wait.ts';
import { changeThings } from './changes.ts';
import { chooseTree, copyTree, type DemoFile, oddFiles, sha256Of, specialFiles } from './data.ts';
import { detail, number, size, tell, timed } from './tell.ts';

/**
 * The main job from beginning to end, on real files and through the executable alone: archive, release, users' changes
 * that the follower carries to the container, restore by reading, remove. Whatever is checked is checked without the
 * product: checksums taken before, `lfs`, and Azure's own client. Ends with 0 only when all of it was right.
 */

const NEEDED = 3 * 2 ** 30;
const TREE_FILES = 3_500;
const STEP_TIMEOUT = 900_000;
/** Actions that the coordinator gives out at the same time; Lustre's default of 3 keeps the copytool idle. */
const MAX_REQUESTS = 64;

let wrong = 0;

/** Says whether something is as it should be; goes on either way, so that one run shows all that is wrong. */
function expectThat(right: boolean, claim: string): void {
  if (!right) wrong++;
  detail(`${right ? 'ok    ' : 'WRONG '} ${claim}`);
}

async function directoryWithRoom(): Promise<string> {
  for (const directory of [tmpdir(), '/var/tmp', projectRoot]) {
    const { bavail, bsize } = await statfs(directory).catch(() => ({ bavail: 0, bsize: 0 }));
    if (bavail * bsize >= NEEDED) return directory;
  }
  throw new Error(`no disk with ${size(NEEDED)} free: set TMPDIR to a directory on one`);
}

/** Runs a command of the product; its failure ends the demonstration. */
async function lfsazsync(sandbox: Sandbox, ...argv: string[]): Promise<RunResult & { seconds: number }> {
  tell(`$ lfsazsync ${argv.map((word) => word.replace(sandbox.mount, '/mnt/lustre')).join(' ')}`);
  const { result, seconds } = await timed(sandbox.run(argv, { timeout: STEP_TIMEOUT }));
  const said = `${result.stdout}${result.stderr}`.trim();
  for (const line of said.split('\n').slice(-6)) if (line !== '') detail(`| ${line}`);
  if (result.exitCode !== 0)
    throw new Error(`lfsazsync ${argv[0]} ended with ${result.exitCode ?? result.signal}:\n${said}`);
  return { ...result, seconds };
}

/** Bytes in use on all OSTs, as `lfs df` says. */
async function ostUse(sandbox: Sandbox): Promise<number> {
  const { stdout } = await sandbox.lfs(['df', sandbox.mount]);
  const used = [...stdout.matchAll(/^\S+-OST[0-9a-f]{4}_UUID +\d+ +(\d+) /gm)].map((match) => Number(match[1]) * 1024);
  if (used.length === 0) throw new Error(`lfs df shows no OST:\n${stdout}`);
  return used.reduce((sum, bytes) => sum + bytes, 0);
}

interface Blobs {
  readonly files: Map<string, number>;
  readonly others: number;
}

/** What is in the container, by Azure's own client. Blobs that hold a file's content say so in their metadata. */
async function listBlobs(sandbox: Sandbox): Promise<Blobs> {
  const files = new Map<string, number>();
  let others = 0;
  for await (const blob of sandbox.containerClient.listBlobsFlat({ includeMetadata: true })) {
    if (blob.metadata?.['lfsazsync_kind'] === 'file') files.set(blob.name, blob.properties.contentLength ?? -1);
    else others++;
  }
  return { files, others };
}

const total = (files: Iterable<number>): number => [...files].reduce((sum, bytes) => sum + bytes, 0);

/** Calls `work` for every item, so many at a time. */
async function forAll<T>(items: readonly T[], parallel: number, work: (item: T) => Promise<void>): Promise<void> {
  const rest = items.values();
  const worker = async (): Promise<void> => {
    for (const item of rest) await work(item);
  };
  await Promise.all(Array.from({ length: parallel }, worker));
}

async function makeFiles(sandbox: Sandbox): Promise<DemoFile[]> {
  const source = await chooseTree(['/usr/include', join(projectRoot, 'node_modules'), '/usr/share'], 2_000);
  const tree = await copyTree(source, join(sandbox.tree, 'tree'), TREE_FILES);
  tell(
    `copied ${source}: ${number(tree.files.length)} files, ${number(tree.directories)} directories, ${number(tree.symlinks)} symlinks, ${size(tree.bytes)}`,
  );
  const special = await specialFiles(join(sandbox.tree, 'large'));
  tell(
    `made ${special.length} files that are large (${special
      .filter((file) => file.size >= 100 * 2 ** 20)
      .map((file) => size(file.size))
      .join(', ')}), sparse or empty`,
  );
  const odd = await oddFiles(join(sandbox.tree, 'odd names'));
  tell(`made ${odd.length} files with odd names: line end, quotes, emoji, dots at the end, no UTF-8, 255 bytes …`);
  return [...tree.files, ...special, ...odd];
}

async function archive(sandbox: Sandbox, files: readonly DemoFile[]): Promise<void> {
  const bytes = total(files.map((file) => file.size));
  const { seconds } = await lfsazsync(sandbox, 'archive', '--recursive', '--wait', sandbox.tree);
  detail(`${number(Math.round(files.length / seconds))} files/s, ${size(bytes / seconds)}/s`);
  const blobs = await listBlobs(sandbox);
  expectThat(
    blobs.files.size === files.length,
    `the container holds ${number(blobs.files.size)} file blobs for ${number(files.length)} files (and ${number(blobs.others)} blobs of other kinds)`,
  );
  expectThat(
    total(blobs.files.values()) === bytes,
    `they have ${number(total(blobs.files.values()))} bytes, the files ${number(bytes)}`,
  );
}

async function release(sandbox: Sandbox, files: readonly DemoFile[]): Promise<void> {
  const before = await ostUse(sandbox);
  await lfsazsync(sandbox, 'release', '--recursive', sandbox.tree);
  const after = await ostUse(sandbox);
  detail(`OST use: ${size(before)} before, ${size(after)} after: ${size(before - after)} are free again`);
  let blocks = 0;
  let sizes = 0;
  await forAll(files, 8, async (file) => {
    const now = await lstat(file.path);
    if (now.size > 0 && now.blocks > 1) blocks++;
    if (now.size !== file.size) sizes++;
  });
  expectThat(
    blocks === 0,
    `${number(files.length - blocks)} of ${number(files.length)} files are released: they occupy nothing`,
  );
  expectThat(sizes === 0, 'every file still shows its size');
  const content = total(files.filter((file) => !file.path.includes('sparse')).map((file) => file.size));
  expectThat(before - after >= content, `at least their ${size(content)} of data have been freed`);
}

interface FollowStatus {
  readonly recoveryPoint: unknown;
  readonly mdts: readonly { readonly lag: { readonly caughtUp: boolean } }[];
  readonly journal: { readonly quarantined: number };
  readonly tombstones: { readonly count: number };
}

/** Waits until the follower says that the container has everything. */
async function caughtUp(sandbox: Sandbox): Promise<void> {
  await waitUntil(
    'the container has all changes',
    async () => {
      const { stdout } = await sandbox.run(['changelog-follow', 'ctl', 'status', '--json']);
      const { recoveryPoint, mdts, tombstones } = JSON.parse(stdout) as FollowStatus;
      return recoveryPoint === null && tombstones.count === 0 && mdts.every(({ lag }) => lag.caughtUp);
    },
    { timeout: STEP_TIMEOUT, interval: 500 },
  );
}

/** Holds container and file system against each other: every name, type, target, content, owner, group, mode and time. */
async function compared(sandbox: Sandbox, files: readonly DemoFile[]): Promise<void> {
  const checksums = new Map<bigint, string>();
  for (const { path, sha256 } of files) checksums.set((await lstat(path, { bigint: true })).ino, sha256);
  const { mount, containerClient: container } = sandbox;
  const wrongs = await outOfStep({ mount, container, contents: (ino) => checksums.get(ino) });
  const entries = await walkTree(mount);
  const count = (type: string) => number(entries.filter((entry) => entry.type === type).length);
  expectThat(
    wrongs.length === 0,
    `container and file system are the same: ${count('file')} names of files, ${count('dir')} directories, ${count('symlink')} symlinks; names, targets, contents, owners, groups, modes, times; nothing else is in the container`,
  );
  for (const line of wrongs.slice(0, 10)) detail(`       ${line}`);
}

async function change(sandbox: Sandbox, files: readonly DemoFile[]): Promise<DemoFile[]> {
  await caughtUp(sandbox);
  await compared(sandbox, files);
  const before = await ostUse(sandbox);
  const left = await changeThings(sandbox.tree, files);
  const { seconds } = await timed(caughtUp(sandbox));
  tell(`the follower says that the container has all of it, ${seconds.toFixed(1)} s later`);
  await compared(sandbox, left);
  let resident = 0;
  await forAll(left, 8, async ({ path }) => {
    const { size: bytes, blocks } = await lstat(path);
    if (bytes > 0 && blocks > 1) resident++;
  });
  const restored = (await ostUse(sandbox)) - before;
  expectThat(
    resident === 0 && restored <= 0,
    'no file was restored for it: the copies were moved within the container',
  );
  return left;
}

async function readBack(files: readonly DemoFile[]): Promise<void> {
  tell(`reading all ${number(files.length)} files, as any program would: each read waits until its file is back`);
  const different: string[] = [];
  const attributes: string[] = [];
  const { seconds } = await timed(
    forAll(files, 8, async (file) => {
      const name = JSON.stringify(file.path.toString());
      if ((await sha256Of(file.path)) !== file.sha256) different.push(name);
      const { mode, uid, mtimeMs, size: bytes } = await stat(file.path);
      const same =
        (mode & 0o7777) === file.mode &&
        uid === file.uid &&
        Math.floor(mtimeMs / 1000) === file.mtime &&
        bytes === file.size;
      if (!same) attributes.push(name);
    }),
  );
  detail(
    `${number(Math.round(files.length / seconds))} files/s, ${size(total(files.map((file) => file.size)) / seconds)}/s`,
  );
  expectThat(
    different.length === 0,
    `SHA-256 of ${number(files.length - different.length)} of ${number(files.length)} files is what it was before${different.length > 0 ? `; not of ${different.slice(0, 5).join(', ')}` : ''}`,
  );
  expectThat(
    attributes.length === 0,
    `size, mode, owner and time are what they were${attributes.length > 0 ? `; not of ${attributes.slice(0, 5).join(', ')}` : ''}`,
  );
}

async function remove(sandbox: Sandbox, files: readonly DemoFile[]): Promise<void> {
  const directory = join(sandbox.tree, 'large');
  const removed = files.filter((file) => file.path.toString().startsWith(`${directory}/`));
  const before = await listBlobs(sandbox);
  await lfsazsync(sandbox, 'remove', '--recursive', '--wait', directory);
  const after = await listBlobs(sandbox);
  const left = [...after.files.keys()].filter((name) => name.startsWith(`${sandbox.blobName(directory)}/`));
  expectThat(left.length === 0, `the ${removed.length} blobs below ${sandbox.blobName(directory)} are gone`);
  expectThat(
    before.files.size - after.files.size === removed.length,
    `the other ${number(after.files.size)} file blobs are still there`,
  );
  let same = 0;
  for (const file of removed) if ((await sha256Of(file.path)) === file.sha256) same++;
  expectThat(same === removed.length, 'and the files themselves are untouched');
}

async function story(sandbox: Sandbox): Promise<void> {
  tell(`a sandbox is up: Lustre (stand-in) on ${sandbox.mount}, Azurite, container '${sandbox.container}'`);
  const files = await makeFiles(sandbox);
  const { exitCode } = await sandbox.serverLctl(['set_param', `mdt.*.hsm.max_requests=${MAX_REQUESTS}`]);
  if (exitCode !== 0) throw new Error('lctl could not raise max_requests');
  tell('$ lfsazsync copytool');
  const copytool: ServiceProcess = await sandbox.startCopytool();
  tell('$ lfsazsync changelog-follow');
  const follower = sandbox.startService(['changelog-follow']);
  await follower.waitFor('follower ready');
  await archive(sandbox, files);
  await release(sandbox, files);
  const left = await change(sandbox, files);
  await readBack(left);
  await remove(sandbox, left);
  tell('stopping the follower and the copytool (SIGTERM)');
  for (const [name, service] of Object.entries({ follower, copytool })) {
    const exit = await service.stop();
    // 143 says that a signal asked for the end, and that it came in good order: killed, it would have no exit code.
    expectThat(exit.exitCode === 143, `the ${name} ended in good order (exit code ${exit.exitCode ?? exit.signal})`);
  }
}

async function main(): Promise<number> {
  const obstacle = standInObstacle();
  if (obstacle !== undefined) throw new Error(obstacle);
  const sandbox = await startSandbox({
    parent: await directoryWithRoom(),
    standInOnly: true,
    osts: 2,
    ostSize: 2 * 2 ** 30,
    // Nothing has to be kept for long, nor left to settle: whoever watches does not want to wait.
    config: { follow: { changelog_user: 'cl1', settle: '1s' }, removal: { grace: '1s' } },
  });
  const interrupt = (): void => {
    tell('interrupted: taking the sandbox down');
    void sandbox.stop().finally(() => process.exit(130));
  };
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(name, interrupt);
  try {
    await story(sandbox);
  } finally {
    await sandbox.stop();
  }
  tell('the sandbox is down');
  expectThat(
    !mounts().some((entry) => entry.mountPoint.startsWith(`${sandbox.dir}/`)),
    'nothing of it is mounted any more',
  );
  expectThat((await stat(sandbox.dir).catch(() => undefined)) === undefined, 'its directory is gone');
  tell(wrong === 0 ? 'all of it was right' : `${wrong} ${wrong === 1 ? 'thing was' : 'things were'} wrong`);
  return wrong === 0 ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`demo: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
