import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The project's root directory. */
export const projectRoot: string = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

/** The stand-in's programs: `lustre-simd`, `lfs`, `lctl`, `simctl` and `liblustreapi.so.1`. */
export const simBuild: string = join(projectRoot, 'test/lustre-sim/build');

/** The helper, as the project's build leaves it. */
export const helperPath: string = join(projectRoot, 'native-helpers/build/lfsazsync-helper');

/** The built executable of the product. */
export const executable: string = join(projectRoot, 'bin/lfsazsync');

/** Throws, with the command that makes it, when a file that tests need has not been built. */
export function needBuilt(path: string, madeBy: string): void {
  if (!existsSync(path)) throw new Error(`${path} is missing: ${madeBy}`);
}
