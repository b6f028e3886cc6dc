import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { PolicyRunJson } from '../../src/policy/run/report.ts';
import { executable } from '../support/project.ts';
import { startSandbox } from '../support/sandbox.ts';
import { measure } from './process-cost.ts';

/**
 * What a run of the policies costs, looks at the file system included:
 *
 *     node test/bench/policy-run.ts [--files 200000] [--asked 20000] [--json FILE]
 *
 * As root; `npm run setup` has built what it needs. The stand-in grows a tree, half of it archived, and `scan` fills the
 * catalog. Dry runs go through all candidates: chosen from the catalog, looked at by FID, judged. A real one asks for some;
 * nobody carries them out. CPU is of the program and its helper; what the stand-in and FUSE need is in the wall clock.
 */
const { values: options } = parseArgs({
  options: {
    files: { type: 'string', default: '200000' },
    asked: { type: 'string', default: '20000' },
    json: { type: 'string' },
  },
});
const half = Math.floor(Number(options.files) / 2);

await using sandbox = await startSandbox({
  endpoint: false,
  standInOnly: true,
  config: {
    policies: {
      archive: { rate_limit: { files: 'unlimited' }, max_outstanding: 'unlimited' },
    },
  },
});
const old = Math.floor(Date.now() / 1000) - 3 * 365 * 86_400;
for (const [place, more] of [
  ['new', []],
  ['archived', ['state=archived', 'archive=1']],
] as const) {
  const directory = join(sandbox.tree, place);
  const made = await sandbox.exec('mkdir', [directory]);
  if (made.exitCode !== 0) throw new Error(made.stderr);
  const args = [`dirs=${Math.ceil(half / 500)}`, 'files=500', 'size=4096', `mtime=${old}`, ...more];
  await sandbox.simctl(['grow', directory, ...args]);
}
const scan = await sandbox.run(['scan', '--json'], { timeout: 1_800_000 });
if (scan.exitCode !== 0) throw new Error(scan.stderr);

interface Figure {
  readonly what: string;
  readonly files: number;
  readonly perSecond: number;
  /** Microseconds of CPU for each. */
  readonly cpu: number;
  /** Megabytes. */
  readonly memory: number;
}
const figures: Figure[] = [];

async function run(what: string, args: readonly string[], count: (json: PolicyRunJson) => number): Promise<void> {
  const output = join(sandbox.dir, 'output.json');
  const script = `exec "$0" policy-run --json "$@" > ${JSON.stringify(output)}`;
  const cost = await measure({ file: 'bash', args: ['-c', script, executable, ...args], env: { ...sandbox.env } });
  const files = count(JSON.parse(readFileSync(output, 'utf8')) as PolicyRunJson);
  figures.push({
    what,
    files,
    perSecond: Math.round(files / cost.wall),
    cpu: Math.round(((cost.user + cost.system) * 1e6) / files),
    memory: Math.round(cost.memory),
  });
}

const matched = (json: PolicyRunJson) => json.policies[0]?.matched?.files ?? 0;
const asked = (json: PolicyRunJson) => json.policies[0]?.asked?.files ?? 0;
await run('archive, dry: chosen, looked at, judged', ['archive', '--dry-run'], matched);
await run('archive: asked for, too', ['archive', '--max-files', String(options.asked)], asked);
console.table(figures);
if (options.json !== undefined) writeFileSync(options.json, JSON.stringify(figures, null, 2));
