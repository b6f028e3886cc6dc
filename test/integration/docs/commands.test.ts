import { afterAll, beforeAll, expect, test } from 'vitest';
import { runStage } from '../../support/docs-run.ts';
import { SCRIPT } from '../../support/docs-script.ts';
import { DocsWorld } from '../../support/docs-world.ts';
import { GUIDES, shownCommands } from '../../support/shown-commands.ts';

// What the guides show, as it stands, on one sandbox; test/full has the reference's examples, too.

let world: DocsWorld;
const shown = new Set(shownCommands(GUIDES).map(({ text }) => text));

beforeAll(async () => {
  world = await DocsWorld.start();
});
afterAll(async () => await world?.stop());

test.each(SCRIPT)(
  '$name',
  async (stage) => {
    expect(await runStage(world, stage, (text) => shown.has(text))).toEqual([]);
  },
  600_000,
);
