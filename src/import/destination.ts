import { canonicalMount, locate } from '../lustre/location.ts';
import { printable } from '../lustre/printable.ts';
import { rawArguments } from '../request/paths.ts';
import { OperatorError } from '../service/errors.ts';

/**
 * The directory that everything goes to, relative to the root. It is made if it is not there; the one that it is in must be.
 * @throws OperatorError when it is not in the mounted file system
 */
export async function destinationOf(to: string, mount: string): Promise<Buffer> {
  const [path = Buffer.alloc(0)] = rawArguments([to]);
  try {
    return (await locate(path, await canonicalMount(mount))).relative;
  } catch (error) {
    throw unfit(path, error);
  }
}

function unfit(path: Buffer, error: unknown): OperatorError {
  if (error instanceof OperatorError) return error;
  return new OperatorError(`Nothing can be imported to ${printable(path)}: ${(error as Error).message}.`, {
    code: 'IMPORT_DESTINATION',
    hint: 'Name a directory below the mount point of the configuration with --to.',
    exit: 'usage',
  });
}
