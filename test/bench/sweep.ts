import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { runSweep } from '../../src/audit/sweep.ts';
import { openCatalog } from '../../src/catalog/open.ts';
import { FS, MadeUp } from './made-up.ts';

/**
 * What a sweep costs besides the listing: `node test/bench/sweep.ts [--blobs 1000000] [--json FILE]`. A catalog is filled as by a
 * scan (200 archived files in a directory), and a container that is in step with it is listed from memory: what is
 * measured is from a page that was read to what the catalog notes of it, on the disk. The first sweep meets blobs that the
 * catalog does not know, the second what it knows.
 */
const { values: options } = parseArgs({
  options: { blobs: { type: 'string', default: '1000000' }, json: { type: 'string' } },
});
const tree = new MadeUp(Number(options.blobs));

const directory = mkdtempSync(join(tmpdir(), 'lfsazsync-bench-'));
const catalog = openCatalog({ file: join(directory, 'catalog.db'), create: true });

const figures: { what: string; blobs: number; cpu: number; perSecond: number; memory: number; findings: object }[] = [];

async function sweep(what: string): Promise<void> {
  const [start, cpu] = [performance.now(), process.cpuUsage()];
  let memory = 0;
  const summary = await runSweep({
    ...{ catalog, fsUuid: FS, archives: new Map([[1, tree.store]]), parallel: 8, signal: new AbortController().signal },
    onProgress: () => {
      memory = Math.max(memory, process.memoryUsage.rss());
    },
  });
  const { user, system } = process.cpuUsage(cpu);
  const { count } = summary.listed;
  const seconds = (performance.now() - start) / 1000;
  figures.push({
    ...{ what, blobs: count, cpu: (user + system) / count, perSecond: count / seconds, memory: memory / 2 ** 20 },
    findings: summary.findings,
  });
}

try {
  await tree.fill(catalog);
  await sweep('blobs that are not known yet');
  await sweep('blobs that are known');
  for (const { what, blobs, cpu, perSecond, memory, findings } of figures) {
    console.log(
      `${what}: ${blobs} blobs, ${cpu.toFixed(1)} µs CPU each, ${Math.round(perSecond)}/s, at most ${memory.toFixed(0)} MiB, findings ${JSON.stringify(findings)}`,
    );
  }
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(figures, null, 2)}\n`);
} finally {
  catalog.close();
  rmSync(directory, { recursive: true, force: true });
}
