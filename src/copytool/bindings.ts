import type { Catalog } from '../catalog/catalog.ts';
import { openCatalog } from '../catalog/open.ts';
import { IMPORT_CHECKPOINT } from '../catalog/types.ts';
import type { Fid } from '../identity/fid.ts';
import type { Log } from '../service/log.ts';

export interface BindingsOptions {
  /** The catalog's file; it need not be there. */
  readonly file: string;
  readonly fsUuid: string;
  /** Whether what happens in the file system is in the catalog within seconds. */
  readonly isKeptUpToDate: () => Promise<boolean>;
  /** Whether a file is dead: ENOENT by FID, under our UUID. */
  readonly isDead: (fid: Fid) => Promise<boolean>;
  readonly log: Log;
}

/**
 * Whether it is known that no living file was imported from the blob of a name. Only the catalog of this machine can know, and
 * only if it knows all: after a complete scan, kept up to date since (others import, too), and while no import is at work. Anything
 * else is 'not known'.
 */
export async function isUnbound(options: BindingsOptions, archive: number, name: string): Promise<boolean> {
  let catalog: Catalog | undefined;
  try {
    catalog = openCatalog({ file: options.file, readOnly: true });
    if ((await catalog.fileSystem()) !== options.fsUuid) return false;
    const whole =
      (await catalog.lastScan()) !== undefined && (await catalog.checkpoint(IMPORT_CHECKPOINT)) === undefined;
    if (!whole || !(await options.isKeptUpToDate())) return false;
    for (const { fid } of await catalog.bindingsAt(archive, name)) if (!(await options.isDead(fid))) return false;
    return true;
  } catch (error) {
    options.log.debug('the catalog could not be asked for imported files', { blob: name, err: error });
    return false;
  } finally {
    catalog?.close();
  }
}
