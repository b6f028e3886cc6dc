import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { GENERATED, regenerate } from '../../scripts/docs.ts';

it.each(Object.entries(GENERATED))("%s says what the code does (else run 'npm run docs')", (name, content) => {
  const document = readFileSync(join(import.meta.dirname, '../..', name), 'utf8');
  expect(document).toBe(regenerate(document, content()));
});
