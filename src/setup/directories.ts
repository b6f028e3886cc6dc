import { access, chmod, constants, mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { OperatorError } from '../service/errors.ts';
import type { Finding, SetupStep } from './types.ts';

const DIRECTORY_MODE = 0o750;

/**
 * Directories are there, for root alone: with services or without, who can write in one can make root's programs do
 * things. A mode that lets others in is taken back; a stricter one stays.
 * @param root put before every path; empty: this machine
 */
export function directoriesStep(root: string, directories: readonly string[]): SetupStep {
  return {
    look: async () => {
      const findings: Finding[] = [];
      for (const path of directories) findings.push(await look(path, join(root, path)));
      return findings;
    },
  };
}

async function look(path: string, at: string): Promise<Finding> {
  const finding = { step: 'directory', subject: path };
  const found = await stat(at).catch(() => undefined);
  if (found === undefined) {
    return {
      ...finding,
      detail: 'make it',
      apply: async () => {
        await mkdir(at, { recursive: true, mode: DIRECTORY_MODE });
        return 'made';
      },
    };
  }
  if (!found.isDirectory()) throw unfit(path, 'is to be a directory, and is none');
  await access(at, constants.W_OK | constants.X_OK).catch((error: NodeJS.ErrnoException) => {
    throw unfit(path, `can't be written (${error.code})`);
  });
  const [mode, closed] = [found.mode & 0o7777, found.mode & 0o7777 & ~(0o777 & ~DIRECTORY_MODE)];
  if (mode !== closed) {
    const detail = `${octal(mode)} lets others in: ${octal(closed)}`;
    return {
      ...finding,
      detail: `change its mode, ${detail}`,
      apply: async () => {
        await chmod(at, closed);
        return `mode changed, ${detail}`;
      },
    };
  }
  const owner =
    found.uid === 0 ? '' : `, but belongs to user ${found.uid}, who can replace what is in it: chown root ${path}`;
  return { ...finding, detail: `is there${owner}` };
}

const octal = (mode: number) => mode.toString(8).padStart(4, '0');

function unfit(path: string, why: string): OperatorError {
  return new OperatorError(`${path} ${why}.`, {
    code: 'SETUP_DIRECTORY',
    hint: 'Move away what is there, or name another place in the configuration (state_dir, run_dir).',
  });
}
