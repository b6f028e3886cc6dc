import { expect, test } from 'vitest';
import { killedImport } from '../integration/import/killed.ts';
import { roundTrip } from '../integration/import/round-trip.ts';

/** On a busy machine archiving 100,000 files alone takes more than half an hour. */
const HOURS = 4 * 3_600_000;

test(
  '100,000 files come back from their container, into a new file system',
  async () => {
    await expect(roundTrip(100_000)).resolves.toBeUndefined();
  },
  HOURS,
);

test(
  'an import of 100,000 blobs, killed five times at random',
  async () => {
    await expect(killedImport(100_000, 5)).resolves.toBeUndefined();
  },
  HOURS,
);
