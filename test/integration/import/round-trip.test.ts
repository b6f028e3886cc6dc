import { test } from 'vitest';
import { roundTrip } from './round-trip.ts';

test('a rich tree comes back from its container, into a new file system', () => roundTrip(300), 600_000);
