import { expect, test } from 'vitest';
import { runSeed } from '../soak/run.ts';
import { seedOf } from '../support/random.ts';

/*
 * `npm run soak` for LFSAZSYNC_TEST_MINUTES (default 10), from LFSAZSYNC_TEST_SEED on, with LFSAZSYNC_TEST_OPERATIONS
 * operations each (default 200), on both dialects.
 */
const minutes = Number(process.env['LFSAZSYNC_TEST_MINUTES'] ?? '10');
const operations = Number(process.env['LFSAZSYNC_TEST_OPERATIONS'] ?? '200');
const first = seedOf();

test(
  `for ${minutes} minutes from seed ${first} on, the container comes into step`,
  async () => {
    const end = Date.now() + minutes * 60_000;
    const sum = { kills: 0, faults: 0, entries: 0 };
    for (let run = 0; Date.now() < end || run < 2; run++) {
      const version = run % 2 === 0 ? '2.15' : '2.17';
      const { failure, tally } = await runSeed({ seed: first + run, version, operations, shrinkFor: minutes * 60_000 });
      expect(failure).toBeUndefined();
      for (const key of ['kills', 'faults', 'entries'] as const) sum[key] += tally[key];
    }
    expect(sum.kills).toBeGreaterThan(0);
    expect(sum.faults).toBeGreaterThan(0);
    expect(sum.entries).toBeGreaterThan(0);
  },
  (2 * minutes + 30) * 60_000,
);
