import { readFile, rm } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { registerChangelogUser } from '../../support/file-system.ts';
import { waitUntil } from '../../support/wait.ts';
import { CLEAN, RELEASED, usePolicyBench } from './policy-bench.ts';

// All services at work, nobody looking: a file is archived, released when its OST fills up, restored when it is read, and its copy goes after it was removed.

const MIB = 1024 * 1024;
const bench = usePolicyBench({
  osts: 2,
  ostSize: 200 * MIB,
  config: {
    follow: { poll_interval: '100ms', settle: '1s' },
    removal: { by: 'policy', grace: '3s' },
    policies: {
      archive: { rules: { default: { condition: 'last_mod >= 10s' } }, triggers: [{ on: 'periodic', interval: '1s' }] },
      release: {
        rules: { default: { condition: 'last_access > 30s' } },
        triggers: [{ on: 'ost_usage', high: '85%', low: '80%', interval: '1s' }],
      },
      remove: { rules: { default: { condition: 'rm_time >= 3s' } }, triggers: [{ on: 'periodic', interval: '1s' }] },
    },
  },
});

test('from the first write to the last blob', async () => {
  const it = bench.it;
  const user = await registerChangelogUser(it.sandbox.env);
  await it.configure({ follow: { changelog_user: user, poll_interval: '100ms', settle: '1s' } });
  const follower = await it.sandbox.startFollower();
  const policies = it.sandbox.startService(['policy-run', '--every', '1s']);
  await policies.waitFor('policy-run ready');

  // Known to nobody but the changelog.
  const content = Buffer.alloc(8 * MIB, 7);
  const path = await it.write('life', content, 3600);
  await it.waitForState(path, CLEAN);
  const ost = Number(/\d+/.exec(await it.lfs('getstripe', '-i', path))?.[0]);
  const before = await it.ost(ost);
  const total = before.used + before.available;
  await it.fillOst(ost, Math.ceil(total * 0.88) - before.used);
  await it.waitForState(path, RELEASED);
  expect((await readFile(path)).equals(content)).toBe(true);
  await it.fillOst(ost, 0);
  await waitUntil('it is restored', async () => (await it.state(path)) === CLEAN);

  const blob = it.sandbox.containerClient.getBlobClient(it.sandbox.blobName(path));
  expect(await blob.exists()).toBe(true);
  await rm(path);
  await waitUntil('its copy is gone', async () => !(await blob.exists()), {
    detail: () => `${policies.log.text().slice(-3_000)}\n${follower.log.text().slice(-3_000)}`,
  });
  // The blob is gone before the run that removed it has told its end.
  const good = async () =>
    (await it.runs()).filter(({ detail }) => JSON.stringify(detail).includes('"done":{"files":1'));
  await waitUntil('the run that removed it has ended', async () =>
    (await good()).some(({ name }) => name === 'remove'),
  );
  expect(await policies.stop()).toMatchObject({ exitCode: 143 });
  const runs = await good();
  expect(new Set(runs.map(({ name }) => name))).toEqual(new Set(['archive', 'release', 'remove']));
});
