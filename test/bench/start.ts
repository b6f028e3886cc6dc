// start.ts [--rounds N] [--json FILE]: how long the built executable takes until it has said what it says, beside `node --version`.
import { writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { executable, needBuilt } from '../support/project.ts';
import { measure, type ProcessCost } from './process-cost.ts';

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '15' }, json: { type: 'string' } },
});
const rounds = Number(values.rounds);

/** What is run, and the most milliseconds that it should take. */
const COMMANDS: readonly {
  readonly name: string;
  readonly file: string;
  readonly args: readonly string[];
  readonly target?: number;
}[] = [
  { name: 'node --version (the peer)', file: process.execPath, args: ['--version'] },
  { name: 'lfsazsync --version', file: executable, args: ['--version'], target: 200 },
  { name: 'lfsazsync --help', file: executable, args: ['--help'], target: 200 },
  { name: 'lfsazsync archive --help', file: executable, args: ['archive', '--help'], target: 250 },
  { name: 'lfsazsync config show', file: executable, args: ['config', 'show'], target: 250 },
];

needBuilt(executable, 'run npm run setup');
const env = { LFSAZSYNC_MOUNT: '/mnt/lustre' };
const results: { name: string; target: number | undefined; wall: number; cpu: number; fastest: number }[] = [];
for (const { name, file, args, target } of COMMANDS) {
  const costs: ProcessCost[] = [];
  for (let round = 0; round < rounds; round += 1) costs.push(await measure({ file, args, env }));
  const median = (of: (cost: (typeof costs)[number]) => number) =>
    costs.map(of).sort((a, b) => a - b)[rounds >> 1] ?? Number.NaN;
  results.push({
    ...{ name, target },
    wall: Math.round(median((cost) => cost.wall) * 1000),
    cpu: Math.round(median((cost) => cost.user + cost.system) * 1000),
    fastest: Math.round(Math.min(...costs.map((cost) => cost.wall)) * 1000),
  });
}
const lines = [
  '| command | median | fastest | CPU | target |',
  '|---|---|---|---|---|',
  ...results.map(
    ({ name, wall, fastest, cpu, target }) =>
      `| \`${name}\` | ${wall} ms | ${fastest} ms | ${cpu} ms | ${target === undefined ? '' : `${target} ms`} |`,
  ),
  '',
  `${cpus()[0]?.model ?? ''}, ${cpus().length} cores, load ${(loadavg()[0] ?? 0).toFixed(1)}, Node ${process.version}, ${rounds} rounds`,
];
process.stdout.write(`${lines.join('\n')}\n`);
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(results, undefined, 2)}\n`);
