import { type Fid, ROOT_FID } from '../identity/fid.ts';
import type { LustreFiles } from '../lustre/attributes.ts';
import { joinBytes } from '../lustre/join-bytes.ts';
import { locate } from '../lustre/location.ts';
import { printable } from '../lustre/printable.ts';
import { ErrnoError, OperatorError } from '../service/errors.ts';
import type { ScanTarget } from './types.ts';

export const EVERYTHING: ScanTarget = { directory: ROOT_FID, path: Buffer.alloc(0), above: [] };

/**
 * The directory that an operator named.
 * @throws OperatorError when it is none, or not in the mounted file system
 */
export async function targetAt(path: Buffer, mount: string, files: LustreFiles): Promise<ScanTarget> {
  const { relative, absolute } = await locate(path, mount).catch((error: NodeJS.ErrnoException) => {
    throw error instanceof OperatorError ? error : unfit(path, error.message);
  });
  if (relative.length === 0) return EVERYTHING;
  const prefixes = [...prefixesOf(relative)];
  const found = await files.getMany(
    prefixes.map((prefix) => ({ path: joinBytes(Buffer.from(mount), prefix) })),
    { parts: ['stat'] },
  );
  const fids = found.map((one): Fid => {
    if (one instanceof ErrnoError) throw unfit(absolute, one.message);
    if (one.stat?.type !== 'dir') throw unfit(absolute, 'it is not a directory');
    return one.fid;
  });
  return { directory: fids.at(-1) ?? ROOT_FID, path: relative, above: fids.slice(0, -1) };
}

/** `a`, `a/b`, `a/b/c`. */
function* prefixesOf(path: Buffer): Generator<Buffer> {
  for (let slash = path.indexOf(0x2f); slash !== -1; slash = path.indexOf(0x2f, slash + 1))
    yield path.subarray(0, slash);
  yield path;
}

function unfit(path: Buffer, why: string): OperatorError {
  return new OperatorError(`${printable(path)} can’t be scanned: ${why}.`, {
    code: 'SCAN_PATH',
    hint: 'Name a directory below the mount point of the configuration.',
    exit: 'usage',
  });
}
