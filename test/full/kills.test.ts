import { expect, test } from 'vitest';
import type { Step } from '../../src/copytool/steps.ts';
import { ACTIONS, KINDS, type Kill, KillBench, stepsOf, titleOf } from '../integration/copytool/kill-bench.ts';
import { SIDES } from '../support/machine.ts';
import { Random, seedOf } from '../support/random.ts';

/*
 * kill -9 at every named step of every action, on each side, and at random moments; during adoption too. Two sandboxes
 * at a time, which is what two cores carry. LFSAZSYNC_TEST_SEED repeats the choices of a run, LFSAZSYNC_TEST_KILLS says
 * how many random moments there are.
 */
const LANES = 2;
const AT_RANDOM = Number(process.env['LFSAZSYNC_TEST_KILLS'] ?? '80');
/** By then the action has ended, if nothing is slow. */
const LATEST_MS = 400;

const seed = seedOf();

/** Every step with every side; the kind of file changes from one to the next, so that each step meets several. */
function atSteps(random: Random): Kill[] {
  const kills: Kill[] = [];
  for (const action of ACTIONS) {
    for (const at of stepsOf(action))
      for (const side of SIDES) kills.push({ action, at, side, kind: random.pick(KINDS) });
  }
  return kills;
}

/** Later steps leave nothing to adopt: Lustre does not know the action any more. */
function beforeTheEnd(action: (typeof ACTIONS)[number]): Step[] {
  const steps = stepsOf(action);
  return steps.slice(
    0,
    steps.findIndex((step) => step.endsWith('.ended')),
  );
}

/** Killed again by the time the next process takes up what is left. */
function whileAdopting(random: Random): Kill[] {
  return ACTIONS.flatMap((action) =>
    stepsOf('adopt').flatMap((again) =>
      SIDES.map((side) => ({
        action,
        at: random.pick(beforeTheEnd(action)),
        side: 'both' as const,
        kind: random.pick(KINDS),
        again: { at: again, side },
      })),
    ),
  );
}

function atRandom(random: Random): Kill[] {
  return Array.from({ length: AT_RANDOM }, () => ({
    action: random.pick(ACTIONS),
    at: random.below(LATEST_MS),
    side: random.pick(SIDES),
    kind: random.pick(KINDS),
  }));
}

test(`at least 200 kills, and nothing is ever wrong (seed ${seed})`, async () => {
  const random = new Random(seed);
  const kills = random.shuffled([...atSteps(random), ...whileAdopting(random), ...atRandom(random)]);
  const queue = kills.entries();
  const failures: string[] = [];
  let killed = 0;
  const lane = async (version: '2.15' | '2.17') => {
    let bench = await KillBench.start({ version });
    try {
      for (const [index, kill] of queue) {
        try {
          await bench.run(kill, new Random(seed + index));
        } catch (error) {
          const failure = `Lustre ${version}, seed ${seed}: ${(error as Error).message}`;
          failures.push(failure);
          console.error(failure);
          // What went wrong must not be taken for the fault of what follows.
          killed += bench.machine.kills;
          await bench.stop();
          bench = await KillBench.start({ version });
        }
      }
      killed += bench.machine.kills;
    } finally {
      await bench.stop();
    }
  };
  await Promise.all(Array.from({ length: LANES }, (_, number) => lane(number % 2 === 0 ? '2.15' : '2.17')));
  expect(failures.slice(0, 3).join('\n\n'), `${failures.length} of ${kills.length} failed (seed ${seed})`).toBe('');
  expect(killed).toBeGreaterThanOrEqual(200);
  console.info(`${killed} kills in ${kills.length} scenarios, such as: ${titleOf(random.pick(kills))}`);
});
