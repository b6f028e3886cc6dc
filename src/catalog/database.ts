import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { catalogError } from './errors.ts';

export type Value = null | number | bigint | string | Uint8Array;
export type Row = readonly Value[];

/** A prepared statement whose rows are arrays: no names to build objects from, which is half the cost of a small row. */
export class Query {
  readonly #statement: StatementSync;
  readonly #file: string;

  constructor(statement: StatementSync, file: string) {
    statement.setReturnArrays(true);
    this.#statement = statement;
    this.#file = file;
  }

  /** The first row. */
  get(...values: SQLInputValue[]): Row | undefined {
    try {
      return this.#statement.get(...values) as unknown as Row | undefined;
    } catch (error) {
      throw catalogError(error, this.#file);
    }
  }

  all(...values: SQLInputValue[]): Row[] {
    try {
      return this.#statement.all(...values) as unknown as Row[];
    } catch (error) {
      throw catalogError(error, this.#file);
    }
  }

  /** @returns the rows changed */
  run(...values: SQLInputValue[]): number {
    try {
      return Number(this.#statement.run(...values).changes);
    } catch (error) {
      throw catalogError(error, this.#file);
    }
  }
}

export interface DatabaseOptions {
  readonly readOnly?: boolean;
  /** Bytes of the page cache. */
  readonly cacheBytes?: number;
}

const MIB = 1024 * 1024;
/** Pages of the log after which a commit copies it into the file: 16 MiB. */
const CHECKPOINT_PAGES = 4096;
/** The log's file is cut to this after a checkpoint. */
const LOG_BYTES = 64 * MIB;

/** How long opening waits for another process that is opening, recovering or closing it, milliseconds. */
const OPEN_TIMEOUT = 10_000;

/** One SQLite connection with the settings that the catalog relies on. */
export class Database {
  readonly file: string;
  readonly #db: DatabaseSync;

  constructor(file: string, { readOnly = false, cacheBytes = 64 * MIB }: DatabaseOptions = {}) {
    this.file = file;
    try {
      this.#db = new DatabaseSync(file, { readOnly, timeout: OPEN_TIMEOUT });
    } catch (error) {
      throw catalogError(error, file);
    }
    try {
      this.exec(`PRAGMA cache_size = -${Math.max(1, Math.floor(cacheBytes / 1024))}`);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** For a file that is known to be a catalog of ours, or empty. */
  configure(): void {
    this.exec('PRAGMA journal_mode = WAL');
    // A commit is on the disk when it returns: the MDT is then told to forget the records.
    this.exec('PRAGMA synchronous = FULL');
    this.exec(`PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
    this.exec(`PRAGMA journal_size_limit = ${LOG_BYTES}`);
    this.exec('PRAGMA temp_store = MEMORY');
    // Two checks against damage that cost next to nothing: cells of pages, and values of the declared types.
    this.exec('PRAGMA cell_size_check = ON');
  }

  /** From now on, what another process holds is told at once (CATALOG_BUSY) instead of being waited for. */
  dontWait(): void {
    this.exec('PRAGMA busy_timeout = 0');
  }

  exec(sql: string): void {
    try {
      this.#db.exec(sql);
    } catch (error) {
      throw catalogError(error, this.file);
    }
  }

  prepare(sql: string): Query {
    try {
      return new Query(this.#db.prepare(sql), this.file);
    } catch (error) {
      throw catalogError(error, this.file);
    }
  }

  /** As `prepare`; integers come as bigint, for sums that pass 2^53. */
  prepareWide(sql: string): Query {
    try {
      const statement = this.#db.prepare(sql);
      statement.setReadBigInts(true);
      return new Query(statement, this.file);
    } catch (error) {
      throw catalogError(error, this.file);
    }
  }

  pragma(name: string): Value {
    return this.prepare(`PRAGMA ${name}`).get()?.[0] ?? null;
  }

  /** Runs `work` in one write transaction: all of it or nothing. It must not wait for anything. */
  transaction<T>(work: () => T): T {
    return this.#between('BEGIN IMMEDIATE', work);
  }

  /** Runs `work`, which only reads, such that it sees one state of the file. */
  snapshot<T>(work: () => T): T {
    return this.#between('BEGIN', work);
  }

  #between<T>(begin: string, work: () => T): T {
    this.exec(begin);
    try {
      const result = work();
      this.exec('COMMIT');
      return result;
    } catch (error) {
      this.#rollBack();
      throw error;
    }
  }

  #rollBack(): void {
    if (!this.#db.isTransaction) return; // SQLite has done so itself (a full disk, an error of the disk)
    try {
      this.#db.exec('ROLLBACK');
    } catch {
      // The first error says what is wrong.
    }
  }

  close(): void {
    if (this.#db.isOpen) this.#db.close();
  }
}
