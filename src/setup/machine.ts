import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { run } from '../service/run.ts';
import { leftOver, lookAtFile, lookAtRemoval } from './own-files.ts';
import type { SystemFile } from './system-files.ts';
import type { Finding, SetupStep } from './types.ts';

export interface MachineOptions {
  /** Put before every path: a scratch root, for tests and images. Empty: this machine. */
  readonly root: string;
  readonly files: readonly SystemFile[];
}

/** What begins work comes before what does it, what others need last. */
const STOP_ORDER = [/\.timer$/, /-policy\./, /-follow\./, /./];
const UNIT = /\.(?:service|timer|socket|path|target)$/;
/** Longer than any unit takes to stop. */
const STOP_TIMEOUT_MS = 600_000;

/** Whether systemd runs this machine. */
export const hasSystemd = (): boolean => existsSync('/run/systemd/system');

/** The machine's files are as this version writes them, those of another version gone; systemd has read its own again. */
export function machineStep({ root, files }: MachineOptions): SetupStep {
  return {
    look: async () => {
      const others = await leftOver(files, root);
      const findings = isLive(root) ? stopping(others) : [];
      for (const path of others)
        findings.push(await lookAtRemoval(path, root, ': another version wrote it, this one has none'));
      for (const file of files) findings.push(await lookAtFile(file, root));
      if (isLive(root) && findings.some(({ apply }) => apply !== undefined)) findings.push(readAgain());
      return findings;
    },
  };
}

/** The opposite: services stop, what they have at work is finished; our files go. Data, configuration and identity stay. */
export function removalStep({ root, files }: MachineOptions): SetupStep {
  return {
    look: async () => {
      const paths = [...(await leftOver(files, root)), ...files.map(({ path }) => path)];
      const live = isLive(root);
      const findings = live ? stopping(paths.filter((path) => existsSync(join(root, path)))) : [];
      for (const path of paths) findings.push(await lookAtRemoval(path, root));
      if (live) findings.push(readAgain());
      return findings;
    },
  };
}

const isLive = (root: string) => root === '' && hasSystemd();

function stopping(paths: readonly string[]): Finding[] {
  const rank = (unit: string) => STOP_ORDER.findIndex((pattern) => pattern.test(unit));
  return paths
    .map((path) => basename(path))
    .filter((name) => UNIT.test(name))
    .sort((a, b) => rank(a) - rank(b))
    .map((unit) => systemctl(`stop and disable ${unit}`, ['disable', '--now', unit]));
}

const readAgain = () => systemctl('read its units again', ['daemon-reload']);

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
