/** Of some of the dead, only names were ever known: what else their tombstones say is made up, and the container knows better. */
export const SCHEMA_7 = `
ALTER TABLE tombstones ADD COLUMN seen INTEGER NOT NULL DEFAULT 1;
`;
