import type { Database } from './database.ts';
import { SCHEMA_1 } from './schema-1.ts';
import { SCHEMA_2 } from './schema-2.ts';
import { SCHEMA_3 } from './schema-3.ts';
import { SCHEMA_4 } from './schema-4.ts';
import { SCHEMA_5 } from './schema-5.ts';
import { SCHEMA_6 } from './schema-6.ts';
import { SCHEMA_7 } from './schema-7.ts';

/** 'lfsz': says that a SQLite file is a catalog of ours. */
export const APPLICATION_ID = 0x6c66737a;

/** What leads from each version of the schema to the next; never edited once released. The first makes an empty catalog. */
const MIGRATIONS: readonly string[] = [SCHEMA_1, SCHEMA_2, SCHEMA_3, SCHEMA_4, SCHEMA_5, SCHEMA_6, SCHEMA_7];

/** The version of the schema that this program reads and writes. */
export const SCHEMA_VERSION = MIGRATIONS.length;

/**
 * Brings a catalog, or an empty file, to this program's version, in one transaction. Two processes may do it at once:
 * the second finds it done.
 */
export function migrate(database: Database): void {
  database.transaction(() => {
    const found = Number(database.pragma('user_version'));
    if (found >= SCHEMA_VERSION) return;
    for (const migration of MIGRATIONS.slice(found)) database.exec(migration);
    database.exec(`PRAGMA application_id = ${APPLICATION_ID}`);
    database.exec(`PRAGMA user_version = ${SCHEMA_VERSION}`);
  });
}
