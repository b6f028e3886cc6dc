import { createHash, randomBytes } from 'node:crypto';
import { mkdir, open, statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { crc64Hex, EMPTY_CRC64, loadCrc64 } from '../../src/checksum/crc64.ts';

export interface BenchFile {
  /** Relative to the source directory, and the blob's name. */
  readonly name: string;
  readonly size: number;
  readonly crc64: string;
}

export interface Workload {
  readonly name: string;
  readonly count: number;
  /** Bytes of each file. */
  readonly size: number;
}

const PIECE = 4 << 20;

/** A place for source and target: memory where there is room for both, the temporary directory otherwise. */
export async function scratchFor(bytes: number): Promise<string> {
  const { bavail, bsize } = await statfs('/dev/shm').catch(() => ({ bavail: 0, bsize: 0 }));
  return bavail * bsize > 2.5 * bytes ? '/dev/shm' : tmpdir();
}

/** Writes the files: random, and different from each other. */
export async function makeFiles(directory: string, { count, size }: Workload): Promise<BenchFile[]> {
  const crc64 = await loadCrc64();
  const piece = randomBytes(Math.min(size, PIECE));
  const files: BenchFile[] = [];
  for (let index = 0; index < count; index++) {
    const name = count === 1 ? 'large' : `d${Math.floor(index / 1000)}/f${index}`;
    const path = join(directory, name);
    await mkdir(dirname(path), { recursive: true });
    let crc = EMPTY_CRC64;
    const handle = await open(path, 'wx');
    try {
      for (let at = 0; at < size; at += piece.length) {
        createHash('sha256').update(`${index}/${at}`).digest().copy(piece);
        const part = piece.subarray(0, Math.min(piece.length, size - at));
        await handle.write(part, 0, part.length, at);
        crc = crc64.combine(crc, crc64.of(part), BigInt(part.length));
      }
    } finally {
      await handle.close();
    }
    files.push({ name, size, crc64: crc64Hex(crc) });
  }
  return files;
}

/** The files as the programs are told of them: a line each. */
export async function writeList(path: string, files: readonly BenchFile[]): Promise<void> {
  await writeFile(path, files.map((file) => `${JSON.stringify(file)}\n`).join(''));
}
