import { afterAll, beforeAll, expect, test } from 'vitest';
import { runStage } from '../support/docs-run.ts';
import { SCRIPT } from '../support/docs-script.ts';
import { DocsWorld } from '../support/docs-world.ts';

let world: DocsWorld;
beforeAll(async () => {
  world = await DocsWorld.start();
});
afterAll(async () => await world?.stop());

test.each(SCRIPT)(
  '$name',
  async (stage) => {
    expect(await runStage(world, stage, () => true)).toEqual([]);
  },
  600_000,
);
