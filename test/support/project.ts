import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The project's root directory. */
export const projectRoot: string = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

const simBuild = join(projectRoot, 'test/lustre-sim/build');

/** The stand-in's daemon. */
export const simDaemon: string = join(simBuild, 'lustre-simd');

/** The directory of the stand-in's programs: `lfs`, `lctl`, `simctl`. */
export const simPrograms: string = join(simBuild, 'bin');

/** The stand-in's library. */
export const simLibrary: string = join(simBuild, 'liblustreapi.so.1');

/** The helper, as the project's build leaves it. */
export const helperPath: string = join(projectRoot, 'native-helpers/build/lfsazsync-helper');

/** The built executable of the product. */
export const executable: string = join(projectRoot, 'bin/lfsazsync');

/** Throws, with the command that makes it, when a file that tests need has not been built. */
export function needBuilt(path: string, madeBy: string): void {
  if (!existsSync(path)) throw new Error(`${path} is missing: ${madeBy}`);
}
