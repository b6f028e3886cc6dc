/** The last name of a file that is marked, where a record told it: of the dead that nobody had seen, it says where their blob is. */
export const SCHEMA_4 = `
ALTER TABLE marks ADD COLUMN parent INTEGER;
ALTER TABLE marks ADD COLUMN name BLOB;
`;
