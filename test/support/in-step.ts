import { createHash } from 'node:crypto';
import type { ContainerClient } from '@azure/storage-blob';
import { nameByTheBook } from './book-names.ts';
import { bodyOf, crc64, type ListedBlob, listContainer } from './container-view.ts';
import { inodeOf, type SeenEntry, walkTree } from './tree-walk.ts';

/*
 * Whether a container and a file system are in step (I4), held against each other with none of the product's code: the
 * tree is walked with plain system calls, the container listed and read by Azure's own client, the format is that of
 * docs/blob-format.md. Contents are what the test says was written; to read them from the file system would restore
 * them from the container, and prove nothing.
 */

export interface InStepOptions {
  readonly mount: string;
  readonly container: ContainerClient;
  /**
   * What was last written to a file, by its inode number: all of it, or its SHA-256 in hexadecimal digits. Undefined: the
   * test does not know, and its content is not compared.
   */
  readonly contents: (ino: bigint) => Buffer | string | undefined;
  /** Names of blobs that are not ours, and must be there still. */
  readonly strangers?: readonly string[];
}

/** What is wrong, a line each; empty: they are in step. */
export async function outOfStep(options: InStepOptions): Promise<string[]> {
  const { mount, container, strangers = [] } = options;
  const entries = await walkTree(mount);
  const blobs = new Map((await listContainer(container)).map((blob) => [blob.name, blob]));
  const fs = await uuidOf(container, blobs.get('.lfsazsync/control'));
  const findings: string[] = fs === undefined && entries.length > 0 ? ['there is no control blob'] : [];
  const wanted = new Map<string, SeenEntry>();
  for (const entry of entries) if (entry.type !== 'other') wanted.set(nameByTheBook(entry.path), entry);
  for (const [name, entry] of wanted) {
    const blob = blobs.get(name);
    if (blob === undefined) findings.push(`${shown(name)}: ${told(entry)}, and there is no blob`);
    else findings.push(...(await differences(blob, entry, fs, options)).map((it) => `${shown(name)}: ${it}`));
  }
  findings.push(...linkFindings(wanted, blobs));
  const allowed = new Set(['.lfsazsync/control', '.lfsazsync/claims', '.lfsazsync/follower', ...strangers]);
  for (const { name, metadata } of blobs.values()) {
    if (wanted.has(name) || allowed.has(name)) continue;
    const whose = metadata['lfsazsync_fs'] === fs ? `of ${metadata['lfsazsync_fid']}` : 'of somebody';
    findings.push(
      `${shown(name)}: a ${metadata['lfsazsync_kind'] ?? 'blob'} ${whose} that nothing in the file system has`,
    );
  }
  for (const name of strangers) if (!blobs.has(name)) findings.push(`${shown(name)}: a stranger's blob is gone`);
  return findings.sort();
}

async function uuidOf(container: ContainerClient, control: ListedBlob | undefined): Promise<string | undefined> {
  if (control === undefined) return undefined;
  const { fs } = JSON.parse((await bodyOf(container, control)).toString('utf8')) as { fs?: unknown };
  return typeof fs === 'string' ? fs : undefined;
}

async function differences(
  blob: ListedBlob,
  entry: SeenEntry,
  fs: string | undefined,
  { mount, container, contents }: InStepOptions,
): Promise<string[]> {
  const { metadata } = blob;
  const kind = metadata['lfsazsync_kind'];
  const kinds = entry.type === 'file' ? (entry.nlink > 1 ? ['file', 'link'] : ['file']) : [entry.type];
  if (metadata['lfsazsync_fs'] !== fs) return [`a blob of ${metadata['lfsazsync_fs'] ?? 'nobody we know'}`];
  if (kind === undefined || !kinds.includes(kind)) return [`a ${kind} blob, where ${told(entry)} is`];
  const fid = metadata['lfsazsync_fid'] ?? '';
  if ((await inodeOf(mount, fid)) !== entry.ino) return [`the blob of ${fid}, which is not ${told(entry)} there`];
  return [
    ...Object.entries(metadataByTheBook(entry, kind))
      .filter(([key, value]) => metadata[key] !== value)
      .map(([key, value]) => `${key} is ${metadata[key]}, and should be ${value}`),
    ...bodyFindings(await bodyOf(container, blob), blob, entry, kind, contents),
  ];
}

/** The keys whose values follow from what the file system shows; undefined: must not be there. */
function metadataByTheBook(entry: SeenEntry, kind: string): Record<string, string | undefined> {
  const isLink = kind === 'symlink';
  return {
    owner: String(entry.uid),
    group: String(entry.gid),
    permissions: isLink ? undefined : (entry.mode & 0o1777).toString(8).padStart(4, '0'),
    modtime: modtimeOf(entry.mtime),
    lfsazsync_mode: entry.mode.toString(8).padStart(4, '0'),
    lfsazsync_mtime: `${entry.mtime}.000000000`,
    hdi_isfolder: kind === 'dir' ? 'true' : undefined,
    ftype: isLink ? 'LNK' : undefined,
    is_symlink: isLink ? 'true' : undefined,
    symlink: entry.target === undefined ? undefined : percentByTheBook(entry.target),
  };
}

function modtimeOf(seconds: bigint): string {
  return `${new Date(Number(seconds) * 1000).toISOString().slice(0, 19).replace('T', ' ')} +0000`;
}

/** Visible ASCII stays, but for the percent sign. */
function percentByTheBook(bytes: Buffer): string {
  return [...bytes]
    .map((byte) =>
      byte > 0x20 && byte < 0x7f && byte !== 0x25
        ? String.fromCharCode(byte)
        : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`,
    )
    .join('');
}

function bodyFindings(
  body: Buffer,
  { metadata }: ListedBlob,
  entry: SeenEntry,
  kind: string,
  contents: InStepOptions['contents'],
): string[] {
  if (kind === 'symlink') return body.equals(entry.target ?? Buffer.alloc(0)) ? [] : [`its body is ${text(body)}`];
  if (kind !== 'file') return body.length === 0 ? [] : [`it has a body: ${text(body)}`];
  const findings: string[] = [];
  const content = contents(entry.ino);
  if (content !== undefined && !isThat(body, content))
    findings.push(`it holds ${text(body)} in place of ${typeof content === 'string' ? content : text(content)}`);
  if (BigInt(body.length) !== entry.size) findings.push(`it has ${body.length} bytes, the file ${entry.size}`);
  if (metadata['lfsazsync_size'] !== String(body.length)) findings.push(`it says ${metadata['lfsazsync_size']} bytes`);
  if (metadata['lfsazsync_crc64'] !== crc64(body)) findings.push(`it says the checksum ${metadata['lfsazsync_crc64']}`);
  return findings;
}

function isThat(body: Buffer, content: Buffer | string): boolean {
  if (typeof content !== 'string') return body.equals(content);
  return createHash('sha256').update(body).digest('hex') === content;
}

/** Of a file with several names, one blob holds the content, and all others name it. */
function linkFindings(wanted: ReadonlyMap<string, SeenEntry>, blobs: ReadonlyMap<string, ListedBlob>): string[] {
  const byInode = new Map<bigint, string[]>();
  for (const [name, { type, ino }] of wanted) {
    if (type === 'file' && blobs.has(name)) byInode.set(ino, [...(byInode.get(ino) ?? []), name]);
  }
  return [...byInode.values()].flatMap((names) => {
    const kindOf = (name: string) => blobs.get(name)?.metadata['lfsazsync_kind'];
    const [canonical, ...more] = names.filter((name) => kindOf(name) === 'file');
    if (canonical === undefined) return [`${names.map(shown).join(', ')}: none of these links has the content`];
    const wrong = more.map((name) => `${shown(name)}: has the content as ${shown(canonical)} has, its other name`);
    const target = percentByTheBook(Buffer.from(canonical));
    return names
      .filter((name) => kindOf(name) === 'link' && blobs.get(name)?.metadata['lfsazsync_link'] !== target)
      .map((name) => `${shown(name)}: names ${blobs.get(name)?.metadata['lfsazsync_link']}, not ${target}`)
      .concat(wrong);
  });
}

const told = ({ type, nlink, ino }: SeenEntry) =>
  `a ${type}${type === 'file' && nlink > 1 ? ` of ${nlink} names` : ''} (${ino})`;
const shown = (name: string) => JSON.stringify(name);
const text = (bytes: Buffer) => `${bytes.length} bytes ${JSON.stringify(bytes.toString('latin1', 0, 24))}`;
