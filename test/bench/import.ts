import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { stringify } from 'yaml';
import { startGateway } from '../support/blob-gateway.ts';
import { executable } from '../support/project.ts';
import { sandboxConfig, startSandbox } from '../support/sandbox.ts';
import { GeneratedListing } from './listing.ts';
import { measure, type ProcessCost } from './process-cost.ts';

/**
 * What an import makes of a container, beside a bare loop of llapi_hsm_import on as many threads in the same stand-in; how fast
 * it lists, and how much memory it has, at ten times as many blobs. Listings are made up as they are asked for.
 *
 * Last, one directory of so many blobs behind an endpoint with latency, whether it knows `startFrom` or not: listed in parts, or page
 * after page.
 *
 *     node test/bench/import.ts [--files 50000] [--listed 1000000] [--threads 16] [--latency 50] [--only-listing] [--json FILE]
 */
const { values: options } = parseArgs({
  options: {
    files: { type: 'string', default: '50000' },
    listed: { type: 'string', default: '1000000' },
    threads: { type: 'string', default: '16' },
    /** Milliseconds for each request, of the last two. */
    latency: { type: 'string', default: '50' },
    'only-listing': { type: 'boolean', default: false },
    json: { type: 'string' },
  },
});
const files = Number(options.files);

interface Figure {
  readonly what: string;
  readonly count: number;
  readonly seconds: number;
  readonly cost?: ProcessCost;
}

await using sandbox = await startSandbox({ standInOnly: true });
const gateway = await startGateway(/BlobEndpoint=([^;]+)/.exec(sandbox.connectionString)?.[1] ?? '');
const connectionString = sandbox.connectionString.replace(/BlobEndpoint=[^;]+/, `BlobEndpoint=${gateway.endpoint}`);
let listing = new GeneratedListing(files);
let latency = 0;
let knowsStartFrom = true;
gateway.interfere = async ({ url, operation }) => {
  gateway.requests.length = 0;
  if (operation !== 'GET container list') return undefined;
  if (latency > 0) await delay(latency);
  const query = new URL(url, 'http://x').searchParams;
  if (!knowsStartFrom && query.has('startFrom')) return { answer: { status: 400, code: 'InvalidHeaderValue' } };
  const headers = { 'content-type': 'application/xml', 'x-ms-request-id': 'bench', 'x-ms-version': '2023-11-03' };
  return { answer: { status: 200, headers, body: listing.answer(query) } };
};
writeFileSync(join(sandbox.dir, 'connection-string'), connectionString, { mode: 0o600 });

/** A configuration with a catalog of its own. */
function configuration(name: string): Record<string, string> {
  const file = join(sandbox.dir, `${name}.yaml`);
  const state = join(sandbox.dir, name);
  mkdirSync(state, { recursive: true, mode: 0o700 });
  const records = { dir: sandbox.dir } as Parameters<typeof sandboxConfig>[0];
  const base = sandboxConfig(records, sandbox.fileSystem, sandbox.container);
  writeFileSync(file, stringify({ ...base, state_dir: state }), { mode: 0o600 });
  return { ...sandbox.env, LFSAZSYNC_CONFIG: file, AZURE_STORAGE_CONNECTION_STRING: connectionString };
}

function bareLoop(): Figure {
  const loop = join(sandbox.dir, 'import-loop');
  const source = join(import.meta.dirname, 'import-loop.c');
  const built = spawnSync('cc', ['-O2', '-pthread', '-o', loop, source, '-ldl'], { encoding: 'utf8' });
  if (built.status !== 0) throw new Error(built.stderr);
  const top = join(sandbox.mount, 'bare');
  mkdirSync(top);
  const env = { ...process.env, ...sandbox.env };
  const ran = spawnSync(loop, [sandbox.llapi, top, String(files), options.threads], { encoding: 'utf8', env });
  if (ran.status !== 0) throw new Error(`import-loop: ${ran.stderr}`);
  return { what: 'bare loop of llapi_hsm_import', count: files, seconds: Number(ran.stdout) };
}

async function importing(what: string, args: readonly string[], name: string): Promise<Figure> {
  const env = configuration(name);
  const said = join(sandbox.dir, 'said.json');
  const script = `exec "$0" "$@" > ${said}`;
  const all = ['-c', script, executable, 'import', '--json', ...args, '--threads', options.threads];
  const cost = await measure({ file: 'sh', args: all, env });
  const { listed } = JSON.parse(readFileSync(said, 'utf8')) as { listed: number };
  if (listed !== listing.blobs) throw new Error(`${what}: ${listed} blobs of ${listing.blobs}`);
  return { what, count: listed, seconds: cost.wall, cost };
}

const figures: Figure[] = [];
if (!options['only-listing']) {
  figures.push(bareLoop());
  figures.push(await importing('import', ['--to', join(sandbox.mount, 'first')], 'first'));
  figures.push(await importing('again, with its catalog', ['--to', join(sandbox.mount, 'first')], 'first'));
  figures.push(await importing('again, without', ['--to', join(sandbox.mount, 'first')], 'again'));
}
const listed = Number(options.listed);
listing = new GeneratedListing(listed / 10);
figures.push(await importing('dry run', ['--dry-run'], 'dry'));
listing = new GeneratedListing(listed, 10_000);
figures.push(await importing('dry run', ['--dry-run'], 'dry-large'));
listing = new GeneratedListing(listed, listed);
latency = Number(options.latency);
knowsStartFrom = false;
figures.push(await importing('dry run, one directory, page after page', ['--dry-run'], 'dry-flat'));
knowsStartFrom = true;
figures.push(await importing('dry run, one directory, in parts', ['--dry-run'], 'dry-parts'));
await gateway.stop();

const line = ({ what, count, seconds, cost }: Figure): string =>
  [
    ...[what, count, seconds.toFixed(1), Math.round(count / seconds)],
    cost === undefined ? '' : (((cost.user + cost.system) / count) * 1e6).toFixed(1),
    cost === undefined ? '' : cost.memory.toFixed(0),
  ].join(' | ');
process.stdout.write(
  [
    '| what | blobs | seconds | per second | CPU, µs each | memory, MB |',
    '|---|---|---|---|---|---|',
    ...figures.map((figure) => `| ${line(figure)} |`),
    '',
  ].join('\n'),
);
if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify({ options, figures }, null, 2)}\n`);
