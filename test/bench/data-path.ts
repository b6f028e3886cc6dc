import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { stripTypeScriptTypes } from 'node:module';
import os from 'node:os';
import { join } from 'node:path';
import { projectRoot } from '../support/project.ts';
import { type AzCopy, findAzCopy } from './azcopy.ts';
import { type BenchEndpoint, CONTAINER, SAS, startEndpoint } from './endpoint.ts';
import { measure, type ProcessCost, type Program } from './process-cost.ts';
import type { Plan } from './transfer-process.ts';
import { type BenchFile, makeFiles, scratchFor, type Workload, writeList } from './workload.ts';

export interface DataPathOptions {
  /** Bytes of the large file. */
  readonly large: number;
  /** Number and bytes of the small ones. */
  readonly files: number;
  readonly fileSize: number;
  readonly rounds: number;
  readonly threads: number | 'auto';
  readonly concurrency: number;
  readonly schemes: readonly Scheme[];
  readonly directions: readonly Direction[];
  readonly azcopy: string | undefined;
  readonly say: (text: string) => void;
}

type Scheme = 'http' | 'https';
type Direction = 'archive' | 'restore';

/** One tool's work in one setting, over all rounds. */
export interface Cell {
  readonly work: Direction;
  readonly workload: Workload;
  readonly scheme: Scheme;
  readonly tool: string;
  readonly rounds: ProcessCost[];
}

export interface DataPathResult {
  readonly when: string;
  readonly machine: Readonly<Record<string, string | number>>;
  readonly versions: Readonly<Record<string, string>>;
  readonly cells: readonly Cell[];
}

interface Contender {
  readonly tool: string;
  program(direction: Direction, endpoint: string, directory: string): Program;
}

interface Scene {
  readonly scratch: string;
  readonly source: string;
  readonly list: string;
  readonly files: readonly BenchFile[];
  readonly endpoint: BenchEndpoint;
}

/** Archive and restore of large and small files, our data path and AzCopy taking turns. */
export async function benchDataPath(options: DataPathOptions): Promise<DataPathResult> {
  const dist = join(projectRoot, 'dist');
  if (!existsSync(join(dist, 'src/transfer/open.js'))) throw new Error('there is nothing built: run npm run setup');
  const workloads: Workload[] = [
    { name: 'large', count: 1, size: options.large },
    { name: 'small', count: options.files, size: options.fileSize },
  ].filter(({ count, size }) => count * size > 0);
  const cells: Cell[] = [];
  const versions: Record<string, string> = { node: process.version };
  for (const workload of workloads) {
    const bytes = workload.count * Math.max(workload.size, 4096);
    const scratch = await mkdtemp(join(await scratchFor(bytes), 'lfsazsync-bench-'));
    try {
      const azcopy = await findAzCopy(scratch, options.azcopy);
      const scene = await prepare(scratch, workload);
      versions['azcopy'] = azcopy.version;
      versions['nginx'] = scene.endpoint.version;
      try {
        cells.push(...(await run(scene, workload, azcopy, dist, options)));
      } finally {
        await scene.endpoint.stop();
      }
    } finally {
      await rm(scratch, { recursive: true, force: true });
    }
  }
  return { when: new Date().toISOString(), machine: machine(), versions, cells };
}

async function prepare(scratch: string, workload: Workload): Promise<Scene> {
  const source = join(scratch, 'source');
  const files = await makeFiles(source, workload);
  const list = join(scratch, 'list');
  await writeList(list, files);
  // Memory that the machine has not given yet costs whoever touches it first.
  await makeFiles(join(scratch, 'warm-up'), workload);
  await rm(join(scratch, 'warm-up'), { recursive: true });
  return { scratch, source, list, files, endpoint: await startEndpoint(scratch, source, files) };
}

async function run(
  scene: Scene,
  workload: Workload,
  azcopy: AzCopy,
  dist: string,
  options: DataPathOptions,
): Promise<Cell[]> {
  const { endpoint, list } = scene;
  // Node would strip the types at every start, which the product, being compiled, does not.
  const script = join(scene.scratch, 'transfer-process.mjs');
  await writeFile(
    script,
    stripTypeScriptTypes(await readFile(join(import.meta.dirname, 'transfer-process.ts'), 'utf8')),
  );
  const ours: Contender = {
    tool: 'lfsazsync',
    program(direction, to, directory) {
      const { threads, concurrency } = options;
      const plan: Plan = { dist, direction, endpoint: to, container: CONTAINER, concurrency, threads, list, directory };
      return {
        file: process.execPath,
        args: [script, JSON.stringify(plan)],
        // As bin/lfsazsync has it.
        env: { BENCH_SAS: SAS, NODE_EXTRA_CA_CERTS: endpoint.authority, UV_THREADPOOL_SIZE: '32' },
      };
    },
  };
  const contenders = (direction: Direction): Contender[] => [
    ours,
    ...(direction === 'archive' ? [false, true] : [true]).map((checkLength) => ({
      tool: direction === 'archive' && checkLength ? 'azcopy, length check' : 'azcopy',
      program: (_: Direction, to: string, directory: string) =>
        azcopy.copy(direction, { endpoint: to, authority: endpoint.authority, directory, checkLength }),
    })),
  ];
  const cells: Cell[] = [];
  for (const scheme of options.schemes) {
    for (const work of options.directions) {
      const here = contenders(work).map(({ tool, program }) => ({
        cell: { work, workload, scheme, tool, rounds: [] } as Cell,
        program,
      }));
      for (let round = 0; round < options.rounds; round++) {
        for (const { cell, program } of here) {
          const directory = work === 'archive' ? scene.source : join(scene.scratch, 'target');
          if (work === 'restore') await mkdir(directory);
          const cost = await measure(program(work, endpoint[scheme], directory));
          if (work === 'restore') {
            await expectWhole(directory, scene.files);
            await rm(directory, { recursive: true });
          }
          cell.rounds.push(cost);
          const cpu = cost.user + cost.system;
          options.say(
            `${work} ${workload.name} ${scheme} ${cell.tool}: ${cpu.toFixed(2)} s CPU, ${cost.wall.toFixed(2)} s`,
          );
        }
      }
      cells.push(...here.map(({ cell }) => cell));
    }
  }
  return cells;
}

/** That a tool has not been fast by doing nothing. Ours holds every checksum against the source's itself. */
async function expectWhole(directory: string, files: readonly BenchFile[]): Promise<void> {
  const found = (await readdir(directory, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  const sizes = await Promise.all(
    found.slice(0, 100).map(async ({ parentPath, name }) => (await stat(join(parentPath, name))).size),
  );
  if (found.length === files.length && sizes.every((size) => size === files[0]?.size)) return;
  throw new Error(`${found.length} of ${files.length} files were downloaded`);
}

function machine(): DataPathResult['machine'] {
  const cpus = os.cpus();
  return {
    processor: cpus[0]?.model ?? 'unknown',
    cores: os.availableParallelism(),
    kernel: os.release(),
    memoryGB: Math.round(os.totalmem() / 1e9),
    load: Number((os.loadavg()[0] ?? 0).toFixed(2)),
  };
}

/** Writes the result for machines. */
export async function writeResult(path: string, result: DataPathResult): Promise<void> {
  await writeFile(path, `${JSON.stringify(result, null, 2)}\n`);
}
