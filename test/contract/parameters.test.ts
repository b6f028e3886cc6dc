import { beforeAll, expect, it } from 'vitest';
import { archiveId } from '../support/sandbox.ts';
import { waitUntil } from '../support/wait.ts';
import { CLEAN, useContract } from './fixture.ts';

// What only the metadata server shows. On a client, which is all that Azure Managed Lustre gives, these checks are
// left out. Facts: 02, 03, 07, README 5, 26.

const contract = useContract();
let shown = false;

beforeAll(async () => {
  const { sandbox } = contract.it;
  shown = sandbox.standIn || (await sandbox.lctl(['get_param', '-n', 'mdt.*.hsm_control'])).exitCode === 0;
});

/** `lctl` where the parameters are. */
function lctl(...args: string[]) {
  const { sandbox } = contract.it;
  return sandbox.standIn ? sandbox.serverLctl(args) : sandbox.lctl(args);
}

it('a client does not see them (README 5)', async ({ skip }) => {
  const it = contract.it;
  if (!it.standIn) skip('a real machine may be client and server');
  for (const name of ['mdt.*.hsm_control', 'mdt.*.hsm.actions', 'mdd.*.changelog_users']) {
    const result = await it.sandbox.lctl(['get_param', '-n', name]);
    expect(result.exitCode, name).toBe(2);
    expect(result.stderr).toBe(
      `error: get_param: param_path '${name.replaceAll('.', '/')}': No such file or directory\n`,
    );
  }
  const registering = await it.sandbox.lctl(['--device', it.sandbox.mdt, 'changelog_register', '-n']);
  expect(registering.exitCode).not.toBe(0);
});

it('lctl names what it does not find (02)', async () => {
  const result = await contract.it.sandbox.lctl(['get_param', 'nosuch.param']);
  expect(result).toMatchObject({
    exitCode: 2,
    stderr: "error: get_param: param_path 'nosuch/param': No such file or directory\n",
  });
});

it('the version can be read everywhere (02)', async () => {
  expect((await contract.it.sandbox.lctl(['get_param', 'version'])).stdout).toMatch(/^version=2\.\d+/);
});

it('the coordinator, its agents and its queue (02, 03, 06)', async ({ skip }) => {
  if (!shown) skip('only the server shows this');
  const it = contract.it;
  const { mdt } = it.sandbox;
  expect((await lctl('get_param', 'mdt.*.hsm_control')).stdout).toBe(`mdt.${mdt}.hsm_control=enabled\n`);
  await using agent = await it.agent();
  await waitUntil('the agent is listed', async () =>
    new RegExp(`^uuid=[0-9a-f-]+ archive_id=${archiveId} requests=\\[current:\\d+ ok:\\d+ errors:\\d+\\]$`, 'm').test(
      (await lctl('get_param', '-n', 'mdt.*.hsm.agents')).stdout,
    ),
  );
  const path = await it.write('queued', 'a');
  const fid = await it.fid(path);
  await it.request('archive', path);
  const action = await agent.next('ARCHIVE', fid);
  const started = (await lctl('get_param', '-n', 'mdt.*.hsm.actions')).stdout;
  const cookie = BigInt(action.cookie).toString(16);
  expect(started).toMatch(
    new RegExp(
      `fid=\\[${fid}\\] dfid=\\[${fid}\\] compound/cookie=0x0/0x${cookie} action=ARCHIVE archive#=${archiveId} flags=0x0 extent=0x0-0xffffffffffffffff gid=0x0 datalen=0 status=STARTED data=\\[\\]`,
    ),
  );
  await agent.begin(action);
  await agent.end(action);
  await it.waitForState(path, CLEAN);
});

it('coordinator shut down: requests say try again; disabled: they wait (07, README 26)', async ({ skip }) => {
  const it = contract.it;
  if (!it.standIn) skip('sets global parameters');
  const path = await it.write('shut');
  expect((await lctl('set_param', 'mdt.*.hsm_control=shutdown')).exitCode).toBe(0);
  expect((await lctl('get_param', '-n', 'mdt.*.hsm_control')).stdout).toBe('stopped\n');
  expect(await it.lfs(['hsm_archive', 'shut'])).toMatchObject({
    exitCode: 11,
    stderr: 'Cannot send HSM request (use of shut): Resource temporarily unavailable\n',
  });
  await lctl('set_param', 'mdt.*.hsm_control=enabled');
  await lctl('set_param', 'mdt.*.hsm_control=disabled');
  await using agent = await it.agent();
  await it.request('archive', path);
  expect(await it.action(path)).toBe('ARCHIVE waiting (from 0 to EOF)');
  await lctl('set_param', 'mdt.*.hsm_control=enabled');
  await agent.archive(await it.fid(path));
  await it.waitForState(path, CLEAN);
});

it('a coordinator that was shut down makes the helper register again (07, README 28)', async ({ skip }) => {
  const it = contract.it;
  if (!it.standIn) skip('sets global parameters');
  await using agent = await it.agent();
  await lctl('set_param', 'mdt.*.hsm_control=shutdown');
  await lctl('set_param', 'mdt.*.hsm_control=enabled');
  const path = await it.write('reregister');
  await it.request('archive', path);
  // A real coordinator forgets its agents without telling them (facts 07): the stand-in may tell, and then the helper
  // registers again by itself; otherwise a new agent takes the request.
  if (agent.helper.events.some((event) => event.t === 'registered')) await agent.archive(await it.fid(path));
  else {
    await using other = await it.agent();
    await other.archive(await it.fid(path));
  }
  await it.waitForState(path, CLEAN);
});

it('wrong values are refused (02)', async ({ skip }) => {
  const it = contract.it;
  if (!it.standIn) skip('sets global parameters');
  const { mdt } = it.sandbox;
  expect(await lctl('set_param', 'mdt.*.hsm_control=bogus')).toMatchObject({
    exitCode: 22,
    stderr: `error: set_param: setting /sys/fs/lustre/mdt/${mdt}/hsm_control=bogus: Invalid argument\nerror: set_param: setting 'mdt/*/hsm_control'='bogus': Invalid argument\n`,
  });
  expect((await lctl('set_param', 'mdt.*.hsm.max_requests=abc')).exitCode).toBe(22);
});

it('a cancel of waiting requests by purge leaves nothing to do (03 A, 09)', async ({ skip }) => {
  const it = contract.it;
  if (!it.standIn) skip('purges the queue');
  const path = await it.write('purged');
  await it.request('archive', path);
  expect(await it.action(path)).toBe('ARCHIVE waiting (from 0 to EOF)');
  // A cancel is taken, and waits for the coordinator as the request does.
  await it.request('cancel', path);
  await it.expectState(path, 0);
  expect((await lctl('set_param', 'mdt.*.hsm_control=purge')).exitCode).toBe(0);
  await it.idle(path);
  await it.expectState(path, 0);
});

it('at most max_requests are given out, the rest waits (07)', async ({ skip }) => {
  const it = contract.it;
  if (!it.standIn) skip('depends on a global parameter');
  await lctl('set_param', 'mdt.*.hsm.max_requests=3');
  await using agent = await it.agent();
  const paths = await Promise.all([1, 2, 3, 4, 5].map((n) => it.write(`mr${n}`)));
  await it.request('archive', ...paths);
  const given = [await agent.next('ARCHIVE'), await agent.next('ARCHIVE'), await agent.next('ARCHIVE')];
  const waiting = await Promise.all(paths.map((path) => it.action(path)));
  expect(waiting.filter((text) => text === 'ARCHIVE waiting (from 0 to EOF)')).toHaveLength(2);
  for (const action of given) {
    await agent.begin(action);
    await agent.end(action);
  }
  for (let rest = 0; rest < 2; rest++) await agent.archive();
  for (const path of paths) await it.waitForState(path, CLEAN);
});
