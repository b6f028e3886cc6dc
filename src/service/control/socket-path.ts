import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';

/** The address of a Unix socket holds 108 bytes, the last of them zero. */
const ADDRESS_LIMIT = 107;
const NAME_LIMIT = 64;

/** The file name of a service's socket; `scope` tells several of its kind apart, such as the mount they serve. */
export function socketName(service: string, scope = ''): string {
  const plain = `${service}${scope.replaceAll('/', '-')}.sock`;
  if (Buffer.byteLength(plain) <= NAME_LIMIT) return plain;
  return `${service}-${createHash('sha256').update(scope).digest('hex').slice(0, 32)}.sock`;
}

/**
 * Calls `work` with an address of the socket `name` in `directory` that is short enough, however long the directory's
 * path is: then the one by way of its open descriptor.
 */
export async function withAddress<T>(
  directory: string,
  name: string,
  work: (address: string) => Promise<T>,
): Promise<T> {
  const plain = join(directory, name);
  if (Buffer.byteLength(plain) <= ADDRESS_LIMIT) return await work(plain);
  const handle: FileHandle = await open(directory, 'r');
  try {
    return await work(join('/proc/self/fd', String(handle.fd), name));
  } finally {
    await handle.close();
  }
}
