import { realpath } from 'node:fs/promises';
import { OperatorError } from '../service/errors.ts';
import { joinBytes } from './join-bytes.ts';
import { printable } from './printable.ts';

const SLASH = 0x2f;

/** A place in the file system: `absolute` is canonical, `relative` is without slashes at the ends, empty for the root. */
export interface Location {
  readonly absolute: Buffer;
  readonly relative: Buffer;
}

/** The mount point without symlinks. Rejects with an OperatorError when it is not there. */
export async function canonicalMount(mount: string): Promise<string> {
  try {
    return await realpath(mount);
  } catch (error) {
    throw new OperatorError(`The mount point ${mount} can't be reached: ${(error as Error).message}`, {
      code: 'MOUNT_MISSING',
      hint: 'Mount the Lustre file system, or correct the setting `mount`.',
      cause: error,
    });
  }
}

/**
 * Where a path given by an operator lies in the mount. Its directory is made canonical; the last name is taken as it
 * is, so that a symlink means the symlink. Rejects with the system's error when the directory can't be reached, with
 * an OperatorError when it lies outside.
 * @param mount as `canonicalMount` gives it
 */
export async function locate(path: Buffer, mount: string): Promise<Location> {
  return within(await canonical(path), mount);
}

/**
 * The same of a path that is not there any more: what of its directories still exists is made canonical.
 * @param mount as `canonicalMount` gives it
 */
export async function locateMissing(path: Buffer, mount: string): Promise<Location> {
  let rest = withoutTrailingSlashes(path.at(0) === SLASH ? path : joinBytes(Buffer.from(process.cwd()), path));
  const missing: Buffer[] = [];
  for (;;) {
    const slash = rest.lastIndexOf(SLASH);
    if (slash === -1) return within(joined(Buffer.from('/'), missing), mount);
    missing.unshift(rest.subarray(slash + 1));
    rest = rest.subarray(0, slash);
    const directory = await realpath(rest.length === 0 ? Buffer.from('/') : rest, { encoding: 'buffer' }).catch(
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
        throw error;
      },
    );
    if (directory !== undefined) return within(joined(directory, missing), mount);
  }
}

function joined(directory: Buffer, names: readonly Buffer[]): Buffer {
  return names.reduce((path, name) => joinBytes(path, name), directory);
}

function within(absolute: Buffer, mount: string): Location {
  const relative = relativeTo(absolute, Buffer.from(mount));
  if (relative !== undefined) return { absolute, relative };
  throw new OperatorError(`${printable(absolute)} is not in the file system mounted at ${mount}`, {
    code: 'OUTSIDE_MOUNT',
    hint: 'Name paths below the mount point of the configuration.',
  });
}

async function canonical(path: Buffer): Promise<Buffer> {
  const trimmed = withoutTrailingSlashes(path);
  const slash = trimmed.lastIndexOf(SLASH);
  const name = trimmed.subarray(slash + 1);
  const whole =
    trimmed.length < path.length ||
    name.length === 0 ||
    name.equals(Buffer.from('.')) ||
    name.equals(Buffer.from('..'));
  if (whole) return await realpath(path.length === 0 ? Buffer.from('.') : path, { encoding: 'buffer' });
  const directory = slash === -1 ? Buffer.from('.') : slash === 0 ? Buffer.from('/') : trimmed.subarray(0, slash);
  return joinBytes(await realpath(directory, { encoding: 'buffer' }), name);
}

function relativeTo(absolute: Buffer, mount: Buffer): Buffer | undefined {
  if (absolute.equals(mount)) return Buffer.alloc(0);
  const prefix = mount.at(-1) === SLASH ? mount : Buffer.concat([mount, Buffer.of(SLASH)]);
  return absolute.subarray(0, prefix.length).equals(prefix) ? absolute.subarray(prefix.length) : undefined;
}

function withoutTrailingSlashes(path: Buffer): Buffer {
  let end = path.length;
  while (end > 0 && path[end - 1] === SLASH) end -= 1;
  return path.subarray(0, end);
}
