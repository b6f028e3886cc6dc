import { expect, test } from 'vitest';
import { type Operation, randomScript } from '../integration/copytool/random-script.ts';
import { Random } from '../support/random.ts';
import { shrink } from '../support/shrink.ts';

const NEVER = Number.POSITIVE_INFINITY;

/** Fails where these operations come in this order, whatever is between them. */
function needs(...parts: readonly Operation[]) {
  return async (script: readonly Operation[]): Promise<string | undefined> => {
    let met = 0;
    for (const operation of script) if (operation === parts[met]) met += 1;
    return met === parts.length ? 'as foreseen' : undefined;
  };
}

test('a failing script is cut down to the operations that it takes', async () => {
  for (let seed = 1; seed <= 50; seed += 1) {
    const random = new Random(seed);
    const script = randomScript(random, 1 + random.below(200));
    const count = Math.min(script.length, 1 + random.below(4));
    const picked = new Set<number>();
    while (picked.size < count) picked.add(random.below(script.length));
    const parts = [...picked].sort((a, b) => a - b).map((index) => script[index] as Operation);
    expect(await shrink(script, needs(...parts), NEVER), `seed ${seed}`).toEqual(parts);
  }
});

test('one that always fails is cut down to nothing; one that fails no more stays whole', async () => {
  const script = randomScript(new Random(7), 100);
  expect(await shrink(script, async () => 'always', NEVER)).toEqual([]);
  expect(await shrink(script, async () => undefined, NEVER)).toEqual(script);
});

test('it stops when the time is over, with what fails', async () => {
  const script = randomScript(new Random(8), 100);
  expect(await shrink(script, async () => 'always', 0)).toEqual(script);
});
