import { realpath } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { DEFAULT_CONFIG_FILE } from '../config/default-file.ts';
import type { Config } from '../config/types.ts';
import { packageRoot } from '../service/package-root.ts';
import { hasSystemd, type MachineOptions } from './machine.ts';
import { type SystemPlaces, systemFiles } from './system-files.ts';

const LINK = '/usr/bin/lfsazsync';

export interface PlaceOptions {
  readonly config: Config;
  /** The file that it was read from. */
  readonly configFile: string | undefined;
  /** A scratch root; undefined: this machine. */
  readonly root: string | undefined;
  /** What units start; undefined: this program. */
  readonly program: string | undefined;
}

/** What is to be put onto the machine, or into a scratch root. */
export async function machineOptions(options: PlaceOptions): Promise<MachineOptions> {
  const { config, configFile, root } = options;
  const places: SystemPlaces = {
    program: options.program ?? (await thisProgram()),
    config: resolve(configFile ?? DEFAULT_CONFIG_FILE),
    mount: config.mount,
    stateDir: config.stateDir,
    runDir: config.runDir,
    logFile: config.log.file,
    auditFile: config.log.auditFile,
  };
  return {
    root: rootOf(root),
    files: await systemFiles(places),
  };
}

/** @param root as given */
export const rootOf = (root: string | undefined): string => (root === undefined ? '' : resolve(root));

/** Units are written where systemd would read them. */
export const wantsServices = (asked: boolean | undefined, root: string | undefined): boolean =>
  asked ?? (root !== undefined || hasSystemd());

/** The link that a package makes, if it leads here: it outlives an upgrade to another folder. */
async function thisProgram(): Promise<string> {
  const own = join(packageRoot(), 'bin', 'lfsazsync');
  const linked = await realpath(LINK).catch(() => undefined);
  return linked === (await realpath(own)) ? LINK : own;
}
