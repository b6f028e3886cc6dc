import { join } from 'node:path';

/** Where the catalog lies in the state directory of a configuration. */
export const catalogFile = (stateDir: string): string => join(stateDir, 'catalog.db');
