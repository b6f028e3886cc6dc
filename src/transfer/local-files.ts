import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { getSystemErrorMap } from 'node:util';
import type { DownloadSink } from '../blob/download.ts';
import type { SummedBytes, UploadSource } from '../blob/upload.ts';
import { type Addon, type BlockResult, nativeAddon } from '../checksum/crc64.ts';
import { SparseWriter } from './sparse-writer.ts';

/**
 * How files are read and written. With the native addon a block is one task of the thread pool, its checksum included,
 * and so is a small file from its open to its close; each task less is worth 20 to 40 µs of CPU. Without it, everything
 * goes by node:fs, with the same results.
 */

/** Up to here a file is read or written as a whole. */
const SMALL = 1 << 20;

/** One that was built from older sources has the checksum alone. */
const ADDON = withBlocks(nativeAddon());

export interface OpenSource extends UploadSource {
  close(): Promise<void>;
}

export interface OpenSink extends DownloadSink {
  /** Makes the file as long as it is to be, and safe on disk. */
  finish(): Promise<void>;
  close(): Promise<void>;
}

/** @param whole whether it is read in one piece, from its beginning */
export async function openSource(path: string, size: bigint, whole: boolean, addon = ADDON): Promise<OpenSource> {
  if (addon !== undefined && whole && size <= SMALL) return smallSource(addon, path, size);
  const handle = await open(path, constants.O_RDONLY | constants.O_NOATIME);
  return {
    size,
    read: async (at, buffer) =>
      addon === undefined
        ? (await handle.read(buffer, 0, buffer.length, at)).bytesRead
        : summed(await addon.readBlock(handle.fd, at, buffer), path),
    close: () => handle.close(),
  };
}

function smallSource(addon: Addon, path: string, size: bigint): OpenSource {
  return {
    size,
    read: async (_, buffer) => summed(await addon.readFile(path, buffer), path),
    close: () => Promise.resolve(),
  };
}

/**
 * @param whole whether it is written in one piece
 * @param again whether it may hold something, which is thrown away
 */
export async function openSink(
  path: string,
  length: bigint,
  { whole, again }: { readonly whole: boolean; readonly again: boolean },
  addon = ADDON,
): Promise<OpenSink> {
  if (addon !== undefined && whole && length > 0n && length <= SMALL) {
    return {
      write: async (buffer) => summed(await addon.writeFile(path, buffer, again), path).crc64,
      finish: () => Promise.resolve(),
      close: () => Promise.resolve(),
    };
  }
  const handle = await open(path, constants.O_WRONLY);
  try {
    if (again) await handle.truncate(0);
  } catch (error) {
    await handle.close();
    throw error;
  }
  const writer = addon === undefined ? new SparseWriter(handle) : blockWriter(addon, handle, path);
  return {
    write: (buffer, position) => writer.write(buffer, position),
    async finish() {
      await handle.truncate(Number(length));
      // Errors of the servers (no space, a lost target) may only show here.
      await handle.sync();
    },
    close: () => handle.close(),
  };
}

function blockWriter(addon: Addon, handle: FileHandle, path: string): DownloadSink {
  return {
    write: async (buffer, position) => summed(await addon.writeBlock(handle.fd, position, buffer), path).crc64,
  };
}

/** @throws an error as node:fs has it */
function summed(result: BlockResult, path: string): SummedBytes {
  const { errno, what } = result;
  if (errno === 0) return result;
  const [code, text] = getSystemErrorMap().get(-errno) ?? [`E${errno}`, `error ${errno}`];
  throw Object.assign(new Error(`${code}: ${text}, ${what} '${path}'`), { errno: -errno, code, syscall: what, path });
}

function withBlocks(addon: Addon | undefined): Addon | undefined {
  return typeof addon?.writeFile === 'function' ? addon : undefined;
}
