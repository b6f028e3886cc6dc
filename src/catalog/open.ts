import { existsSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { OperatorError } from '../service/errors.ts';
import type { Catalog } from './catalog.ts';
import { Database } from './database.ts';
import { damaged, isCatalogError } from './errors.ts';
import { APPLICATION_ID, migrate, SCHEMA_VERSION } from './migrations.ts';
import { SqliteCatalog } from './sqlite-catalog.ts';

export interface OpenOptions {
  /** `catalog.db` in the state directory, or wherever. */
  readonly file: string;
  /** Make an empty one where there is none. Otherwise CATALOG_MISSING. */
  readonly create?: boolean;
  /** Never writes, and needs no right to. */
  readonly readOnly?: boolean;
  /** Bytes of memory for pages. */
  readonly cacheBytes?: number;
}

/** Pages for who goes through all of it once, in its order: each is needed once, what leads to them fits. */
export const WALK_CACHE = 16 * 1024 * 1024;

/**
 * Opens a catalog, whatever its size, in a few milliseconds. Brings an older one to this version's schema.
 * @throws OperatorError: CATALOG_MISSING, CATALOG_NEWER, CATALOG_OLDER (read-only), CATALOG_OTHER_FILE, CATALOG_DAMAGED, …
 */
export function openCatalog(options: OpenOptions): Catalog {
  const { file, create = false, readOnly = false } = options;
  if (!existsSync(file)) {
    if (!create || readOnly) throw missing(file);
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  }
  const database = new Database(file, options);
  try {
    // Before anything is written: is it ours to write?
    const version = versionOf(database);
    if (!readOnly) {
      database.configure();
      if (version < SCHEMA_VERSION) migrate(database);
    } else if (version < SCHEMA_VERSION) {
      throw new OperatorError(`The catalog ${file} has schema ${version}; this version reads ${SCHEMA_VERSION}.`, {
        code: 'CATALOG_OLDER',
        hint: 'Start one of the services, or `lfsazsync scan`: they bring it up to date.',
      });
    }
    return new SqliteCatalog(database);
  } catch (error) {
    database.close();
    throw isSchemaError(error) ? damaged(file, (error as Error).message, error) : error;
  }
}

/**
 * Opens a catalog to fill it by a scan: one that is damaged is set aside, beside its place, and an empty one begun.
 * The caller tells the operator about `setAside`. Services that have the damaged file open find out at their next
 * write (CATALOG_REPLACED), and acknowledge nothing.
 */
export function openCatalogForScan(options: OpenOptions): { catalog: Catalog; setAside?: string } {
  try {
    return { catalog: openCatalog({ ...options, create: true }) };
  } catch (error) {
    if (!isCatalogError(error, 'CATALOG_DAMAGED')) throw error;
    const setAside = setAsideCatalog(options.file);
    return { catalog: openCatalog({ ...options, create: true }), setAside };
  }
}

/** Moves a catalog out of the way. @param why what is put behind its name @returns where it is now */
export function setAsideCatalog(file: string, why = `damaged-${now()}`): string {
  let aside = `${file}.${why}`;
  for (let n = 2; existsSync(aside); n++) aside = `${file}.${why}-${n}`;
  // The file before its log: a log without its file is thrown away by SQLite, a file without its log would be believed.
  for (const suffix of ['', '-wal', '-shm']) {
    if (existsSync(`${file}${suffix}`)) renameSync(`${file}${suffix}`, `${aside}${suffix}`);
  }
  return aside;
}

/** `20260131T120000Z`. */
function now(): string {
  return new Date().toISOString().replace(/[-:]|\.\d+/g, '');
}

/** The schema's version; 0 of an empty file. Refuses what is newer, or not a catalog at all. */
function versionOf(database: Database): number {
  const { file } = database;
  const version = Number(database.pragma('user_version'));
  const application = Number(database.pragma('application_id'));
  if (application === 0 && version === 0 && Number(database.pragma('schema_version')) === 0) {
    if (statSync(file).size > 0 && Number(database.pragma('page_count')) > 1)
      throw damaged(file, 'its first page is blank');
    return 0;
  }
  if (application !== APPLICATION_ID) {
    throw new OperatorError(`${file} is an SQLite database, but not a catalog of lfsazsync.`, {
      code: 'CATALOG_OTHER_FILE',
      hint: 'Does `state_dir` point to the right directory?',
    });
  }
  if (version > SCHEMA_VERSION) {
    throw new OperatorError(
      `The catalog ${file} was written by a newer version of lfsazsync (schema ${version}; this one knows ${SCHEMA_VERSION}).`,
      {
        code: 'CATALOG_NEWER',
        hint: 'Install that version again, or move the catalog away and build a new one with `lfsazsync scan`. It has not been touched.',
      },
    );
  }
  return version;
}

/** A table or column of ours is missing: the schema's pages are damaged. */
function isSchemaError(error: unknown): boolean {
  return error instanceof Error && (error as { errcode?: number }).errcode === 1;
}

function missing(file: string): OperatorError {
  return new OperatorError(`There is no catalog yet: ${file}.`, {
    code: 'CATALOG_MISSING',
    hint: 'Run `lfsazsync scan` once; it builds the catalog from the file system.',
  });
}
