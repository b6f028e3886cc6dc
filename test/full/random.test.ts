import { expect, test } from 'vitest';
import { randomScript, told } from '../integration/copytool/random-script.ts';
import { play } from '../integration/copytool/random-world.ts';
import { Random, seedOf } from '../support/random.ts';
import { shrink } from '../support/shrink.ts';

/*
 * Many runs of the property test, one after the other, on both dialects: for LFSAZSYNC_TEST_MINUTES (default 10), from
 * LFSAZSYNC_TEST_SEED on, with LFSAZSYNC_TEST_OPERATIONS operations each (default 200). A failing one is cut down for as
 * long again; the script that is left can be played with LFSAZSYNC_TEST_SCRIPT, see
 * test/integration/copytool/random.test.ts.
 */
const minutes = Number(process.env['LFSAZSYNC_TEST_MINUTES'] ?? '10');
const operations = Number(process.env['LFSAZSYNC_TEST_OPERATIONS'] ?? '200');
const first = seedOf();

test(
  `for ${minutes} minutes from seed ${first} on, nothing is ever wrong`,
  async () => {
    const end = Date.now() + minutes * 60_000;
    const sum = { runs: 0, kills: 0, faults: 0, archived: 0, restored: 0, errors: 0 };
    for (let seed = first; Date.now() < end || sum.runs < 2; seed++) {
      const version = sum.runs % 2 === 0 ? '2.15' : '2.17';
      const script = randomScript(new Random(seed), operations);
      const { failure, tally } = await play(script, version);
      sum.runs += 1;
      for (const [key, count] of Object.entries(tally)) sum[key as keyof typeof tally] += count;
      if (failure === undefined) continue;
      console.error(`seed ${seed} on ${version} fails, and is cut down:\n${failure}`);
      let last = failure;
      const short = await shrink(
        script,
        async (fewer) => {
          const again = await play(fewer, version);
          last = again.failure ?? last;
          return again.failure;
        },
        Date.now() + minutes * 60_000,
      );
      expect.fail(
        `seed ${seed}, Lustre ${version}; what is left:\n${told(short)}\n${JSON.stringify(short)}\nwhere\n${last}`,
      );
    }
    console.info(JSON.stringify(sum));
    expect(sum.kills).toBeGreaterThan(0);
    expect(sum.restored).toBeGreaterThan(0);
    expect(sum.faults).toBeGreaterThan(0);
  },
  (2 * minutes + 30) * 60_000,
);
