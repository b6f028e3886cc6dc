import { kindCode, kindOf, wide, wideColumn } from './codes.ts';
import type { Database, Query, Row } from './database.ts';
import type { KnownBlob } from './types.ts';

const COLUMNS = `archive, name, kind, generation, ${wideColumn('size')}, crc64, etag, archived, verified`;

/** What the row has, if it is of the same version. */
const SAME = (column: string) =>
  `CASE WHEN generation IS excluded.generation AND kind = excluded.kind THEN ${column} END`;

export type BlobKey = readonly [fid: number, archive: number, name: string];

/** What stands in the containers, as far as we know: for each FID its copy or marker, further links' markers, leftovers. */
export class Blobs {
  readonly #put: Query;
  readonly #of: Query;
  readonly #page: Query;
  readonly #delete: Query;
  readonly #deleteAll: Query;

  constructor(database: Database) {
    // Who writes a blob without having listed it does not unsay that the container was seen to have it so.
    this.#put = database.prepare(
      `INSERT INTO blobs (fid, archive, name, kind, generation, size, crc64, etag, archived, verified)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET kind = excluded.kind, generation = excluded.generation, size = excluded.size,
         crc64 = excluded.crc64, etag = coalesce(excluded.etag, ${SAME('etag')}), verified = coalesce(excluded.verified, ${SAME('verified')}),
         archived = CASE WHEN generation IS excluded.generation THEN coalesce(archived, excluded.archived) ELSE excluded.archived END`,
    );
    this.#of = database.prepare(`SELECT ${COLUMNS} FROM blobs WHERE fid = ? ORDER BY archive, name`);
    this.#page = database.prepare(
      `SELECT ${COLUMNS}, fid FROM blobs WHERE (fid, archive, name) > (?, ?, ?) ORDER BY fid, archive, name LIMIT ?`,
    );
    this.#delete = database.prepare('DELETE FROM blobs WHERE fid = ? AND archive = ? AND name = ?');
    this.#deleteAll = database.prepare('DELETE FROM blobs WHERE fid = ?');
  }

  put(fid: number, blob: KnownBlob): void {
    this.#put.run(
      fid,
      blob.archive,
      blob.name,
      kindCode(blob.kind),
      blob.generation ?? null,
      blob.size ?? null,
      blob.crc64 ?? null,
      blob.etag ?? null,
      blob.archivedAt ?? null,
      blob.verifiedAt ?? null,
    );
  }

  of(fid: number): KnownBlob[] {
    return this.#of.all(fid).map(blobOf);
  }

  /** Some of all blobs, in the order of their keys. */
  page(after: BlobKey, limit: number): { key: BlobKey; blob: KnownBlob }[] {
    return this.#page.all(...after, limit).map((row) => {
      const blob = blobOf(row);
      return { key: [row[9] as number, blob.archive, blob.name], blob };
    });
  }

  delete(fid: number, archive: number, name: string): void {
    this.#delete.run(fid, archive, name);
  }

  deleteAll(fid: number): void {
    this.#deleteAll.run(fid);
  }
}

function blobOf(row: Row): KnownBlob {
  return {
    archive: row[0] as number,
    name: row[1] as string,
    kind: kindOf(row[2] as number),
    generation: (row[3] ?? undefined) as string | undefined,
    size: row[4] === null ? undefined : wide(row[4]),
    crc64: (row[5] ?? undefined) as string | undefined,
    etag: (row[6] ?? undefined) as string | undefined,
    archivedAt: (row[7] ?? undefined) as number | undefined,
    verifiedAt: (row[8] ?? undefined) as number | undefined,
  };
}
