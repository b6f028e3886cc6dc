import type { Database, Query, Row } from './database.ts';
import type { FidKeys } from './fid-keys.ts';
import type { JournalEntry, JournalOutcome, JournalPut, Stamp } from './types.ts';

const COLUMNS = 'fid, reasons, since, not_before_ms, tries, stamp, error, quarantined_ms, progress';

/** Work to be done in the container, one row per FID. */
export class Journal {
  readonly #keys: FidKeys;
  readonly #put: Query;
  readonly #get: Query;
  readonly #due: Query;
  readonly #quarantine: Query;
  readonly #done: Query;
  readonly #failed: Query;
  readonly #later: Query;
  readonly #progress: Query;
  readonly #retry: Query;
  readonly #drop: Query;
  readonly #stats: Query;
  readonly #next: Query;

  constructor(database: Database, keys: FidKeys) {
    this.#keys = keys;
    // New work on something given up: it has changed, so it is tried again as if for the first time.
    this.#put = database.prepare(
      `INSERT INTO journal (fid, reasons, since, not_before_ms, tries, stamp) VALUES (?1, ?2, ?3, ?4, 0, ?5)
       ON CONFLICT DO UPDATE SET reasons = reasons | excluded.reasons, since = min(since, excluded.since),
         not_before_ms = CASE WHEN quarantined_ms IS NULL THEN min(not_before_ms, excluded.not_before_ms) ELSE excluded.not_before_ms END,
         tries = CASE WHEN quarantined_ms IS NULL THEN tries ELSE 0 END,
         progress = CASE WHEN ?6 THEN NULL ELSE progress END, quarantined_ms = NULL, stamp = excluded.stamp`,
    );
    this.#get = database.prepare(`SELECT ${COLUMNS} FROM journal WHERE fid = ?`);
    this.#due = database.prepare(
      `SELECT ${COLUMNS} FROM journal
       WHERE quarantined_ms IS NULL AND (not_before_ms, fid) > (?, ?) AND not_before_ms <= ?
       ORDER BY not_before_ms, fid LIMIT ?`,
    );
    this.#next = database.prepare('SELECT min(not_before_ms) FROM journal WHERE quarantined_ms IS NULL');
    this.#quarantine = database.prepare(
      `SELECT ${COLUMNS} FROM journal WHERE quarantined_ms IS NOT NULL AND fid > ? ORDER BY fid LIMIT ?`,
    );
    this.#done = database.prepare('DELETE FROM journal WHERE fid = ? AND stamp <= ?');
    this.#failed = database.prepare(
      `UPDATE journal SET tries = tries + 1, error = ?, not_before_ms = ?, quarantined_ms = ?
       WHERE fid = ? AND stamp <= ?`,
    );
    this.#later = database.prepare('UPDATE journal SET not_before_ms = ? WHERE fid = ? AND stamp <= ?');
    this.#progress = database.prepare('UPDATE journal SET progress = ? WHERE fid = ? AND stamp <= ?');
    this.#retry = database.prepare(
      'UPDATE journal SET quarantined_ms = NULL, tries = 0, not_before_ms = 0, stamp = ? WHERE fid = ?',
    );
    this.#drop = database.prepare('DELETE FROM journal WHERE fid = ?');
    this.#stats = database.prepare(
      `SELECT count(*), count(quarantined_ms), min(since), min(CASE WHEN quarantined_ms IS NULL THEN since END) FROM journal`,
    );
  }

  put(fid: number, put: JournalPut, stamp: Stamp): void {
    this.#put.run(fid, put.reasons, put.since, put.notBefore ?? 0, stamp, put.afresh === true ? 1 : 0);
  }

  settle(fid: number, outcome: JournalOutcome, nowMs: number): void {
    switch (outcome.outcome) {
      case 'done':
        this.#done.run(fid, outcome.stamp);
        break;
      case 'failed': {
        const quarantined = outcome.quarantine === true ? nowMs : null;
        this.#failed.run(outcome.error, outcome.notBefore, quarantined, fid, outcome.stamp);
        break;
      }
      case 'later':
        this.#later.run(outcome.notBefore, fid, outcome.stamp);
        break;
      case 'progress':
        this.#progress.run(outcome.progress, fid, outcome.stamp);
        break;
    }
  }

  get(fid: number): JournalEntry | undefined {
    const row = this.#get.get(fid);
    return row === undefined ? undefined : this.#entryOf(row);
  }

  /** What is due, longest due first, after the given row. */
  due(nowMs: number, after: { notBefore: number; key: number } | undefined, limit: number): JournalEntry[] {
    const from = after ?? { notBefore: -1, key: 0 };
    return this.#due.all(from.notBefore, from.key, nowMs, limit).map((row) => this.#entryOf(row));
  }

  /** When the next work is due, milliseconds since 1970; undefined without any. */
  next(): number | undefined {
    return (this.#next.get()?.[0] ?? undefined) as number | undefined;
  }

  quarantine(after: number, limit: number): JournalEntry[] {
    return this.#quarantine.all(after, limit).map((row) => this.#entryOf(row));
  }

  retry(fid: number, stamp: Stamp): boolean {
    return this.#retry.run(stamp, fid) > 0;
  }

  drop(fid: number): boolean {
    return this.#drop.run(fid) > 0;
  }

  stats(): { count: number; quarantined: number; oldest?: number; oldestWaiting?: number } {
    const row = this.#stats.get() as Row;
    const oldest = row[2] === null ? {} : { oldest: row[2] as number };
    const waiting = row[3] === null ? {} : { oldestWaiting: row[3] as number };
    return { count: row[0] as number, quarantined: row[1] as number, ...oldest, ...waiting };
  }

  #entryOf(row: Row): JournalEntry {
    return {
      fid: this.#keys.fid(row[0] as number),
      reasons: row[1] as number,
      since: row[2] as number,
      notBefore: row[3] as number,
      tries: row[4] as number,
      stamp: row[5] as number,
      error: (row[6] ?? undefined) as string | undefined,
      quarantinedAt: (row[7] ?? undefined) as number | undefined,
      progress: row[8] === null ? undefined : Buffer.from(row[8] as Uint8Array),
    };
  }
}
