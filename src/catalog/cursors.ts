import type { Database, Query } from './database.ts';
import type { Cursor, CursorMove, Stamp } from './types.ts';

/** How far each MDT's changelog is taken in, and which types of records it has sent. */
export class Cursors {
  readonly #put: Query;
  readonly #count: Query;
  readonly #all: Query;
  readonly #types: Query;
  readonly #scanned: Query;

  constructor(database: Database) {
    this.#put = database.prepare(
      `INSERT INTO mdts (mdt, user, applied, cleared, record_ms, rescan, rescan_stamp) VALUES (?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET user = coalesce(excluded.user, user), applied = coalesce(excluded.applied, applied),
         cleared = coalesce(excluded.cleared, cleared), record_ms = coalesce(excluded.record_ms, record_ms),
         rescan = coalesce(rescan, excluded.rescan), rescan_stamp = coalesce(excluded.rescan_stamp, rescan_stamp)`,
    );
    this.#count = database.prepare(
      `INSERT INTO record_types (mdt, type, count) VALUES (?, ?, ?)
       ON CONFLICT DO UPDATE SET count = count + excluded.count`,
    );
    this.#all = database.prepare(
      'SELECT mdt, user, applied, cleared, record_ms, rescan, rescan_stamp FROM mdts ORDER BY mdt',
    );
    this.#types = database.prepare('SELECT mdt, type, count FROM record_types');
    this.#scanned = database.prepare(
      'UPDATE mdts SET rescan = NULL, rescan_stamp = NULL WHERE rescan_stamp IS NULL OR rescan_stamp <= ?',
    );
  }

  put(move: CursorMove, stamp: Stamp): void {
    this.#put.run(
      move.mdt,
      move.user ?? null,
      move.applied ?? null,
      move.cleared ?? null,
      move.recordTime ?? null,
      move.rescan ?? null,
      move.rescan === undefined ? null : stamp,
    );
    for (const [type, count] of move.types ?? []) this.#count.run(move.mdt, type, count);
  }

  /** A whole scan that began after this stamp is done: what was missing until then is made up for. */
  scanned(begun: Stamp): void {
    this.#scanned.run(begun);
  }

  all(): Cursor[] {
    const types = new Map<string, Map<number, number>>();
    for (const [mdt, type, count] of this.#types.all()) {
      const of = types.get(mdt as string) ?? new Map<number, number>();
      types.set(mdt as string, of.set(type as number, count as number));
    }
    const given = <T>(value: unknown) => (value ?? undefined) as T | undefined;
    return this.#all.all().map(([mdt, user, applied, cleared, recordTime, rescan, rescanStamp]) => ({
      mdt: mdt as string,
      user: given<string>(user),
      applied: given<number>(applied),
      cleared: given<number>(cleared),
      recordTime: given<number>(recordTime),
      types: types.get(mdt as string) ?? new Map(),
      rescan: rescan === null ? undefined : { reason: rescan as string, stamp: rescanStamp as number },
    }));
  }
}
