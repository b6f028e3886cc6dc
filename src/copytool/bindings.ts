import type { Catalog } from '../catalog/catalog.ts';
import { openCatalog } from '../catalog/open.ts';
import { IMPORT_CHECKPOINT, type KnownBinding } from '../catalog/types.ts';
import { type ImportedFrom, isBound } from '../copies/bound.ts';
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
  return (await deadAt(options, archive, name)) !== undefined;
}

/**
 * Whether it is known that a file was imported from this very blob, and is dead by now, as is whatever else was: an editor has saved
 * another one in its place, say. What nobody has imported yet is not.
 */
export async function isLeftBehind(
  options: BindingsOptions,
  archive: number,
  blob: ImportedFrom & { readonly name: string },
): Promise<boolean> {
  return (await deadAt(options, archive, blob.name))?.some((binding) => isBound(binding, blob)) === true;
}

/** All that was ever imported from the blob of a name; undefined: something of it lives, or not all is known. */
async function deadAt(options: BindingsOptions, archive: number, name: string): Promise<KnownBinding[] | undefined> {
  let catalog: Catalog | undefined;
  try {
    catalog = openCatalog({ file: options.file, readOnly: true });
    if ((await catalog.fileSystem()) !== options.fsUuid) return undefined;
    const whole =
      (await catalog.lastScan()) !== undefined && (await catalog.checkpoint(IMPORT_CHECKPOINT)) === undefined;
    if (!whole || !(await options.isKeptUpToDate())) return undefined;
    const bindings = await catalog.bindingsAt(archive, name);
    for (const { fid } of bindings) if (!(await options.isDead(fid))) return undefined;
    return bindings;
  } catch (error) {
    options.log.debug('the catalog could not be asked for imported files', { blob: name, err: error });
    return undefined;
  } finally {
    catalog?.close();
  }
}
