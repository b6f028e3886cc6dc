import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
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

/** The pid of the native helper below a process. */
function helperBelow(pid: number): number | undefined {
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    for (const child of readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean)) {
      const name = readFileSync(`/proc/${child}/comm`, 'utf8').trim();
      const found = name.startsWith('lfsazsync-helpe') ? Number(child) : helperBelow(Number(child));
      if (found !== undefined) return found;
    }
  }
  return undefined;
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
    rig.copytool.lines.slice(after).filter(({ record }) => record?.['fid'] === fid && record['outcome'] === 'failed')
      .length;
  const failsMoreThan = (seen: number) =>
    waitUntil('it has failed again', () => failures() > seen, {
      detail: async () => `${failures()} failures; ${await actions()}`,
    });
  const helper = helperBelow(rig.copytool.pid) ?? expect.fail('no helper');

  // A helper that sleeps from the end's way to the coordinator until after its next round finds the answer and the
  // same action once more at the same time.
  await rig.sandbox.simctl(['fault', 'set=slow:ct_end,ms=400']);
  await rig.lfs('hsm_archive', path);
  for (let round = 0; round < 6; round += 1) {
    await failsMoreThan(round);
    await delay(200);
    process.kill(helper, 'SIGSTOP');
    await delay(1_800);
    process.kill(helper, 'SIGCONT');
  }
  await failsMoreThan(6);
  await rig.sandbox.simctl(['fault', 'clear=all']);
  await lease.releaseLease();

  await waitUntil('it is archived', async () => ((await rig.states(path)) & ~CLEAN) === 0, {
    detail: async () => `${(await rig.states(path)).toString(16)} ${await actions()}`,
  });
  expect(await rig.content(path)).toBe('second');
  await nothingUnderWay();
});
