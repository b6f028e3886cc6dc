import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Fid, parseFid } from '../../src/identity/fid.ts';
import { LustreFiles } from '../../src/lustre/attributes.ts';
import { ChangelogReader } from '../../src/lustre/changelog-reader.ts';
import { HelperProcess } from '../../src/lustre/helper.ts';
import { Scanner } from '../../src/lustre/scanner.ts';
import { helperPath } from '../support/project.ts';
import { type Sandbox, startSandbox } from '../support/sandbox.ts';

/**
 * What the helper and its clients make of the stand-in: records of its changelog, entries of a scan beside a bare walk
 * (each on a mount of its own, so that nothing is in the kernel's caches), entries asked for by FID.
 *
 *     node test/bench/lustre.ts [--files 100000] [--per-directory 200] [--state plain|archived|released] [--threads 4] [--json FILE]
 *
 * As root; `npm run setup` has built what it needs. CPU is of the helper and of this process; what the stand-in
 * and FUSE need comes on top in both walks.
 */
const { values: options } = parseArgs({
  options: {
    files: { type: 'string', default: '100000' },
    'per-directory': { type: 'string', default: '200' },
    state: { type: 'string', default: 'plain' },
    threads: { type: 'string', default: '4' },
    json: { type: 'string' },
  },
});
const perDirectory = Number(options['per-directory']);
const directories = Math.ceil(Number(options.files) / perDirectory);
const threads = Number(options.threads);

interface Figure {
  readonly what: string;
  readonly count: number;
  readonly seconds: number;
  /** Microseconds of CPU for each; the helper's in the kernel is mostly FUSE's. */
  readonly helperUser?: number;
  readonly helperSystem?: number;
  readonly node?: number;
}
const figures: Figure[] = [];

/** Seconds of CPU that a process has used so far. */
function cpuOf(pid: number): { user: number; system: number } {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? [];
  return { user: Number(fields[11]) / 100, system: Number(fields[12]) / 100 };
}

async function measure(what: string, pid: number | undefined, work: () => Promise<number>): Promise<void> {
  const before = pid === undefined ? undefined : cpuOf(pid);
  const [start, node] = [process.hrtime.bigint(), process.cpuUsage()];
  const count = await work();
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  const used = process.cpuUsage(node);
  const after = pid === undefined ? undefined : cpuOf(pid);
  const cpu =
    before === undefined || after === undefined
      ? {}
      : {
          helperUser: ((after.user - before.user) * 1e6) / count,
          helperSystem: ((after.system - before.system) * 1e6) / count,
          node: (used.user + used.system) / count,
        };
  figures.push({ what, count, seconds, ...cpu });
  process.stderr.write(`${what}: ${count} in ${seconds.toFixed(2)} s\n`);
}

async function benchChangelog({ mount, mdt, llapi: liblustreapi }: Sandbox): Promise<void> {
  const reader = await ChangelogReader.start({ mount, mdt, liblustreapi, helper: helperPath });
  await measure('records, from the changelog to objects', reader.pid, async () => {
    let count = 0;
    for await (const event of reader) {
      if (event.kind === 'records') count += event.records.length;
      if (event.kind === 'end') return count;
    }
    return count;
  });
  await reader.close();
}

async function benchWalk(tree: string, scratch: string): Promise<void> {
  const walker = join(scratch, 'statx-walk');
  const source = join(import.meta.dirname, 'statx-walk.c');
  const built = spawnSync('cc', ['-O2', '-pthread', '-o', walker, source], { encoding: 'utf8' });
  if (built.status !== 0) throw new Error(built.stderr);
  await measure('bare walk, statx of each', undefined, async () =>
    Number(spawnSync(walker, [tree, String(threads)], { encoding: 'utf8' }).stdout),
  );
}

async function benchScan(mount: string, liblustreapi: string, root: Fid): Promise<Fid[]> {
  const scanner = await Scanner.start({ mount, liblustreapi, helper: helperPath, threads });
  const fids: Fid[] = [];
  await measure('scan, to objects', scanner.pid, async () => {
    for await (const batch of scanner.walk([root])) for (const entry of batch.entries) fids.push(entry.fid);
    return fids.length;
  });
  await scanner.close();
  return fids;
}

async function benchEntries(mount: string, liblustreapi: string, fids: readonly Fid[]): Promise<void> {
  const helper = await HelperProcess.start({ mode: 'attrs', mount, liblustreapi, helper: helperPath, threads });
  const files = new LustreFiles(helper);
  await measure('entries by FID, four requests at a time', helper.pid, async () => {
    const quarters = [0, 1, 2, 3].map((part) => fids.filter((_, i) => i % 4 === part));
    return (await Promise.all(quarters.map((some) => files.entries(some)))).flat().length;
  });
  const xattrs = ['trusted.lfsazsync', 'trusted.lhsm_uuid', 'trusted.link'];
  await measure('the same as parts (get_many), four at a time', helper.pid, async () => {
    const quarters = [0, 1, 2, 3].map((part) => fids.filter((_, i) => i % 4 === part).map((fid) => ({ fid })));
    const want = { parts: ['stat', 'hsm', 'xattrs', 'layout'], xattrs } as const;
    return (await Promise.all(quarters.map((some) => files.getMany(some, want)))).flat().length;
  });
  await helper.close();
}

await using sandbox = await startSandbox({ endpoint: false, standInOnly: true, mounts: 3 });
process.env['LUSTRE_SIM_DIR'] = sandbox.env['LUSTRE_SIM_DIR'];
await sandbox.serverLctl(['--device', sandbox.mdt, 'changelog_register']);
const [first = '', second = '', third = ''] = sandbox.mounts;
const name = 'bench';
await sandbox.exec('mkdir', [join(first, name)]);
await sandbox.simctl(
  [
    'grow',
    join(first, name),
    `dirs=${directories}`,
    `files=${perDirectory}`,
    `state=${options.state}`,
    'size=4096',
    'records=1',
  ],
  { timeout: 600_000 },
);
const shown = (await sandbox.lfs(['path2fid', join(first, name)])).stdout;
const root = parseFid(/\[.*\]/.exec(shown)?.[0] ?? '');
if (root === undefined) throw new Error(`no FID: ${shown}`);

await benchChangelog(sandbox);
await benchWalk(join(second, name), sandbox.dir);
const fids = await benchScan(third, sandbox.llapi, root);
await benchEntries(third, sandbox.llapi, fids.slice(0, 20_000));

const micro = (value: number | undefined): string => value?.toFixed(1) ?? '';
const lines = figures.map((figure) =>
  [
    ...[figure.what, figure.count, Math.round(figure.count / figure.seconds)],
    ...[micro(figure.helperUser), micro(figure.helperSystem), micro(figure.node)],
  ].join(' | '),
);
process.stdout.write(
  [
    '| what | how many | per second | CPU of the helper, µs each: user | system | CPU of Node, µs each |',
    '|---|---|---|---|---|---|',
    ...lines.map((line) => `| ${line} |`),
    '',
  ].join('\n'),
);
if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify({ options, figures }, null, 2)}\n`);
