import { createRequire } from 'node:module';
import { arch } from 'node:os';
import { join } from 'node:path';
import { packageRoot } from './package-root.ts';

/** Where native parts are: as the build leaves them, and as a release carries them. */
export function nativePlaces(name: string): string[] {
  const root = packageRoot();
  return [join(root, 'native-helpers', 'build', name), join(root, 'dist-prebuilt', arch(), name)];
}

/**
 * A native addon of ours, such as `crc64.node`, that passes the check; undefined when there is none for this machine.
 */
export function loadAddon<T>(name: string, check: (addon: T) => boolean = () => true): T | undefined {
  const require = createRequire(import.meta.url);
  for (const path of nativePlaces(name)) {
    try {
      const addon = require(path) as T;
      if (check(addon)) return addon;
    } catch {
      // Not there, or made for another machine.
    }
  }
  return undefined;
}
