import { statSync } from 'node:fs';
import { setImmediate as others, setTimeout as sleep } from 'node:timers/promises';
import { OperatorError } from '../service/errors.ts';
import type { Database, Query } from './database.ts';
import { damaged, isCatalogError } from './errors.ts';
import { SCHEMA_VERSION } from './migrations.ts';
import type { Stamp } from './types.ts';

export interface Moment {
  readonly stamp: Stamp;
  /** Milliseconds since 1970. */
  readonly ms: number;
}

/** How long a write waits for those of other processes, milliseconds. Their transactions take a few milliseconds each. */
const BUSY_TIMEOUT = 60_000;
/** Writes in one transaction, at most. */
const MOST_TOGETHER = 256;

/** A write that waits for its turn. */
interface Waiting {
  readonly work: (moment: Moment) => unknown;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * The rules for using one database file from several processes: writes take turns (those of this process in the order
 * asked, without blocking its event loop while another process writes), carry a stamp, and count only if the file is
 * still the one at its name and of this program's schema. Writes that are asked for at the same time share a transaction,
 * and so the disk's sync, which is most of what a small one costs; each is done when that is.
 */
export class Connection {
  readonly database: Database;
  readonly #inode: bigint;
  readonly #tick: Query;
  readonly #version: Query;
  readonly #onRollback: () => void;
  #waiting: Waiting[] = [];
  #writing = false;

  constructor(database: Database, onRollback: () => void) {
    this.database = database;
    this.#inode = statSync(database.file, { bigint: true }).ino;
    this.#tick = database.prepare('UPDATE clock SET stamp = max(stamp + 1, ?) RETURNING stamp');
    this.#version = database.prepare('PRAGMA user_version');
    this.#onRollback = onRollback;
    // The event loop must go on while others write.
    database.dontWait();
  }

  /** Does `work` in a write transaction. Resolves when it is on the disk. */
  write<T>(work: (moment: Moment) => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#waiting.push({ work, resolve: resolve as Waiting['resolve'], reject });
      if (!this.#writing) void this.#writeAll();
    });
  }

  async #writeAll(): Promise<void> {
    this.#writing = true;
    while (this.#waiting.length > 0) {
      // Whoever is ready to write does so now, too.
      await others();
      await this.#together(this.#waiting.splice(0, MOST_TOGETHER));
    }
    this.#writing = false;
  }

  /** One that fails takes nothing of the others with it: then each has a transaction of its own. */
  async #together(group: readonly Waiting[]): Promise<void> {
    try {
      const results = await this.#patiently(() => this.#transaction(group.map(({ work }) => work)));
      for (const [index, { resolve }] of group.entries()) resolve(results[index]);
    } catch (error) {
      // Who has waited for other processes for so long in vain does not do so once more for each.
      if (group.length === 1 || isCatalogError(error, 'CATALOG_BUSY')) for (const { reject } of group) reject(error);
      else for (const one of group) await this.#together([one]);
    }
  }

  /** Reads, seeing one state of the catalog all through. */
  read<T>(work: () => T): Promise<T> {
    return this.#patiently(() => this.database.snapshot(() => this.#reading(work)));
  }

  /** Does one after the other, each with a stamp of its own; all of them or none. */
  #transaction(works: readonly ((moment: Moment) => unknown)[]): unknown[] {
    let results: unknown[];
    try {
      results = this.database.transaction(() => {
        this.#checkVersion();
        return works.map((work) => {
          const ms = Date.now();
          const stamp = this.#tick.get(ms)?.[0] as number | undefined;
          if (stamp === undefined) throw damaged(this.database.file, 'its clock is missing');
          return this.#reading(() => work({ stamp, ms }));
        });
      });
    } catch (error) {
      this.#onRollback();
      throw error;
    }
    this.#checkPlace();
    return results;
  }

  /** Codes and keys that nobody wrote are damage that SQLite does not see. */
  #reading<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw error instanceof RangeError ? damaged(this.database.file, error.message, error) : error;
    }
  }

  async #patiently<T>(work: () => T): Promise<T> {
    const deadline = performance.now() + BUSY_TIMEOUT;
    for (let wait = 1; ; wait = Math.min(wait * 2, 20)) {
      try {
        return work();
      } catch (error) {
        if (!isCatalogError(error, 'CATALOG_BUSY') || performance.now() > deadline) throw error;
      }
      await sleep(wait);
    }
  }

  #checkVersion(): void {
    const found = this.#version.get()?.[0];
    if (found === SCHEMA_VERSION) return;
    throw new OperatorError(`The catalog ${this.database.file} was changed to schema ${found} while it was in use.`, {
      code: 'CATALOG_NEWER',
      hint: 'A newer lfsazsync has taken it over: restart this service with that version.',
    });
  }

  /** What was written into a file that has been set aside meanwhile is not in the catalog. */
  #checkPlace(): void {
    const there = statSync(this.database.file, { bigint: true, throwIfNoEntry: false });
    if (there?.ino === this.#inode) return;
    throw new OperatorError(
      `The catalog ${this.database.file} was ${there === undefined ? 'removed' : 'replaced'} while it was in use.`,
      {
        code: 'CATALOG_REPLACED',
        hint: 'Restart this service: it takes the new one, and what is missing there comes from a scan.',
      },
    );
  }
}
