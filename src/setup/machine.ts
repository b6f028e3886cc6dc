import { existsSync } from 'node:fs';
import { chmod, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { OperatorError } from '../service/errors.ts';
import { run } from '../service/run.ts';
import { OUR_MARK, type SystemFile } from './system-files.ts';
import type { Finding, SetupStep } from './types.ts';

export interface MachineOptions {
  /** Put before every path: a scratch root, for tests and images. Empty: this machine. */
  readonly root: string;
  /** Absolute paths, to be there for root alone. */
  readonly directories: readonly string[];
  readonly files: readonly SystemFile[];
}

const UNITS = [
  'lfsazsync-policy.timer',
  'lfsazsync-policy.service',
  'lfsazsync-follow.service',
  'lfsazsync-copytool.service',
];
/** Longer than any unit takes to stop. */
const STOP_TIMEOUT_MS = 600_000;
const DIRECTORY_MODE = 0o750;

/** Whether systemd runs this machine. */
export const hasSystemd = (): boolean => existsSync('/run/systemd/system');

/** Directories and files of the machine are there as they should be; systemd has read its own again. */
export function machineStep({ root, directories, files }: MachineOptions): SetupStep {
  return {
    look: async () => {
      const findings: Finding[] = [];
      for (const path of directories) findings.push(await lookAtDirectory(path, root));
      for (const file of files) findings.push(await lookAtFile(file, root));
      if (root === '' && hasSystemd() && findings.some(({ step, apply }) => step === 'file' && apply !== undefined))
        findings.push(systemctl('read its units again', ['daemon-reload']));
      return findings;
    },
  };
}

/** The opposite: services stop, what they have at work is finished; our files go. Data, configuration and identity stay. */
export function removalStep({ root, files }: Pick<MachineOptions, 'root' | 'files'>): SetupStep {
  return {
    look: async () => {
      const findings: Finding[] = [];
      const live = root === '' && hasSystemd();
      if (live) {
        for (const unit of UNITS)
          if (files.some(({ path }) => path.endsWith(`/${unit}`) && existsSync(path)))
            findings.push(systemctl(`stop and disable ${unit}`, ['disable', '--now', unit]));
      }
      for (const file of files) findings.push(await lookAtRemoval(file, root));
      if (live) findings.push(systemctl('read its units again', ['daemon-reload']));
      return findings;
    },
  };
}

async function lookAtDirectory(path: string, root: string): Promise<Finding> {
  const at = join(root, path);
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
  if (!found.isDirectory()) {
    throw new OperatorError(`${path} is to be a directory, and is none.`, {
      code: 'SETUP_DIRECTORY',
      hint: 'Move it away, or name another place in the configuration.',
    });
  }
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

async function lookAtFile(file: SystemFile, root: string): Promise<Finding> {
  const { path, mode, content } = file;
  const at = join(root, path);
  const finding = { step: 'file', subject: path };
  const there = await contentOf(at);
  if (there !== undefined && !there.startsWith(OUR_MARK))
    return { ...finding, detail: 'stays: it was not written by lfsazsync' };
  if (there === content && ((await stat(at)).mode & 0o7777) === mode) return { ...finding, detail: 'is up to date' };
  const isNew = there === undefined;
  return {
    ...finding,
    detail: isNew ? 'write it' : 'bring it up to date',
    apply: async () => {
      await write(at, content, mode);
      return isNew ? 'written' : 'brought up to date';
    },
  };
}

async function lookAtRemoval({ path }: SystemFile, root: string): Promise<Finding> {
  const at = join(root, path);
  const finding = { step: 'file', subject: path };
  const there = await contentOf(at);
  if (there === undefined) return { ...finding, detail: 'is not there' };
  if (!there.startsWith(OUR_MARK)) return { ...finding, detail: 'stays: it was not written by lfsazsync' };
  return {
    ...finding,
    detail: 'remove it',
    apply: async () => {
      await rm(at);
      return 'removed';
    },
  };
}

function systemctl(detail: string, args: readonly string[]): Finding {
  return {
    ...{ step: 'systemd', subject: 'systemctl', detail },
    apply: async () => {
      const { code, stderr } = await run('systemctl', args, { timeout: STOP_TIMEOUT_MS });
      if (code !== 0) throw new Error(`systemctl ${args.join(' ')}: ${stderr.trim()}`);
      return 'done';
    },
  };
}

/** Nobody ever sees half of it. */
async function write(path: string, content: string, mode: number): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o755 });
  const fresh = `${path}.lfsazsync-new`;
  const file = await open(fresh, 'w', mode);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  await chmod(fresh, mode);
  await rename(fresh, path);
}

async function contentOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
