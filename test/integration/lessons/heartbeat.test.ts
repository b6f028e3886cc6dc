import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { waitUntil } from '../../support/wait.ts';
import { CLEAN, content, RELEASED, useBench } from './lessons.ts';

// Lesson 12: without reports of progress, the coordinator gives healthy transfers up.

const bench = useBench({ config: { copytool: { heartbeat: '200ms' } } });
const TIMEOUT_S = 2;

it("lesson 12: transfers that take longer than the coordinator's patience come to their end", async ({ skip }) => {
  const it = bench.it;
  if (!it.sandbox.standIn) skip('sets a global parameter');
  await it.sandbox.serverLctl([
    'set_param',
    `mdt.*.hsm.active_request_timeout=${TIMEOUT_S}`,
    'mdt.*.hsm.loop_period=1',
  ]);
  const data = content(400_000);
  const path = await it.write('slow', data);
  const archiving = it.steps.hold('archive.uploaded');
  await it.command('archive', path);
  await archiving.reached();
  await overdue();
  archiving.release();
  await it.waitForState(path, CLEAN);
  await it.command('release', path);
  expect(await it.state(path)).toBe(RELEASED);
  const restoring = it.steps.hold('restore.copied');
  const reading = readFile(path);
  await restoring.reached();
  await overdue();
  restoring.release();
  expect((await reading).equals(data)).toBe(true);
});

/** Lets the coordinator's patience pass three times. */
async function overdue(): Promise<void> {
  const end = Date.now() + 3_000 * TIMEOUT_S;
  await waitUntil('the coordinator would have lost its patience', () => Date.now() > end, { timeout: 60_000 });
}
