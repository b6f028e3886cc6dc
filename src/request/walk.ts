import type { BigIntStats, Dir } from 'node:fs';
import { lstat, opendir } from 'node:fs/promises';
import { errnoText } from '../lustre/errno.ts';
import { joinBytes } from '../lustre/join-bytes.ts';
import type { Problem } from './types.ts';

/** A regular file that was found, or a directory that could not be read. */
export type Found = { readonly path: Buffer } | { readonly problem: Problem };

export interface WalkOptions {
  /** The mount point, canonical. */
  readonly mount: Buffer;
  /** Where to begin, relative to the mount. */
  readonly root: Buffer;
  /** Whether to walk into a directory (relative). */
  readonly enter: (path: Buffer) => boolean;
  readonly signal?: AbortSignal;
}

const ENTRIES_AT_ONCE = 1024;
const LUSTRE_OWN = Buffer.from('.lustre');

interface Level {
  readonly path: Buffer;
  readonly dir: DirOfBytes;
}

/** `opendir` with bytes for names; the types know strings only. */
interface DirOfBytes {
  read(): Promise<{ readonly name: Buffer; isFile(): boolean; isDirectory(): boolean } | null>;
  close(): Promise<void>;
}

/**
 * Every regular file below a directory, as it is read: memory does not grow with the number of entries, only with
 * depth. Symlinks are not followed, other mounts are not entered, nor is Lustre's own `.lustre`. A directory that
 * can't be read is told, and the walk goes on; one that vanished is passed over.
 */
export async function* walk(options: WalkOptions): AsyncGenerator<Found, void, undefined> {
  const { mount, root, enter, signal } = options;
  const device = (await lstat(mount, { bigint: true })).dev;
  const levels: Level[] = [];
  try {
    const first = await open(mount, root, device);
    if (first !== undefined) {
      if ('problem' in first) yield first;
      else levels.push(first);
    }
    for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
      signal?.throwIfAborted();
      const entry = await level.dir.read();
      if (entry === null) {
        levels.pop();
        await level.dir.close();
        continue;
      }
      const path = joinBytes(level.path, entry.name);
      if (entry.isFile()) yield { path };
      if (!entry.isDirectory() || path.equals(LUSTRE_OWN) || !enter(path)) continue;
      const below = await open(mount, path, device);
      if (below === undefined) continue;
      if ('problem' in below) yield below;
      else levels.push(below);
    }
  } finally {
    for (const level of levels) await level.dir.close();
  }
}

async function open(mount: Buffer, path: Buffer, device: bigint): Promise<Level | { problem: Problem } | undefined> {
  const absolute = joinBytes(mount, path);
  try {
    const stat: BigIntStats = await lstat(absolute, { bigint: true });
    if (!stat.isDirectory()) return undefined;
    if (stat.dev !== device) {
      return { problem: { path, code: 'OTHER_MOUNT', text: 'is where another file system is mounted: passed over' } };
    }
    const dir = await opendir(absolute, { encoding: 'buffer' as BufferEncoding, bufferSize: ENTRIES_AT_ONCE });
    return { path, dir: asBytes(dir) };
  } catch (error) {
    const errno = -((error as NodeJS.ErrnoException).errno ?? 0);
    const code = (error as NodeJS.ErrnoException).code ?? 'UNREADABLE';
    if (code === 'ENOENT') return undefined;
    return { problem: { path, code, text: `can't be read: ${errnoText(errno)}; what is in it was not looked at` } };
  }
}

function asBytes(dir: Dir): DirOfBytes {
  return dir as unknown as DirOfBytes;
}
