import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { waitUntil } from '../../support/wait.ts';
import { CLEAN, Rig } from './fixture.ts';

let rig: Rig;

beforeAll(async () => {
  rig = await Rig.start();
});

afterAll(async () => {
  await rig?.stop();
});

const actions = async () => (await rig.sandbox.serverLctl(['get_param', '-n', 'mdt.*.hsm.actions'])).stdout;

test('an action that the coordinator sends again just as it is ended is taken up each time', async () => {
  await rig.sandbox.serverLctl(['set_param', 'mdt.*.hsm.policy=-NRA']);
  await rig.sandbox.serverLctl(['set_param', 'mdt.*.hsm.loop_period=1']);
  const path = rig.write('leased', 'first');
  await rig.archive(path);
  const lease = rig.blob(path).getBlobLeaseClient();
  await lease.acquireLease(-1);
  writeFileSync(path, 'second');
  const [fid, after] = [await rig.fid(path), rig.copytool.lines.length];
  const failures = () =>
    rig.copytool.lines.slice(after).filter(({ record }) => record?.['fid'] === fid && record['outcome'] === 'failed');

  await rig.lfs('hsm_archive', path);
  await waitUntil('it was sent again many times', () => Promise.resolve(failures().length >= 8), {
    detail: async () => `${failures().length} failures; ${await actions()}`,
  });
  await lease.releaseLease();

  await waitUntil('it is archived', async () => ((await rig.states(path)) & ~CLEAN) === 0, {
    detail: async () => `${(await rig.states(path)).toString(16)} ${await actions()}`,
  });
  expect(await rig.content(path)).toBe('second');
  await waitUntil('nothing is left with the coordinator', async () => !(await actions()).includes('STARTED'));
});
