import { lstat } from 'node:fs/promises';
import { crc64, type SeenBlob, seeContainer } from './container-view.ts';
import type { Sandbox } from './sandbox.ts';
import { digest, type KnownFile, type Truth } from './truth.ts';

/*
 * The independent comparison of file system, container and what the users have done. It uses none of the product's
 * code: the container is listed and read by Azure's own client, the file system by `lfs`, contents are those that were
 * recorded when they were written.
 *
 * What it holds against the product, after every kill and at any moment:
 * - I2: a released file's content is in a blob that says it is this file's; a file that Lustre would release (archived,
 *   not dirty) has its content there, too.
 * - I3: each blob of a file is, byte for byte, a content that this very file once had; its size and checksum say so.
 * - Nothing is in the container that the protocol does not leave there: blobs of files that were, at names that they
 *   had; markers of directories that were; the control blobs.
 * What the protocol leaves for the follower and the sweep is no finding: blobs of removed files, blobs at earlier names,
 * earlier versions of dirty files. `settled` says that nothing of that kind has been caused: then each archived file has
 * exactly one blob, at its present name.
 */

const EXISTS = 0x1;
const DIRTY = 0x2;
const RELEASED = 0x4;
const ARCHIVED = 0x8;

export interface CompareOptions {
  /** Nothing was renamed, linked or removed: each archived file has one blob, at its name, and no other has any. */
  readonly settled?: boolean;
  /** Only what is below this directory, relative to the mount's root. */
  readonly below?: string;
}

/** What is wrong, a line each; empty: nothing. */
export async function compare(sandbox: Sandbox, truth: Truth, options: CompareOptions = {}): Promise<string[]> {
  const { below, settled = false } = options;
  // States first: what is seen as archived then has its copy in the container that is listed afterwards.
  const states = await statesOf(sandbox, truth);
  const blobs = await seeContainer(sandbox.containerClient, below === undefined ? '' : `${below}/`);
  const all = below === undefined ? blobs : [...blobs, ...(await seeContainer(sandbox.containerClient, '.lfsazsync/'))];
  const fsUuid = controlOf(all);
  const findings: string[] = [];
  if (fsUuid === undefined) return blobs.length === 0 ? [] : ['there are blobs, and no control blob'];
  const ours = blobs.filter(({ metadata }) => metadata['lfsazsync_fs'] === fsUuid);
  for (const blob of blobs) findings.push(...strangeness(blob, fsUuid, truth));
  for (const blob of ours) if (blob.metadata['lfsazsync_kind'] === 'file') findings.push(...tornness(blob, truth));
  for (const [file, flags] of states) {
    const own = ours.filter(({ metadata }) => metadata['lfsazsync_fid'] === file.fid && isFile(metadata));
    findings.push(...lostness(file, flags, own));
    if (settled) findings.push(...unsettled(file, flags, own));
  }
  for (const [path, file] of truth.names) findings.push(...(await sizeOf(path, file, truth)));
  return findings;
}

/** Actions that the coordinator still has under way, as its own list shows them. */
export async function unfinished(sandbox: Sandbox): Promise<string[]> {
  const { stdout } = await sandbox.serverLctl(['get_param', '-n', 'mdt.*.hsm.actions']);
  return stdout.split('\n').filter((line) => /status=(WAITING|STARTED)/.test(line));
}

const isFile = (metadata: SeenBlob['metadata']) => metadata['lfsazsync_kind'] === 'file';

async function statesOf(sandbox: Sandbox, truth: Truth): Promise<Map<KnownFile, number>> {
  const files = [...new Set(truth.names.values())];
  const states = new Map<KnownFile, number>();
  if (files.length === 0) return states;
  const paths = files.map((file) => truth.absolute([...file.paths][0] ?? ''));
  const { stdout, stderr } = await sandbox.lfs(['hsm_state', ...paths]);
  const flags = [...stdout.matchAll(/: \((0x[0-9a-f]{8})\)/g)].map((match) => Number(match[1]));
  if (flags.length !== files.length) throw new Error(`lfs hsm_state: ${stderr}\n${stdout}`);
  for (const [index, file] of files.entries()) states.set(file, flags[index] ?? 0);
  return states;
}

function controlOf(blobs: readonly SeenBlob[]): string | undefined {
  const control = blobs.find(({ name }) => name === '.lfsazsync/control');
  if (control === undefined) return undefined;
  const { fs } = JSON.parse(control.body.toString('utf8')) as { fs?: unknown };
  return typeof fs === 'string' ? fs : undefined;
}

/** What the protocol never leaves in a container. */
function strangeness(blob: SeenBlob, fsUuid: string, truth: Truth): string[] {
  const { name, metadata, path } = blob;
  if (path === undefined)
    return ['.lfsazsync/control', '.lfsazsync/claims'].includes(name) ? [] : [`stray blob ${name}`];
  if (metadata['lfsazsync_fs'] !== fsUuid) return [`${name} is not a blob of this file system`];
  const kind = metadata['lfsazsync_kind'];
  if (kind === 'dir') {
    const used = [...truth.files.values()].some((file) => [...file.everPaths].some((it) => it.startsWith(`${path}/`)));
    return used && blob.body.length === 0 ? [] : [`${name} is the marker of a directory that never was`];
  }
  if (kind !== 'file') return [`${name} is of a kind that nobody made: ${kind}`];
  const file = truth.files.get(metadata['lfsazsync_fid'] ?? '');
  if (file === undefined) return [`${name} is the blob of a file that never was: ${metadata['lfsazsync_fid']}`];
  return file.everPaths.has(path) ? [] : [`${name} is the blob of ${file.fid}, which never had that name`];
}

/** I3: the whole of one version of this very file, and what it says of itself is so. */
function tornness({ name, body, metadata }: SeenBlob, truth: Truth): string[] {
  const file = truth.files.get(metadata['lfsazsync_fid'] ?? '');
  if (file === undefined) return [];
  const findings: string[] = [];
  if (!file.versions.has(digest(body)))
    findings.push(`I3: ${name} holds ${body.length} bytes that ${file.fid} never had: ${shown(body)}`);
  if (metadata['lfsazsync_size'] !== String(body.length))
    findings.push(`I3: ${name} has ${body.length} bytes and says ${metadata['lfsazsync_size']}`);
  if (metadata['lfsazsync_crc64'] !== crc64(body))
    findings.push(`I3: ${name} says the checksum ${metadata['lfsazsync_crc64']}, its bytes have ${crc64(body)}`);
  return findings;
}

/** I2: where Lustre holds, or may make, the container's copy the only one, it is the present content. */
function lostness(file: KnownFile, flags: number, own: readonly SeenBlob[]): string[] {
  const isReleased = (flags & RELEASED) !== 0;
  const mayBeReleased = (flags & (EXISTS | ARCHIVED | DIRTY)) === (EXISTS | ARCHIVED);
  if (!isReleased && !mayBeReleased) return [];
  if (own.some(({ body }) => body.equals(file.content))) return [];
  const there = own.map(({ name, body }) => `${name}: ${shown(body)}`).join('; ') || 'no blob';
  return [`I2: ${file.fid} is 0x${flags.toString(16)} and holds ${shown(file.content)}; in the container: ${there}`];
}

function unsettled(file: KnownFile, flags: number, own: readonly SeenBlob[]): string[] {
  const names = own.map(({ name }) => name).join(', ');
  if (own.length > 1) return [`${file.fid} has ${own.length} blobs: ${names}`];
  if (own[0] !== undefined && !file.paths.has(own[0].path ?? '')) return [`the blob of ${file.fid} is at ${names}`];
  if (own[0] === undefined && (flags & ARCHIVED) !== 0) return [`${file.fid} is archived and has no blob`];
  return [];
}

async function sizeOf(path: string, file: KnownFile, truth: Truth): Promise<string[]> {
  const { size } = await lstat(truth.absolute(path));
  return size === file.content.length ? [] : [`${path} has ${size} bytes by stat, ${file.content.length} were written`];
}

function shown(bytes: Buffer): string {
  return `${bytes.length} bytes ${JSON.stringify(bytes.toString('latin1', 0, 24))} (${digest(bytes).slice(0, 8)})`;
}
