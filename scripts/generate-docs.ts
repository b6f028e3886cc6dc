// Writes the generated parts of the documents anew.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { GENERATED, regenerate } from './docs.ts';

for (const [name, content] of Object.entries(GENERATED)) {
  const file = join(import.meta.dirname, '..', name);
  writeFileSync(file, regenerate(readFileSync(file, 'utf8'), content()));
}
