import { readFileSync } from 'node:fs';
import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { ContainerClient } from '@azure/storage-blob';
import { openCatalog } from '../../src/catalog/open.ts';
import { Intake } from '../../src/follow/service/intake.ts';
import { ToldDirectories } from '../../src/follow/told-directories.ts';
import { ChangelogReader } from '../../src/lustre/changelog-reader.ts';
import { forEachBounded } from '../../src/service/bounded.ts';
import type { Log } from '../../src/service/log.ts';
import { scratch } from '../support/catalog.ts';
import { helpersOf } from '../support/machine.ts';
import { helperPath } from '../support/project.ts';
import { type Sandbox, startSandbox } from '../support/sandbox.ts';
import { ENDPOINT, SandboxDirectory, STAND_IN } from '../support/sandbox-directory.ts';
import { waitUntil } from '../support/wait.ts';

/**
 * What following costs, on the stand-in and Azurite:
 *
 *     node test/bench/follow.ts [--records 1000000] [--changes 20000] [--files 10000] [--json FILE]
 *
 * - records per second from the changelog to the committed catalog, clearing included: creates, a mix, a storm of renames
 * - the memory of the whole follower while it works off that backlog
 * - renaming a directory of so many archived and released files: until their copies stand at their new names, and the old
 *   ones are gone; beside it the bare loop of copy and delete by Azure's SDK over the same blobs, as many at the same time
 */
const { values } = parseArgs({
  options: {
    records: { type: 'string', default: '1000000' },
    changes: { type: 'string', default: '20000' },
    files: { type: 'string', default: '10000' },
    json: { type: 'string' },
  },
});
const [records, changes, files] = [Number(values.records), Number(values.changes), Number(values.files)];
const PER_DIRECTORY = 1_000;
/** The default of `follow.concurrency`. */
const CONCURRENCY = 32;
const LONG = { timeout: 3_600_000 };

interface Figure {
  readonly what: string;
  readonly count: number;
  readonly seconds: number;
  /** Microseconds of CPU for each: of the process itself, and of its native helpers. */
  readonly node: number;
  readonly helpers: number;
  /** The same of the programs that stand for the service and the file system, where both have a part in it. */
  readonly azurite?: number;
  readonly standIn?: number;
  /** The most memory that the process has had, MiB. */
  readonly memory: number;
}
const figures: Figure[] = [];

function tell(figure: Figure): void {
  figures.push(figure);
  process.stderr.write(`${figure.what}: ${figure.count} in ${figure.seconds.toFixed(1)} s\n`);
}

/** Microseconds of CPU that a process has used so far. */
function cpuOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}

const peakOf = (pid: number) =>
  Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;

async function lastIndex(sandbox: Sandbox): Promise<number> {
  const { stdout } = await sandbox.serverLctl(['get_param', '-n', 'mdd.*.changelog_users']);
  return Number(/current_index: (\d+)/.exec(stdout)?.[1]);
}

const nothing = () => undefined;
const log: Log = {
  error: console.error,
  warn: nothing,
  info: nothing,
  debug: nothing,
  trace: nothing,
  child: () => log,
};

/** Takes everything in that `work` leaves in the changelog: into an empty catalog, as the follower does. */
async function intake(what: string, sandbox: Sandbox, work: () => Promise<unknown>): Promise<void> {
  const { mdt, mount, llapi: liblustreapi } = sandbox;
  const before = await lastIndex(sandbox);
  await work();
  const count = (await lastIndex(sandbox)) - before;
  const place = scratch(sandbox.dir);
  const catalog = openCatalog({ file: place.file, create: true });
  await catalog.apply({ cursors: [{ mdt, user: 'cl1', applied: before }] });
  let reader: ChangelogReader | undefined;
  const open = async (start: number | undefined): Promise<ChangelogReader> => {
    reader = await ChangelogReader.start({
      ...{ mdt, mount, liblustreapi, helper: helperPath, user: 'cl1' },
      ...(start === undefined ? {} : { start }),
    });
    return reader;
  };
  const one = new Intake({
    ...{ mdt, user: 'cl1', catalog, directories: new ToldDirectories(), open, log, step: async () => undefined },
    ...{ onTaken: nothing, onTurn: nothing, onRescan: nothing },
  });
  await one.open();
  const stop = new AbortController();
  const pid = reader?.pid ?? 0;
  const [began, node, helper] = [performance.now(), process.cpuUsage(), cpuOf(pid)];
  const running = one.run(stop.signal).catch(nothing);
  while ((one.state.applied ?? 0) < before + count) await delay(5);
  const seconds = (performance.now() - began) / 1000;
  const used = process.cpuUsage(node);
  const helpers = (cpuOf(pid) - helper) / count;
  stop.abort(new Error('done'));
  await running;
  await one.close();
  catalog.close();
  place.remove();
  const memory = process.resourceUsage().maxRSS / 1024;
  tell({ what, count, seconds, node: (used.user + used.system) / count, helpers, memory });
}

async function mix(directory: string): Promise<void> {
  await mkdir(directory);
  for (let at = 0; at < changes / 10; at++) {
    const path = join(directory, `f${at}`);
    await writeFile(path, 'x');
    await rename(path, `${path}.renamed`);
    if (at % 10 === 0) await mkdir(`${path}.dir`);
    if (at % 10 === 1) await symlink('x', `${path}.symlink`);
    await writeFile(`${path}.renamed`, 'y');
    if (at % 3 === 0) await rm(`${path}.renamed`);
  }
}

async function storm(directory: string): Promise<void> {
  await mkdir(directory);
  const names = Array.from({ length: 100 }, (_, at) => join(directory, `f${at}`));
  for (const name of names) await writeFile(name, '');
  for (let round = 0; round < changes / names.length; round++)
    for (const name of names) await rename(`${name}${round === 0 ? '' : `.${round}`}`, `${name}.${round + 1}`);
}

/** The follower as a whole, until nothing is left to be taken in. */
async function backlog(sandbox: Sandbox): Promise<void> {
  const before = await lastIndex(sandbox);
  // It has begun once, so that it takes up all that comes.
  await sandbox.run(['changelog-follow', '--once'], LONG);
  await grow(sandbox, 'backlog', records);
  const count = (await lastIndex(sandbox)) - before;
  const began = performance.now();
  const follower = sandbox.startService(['changelog-follow']);
  await follower.waitFor('follower ready', LONG);
  await waitUntil(
    'all is taken in',
    async () => {
      const { stdout } = await sandbox.run(['changelog-follow', 'ctl', 'status', '--json']);
      const { mdts } = JSON.parse(stdout) as { mdts: { lag: { caughtUp: boolean } }[] };
      return mdts.every(({ lag }) => lag.caughtUp);
    },
    LONG,
  );
  const seconds = (performance.now() - began) / 1000;
  const helpers = [...helpersOf(follower.pid).values()].reduce((sum, { pid }) => sum + cpuOf(pid), 0);
  tell({
    ...{ what: 'the whole follower, looking included, until all is taken in', count, seconds },
    ...{ node: cpuOf(follower.pid) / count, helpers: helpers / count, memory: peakOf(follower.pid) },
  });
  await follower.crash();
}

async function grow(sandbox: Sandbox, name: string, count: number): Promise<void> {
  const top = join(sandbox.mount, name);
  await mkdir(top);
  const dirs = Math.ceil(count / 2 / PER_DIRECTORY);
  await sandbox.simctl(['grow', top, `dirs=${dirs}`, `files=${PER_DIRECTORY}`, 'size=4096', 'records=1'], LONG);
}

/** Microseconds of CPU that the service and the file system's stand-in have used so far. */
function cpuBehind(sandbox: Sandbox): { azurite: number; standIn: number } {
  const records = new SandboxDirectory(sandbox.dir);
  const of = (name: string) => cpuOf(records.process(name)?.pid ?? 0);
  return { azurite: of(ENDPOINT), standIn: of(STAND_IN) };
}

function eachSince(before: ReturnType<typeof cpuBehind>, sandbox: Sandbox, count: number) {
  const now = cpuBehind(sandbox);
  return { azurite: (now.azurite - before.azurite) / count, standIn: (now.standIn - before.standIn) / count };
}

/** What anybody would write: no look at what is at either name, no condition, no proof, no word to the file system. */
async function bareCopies(sandbox: Sandbox, from: string, to: string): Promise<void> {
  const container: ContainerClient = sandbox.containerClient;
  const names: string[] = [];
  for await (const { name } of container.listBlobsFlat({ prefix: from })) names.push(name);
  const [began, used, behind] = [performance.now(), process.cpuUsage(), cpuBehind(sandbox)];
  const move = async (name: string) => {
    const source = container.getBlobClient(name);
    const copy = await container.getBlobClient(`${to}${name.slice(from.length)}`).beginCopyFromURL(source.url);
    await copy.pollUntilDone();
    await source.delete();
  };
  await forEachBounded(names, move, { concurrency: CONCURRENCY });
  const { user, system } = process.cpuUsage(used);
  tell({
    ...{ what: 'the same by a bare loop of copy and delete', count: names.length },
    ...{ seconds: (performance.now() - began) / 1000, memory: process.resourceUsage().maxRSS / 1024 },
    ...{ node: (user + system) / names.length, helpers: 0, ...eachSince(behind, sandbox, names.length) },
  });
}

async function renamed(): Promise<void> {
  const follow = { changelog_user: 'cl1', concurrency: CONCURRENCY };
  await using sandbox = await startSandbox({ standInOnly: true, config: { follow } });
  await sandbox.serverLctl(['set_param', 'mdt.*.hsm.max_requests=128']);
  const top = join(sandbox.mount, 'before');
  for (let at = 0; at < files; at++) {
    const directory = join(top, `d${Math.floor(at / PER_DIRECTORY)}`);
    if (at % PER_DIRECTORY === 0) await mkdir(directory, { recursive: true });
    await writeFile(join(directory, `f${at}`), `content of ${at}`);
  }
  await sandbox.startCopytool();
  const { exitCode, stderr } = await sandbox.run(['archive', '--recursive', '--wait', top], LONG);
  if (exitCode !== 0) throw new Error(`archive: ${stderr}`);
  await sandbox.run(['release', '--recursive', top], LONG);
  await sandbox.run(['changelog-follow', '--once'], LONG);
  const follower = sandbox.startService(['changelog-follow']);
  await follower.waitFor('follower ready', LONG);
  const used = () => [...helpersOf(follower.pid).values()].reduce((sum, { pid }) => sum + cpuOf(pid), 0);
  const [began, node, helpers, behind] = [performance.now(), cpuOf(follower.pid), used(), cpuBehind(sandbox)];
  await rename(top, join(sandbox.mount, 'after'));
  await waitUntil(
    'all copies have moved',
    async () => {
      const { stdout } = await sandbox.run(['changelog-follow', 'ctl', 'status', '--json']);
      const { recoveryPoint, counters } = JSON.parse(stdout) as {
        recoveryPoint: unknown;
        counters: Record<string, number>;
      };
      return recoveryPoint === null && (counters['reconciled'] ?? 0) >= files;
    },
    LONG,
  );
  tell({
    ...{ what: 'archived and released files below a directory that is renamed', count: files },
    ...{ seconds: (performance.now() - began) / 1000, memory: peakOf(follower.pid) },
    ...{ node: (cpuOf(follower.pid) - node) / files, helpers: (used() - helpers) / files },
    ...eachSince(behind, sandbox, files),
  });
  await follower.stop();
  const left = await countBelow(sandbox.containerClient, 'before/');
  if (left !== 0) throw new Error(`${left} blobs are left where they were`);
  await bareCopies(sandbox, 'after/', 'bare/');
}

async function countBelow(container: ContainerClient, prefix: string): Promise<number> {
  let count = 0;
  for await (const _ of container.listBlobsFlat({ prefix })) count += 1;
  return count;
}

async function recordsIn(): Promise<void> {
  await using sandbox = await startSandbox({ standInOnly: true, config: { follow: { changelog_user: 'cl1' } } });
  process.env['LUSTRE_SIM_DIR'] = sandbox.env['LUSTRE_SIM_DIR'];
  await intake('creates, to the catalog', sandbox, () => grow(sandbox, 'creates', records));
  await intake('a mix, to the catalog', sandbox, () => mix(join(sandbox.mount, 'mix')));
  await intake('a storm of renames, to the catalog', sandbox, () => storm(join(sandbox.mount, 'storm')));
  await backlog(sandbox);
}

if (records > 0) await recordsIn();
if (files > 0) await renamed();
const lines = figures.map(({ what, count, seconds, node, helpers, azurite, standIn, memory }) => {
  const cpu = [node, helpers, azurite, standIn].map((each) => each?.toFixed(1) ?? '');
  return [what, count, Math.round(count / seconds), ...cpu, `${memory.toFixed(0)} MiB`].join(' | ');
});
process.stdout.write(
  [
    '| what | how many | per second | CPU, µs each | of helpers | of Azurite | of the stand-in | memory at most |',
    '|---|---|---|---|---|---|---|---|',
    ...lines.map((line) => `| ${line} |`),
    '',
  ].join('\n'),
);
if (values.json !== undefined)
  await writeFile(values.json, `${JSON.stringify({ options: values, figures }, null, 2)}\n`);
