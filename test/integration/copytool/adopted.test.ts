import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { STEPS, type Step } from '../../../src/copytool/steps.ts';
import { waitUntil, within } from '../../support/wait.ts';
import { Rig, read, SIDES, type Side } from './fixture.ts';

let rig: Rig;
beforeAll(async () => {
  // The coordinator's own timeout is an hour: whatever comes to an end here was adopted.
  rig = await Rig.start({
    config: { copytool: { block_size: '64KiB', range_size: '64KiB', max_bytes_in_flight: '2MiB' } },
  });
});
afterAll(() => rig?.stop());
beforeEach((context) => {
  if (!rig.sandbox.standIn) context.skip();
});

const stepsOf = (action: string) => STEPS.filter((step) => step.startsWith(`${action}.`));
/** Each step with another side, so that all are killed without each test being run three times. */
const withSides = (steps: readonly Step[], first = 0) =>
  steps.map((step, index): [Step, Side] => [step, SIDES[(index + first) % SIDES.length] as Side]);

/** Kills what is held at the step, and lets what comes next pass it. */
async function killAt(step: Step, side: Side): Promise<void> {
  await rig.held(step);
  await rig.killSide(side);
  rig.letGo(step);
}

describe.each(withSides(stepsOf('adopt')))('while adopting, at %s, %s killed', (step, side) => {
  test('the next one adopts what is left', async () => {
    const paths = [1, 2, 3].map((n) => rig.write(`${step} ${n}`, `content ${n}`));
    for (const path of paths) await rig.archiveAndRelease(path);
    const after = rig.copytool.lines.length;
    rig.hold('restore.begun');
    const reading = paths.map((path) => read(path));
    // What is on its way from the kernel to the journal is lost with both processes.
    await waitUntil('all are journaled', () => rig.copytool.log.find('action taken', after).length === 3);
    await rig.held('restore.begun');
    rig.hold(step);
    await rig.killSide('both');
    rig.letGo('restore.begun');
    await killAt(step, side);
    const all = await within('the readers have their data', 60_000, Promise.all(reading)).catch((error: Error) => {
      throw new Error(`${error.message}\n${rig.copytool.log.text().slice(-8_000)}`);
    });
    expect(all).toEqual(['content 1', 'content 2', 'content 3']);
  });
});

test('actions that a dead copytool had been told of, and not heard of yet, are adopted, too', async () => {
  const paths = [1, 2, 3].map((n) => rig.write(`unheard ${n}`, `content ${n}`));
  for (const path of paths) await rig.archiveAndRelease(path);
  process.kill(rig.copytool.pid, 'SIGSTOP');
  const reading = paths.map((path) => read(path));
  for (const path of paths)
    await waitUntil('the helper has been sent the restore', async () => {
      const found = await rig.fs.files.get({ path: Buffer.from(path) }, { parts: ['action'] });
      return found.action?.state === 'running';
    });
  await rig.killSide('copytool');
  expect(await Promise.all(reading)).toEqual(['content 1', 'content 2', 'content 3']);
});

test.each(['EIO', 'ENOTCONN'])(
  'a metadata server that is out of reach (%s) when its actions are adopted is waited for',
  async (errno) => {
    const path = rig.write(`out of reach ${errno}`, 'content');
    await rig.archiveAndRelease(path);
    rig.hold('restore.begun');
    const reading = read(path);
    await rig.held('restore.begun');
    rig.hold('adopt.read');
    await rig.killSide('both');
    rig.letGo('restore.begun');
    await rig.held('adopt.read');
    await rig.sandbox.simctl(['fault', `set=error:ct_progress,errno=${errno},count=3`]);
    rig.letGo('adopt.read');
    expect(await within('the reader has its data', 60_000, reading)).toBe('content');
    expect(rig.copytool.log.find('action can not be adopted yet, trying again')).toHaveLength(1);
  },
);
