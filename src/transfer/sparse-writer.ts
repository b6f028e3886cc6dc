import type { FileHandle } from 'node:fs/promises';

/** Runs of zeros shorter than this are written: a hole must be worth an extent. */
const HOLE = 64 * 1024;
const ZEROS = Buffer.alloc(HOLE);

/**
 * Writes to a fresh, empty file, leaving out runs of zeros; the file's length must be set at the end. Pieces may come
 * in any order.
 */
export class SparseWriter {
  readonly #handle: FileHandle;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  /** Writes all of the buffer at this place, or rejects with the system's error. */
  async write(buffer: Buffer, position: number): Promise<undefined> {
    let from = 0;
    while (from < buffer.length) {
      const hole = holeAt(buffer, from);
      from += hole;
      const data = dataAt(buffer, from);
      if (data > 0) await writeAll(this.#handle, buffer.subarray(from, from + data), position + from);
      from += data;
    }
  }
}

/** Length of the run of whole zero pieces that begins here. */
function holeAt(buffer: Buffer, from: number): number {
  let at = from;
  while (at + HOLE <= buffer.length && isZero(buffer, at)) at += HOLE;
  return at - from;
}

/** Length of what is to be written from here on: up to the next whole zero piece or the end. */
function dataAt(buffer: Buffer, from: number): number {
  let at = from;
  while (at < buffer.length && !(at + HOLE <= buffer.length && isZero(buffer, at)))
    at = Math.min(at + HOLE, buffer.length);
  return at - from;
}

function isZero(buffer: Buffer, at: number): boolean {
  // Most data differs within the first bytes.
  return buffer[at] === 0 && buffer.compare(ZEROS, 0, HOLE, at, at + HOLE) === 0;
}

async function writeAll(handle: FileHandle, buffer: Buffer, position: number): Promise<void> {
  for (let done = 0; done < buffer.length; ) {
    const { bytesWritten } = await handle.write(buffer, done, buffer.length - done, position + done);
    done += bytesWritten;
  }
}
