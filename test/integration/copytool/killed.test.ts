import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { SIDES } from '../../support/machine.ts';
import { Random, seedOf } from '../../support/random.ts';
import { ACTIONS, type Kill, KillBench, stepsOf, titleOf } from './kill-bench.ts';

/*
 * Every named step is killed at once here; which side, and with what kind of file, follows from the step's place and
 * the seed. All combinations, and random moments, are in test/full/kills.test.ts.
 */
const random = new Random(seedOf());

let bench: KillBench;
beforeAll(async () => {
  bench = await KillBench.start();
});
afterAll(() => bench?.stop());
beforeEach((context) => {
  if (!bench.sandbox.standIn) context.skip();
});

const KINDS_OF = {
  archive: ['small', 'blocks', 'new blocks'],
  restore: ['small', 'blocks', 'linked'],
  remove: ['small'],
} as const;

describe.each(ACTIONS)('%s', (action) => {
  const kills = stepsOf(action).map(
    (at, index): Kill => ({
      action,
      at,
      side: SIDES[(index + random.seed) % SIDES.length] ?? 'both',
      kind: KINDS_OF[action][index % KINDS_OF[action].length] ?? 'small',
    }),
  );
  test.each(kills.map((kill) => [titleOf(kill), kill] as const))(
    `%s: nothing is wrong, and the next copytool finishes (seed ${random.seed})`,
    async (_, kill) => {
      await bench.run(kill, random);
    },
  );
});

test('all of them were killed', () => {
  expect(bench.machine.kills).toBe(ACTIONS.flatMap(stepsOf).length);
});
