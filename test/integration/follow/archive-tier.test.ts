import { chmodSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { keepingTheArchiveTier } from '../../support/blob-gateway.ts';
import { waitUntil } from '../../support/wait.ts';
import { FILE_COUNTS, type GatewayRig, startGatewayRig } from '../copytool/gateway-rig.ts';

// Rules of the account's put blobs into the Archive tier, where the service lets nobody write over them.

let world: GatewayRig;
let rig: GatewayRig['rig'];
beforeAll(async () => {
  world = await startGatewayRig({
    standInOnly: true,
    config: { copytool: { block_size: '64KiB' }, follow: { settle: '0s' }, removal: { grace: '0s' } },
  });
  rig = world.rig;
  world.gateway.interfere = keepingTheArchiveTier(rig.sandbox.containerClient);
});
afterAll(() => world?.stop());

const follow = (env: NodeJS.ProcessEnv = {}) =>
  rig.sandbox.run(['changelog-follow', '--once', '--json'], { env: { ...FILE_COUNTS, ...env } });

const staged = async () => (await rig.blobNames()).filter((name) => name.startsWith('.lfsazsync/staging/'));

/** A file that was archived, put into the Archive tier, and modified. */
async function modified(name: string, before: Buffer, after: Buffer): Promise<string> {
  const path = rig.write(name, before);
  await rig.archive(path);
  await rig.blob(path).setAccessTier('Archive');
  writeFileSync(path, after);
  return path;
}

test.each([
  ['in one request', 10],
  ['in blocks', 200_000],
  // Looked at before it is read: nothing is sent that would be refused in the middle.
  ['at once', 1_200_000],
])('a file that was modified since is archived beside its old copy, and takes its place: %s', async (how, size) => {
  const [before, after] = [Buffer.alloc(size, 'a'), Buffer.alloc(size + 1, 'b')];
  const path = await modified(`file-${size}`, before, after);
  world.gateway.requests.length = 0;
  await rig.archive(path);
  const written = world.gateway.requests.filter(({ method, url }) => method === 'PUT' && url.includes(`/file-${size}`));
  expect(written.length > 0).toBe(how !== 'at once');
  // The old one is there until the new one is where it belongs, or nearly.
  expect(await rig.blob(path).getProperties()).toMatchObject({ accessTier: 'Archive', contentLength: size });
  expect(await staged()).toEqual([`.lfsazsync/staging/${await rig.fid(path)}`]);
  await rig.release(path);
  expect((await readFile(path)).equals(after)).toBe(true);

  const result = await follow();
  expect(result, `${result.stderr}\n${result.stdout}`).toMatchObject({ exitCode: 0 });
  expect(await rig.content(path)).toBe(after.toString());
  expect(await staged()).toEqual([]);
  expect(rig.audit().some((line) => /"delete"/.test(line) && /nothing can be written over/.test(line))).toBe(true);
  await rig.release(path);
  expect((await readFile(path)).equals(after)).toBe(true);
});

test.each(['BlockCountExceedsLimit', 'InvalidBlobOrBlock'])(
  'uncommitted blocks in the way (%s), which nobody can take away for a week, do not keep a file from being archived',
  async (code) => {
    const content = Buffer.alloc(200_000, code);
    const path = rig.write(code, content);
    const before = world.gateway.interfere;
    world.gateway.interfere = (request, number) =>
      request.operation === 'Put Block' && request.url.includes(`/${code}?`)
        ? { answer: { status: code === 'InvalidBlobOrBlock' ? 400 : 409, code } }
        : before(request, number);
    try {
      await rig.archiveAndRelease(path);
      expect(await staged()).toEqual([`.lfsazsync/staging/${await rig.fid(path)}`]);
      expect((await readFile(path)).equals(content)).toBe(true);
      expect(await follow()).toMatchObject({ exitCode: 0 });
    } finally {
      world.gateway.interfere = before;
    }
    expect(await rig.content(path)).toBe(content.toString());
    expect(await staged()).toEqual([]);
  },
);

test('a follower that is killed after the old copy is gone goes on: the new one is found all the time', async () => {
  const after = Buffer.from('after');
  const path = await modified('killed', Buffer.from('before'), after);
  await rig.archive(path);
  rig.hold('old.deleted');
  const service = await rig.sandbox.startFollower([], { LFSAZSYNC_TEST_STEPS: rig.steps, ...FILE_COUNTS });
  await rig.held('old.deleted');
  expect(await rig.blob(path).exists()).toBe(false);
  await service.crash();
  await rig.release(path);
  expect((await readFile(path)).equals(after)).toBe(true);
  await waitUntil('the follower has put it right', async () => {
    await follow();
    return (await rig.content(path)) === 'after' && (await staged()).length === 0;
  });
});

test('the same where nothing may be copied: its next archive finds its place free', async () => {
  const path = await modified('restored', Buffer.from('before'), Buffer.from('after'));
  await rig.archive(path);
  expect(await staged()).toHaveLength(1);
  await waitUntil('it is archived at its place, and nowhere else', async () => {
    await follow({ LFSAZSYNC_FOLLOW_RENAME_MODE: 'restore' });
    return (await staged()).length === 0 && (await rig.content(path)) === 'after';
  });
});

test('a copy that stays there while its file is renamed is found, and follows when it was brought back', async () => {
  const path = rig.write('before', 'content');
  await rig.archiveAndRelease(path);
  await rig.blob(path).setAccessTier('Archive');
  renameSync(path, rig.path('renamed'));
  chmodSync(rig.path('renamed'), 0o640);
  expect(await follow()).toMatchObject({ exitCode: 3 });
  // Tries would be in vain.
  const { stdout } = await rig.sandbox.run(['journal', 'list', '--json'], { env: FILE_COUNTS });
  expect(stdout).toMatch(/Archive tier/);
  expect(await rig.blobNames()).toContain(rig.sandbox.blobName(path));
  await rig.blob(path).setAccessTier('Hot');
  expect(await readFile(rig.path('renamed'), 'utf8')).toBe('content');
  expect(await rig.sandbox.run(['sweep'], { env: FILE_COUNTS })).toMatchObject({ exitCode: 0 });
  await waitUntil('it is where its file is', async () => {
    await follow();
    return !(await rig.blobNames()).includes(rig.sandbox.blobName(path));
  });
  const { metadata } = await rig.blob(rig.path('renamed')).getProperties();
  expect(metadata?.['permissions']).toBe('0640');
});

test('a marker is written anew', async () => {
  const path = rig.path('directory');
  mkdirSync(path, { mode: 0o755 });
  await follow();
  await rig.blob(path).setAccessTier('Archive');
  chmodSync(path, 0o700);
  expect(await follow()).toMatchObject({ exitCode: 0 });
  const { metadata, accessTier } = await rig.blob(path).getProperties();
  expect(metadata?.['permissions']).toBe('0700');
  expect(accessTier).not.toBe('Archive');
});
