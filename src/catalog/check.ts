import type { Database } from './database.ts';
import { countedUsage, keptUsage } from './usage.ts';

/** Rows that contradict others, by what they would mean. */
const CONTRADICTIONS: readonly (readonly [meaning: string, sql: string])[] = [
  [
    'files that may be archived and are not listed so, or wrongly',
    `WITH wanted AS (
       SELECT mtime, fid, size, uid, gid, project FROM entries WHERE type = 1 AND hsm & 100 = 0 AND hsm & 10 <> 8)
     SELECT count(*) FROM (
       SELECT * FROM (SELECT * FROM wanted EXCEPT SELECT * FROM archivable)
       UNION ALL
       SELECT * FROM (SELECT * FROM archivable EXCEPT SELECT * FROM wanted))`,
  ],
  [
    'files that may be released and are not listed under an OST of theirs, or wrongly',
    `WITH wanted AS (
       SELECT CAST(json_each.value AS INTEGER) AS ost, max(atime, mtime) AS used, fid, size, uid, gid, project,
         json_each.key = 0 AS first
       FROM entries, json_each('[' || osts || ']')
       WHERE entries.type = 1 AND hsm & 94 = 8 AND size <> 0 AND osts <> '')
     SELECT count(*) FROM (
       SELECT * FROM (SELECT * FROM wanted EXCEPT SELECT * FROM releasable)
       UNION ALL
       SELECT * FROM (SELECT * FROM releasable EXCEPT SELECT * FROM wanted))`,
  ],
  ['names of nothing that is known', 'SELECT count(*) FROM links WHERE child NOT IN (SELECT fid FROM entries)'],
  ['tombstones of the living', 'SELECT count(*) FROM tombstones WHERE fid IN (SELECT fid FROM entries)'],
];

/** Looks at every page and row. @returns what is wrong, in words; empty: nothing */
export function checkCatalog(database: Database): string[] {
  const problems = database
    .prepare('PRAGMA integrity_check')
    .all()
    .map((row) => String(row[0]))
    .filter((line) => line !== 'ok');
  if (problems.length > 0) return problems;
  for (const [meaning, sql] of CONTRADICTIONS) {
    const count = Number(database.prepare(sql).get()?.[0]);
    if (count > 0) problems.push(`${count} ${meaning}`);
  }
  const text = (rows: readonly object[]) =>
    JSON.stringify(rows, (_, value) => (typeof value === 'bigint' ? String(value) : value));
  if (text(keptUsage(database)) !== text(countedUsage(database))) {
    problems.push('the sums by kind are not those of the entries');
  }
  return problems;
}
