import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { runVerify } from '../../src/audit/verify/verify.ts';
import { openCatalog, WALK_CACHE } from '../../src/catalog/open.ts';
import { type Fid, ROOT_FID } from '../../src/identity/fid.ts';
import { EVERYTHING } from '../../src/scan/target.ts';
import { executable, needBuilt } from '../support/project.ts';
import { FS, MadeUp, PER_DIRECTORY } from './made-up.ts';
import { measure, type ProcessCost } from './process-cost.ts';

/** What one command has cost, of a tree of so many entries. */
export interface QueryCost extends ProcessCost {
  readonly what: string;
  readonly entries: number;
}

/** The commands: whole processes of the built executable, at a catalog alone. */
const COMMANDS: readonly (readonly string[])[] = [
  ['find'],
  ['find', '--name', 'file-17'],
  ['find', '--size', '+1M', '--mtime', '+90d'],
  ['find', '/mnt/bench/d7'],
  ['find', '--sort', 'size', '--descending', '--limit', '20'],
  ['report'],
  ['report', '--by', 'age', '--by', 'size', '--top-files', '20'],
  ['report', '--top-directories', '20'],
];

/** Measures find and report as they are called, and a verification, each as a process of its own, at each of these sizes. */
export async function benchQuery(sizes: readonly number[], say: (text: string) => void): Promise<QueryCost[]> {
  needBuilt(executable, 'run npm run setup');
  const costs: QueryCost[] = [];
  for (const size of sizes) {
    const directory = mkdtempSync('/var/tmp/lfsazsync-bench-');
    try {
      const tree = new MadeUp(size);
      say(`a catalog of ${tree.entries} entries`);
      const catalog = openCatalog({ file: join(directory, 'catalog.db'), create: true });
      await tree.fill(catalog);
      catalog.close();
      const config = join(directory, 'config.yaml');
      writeFileSync(config, `mount: /mnt/bench\nstate_dir: ${directory}\nlog: {level: error}\n`, { mode: 0o600 });
      const one = async (what: string, file: string, args: readonly string[]) => {
        const cost = await measure({ file, args, env: { LFSAZSYNC_CONFIG: config } });
        say(`${what}: ${cost.wall} s`);
        costs.push({ what, entries: tree.entries, ...cost });
      };
      // Its output goes nowhere: what reads it has a price of its own.
      for (const args of COMMANDS)
        await one(args.join(' '), 'sh', ['-c', 'exec "$0" "$@" >/dev/null', executable, ...args]);
      // As bin/lfsazsync starts it.
      const self = new URL(import.meta.url).pathname;
      for (const what of ['verify', 'verify, again'])
        await one(what, process.execPath, [
          '--max-semi-space-size=8',
          self,
          join(directory, 'catalog.db'),
          String(size),
        ]);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  }
  return costs;
}

/** A table in Markdown. */
export function reportOfQuery(costs: readonly QueryCost[]): string {
  const lines = [
    '| | entries | CPU | CPU each | time | memory |',
    '|---|---|---|---|---|---|',
    ...costs.map(({ what, entries, wall, user, system, memory }) => {
      const cpu = user + system;
      const each = `${((cpu / entries) * 1e6).toFixed(1)} µs`;
      return `| \`${what}\` | ${entries} | ${cpu.toFixed(2)} s | ${each} | ${wall.toFixed(1)} s | ${memory.toFixed(0)} MB |`;
    }),
    '',
    `${cpus()[0]?.model ?? ''}, ${cpus().length} cores, load ${(loadavg()[0] ?? 0).toFixed(1)}, Node ${process.version}`,
  ];
  return `${lines.join('\n')}\n`;
}

/** A verification of a made-up tree in step: Lustre and the container answer at once, from nothing that is kept. */
async function verify(file: string, size: number): Promise<void> {
  const tree = new MadeUp(size);
  const catalog = openCatalog({ file, cacheBytes: WALK_CACHE });
  const entryOf = (fid: Fid) => tree.entry(fid, tree.at(fid)?.type ?? 'dir');
  const seen = (fid: Fid) => {
    const entry = entryOf(fid);
    const record = entry.type === 'file' ? { record: tree.record(fid) } : {};
    return [fid, { kind: 'alive', fresh: { entry, ...record } }] as const;
  };
  const files = {
    keepsXattrs: false,
    getMany: async (targets: readonly { fid: Fid }[]) =>
      targets.map(({ fid }) => ({ paths: [Buffer.from(tree.at(fid)?.path ?? '')], xattrs: new Map() })),
  };
  async function* walk() {
    for (let number = 0; number < tree.directories; number += 1) {
      const fids = [
        tree.directory(number),
        ...Array.from({ length: PER_DIRECTORY }, (_, one) => tree.file(number, one)),
      ];
      const entries = fids.map((fid) => ({ ...entryOf(fid), parent: ROOT_FID, name: Buffer.from('any') }));
      yield { entries, directories: [], failures: [] };
    }
  }
  const options = {
    ...{ catalog, fsUuid: FS, archives: new Map([[1, tree.store]]), target: EVERYTHING, parallel: 8 },
    ...{ checksum: false, settle: 0, repair: false, signal: new AbortController().signal },
    fs: { files, mount: '/mnt/bench', dataPath: (fid: Fid) => fid },
    source: { look: async (fids: readonly Fid[]) => new Map(fids.map(seen)) },
    startScanner: async () => ({ walk, close: async () => undefined }),
    onFinding: (finding: object) => {
      throw new Error(`what is in step has no findings: ${JSON.stringify(finding)}`);
    },
  };
  const summary = await runVerify(options as unknown as Parameters<typeof runVerify>[0]);
  catalog.close();
  const { blobs, entries, walked, outcome } = summary;
  const all = tree.entries;
  // The root has no blob, and no name.
  if (blobs !== all || entries !== all + 1 || walked !== all || outcome !== 'complete')
    throw new Error(`not everything was verified: ${JSON.stringify({ blobs, entries, walked, outcome })} of ${all}`);
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  const [, , file = '', size = ''] = process.argv;
  await verify(file, Number(size));
}
