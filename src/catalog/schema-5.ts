/** Ranges of a listing may begin and end in the middle of what begins alike: a directory of millions is listed in several parts. */
export const SCHEMA_5 = `
CREATE TABLE import_ranges (
  place TEXT NOT NULL,
  -- Names that are not before this, and before that; '' and NULL: whatever begins so.
  start TEXT NOT NULL,
  stop TEXT,
  flat INTEGER NOT NULL,
  token TEXT,
  PRIMARY KEY (place, start)
) STRICT, WITHOUT ROWID;
INSERT INTO import_ranges (place, start, stop, flat, token) SELECT place, '', NULL, flat, token FROM import_work;
DROP TABLE import_work;
ALTER TABLE import_ranges RENAME TO import_work;
`;
