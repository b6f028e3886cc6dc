import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { parseBytes } from '../../src/service/units.ts';
import { benchCopytool, reportOfCopytool, writeCosts } from './copytool.ts';
import { benchDataPath, writeResult } from './data-path.ts';
import { benchQuery, reportOfQuery } from './query.ts';
import { reportOf } from './report.ts';

const USAGE = `npm run bench -- data-path [options]
npm run bench -- copytool [--files N] [--file-size SIZE] [--json FILE]
npm run bench -- query [--entries N,N…] [--json FILE]

copytool measures whole actions on the stand-in Lustre and Azurite: the CPU of copytool and helpers. query measures find,
report and verify at catalogs of so many entries (100000,1000000), verify with a Lustre and a container that are made up. data-path:

Measures archive and restore of file contents against AzCopy, at an nginx that throws uploads away and serves ranges:
processes as a whole, taking turns. Needs nginx and AzCopy's libsecret-1-0 (Debian: apt-get install nginx-light libsecret-1-0).

  --large SIZE        of the large file; 0 leaves it out (2GiB)
  --files N           how many small files; 0 leaves them out (10000)
  --file-size SIZE    of each (4KiB)
  --rounds N          of which medians are taken (3)
  --threads N|auto    transfer threads of ours (auto)
  --concurrency N     files of ours at work at the same time (16)
  --only WHAT         archive or restore
  --scheme WHAT       http or https
  --azcopy FILE       in place of the npm package's
  --json FILE         writes all figures there
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    large: { type: 'string', default: '2GiB' },
    files: { type: 'string', default: '10000' },
    'file-size': { type: 'string', default: '4KiB' },
    rounds: { type: 'string', default: '3' },
    threads: { type: 'string', default: 'auto' },
    concurrency: { type: 'string', default: '16' },
    only: { type: 'string' },
    scheme: { type: 'string' },
    azcopy: { type: 'string' },
    entries: { type: 'string', default: '100000,1000000' },
    json: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

const what = positionals[0] ?? '';
if (values.help || !['data-path', 'copytool', 'query'].includes(what)) {
  process.stderr.write(USAGE);
  process.exit(values.help ? 0 : 2);
}
try {
  if (what === 'copytool') await copytool();
  else if (what === 'query') await query();
  else await dataPath();
} catch (error) {
  process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}

async function copytool(): Promise<void> {
  const costs = await benchCopytool(number('files', values.files, 1), bytes('file-size', values['file-size']));
  if (values.json !== undefined) await writeCosts(values.json, costs);
  process.stdout.write(reportOfCopytool(costs));
}

async function query(): Promise<void> {
  const sizes = values.entries.split(',').map((text) => number('entries', text, 1));
  const costs = await benchQuery(sizes, (text) => process.stderr.write(`${text}\n`));
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(costs, undefined, 2)}\n`);
  process.stdout.write(reportOfQuery(costs));
}

async function dataPath(): Promise<void> {
  const result = await benchDataPath({
    large: bytes('large', values.large),
    files: number('files', values.files, 0),
    fileSize: bytes('file-size', values['file-size']),
    rounds: number('rounds', values.rounds, 1),
    threads: values.threads === 'auto' ? 'auto' : number('threads', values.threads, 0),
    concurrency: number('concurrency', values.concurrency, 1),
    schemes: oneOf('scheme', values.scheme, ['http', 'https']),
    directions: oneOf('only', values.only, ['archive', 'restore']),
    azcopy: values.azcopy,
    say: (text) => process.stderr.write(`${text}\n`),
  });
  if (values.json !== undefined) await writeResult(values.json, result);
  process.stdout.write(reportOf(result));
}

function bytes(name: string, text: string): number {
  if (text === '0') return 0;
  try {
    return parseBytes(text);
  } catch {
    throw new Error(`--${name}: not a size: ${text}`);
  }
}

function number(name: string, text: string, least: number): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < least)
    throw new Error(`--${name}: not a number from ${least} on: ${text}`);
  return value;
}

function oneOf<T extends string>(name: string, text: string | undefined, all: readonly T[]): readonly T[] {
  if (text === undefined) return all;
  const found = all.filter((word) => word === text);
  if (found.length === 0) throw new Error(`--${name}: ${all.join(' or ')}, not ${text}`);
  return found;
}
