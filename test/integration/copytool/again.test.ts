import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { waitUntil } from '../../support/wait.ts';
import { CLEAN, RELEASED, Rig, read } from './fixture.ts';

let rig: Rig;

beforeAll(async () => {
  rig = await Rig.start();
});

afterAll(async () => {
  await rig?.stop();
});

const actions = async () => (await rig.sandbox.serverLctl(['get_param', '-n', 'mdt.*.hsm.actions'])).stdout;
const nothingUnderWay = () =>
  waitUntil('no action is left under way', async () => !(await actions()).includes('STARTED'), { detail: actions });

/** How many actions the coordinator has under way with the copytool, and how many have ended with an error. */
async function requests(): Promise<{ current: number; errors: number }> {
  const { stdout } = await rig.sandbox.serverLctl(['get_param', '-n', 'mdt.*.hsm.agents']);
  const [, current, errors] = /current:(\d+) ok:\d+ errors:(\d+)/.exec(stdout) ?? expect.fail(stdout);
  return { current: Number(current), errors: Number(errors) };
}

test('an end of an archive that does not come through: the coordinator is not left with it', async () => {
  const path = rig.write('unheard', 'content');
  await rig.sandbox.simctl(['fault', 'set=error:ct_end,errno=EAGAIN,count=1']);
  await rig.ask('archive', path);
  await nothingUnderWay();
  expect(await rig.states(path)).toBe(CLEAN);
  expect(await rig.content(path)).toBe('content');
});

test('an end of a restore that does not come through: its reader does not hang', async () => {
  const path = rig.write('unheard-restore', 'must come back');
  await rig.archiveAndRelease(path);
  await rig.sandbox.simctl(['fault', 'set=error:ct_end,errno=EAGAIN,count=1']);
  expect(await read(path)).toMatch(/^(E[A-Z]+|must come back)$/);
  await nothingUnderWay();
  expect(await read(path)).toBe('must come back');
});

test('an error of an action whose end does not come through is told again', async () => {
  const path = rig.write('unheard-error', 'stays away');
  await rig.archiveAndRelease(path);
  await rig.blob(path).delete({ deleteSnapshots: 'include' });
  await rig.sandbox.simctl(['fault', 'set=error:ct_end,errno=ENOTCONN,count=1']);
  expect(await read(path)).toMatch(/^E[A-Z]+$/);
  await nothingUnderWay();
  expect(await rig.states(path)).toBe(RELEASED);
});

test('an action that the coordinator sends again before its end is answered is taken up each time', async () => {
  await rig.sandbox.serverLctl(['set_param', 'mdt.*.hsm.policy=-NRA']);
  await rig.sandbox.serverLctl(['set_param', 'mdt.*.hsm.loop_period=1']);
  const path = rig.write('leased', 'first');
  await rig.archive(path);
  const lease = rig.blob(path).getBlobLeaseClient();
  await lease.acquireLease(-1);
  writeFileSync(path, 'second');
  const before = await requests();
  rig.hold('archive.taken');
  await rig.lfs('hsm_archive', path);
  for (let round = 1; round <= 3; round += 1) {
    await rig.held('archive.taken');
    await rig.sandbox.simctl(['fault', 'set=late:ct_end']);
    rig.hold('archive.taken');
    rig.letGo('archive.taken');
    // The coordinator has heard the end, which the helper does not know yet, and has the action under way once more.
    await waitUntil(
      'the action was sent again',
      async () => {
        const { current, errors } = await requests();
        return current === before.current + 1 && errors === before.errors + round;
      },
      { detail: async () => `${JSON.stringify([before, await requests()])}\n${await actions()}` },
    );
    await rig.sandbox.simctl(['fault', 'clear=all']);
  }
  await rig.held('archive.taken');
  await lease.releaseLease();
  rig.letGo('archive.taken');

  await waitUntil('it is archived', async () => ((await rig.states(path)) & ~CLEAN) === 0, {
    detail: async () => `${(await rig.states(path)).toString(16)} ${await actions()}`,
  });
  expect(await rig.content(path)).toBe('second');
  await nothingUnderWay();
});
