import type { BigIntStats } from 'node:fs';
import { lstat, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';

/** What a user sees of an object under one of its names. */
export interface SeenEntry {
  /** Relative to the mount's root. */
  readonly path: Buffer;
  readonly type: 'file' | 'dir' | 'symlink' | 'other';
  readonly ino: bigint;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  /** The low twelve bits. */
  readonly mode: number;
  /** Whole seconds, rounded down. */
  readonly mtime: bigint;
  readonly size: bigint;
  /** Of a symlink. */
  readonly target?: Buffer;
}

/** Everything below a directory, by plain system calls, names as bytes; the root itself and `.lustre` left out. */
export async function walkTree(mount: string, below = ''): Promise<SeenEntry[]> {
  const seen: SeenEntry[] = [];
  const queue = [Buffer.from(below)];
  for (let directory = queue.pop(); directory !== undefined; directory = queue.pop()) {
    for (const name of await readdir(absolute(mount, directory), { encoding: 'buffer' })) {
      if (directory.length === 0 && name.equals(Buffer.from('.lustre'))) continue;
      const path = directory.length === 0 ? name : Buffer.concat([directory, Buffer.from('/'), name]);
      const entry = await seenAt(mount, path);
      seen.push(entry);
      if (entry.type === 'dir') queue.push(path);
    }
  }
  return seen;
}

/** One object, by its path relative to the mount. */
export async function seenAt(mount: string, path: Buffer): Promise<SeenEntry> {
  const stat = await lstat(absolute(mount, path), { bigint: true });
  const type = typeOf(stat);
  return {
    ...{ path, type, ino: stat.ino, nlink: Number(stat.nlink), uid: Number(stat.uid), gid: Number(stat.gid) },
    ...{ mode: Number(stat.mode & 0o7777n), mtime: floorSeconds(stat.mtimeNs), size: stat.size },
    ...(type === 'symlink' ? { target: await readlink(absolute(mount, path), { encoding: 'buffer' }) } : {}),
  };
}

/** The inode that Lustre shows under a FID, by `.lustre/fid`; undefined when there is none. */
export async function inodeOf(mount: string, fid: string): Promise<bigint | undefined> {
  if (!/^0x[0-9a-f]+:0x[0-9a-f]+:0x[0-9a-f]+$/.test(fid)) return undefined;
  try {
    return (await lstat(join(mount, '.lustre/fid', fid), { bigint: true })).ino;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

export function absolute(mount: string, path: Buffer): Buffer {
  return path.length === 0 ? Buffer.from(mount) : Buffer.concat([Buffer.from(`${mount}/`), path]);
}

function typeOf(stat: BigIntStats): SeenEntry['type'] {
  if (stat.isFile()) return 'file';
  if (stat.isDirectory()) return 'dir';
  return stat.isSymbolicLink() ? 'symlink' : 'other';
}

/** Division that rounds down, before 1970, too. */
function floorSeconds(nanoseconds: bigint): bigint {
  const second = 1_000_000_000n;
  return (nanoseconds - (((nanoseconds % second) + second) % second)) / second;
}
