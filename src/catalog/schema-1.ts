/**
 * The catalog's first schema. The reasons are in docs/internals/catalog.md.
 *
 * `fid` columns are integer keys made from FIDs (fid-keys.ts), times are whole seconds since 1970, columns that end in
 * `_ms` milliseconds, `stamp` and `seen` are stamps of `clock`. Names and paths in Lustre are bytes; blob names are text.
 */
export const SCHEMA_1 = `
CREATE TABLE meta (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE clock (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  stamp INTEGER NOT NULL
) STRICT;
INSERT INTO clock VALUES (1, 0);

CREATE TABLE fid_ranges (
  id INTEGER PRIMARY KEY,
  seq TEXT NOT NULL,
  version TEXT NOT NULL,
  part INTEGER NOT NULL,
  UNIQUE (seq, version, part)
) STRICT;

CREATE TABLE entries (
  fid INTEGER PRIMARY KEY,
  type INTEGER NOT NULL,
  mode INTEGER NOT NULL,
  uid INTEGER NOT NULL,
  gid INTEGER NOT NULL,
  project INTEGER NOT NULL,
  size INTEGER NOT NULL,
  blocks INTEGER NOT NULL,
  nlink INTEGER NOT NULL,
  atime INTEGER NOT NULL,
  mtime INTEGER NOT NULL,
  ctime INTEGER NOT NULL,
  hsm INTEGER NOT NULL,
  archive INTEGER NOT NULL,
  osts TEXT NOT NULL,
  pool TEXT NOT NULL,
  seen INTEGER NOT NULL
) STRICT;
-- Files that an archive may be asked for, least recently modified first: not released, lost or flagged never_archive
-- (0x4 | 0x40 | 0x20), and not archived without being dirty (0x8, 0x2). Small once most files are archived.
CREATE INDEX entries_archivable ON entries (mtime, fid) WHERE type = 1 AND hsm & 100 = 0 AND hsm & 10 <> 8;

-- Files that may be released, by OST, least recently used first; one row per OST of the file. Written with the entries.
CREATE TABLE releasable (
  ost INTEGER NOT NULL,
  used INTEGER NOT NULL,
  fid INTEGER NOT NULL,
  PRIMARY KEY (ost, used, fid)
) STRICT, WITHOUT ROWID;

CREATE TABLE usage (
  type INTEGER NOT NULL,
  hsm INTEGER NOT NULL,
  archive INTEGER NOT NULL,
  uid INTEGER NOT NULL,
  gid INTEGER NOT NULL,
  project INTEGER NOT NULL,
  count INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  blocks INTEGER NOT NULL,
  PRIMARY KEY (type, hsm, archive, uid, gid, project)
) STRICT, WITHOUT ROWID;

CREATE TABLE links (
  parent INTEGER NOT NULL,
  name BLOB NOT NULL,
  child INTEGER NOT NULL,
  PRIMARY KEY (parent, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX links_child ON links (child);

CREATE TABLE shards (
  shard INTEGER PRIMARY KEY,
  directory INTEGER NOT NULL
) STRICT;

CREATE TABLE blobs (
  fid INTEGER NOT NULL,
  archive INTEGER NOT NULL,
  name TEXT NOT NULL,
  kind INTEGER NOT NULL,
  generation TEXT,
  size INTEGER,
  crc64 TEXT,
  etag TEXT,
  archived INTEGER,
  verified INTEGER,
  PRIMARY KEY (fid, archive, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE tombstones (
  fid INTEGER PRIMARY KEY,
  type INTEGER NOT NULL,
  path BLOB,
  size INTEGER NOT NULL,
  mode INTEGER NOT NULL,
  uid INTEGER NOT NULL,
  gid INTEGER NOT NULL,
  mtime INTEGER NOT NULL,
  archive INTEGER NOT NULL,
  died INTEGER NOT NULL
) STRICT;
CREATE INDEX tombstones_died ON tombstones (died, fid);

-- The dead of the time of a scan: what it read of them before must not bring them back.
CREATE TABLE graves (
  fid INTEGER PRIMARY KEY
) STRICT;

-- Directories that the scan under way has met, and whether it has been through them.
CREATE TABLE walk (
  fid INTEGER PRIMARY KEY,
  done INTEGER NOT NULL
) STRICT;

-- What was deleted from the container, by the minute: for the brake on mass deletions.
CREATE TABLE burials (
  minute INTEGER PRIMARY KEY,
  count INTEGER NOT NULL,
  bytes INTEGER NOT NULL
) STRICT;

CREATE TABLE bindings (
  fid INTEGER PRIMARY KEY,
  archive INTEGER NOT NULL,
  name TEXT NOT NULL,
  bind TEXT NOT NULL,
  size INTEGER NOT NULL
) STRICT;
CREATE INDEX bindings_name ON bindings (archive, name);

CREATE TABLE marks (
  fid INTEGER PRIMARY KEY,
  hints INTEGER NOT NULL,
  since INTEGER NOT NULL,
  stamp INTEGER NOT NULL
) STRICT;

CREATE TABLE journal (
  fid INTEGER PRIMARY KEY,
  reasons INTEGER NOT NULL,
  since INTEGER NOT NULL,
  not_before_ms INTEGER NOT NULL,
  tries INTEGER NOT NULL,
  stamp INTEGER NOT NULL,
  error TEXT,
  quarantined_ms INTEGER,
  progress BLOB
) STRICT;
CREATE INDEX journal_due ON journal (not_before_ms, fid) WHERE quarantined_ms IS NULL;
CREATE INDEX journal_quarantine ON journal (fid) WHERE quarantined_ms IS NOT NULL;

CREATE TABLE mdts (
  mdt TEXT PRIMARY KEY,
  user TEXT,
  applied INTEGER,
  cleared INTEGER,
  record_ms INTEGER,
  rescan TEXT,
  rescan_stamp INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE record_types (
  mdt TEXT NOT NULL,
  type INTEGER NOT NULL,
  count INTEGER NOT NULL,
  PRIMARY KEY (mdt, type)
) STRICT, WITHOUT ROWID;

CREATE TABLE failures (
  fid INTEGER NOT NULL,
  kind TEXT NOT NULL,
  count INTEGER NOT NULL,
  at_ms INTEGER NOT NULL,
  not_before_ms INTEGER NOT NULL,
  error TEXT NOT NULL,
  PRIMARY KEY (fid, kind)
) STRICT, WITHOUT ROWID;

CREATE TABLE checkpoints (
  name TEXT PRIMARY KEY,
  at_ms INTEGER NOT NULL,
  state TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE runs (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  started_ms INTEGER NOT NULL,
  ended_ms INTEGER,
  outcome TEXT,
  detail TEXT NOT NULL
) STRICT;

CREATE TABLE events (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  at_ms INTEGER NOT NULL,
  level TEXT NOT NULL,
  kind TEXT NOT NULL,
  message TEXT NOT NULL,
  run INTEGER,
  fid INTEGER
) STRICT;
`;
