import { rm } from 'node:fs/promises';
import { beforeAll, expect, test } from 'vitest';
import { registerChangelogUser } from '../../support/file-system.ts';
import { waitUntil } from '../../support/wait.ts';
import { CLEAN, RELEASED, usePolicyBench } from './policy-bench.ts';

// The copies of removed files go by the policy: after the grace period, only theirs, under the brake.

const bench = usePolicyBench({
  config: {
    policies: {
      archive: { rules: { default: { condition: 'last_mod >= 10s' } } },
      remove: { rules: { default: { condition: 'rm_time >= 2s' } }, triggers: [{ on: 'periodic', interval: '1s' }] },
    },
    removal: { by: 'policy', grace: '2s', max_delete_free: 10, max_delete_share: '20%' },
  },
});

beforeAll(async () => {
  const it = bench.it;
  const user = await registerChangelogUser(it.sandbox.env);
  await it.configure({ follow: { changelog_user: user } });
  await it.scan();
});

const follow = async () => {
  const result = await bench.it.sandbox.run(['changelog-follow', '--once', '--json']);
  expect([0, 3, 5], `${result.stdout}${result.stderr}`).toContain(result.exitCode);
};
const blobs = async () => {
  const names: string[] = [];
  const list = bench.it.sandbox.containerClient.listBlobsFlat({ includeMetadata: true });
  for await (const { name, metadata } of list) if (metadata?.['lfsazsync_kind'] === 'file') names.push(name);
  return names.sort();
};
const nameOf = (path: string) => bench.it.sandbox.blobName(path);
const graveyard = () => bench.it.withCatalog(async (catalog) => (await catalog.deaths(0)).count);

test('a removed file’s copy is kept for the grace period, and gone after it; its successor’s at the same path stays', async () => {
  const it = bench.it;
  const [kept, gone, again] = (await it.writeAll('dir', ['kept', 'gone', 'again'])) as [string, string, string];
  await follow();
  expect(await it.one('archive', '--wait')).toMatchObject({ done: { files: 3 } });
  await follow();
  expect(await blobs()).toEqual([again, gone, kept].map(nameOf).sort());
  await rm(gone);
  await rm(again);
  await it.write('dir/again', 'another file');
  expect(await it.one('archive', '--wait')).toMatchObject({ exitCode: 0 });
  await follow();
  expect(await it.one('archive', '--wait')).toMatchObject({ exitCode: 0 });
  await follow();
  const early = await it.one('remove', '--dry-run');
  expect(early.done?.files).toBe(0);
  await waitUntil('the grace period is over', async () => {
    const { asked } = await it.one('remove', '--dry-run');
    return (asked?.files ?? 0) >= 1;
  });
  expect(await blobs()).toContain(nameOf(gone));
  // Nothing is given up while the container can't be asked.
  const nowhere = it.sandbox.connectionString.replace(/127\.0\.0\.1:\d+/, '127.0.0.1:9');
  const down = await it.sandbox.run(['policy-run', 'remove', '--json'], {
    env: { AZURE_STORAGE_CONNECTION_STRING: nowhere },
  });
  expect(down.exitCode, down.stdout).toBe(5);
  expect(JSON.parse(down.stdout).policies[0]).toMatchObject({ outcome: 'stopped', done: { files: 0 } });
  expect(await blobs()).toContain(nameOf(gone));
  const removed = await it.one('remove');
  expect(removed, JSON.stringify(removed)).toMatchObject({ exitCode: 0, outcome: 'complete', failed: { files: 0 } });
  await waitUntil('all of the dead are buried', async () => {
    await it.one('remove');
    return (await graveyard()) === 0;
  });
  expect(await blobs()).toEqual([again, kept].map(nameOf).sort());
  expect(await it.sandbox.containerClient.getBlobClient(nameOf(again)).downloadToBuffer()).toEqual(
    Buffer.from('another file'),
  );
  expect(await it.states([kept, again])).toEqual([CLEAN, CLEAN]);
  // Nothing is left to do, and nothing is said.
  expect(await it.sandbox.run(['policy-run'])).toMatchObject({ exitCode: 0, stdout: '', stderr: '' });
});

test('too many at once are held by the brake, until it is released', async () => {
  const it = bench.it;
  const paths = await it.writeAll(
    'many',
    Array.from({ length: 30 }, (_, index) => `f${index}`),
  );
  await follow();
  expect(await it.one('archive', '--wait')).toMatchObject({ done: { files: 30 } });
  await it.lfs('hsm_release', paths[29] as string);
  await follow();
  for (const path of paths.slice(0, 25)) await rm(path);
  await follow();
  await waitUntil('they are due', async () => ((await it.one('remove', '--dry-run')).skipped?.['BRAKE'] ?? 0) === 25);
  const held = await it.one('remove');
  expect(held, JSON.stringify(held)).toMatchObject({
    exitCode: 3,
    outcome: 'held',
    done: { files: 0 },
    skipped: { BRAKE: 25 },
  });
  for (const path of paths) expect(await blobs()).toContain(nameOf(path));
  const { releaseBrake } = await import('../../../src/follow/brake.ts');
  await it.withCatalog((catalog) => releaseBrake(catalog));
  expect(await it.one('remove')).toMatchObject({ exitCode: 0, outcome: 'complete', done: { files: 25 } });
  for (const path of paths.slice(0, 25)) expect(await blobs()).not.toContain(nameOf(path));
  expect(await it.state(paths[29] as string)).toBe(RELEASED);
});

test('where the follower removes, the policy runs only when it is named', async () => {
  const it = bench.it;
  await it.configure({ removal: { by: 'follow' } });
  const { all } = await it.run('--check-triggers');
  expect(all['remove']).toMatchObject({
    outcome: 'idle',
    trigger: { fires: false, why: expect.stringContaining('follower') },
  });
});
