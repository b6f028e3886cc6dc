import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { Random, seedOf } from '../../support/random.ts';
import { randomScript, type Script, told } from './random-script.ts';
import { play } from './random-world.ts';

/*
 * LFSAZSYNC_TEST_SEED=N plays the run of that seed, LFSAZSYNC_TEST_SCRIPT=FILE one that was printed. The long runs, which
 * also cut a failing script down, are in test/full/random.test.ts.
 */
const OPERATIONS = Number(process.env['LFSAZSYNC_TEST_OPERATIONS'] ?? 120);
const given = process.env['LFSAZSYNC_TEST_SCRIPT'];
const seed = seedOf();

test.each(['2.15', '2.17'] as const)(
  `on Lustre %s: users write, rename, link and remove while files come and go, machines die and the endpoint fails (seed ${seed})`,
  async (version) => {
    // Now and then nothing of a run comes to be archived: the next one is played, too.
    for (let played = 0, archived = 0; archived === 0; played++) {
      const script =
        given === undefined
          ? randomScript(new Random(seed + played), OPERATIONS)
          : (JSON.parse(readFileSync(given, 'utf8')) as Script);
      const { failure, tally } = await play(script, version);
      expect(failure, `seed ${seed + played}:\n${told(script)}\n${JSON.stringify(script)}`).toBeUndefined();
      if (given !== undefined) return;
      archived = tally.archived;
      expect(played, 'runs in which nothing was archived').toBeLessThan(5);
    }
  },
  600_000,
);
