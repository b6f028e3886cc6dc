import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { openCatalog } from '../catalog/open.ts';
import { catalogFile } from '../catalog/place.ts';
import type { LoadedConfig } from '../config/load.ts';
import { settingsOf } from '../config/show.ts';
import { copytoolSocket } from '../copytool/socket.ts';
import { followSocket } from '../follow/service/socket.ts';
import { askService } from '../service/control/client.ts';
import { redact } from '../service/redact.ts';
import { run } from '../service/run.ts';
import type { DoctorJson } from './report.ts';

const LOG_BYTES = 4 << 20;
const PATIENCE_MS = 20_000;

export interface BundleOptions {
  readonly loaded: LoadedConfig;
  readonly doctor: DoctorJson;
  readonly signal: AbortSignal;
}

/**
 * Writes an archive of what support asks for: the findings, the configuration, what services say of themselves, the ends
 * of logs, sums of the catalog. Each part loses its secrets on the way; names of files and blobs stay. A part that can't
 * be had is replaced by the reason. @returns the file
 */
export async function writeBundle(file: string, options: BundleOptions): Promise<string> {
  const target = resolve(file);
  const folder = await mkdtemp(join(tmpdir(), 'lfsazsync-support-'));
  try {
    const name = basename(target).replace(/\.(?:tar\.gz|tgz)$/, '') || 'lfsazsync-support';
    const content = join(folder, name);
    await mkdir(content);
    for (const [part, text] of await partsOf(options))
      await writeFile(join(content, part), redact(text), { mode: 0o600 });
    await mkdir(dirname(target), { recursive: true });
    const { code, stderr } = await run('tar', ['-C', folder, '--owner=0', '--group=0', '-czf', target, name], {
      timeout: 120_000,
      signal: options.signal,
    });
    if (code !== 0) throw new Error(`tar: ${stderr.trim()}`);
    return target;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function partsOf({ loaded, doctor, signal }: BundleOptions): Promise<[string, string][]> {
  const { config } = loaded;
  const parts: [string, () => Promise<string>][] = [
    ['doctor.json', () => Promise.resolve(json(doctor))],
    ['configuration.json', () => Promise.resolve(json(settingsOf(loaded)))],
    ['machine.txt', () => files('/etc/os-release', '/proc/version', '/proc/meminfo', '/proc/self/mounts')],
    ['copytool.json', () => status(config.runDir, copytoolSocket(config.mount), 'copytool')],
    ['changelog-follow.json', () => status(config.runDir, followSocket(config.mount), 'changelog-follow')],
    ['catalog.json', () => catalog(config.stateDir)],
    ['lfs-df.txt', () => output(config.lfs, ['df', config.mount], signal)],
    ['journal.txt', () => output('journalctl', ['--no-pager', '-n', '5000', '-u', 'lfsazsync*'], signal)],
    ...(config.log.file === undefined
      ? []
      : [['service.log', () => tail(config.log.file as string)] as [string, () => Promise<string>]]),
    ['audit.log', () => tail(config.log.auditFile)],
  ];
  return await Promise.all(
    parts.map(
      async ([name, make]): Promise<[string, string]> => [
        name,
        await make().catch((error: unknown) => `not to be had: ${String(error)}\n`),
      ],
    ),
  );
}

const json = (value: unknown) =>
  `${JSON.stringify(value, (_, item: unknown) => (typeof item === 'bigint' ? item.toString() : item), 2)}\n`;

async function files(...paths: readonly string[]): Promise<string> {
  const texts = await Promise.all(paths.map(async (path) => `== ${path}\n${await readFile(path, 'utf8')}`));
  return texts.join('\n');
}

async function status(directory: string, name: string, service: string): Promise<string> {
  const target = { directory, name, service, start: `lfsazsync ${service}` };
  return json(await askService(target, 'status', {}, { timeout: 5_000 }));
}

async function output(program: string, args: readonly string[], signal: AbortSignal): Promise<string> {
  const { code, stdout, stderr } = await run(program, args, { timeout: PATIENCE_MS, signal });
  return `${stdout.toString('utf8')}${code === 0 ? '' : `\nexit code ${code}: ${stderr}`}`;
}

/** The last megabytes of a log. */
async function tail(path: string): Promise<string> {
  const text = await readFile(path);
  const end = text.subarray(Math.max(0, text.length - LOG_BYTES)).toString('utf8');
  return text.length <= LOG_BYTES ? end : end.slice(end.indexOf('\n') + 1);
}

/** Sums, cursors, runs and events; no names. */
async function catalog(stateDir: string): Promise<string> {
  const opened = openCatalog({ file: catalogFile(stateDir), readOnly: true });
  try {
    return json({
      fileSystem: await opened.fileSystem(),
      usage: await opened.usage(),
      journal: await opened.journalStats(),
      marks: await opened.markStats(),
      cursors: (await opened.cursors()).map((cursor) => ({ ...cursor, types: Object.fromEntries(cursor.types) })),
      runs: await opened.runs(undefined, 100),
      events: await opened.events(200),
    });
  } finally {
    opened.close();
  }
}
