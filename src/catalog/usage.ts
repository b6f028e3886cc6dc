import { typeOf } from './codes.ts';
import type { Database, Query } from './database.ts';
import type { Usage } from './types.ts';

interface Delta {
  count: bigint;
  bytes: bigint;
  blocks: bigint;
}

/** What a transaction changes in the sums by kind: added up here, written once per kind. */
export class UsageDeltas {
  readonly #deltas = new Map<string, Delta>();
  readonly #add: Query;
  readonly #tidy: Query;

  constructor(database: Database) {
    this.#add = database.prepare(
      `INSERT INTO usage (type, hsm, archive, uid, gid, project, count, bytes, blocks) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET count = count + excluded.count, bytes = bytes + excluded.bytes, blocks = blocks + excluded.blocks`,
    );
    this.#tidy = database.prepare(
      'DELETE FROM usage WHERE type = ? AND hsm = ? AND archive = ? AND uid = ? AND gid = ? AND project = ? AND count = 0',
    );
  }

  /** @param key type, hsm, archive, uid, gid, project; @param sign 1n: such an entry came, -1n: went */
  add(key: string, sign: 1n | -1n, bytes: bigint, blocks: bigint): void {
    let delta = this.#deltas.get(key);
    if (delta === undefined) {
      delta = { count: 0n, bytes: 0n, blocks: 0n };
      this.#deltas.set(key, delta);
    }
    delta.count += sign;
    delta.bytes += sign * bytes;
    delta.blocks += sign * blocks;
  }

  write(): void {
    for (const [key, { count, bytes, blocks }] of this.#deltas) {
      if (count === 0n && bytes === 0n && blocks === 0n) continue;
      const columns = key.split(',').map(Number);
      this.#add.run(...columns, count, bytes, blocks);
      if (count < 0n) this.#tidy.run(...columns);
    }
    this.#deltas.clear();
  }

  forget(): void {
    this.#deltas.clear();
  }
}

const KINDS = 'type, hsm, archive, uid, gid, project';

/** The sums as they are kept. */
export function keptUsage(database: Database): Usage[] {
  return usageRows(database, `SELECT ${KINDS}, count, bytes, blocks FROM usage WHERE count <> 0 ORDER BY ${KINDS}`);
}

/** The sums counted anew from all entries: what `keptUsage` must give. */
export function countedUsage(database: Database): Usage[] {
  return usageRows(
    database,
    `SELECT ${KINDS}, count(*), sum(size), sum(blocks) FROM entries GROUP BY ${KINDS} ORDER BY ${KINDS}`,
  );
}

function usageRows(database: Database, sql: string): Usage[] {
  return database
    .prepareWide(sql)
    .all()
    .map((row) => ({
      type: typeOf(Number(row[0])),
      hsm: Number(row[1]),
      archive: Number(row[2]),
      uid: Number(row[3]),
      gid: Number(row[4]),
      project: Number(row[5]),
      count: row[6] as bigint,
      bytes: row[7] as bigint,
      blocks: row[8] as bigint,
    }));
}
