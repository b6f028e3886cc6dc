import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { runSeed } from '../../soak/run.ts';
import type { Script } from '../../soak/script.ts';
import { seedOf } from '../../support/random.ts';

/*
 * A sample of `npm run soak`, which goes on for as long as one likes. LFSAZSYNC_TEST_SEED=N plays the runs of that seed,
 * LFSAZSYNC_TEST_SCRIPT=FILE a script that was printed.
 */
const OPERATIONS = Number(process.env['LFSAZSYNC_TEST_OPERATIONS'] ?? 80);
const SHRINK_FOR = 120_000;
const file = process.env['LFSAZSYNC_TEST_SCRIPT'];
const script = file === undefined ? {} : { script: JSON.parse(readFileSync(file, 'utf8')) as Script };
const first = seedOf();

test.each([
  { version: '2.15', seed: first },
  { version: '2.17', seed: first + 1 },
] as const)(
  'on Lustre $version (seed $seed): whatever users do while copytool and follower are killed, the container comes into step',
  async ({ version, seed }) => {
    const { failure, tally } = await runSeed({
      seed,
      version,
      operations: OPERATIONS,
      shrinkFor: SHRINK_FOR,
      ...script,
    });
    expect(failure).toBeUndefined();
    expect(tally.operations).toBeGreaterThan(0);
  },
  900_000,
);
