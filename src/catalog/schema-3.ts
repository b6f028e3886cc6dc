/** What policies have asked the coordinator for and not yet seen the end of. */
export const SCHEMA_3 = `
CREATE TABLE asked (
  policy TEXT NOT NULL,
  fid INTEGER NOT NULL,
  run INTEGER NOT NULL,
  at_ms INTEGER NOT NULL,
  size INTEGER NOT NULL,
  mtime INTEGER NOT NULL,
  PRIMARY KEY (policy, fid)
) STRICT, WITHOUT ROWID;
CREATE INDEX failures_kind ON failures (kind, fid);
`;
