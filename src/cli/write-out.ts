import { once } from 'node:events';

/** Writes bytes to standard output, no faster than they are taken. */
export async function writeOut(bytes: Buffer): Promise<void> {
  if (bytes.length === 0 || process.stdout.write(bytes)) return;
  await once(process.stdout, 'drain');
}
