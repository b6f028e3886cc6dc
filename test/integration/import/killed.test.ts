import { test } from 'vitest';
import { killedImport } from './killed.ts';

test('killed five times at random, an import ends as an undisturbed one does', () => killedImport(3000, 5), 600_000);
