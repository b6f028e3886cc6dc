/**
 * What an import needs to go on where it was killed: the ranges of the container that are not listed to their end, the hard
 * links whose files may still be missing, and the directories whose attributes wait until everything is in them. And blobs are found by their names.
 */
export const SCHEMA_2 = `
CREATE INDEX blobs_name ON blobs (archive, name);

-- Beginnings of names to be listed: one level, or everything that begins so; from the token on.
CREATE TABLE import_work (
  place TEXT PRIMARY KEY,
  flat INTEGER NOT NULL,
  token TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE import_links (
  name TEXT PRIMARY KEY,
  path BLOB NOT NULL,
  target TEXT,
  etag TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE import_directories (
  fid INTEGER PRIMARY KEY,
  mode INTEGER NOT NULL,
  uid INTEGER NOT NULL,
  gid INTEGER NOT NULL,
  mtime INTEGER NOT NULL
) STRICT;
`;
