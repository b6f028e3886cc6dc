import { createHash } from 'node:crypto';
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, sep } from 'node:path';
import { projectRoot } from './project.ts';

/**
 * The place of a program or library of the project that an ordinary user can reach: a checkout may lie in a directory
 * that is root's alone. Files elsewhere are left where they are. One copy for each content.
 */
export function forEveryUser(file: string): string {
  if (!file.startsWith(projectRoot + sep) || !existsSync(file)) return file;
  const hash = createHash('sha256').update(readFileSync(file)).digest('hex').slice(0, 16);
  // A directory of its own: programs say their name in their messages.
  const directory = join(tmpdir(), `lfsazsync-program-${hash}`);
  const copy = join(directory, basename(file));
  if (existsSync(copy)) return copy;
  mkdirSync(directory, { recursive: true });
  chmodSync(directory, 0o755);
  const fresh = `${copy}.${process.pid}`;
  copyFileSync(file, fresh);
  chmodSync(fresh, 0o755);
  renameSync(fresh, copy);
  return copy;
}
