/**
 * What most policies choose by stands beside the order in which they choose, so that files are chosen without reading their
 * entries: at ten million files, each of those is a page of its own. Candidates for archive get a table in place of an
 * index, whose second column SQLite would not begin a walk at, being the entries' rowid.
 */
export const SCHEMA_6 = `
-- Files that an archive may be asked for, least recently modified first. Written with the entries.
CREATE TABLE archivable (
  mtime INTEGER NOT NULL,
  fid INTEGER NOT NULL,
  size INTEGER NOT NULL,
  uid INTEGER NOT NULL,
  gid INTEGER NOT NULL,
  project INTEGER NOT NULL,
  PRIMARY KEY (mtime, fid)
) STRICT, WITHOUT ROWID;
INSERT INTO archivable
  SELECT mtime, fid, size, uid, gid, project FROM entries INDEXED BY entries_archivable
  WHERE type = 1 AND hsm & 100 = 0 AND hsm & 10 <> 8 ORDER BY mtime, fid;
DROP INDEX entries_archivable;

CREATE TABLE releasable_now (
  ost INTEGER NOT NULL,
  used INTEGER NOT NULL,
  fid INTEGER NOT NULL,
  size INTEGER NOT NULL,
  uid INTEGER NOT NULL,
  gid INTEGER NOT NULL,
  project INTEGER NOT NULL,
  -- 1: of the file's OSTs, this one is named first.
  first INTEGER NOT NULL,
  PRIMARY KEY (ost, used, fid)
) STRICT, WITHOUT ROWID;
INSERT INTO releasable_now
  SELECT r.ost, r.used, r.fid, e.size, e.uid, e.gid, e.project, instr(e.osts || ',', r.ost || ',') = 1
  FROM releasable r CROSS JOIN entries e ON e.fid = r.fid;
DROP TABLE releasable;
ALTER TABLE releasable_now RENAME TO releasable;
`;
