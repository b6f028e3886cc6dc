import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, copyFile, mkdir, open, opendir, readlink, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** A regular file of the demonstration, as it was before the product saw it. */
export interface DemoFile {
  /** A path as bytes: some names are no text. */
  readonly path: Buffer;
  readonly size: number;
  readonly sha256: string;
  readonly mode: number;
  readonly uid: number;
  /** Seconds. */
  readonly mtime: number;
}

const MIB = 2 ** 20;
const MAX_TREE_BYTES = 200 * MIB;

/** Checksum of a file's content as reading gives it; of a released file, this waits for its restore. */
export async function sha256Of(path: Buffer): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: MIB })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

async function describe(path: Buffer, sha256: string): Promise<DemoFile> {
  const { size, mode, uid, mtimeMs } = await stat(path);
  return { path, size, sha256, mode: mode & 0o7777, uid, mtime: Math.floor(mtimeMs / 1000) };
}

/** Whether a directory has at least so many regular files below it. */
async function hasFiles(directory: string, wanted: number): Promise<boolean> {
  let found = 0;
  try {
    for await (const entry of await opendir(directory, { recursive: true })) {
      if (entry.isFile() && ++found >= wanted) return true;
    }
  } catch {
    return false;
  }
  return false;
}

/** The first of these directories that has enough files to show something. */
export async function chooseTree(candidates: readonly string[], wanted: number): Promise<string> {
  for (const candidate of candidates) if (await hasFiles(candidate, wanted)) return candidate;
  throw new Error(`none of ${candidates.join(', ')} has ${wanted} files to copy`);
}

interface Copied {
  readonly files: DemoFile[];
  directories: number;
  symlinks: number;
  bytes: number;
}

/** Copies directories, files and symlinks, up to `limit` files; checksums are of the originals. */
export async function copyTree(from: string, to: string, limit: number): Promise<Copied> {
  const copied: Copied = { files: [], directories: 0, symlinks: 0, bytes: 0 };
  const queue: [string, string][] = [[from, to]];
  for (let next = queue.shift(); next !== undefined && copied.files.length < limit; next = queue.shift()) {
    const [source, target] = next;
    await mkdir(target);
    copied.directories++;
    for await (const entry of await opendir(source)) {
      const [old, fresh] = [join(source, entry.name), join(target, entry.name)];
      if (entry.isDirectory()) queue.push([old, fresh]);
      else if (entry.isSymbolicLink()) {
        await symlink(await readlink(old), fresh);
        copied.symlinks++;
      } else if (entry.isFile() && copied.files.length < limit) await copyOne(old, fresh, copied);
    }
  }
  return copied;
}

async function copyOne(old: string, fresh: string, copied: Copied): Promise<void> {
  const { size, mode, mtime } = await stat(old);
  if (copied.bytes + size > MAX_TREE_BYTES) return;
  await copyFile(old, fresh);
  await chmod(fresh, mode & 0o7777);
  await utimes(fresh, mtime, mtime);
  copied.files.push(await describe(Buffer.from(fresh), await sha256Of(Buffer.from(old))));
  copied.bytes += size;
}

/** Writes a file of random data, `size` bytes long. */
async function randomFile(path: string, size: number): Promise<DemoFile> {
  const hash = createHash('sha256');
  const handle = await open(path, 'wx');
  try {
    for (let left = size; left > 0; ) {
      const block = randomBytes(Math.min(left, 4 * MIB));
      hash.update(block);
      await handle.writeFile(block);
      left -= block.length;
    }
  } finally {
    await handle.close();
  }
  return await describe(Buffer.from(path), hash.digest('hex'));
}

/** A hole of 64 MiB with data at both ends. */
async function sparseFile(path: string): Promise<DemoFile> {
  const handle = await open(path, 'wx');
  try {
    await handle.write('begin', 0);
    await handle.write('end', 64 * MIB);
  } finally {
    await handle.close();
  }
  const content = Buffer.alloc(64 * MIB + 3);
  content.write('begin', 0);
  content.write('end', 64 * MIB);
  return await describe(Buffer.from(path), createHash('sha256').update(content).digest('hex'));
}

/** Files that are large, empty, sparse. */
export async function specialFiles(directory: string): Promise<DemoFile[]> {
  await mkdir(directory);
  const files: DemoFile[] = [];
  for (const [name, size] of [
    ['random-100M', 100 * MIB],
    ['random-101M-and-a-byte', 101 * MIB + 1],
    ['random-128M', 128 * MIB],
    ['empty', 0],
  ] as const) {
    files.push(await randomFile(join(directory, name), size));
  }
  files.push(await sparseFile(join(directory, 'sparse-64M')));
  return files;
}

const ODD_NAMES: readonly (string | Buffer)[] = [
  'name with  spaces',
  'new\nline',
  `quotes ' " \` $HOME`,
  'été-日本語-🌊',
  'trailing dot.',
  'trailing dots...',
  'back\\slash',
  'percent %41 %2F %0a',
  'tab\tand bell\x07',
  ' spaces at both ends ',
  '-rf',
  '#hash?query&more',
  'L'.repeat(255),
  Buffer.from([0x6e, 0x6f, 0x20, 0x75, 0x74, 0x66, 0x38, 0xff, 0xfe]),
];

/** Small files whose names are hard to carry: each holds its own name. */
export async function oddFiles(directory: string): Promise<DemoFile[]> {
  await mkdir(directory);
  const files: DemoFile[] = [];
  for (const name of ODD_NAMES) {
    const bytes = Buffer.from(name);
    const path = Buffer.concat([Buffer.from(`${directory}/`), bytes]);
    await writeFile(path, bytes, { flag: 'wx' });
    files.push(await describe(path, createHash('sha256').update(bytes).digest('hex')));
  }
  return files;
}
