import { chownSync, lstatSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openFileSystem } from '../../../src/lustre/file-system.ts';
import { helperPath } from '../../support/project.ts';
import { seam } from '../../support/seam-tool.ts';
import { waitUntil } from '../../support/wait.ts';
import { FollowRig } from './rig.ts';

// Extended attributes of users and ACLs, where `metadata.xattrs` keeps them: to the container, and back.

let it: FollowRig;
beforeAll(async () => {
  it = await FollowRig.start({ config: { metadata: { xattrs: true }, removal: { grace: '1h' } } });
  await it.follow();
});
afterAll(() => it?.stop());

/** u::rw-,u:7:r--,g::r--,m::r--,o::--- as `setfacl` stores it. */
const ACL =
  '02000000' + '01000600ffffffff' + '0200040007000000' + '04000400ffffffff' + '10000400ffffffff' + '20000000ffffffff';

async function set(path: string, name: string, hex: string): Promise<void> {
  expect(await seam(['setxattr_hex', path, name, hex])).toMatchObject({ rc: 0 });
}
/** In hexadecimal; undefined: there is none. */
const get = async (path: string, name: string) => {
  const { rc, lines } = await seam(['getxattr', path, name]);
  return rc === 0 ? (lines[0] ?? '') : undefined;
};
const base64 = (hex: string) => Buffer.from(hex, 'hex').toString('base64').replace(/=+$/, '');

async function said(name: string): Promise<Record<string, string>> {
  const { metadata = {} } = await it.rig.blob(it.path(name)).getProperties();
  return metadata;
}
/** What a blob says of extended attributes, as soon as it says that. */
async function saysSoon(name: string, text: string | undefined): Promise<void> {
  let last: unknown;
  await waitUntil(
    `${name} says ${text}`,
    async () => {
      const { lfsazsync_xattr } = await said(name).catch(() => ({ lfsazsync_xattr: 'not there' }));
      last = lfsazsync_xattr;
      return lfsazsync_xattr === text;
    },
    { detail: () => `it says ${last}\n${it.follower.log.text().slice(-3_000)}` },
  );
}

test('an archive writes them, records of changes bring them up to date, a rename carries them along', async () => {
  const path = it.rig.write('a', 'content');
  await set(path, 'user.color', Buffer.from('red').toString('hex'));
  await set(path, 'user.a,b=c %', '00ff');
  await set(path, 'system.posix_acl_access', ACL);
  await it.rig.archive(path);
  const acl = `system.posix_acl_access=${base64(ACL)}`;
  await saysSoon('a', `${acl},user.a%2Cb%3Dc%20%25=AP8,user.color=cmVk`);
  await set(path, 'user.color', Buffer.from('green').toString('hex'));
  await saysSoon('a', `${acl},user.a%2Cb%3Dc%20%25=AP8,user.color=Z3JlZW4`);
  await it.rig.release(path);
  renameSync(path, it.path('b'));
  await saysSoon('b', `${acl},user.a%2Cb%3Dc%20%25=AP8,user.color=Z3JlZW4`);
  expect(await seam(['removexattr', it.path('b'), 'user.color'])).toMatchObject({ rc: 0 });
  await saysSoon('b', `${acl},user.a%2Cb%3Dc%20%25=AP8`);
});

test('directories have them, too; what does not fit is left out, counted, and no error', async () => {
  mkdirSync(it.path('d'));
  await set(it.path('d'), 'user.of', '6469');
  await saysSoon('d', 'user.of=ZGk');
  const path = it.rig.write('d/large', 'content');
  await set(path, 'user.large', 'ab'.repeat(4000));
  await set(path, 'user.small', 'cd');
  await it.rig.archive(path);
  await saysSoon('d/large', 'user.small=zQ');
  const { stdout } = await it.sandbox.run(['copytool', 'ctl', 'status', '--json']);
  expect(JSON.parse(stdout)).toMatchObject({ counters: { xattrsLeftOut: 1 } });
});

test('verify compares them', async () => {
  const path = it.rig.write('v', 'content');
  await set(path, 'user.one', '01');
  await it.rig.archive(path);
  await saysSoon('v', 'user.one=AQ');
  await it.stopFollowing();
  // Nothing is told of what is left in the journal.
  await it.once();
  const verify = async () => {
    const { stdout } = await it.sandbox.run(['verify', '--settle', '0s', '--json']);
    return (JSON.parse(stdout) as { examples: { code: string; blob: string }[] }).examples;
  };
  expect(await verify()).toEqual([]);
  await it.rig.blob(path).setMetadata({ ...(await said('v')), lfsazsync_xattr: 'user.one=Ag' });
  expect(await verify()).toMatchObject([{ code: 'attributes', blob: it.sandbox.blobName(path) }]);
  // What no record tells of comes with the next change.
  await it.follow();
  await set(path, 'user.two', '02');
  await saysSoon('v', 'user.one=AQ,user.two=Ag');
});

test('whatever users set, an answer about several files has room for it', async () => {
  const values = Array.from({ length: 16 }, (_, at) => at.toString(16).padStart(2, '0').repeat(3_000));
  const targets: { path: Buffer }[] = [];
  for (const [at, value] of values.entries()) {
    const path = it.rig.write(`many-${at}`, '');
    for (let each = 0; each < 20; each++) await set(path, `user.${each}`, value);
    targets.push({ path: Buffer.from(path) });
  }
  const { mount, llapi } = it.sandbox;
  const fs = await openFileSystem({ mount, liblustreapi: llapi, helper: helperPath, xattrs: true });
  try {
    const all = await fs.files.getMany(targets, { parts: ['stat', 'user_xattrs'] });
    const got = all.map((one) => 'stat' in one && one.stat?.userXattrs?.map(({ value }) => value?.toString('hex')));
    expect(got.map((of) => of && { each: [...new Set(of)], count: of.length })).toEqual(
      values.map((value) => ({ each: [value], count: 20 })),
    );
  } finally {
    await fs.close();
  }
});

test('undelete gives them back, and an import does; never what is no user’s to set', async () => {
  const path = it.rig.write('gone', 'content');
  await set(path, 'user.kept', '6b');
  await it.rig.archive(path);
  await saysSoon('gone', 'user.kept=aw');
  rmSync(path);
  await waitUntil('it is known to be removed', async () => {
    const { stdout } = await it.sandbox.run(['undelete', '--list', '--json']);
    return stdout.includes('/gone"');
  });
  expect(await it.sandbox.run(['undelete', path])).toMatchObject({ exitCode: 0 });
  expect(await get(path, 'user.kept')).toBe('6b');
  await saysSoon('gone', 'user.kept=aw');

  // The follower sees nothing of these while they live: what it knows of them are names, and what their blobs say.
  await it.stopFollowing();
  mkdirSync(it.path('gone dir'), { mode: 0o751 });
  await set(it.path('gone dir'), 'user.of', '6469');
  await set(it.path('gone dir'), 'system.posix_acl_default', ACL);
  chownSync(it.path('gone dir'), 7, 8);
  await it.rig.archive(it.rig.write('gone dir/file', 'content'));
  const inDirectory = `system.posix_acl_default=${base64(ACL)},user.of=ZGk`;
  expect(await said('gone dir')).toMatchObject({ lfsazsync_xattr: inDirectory });
  const before = ['gone dir', 'gone dir/file'].map((name) => lstatSync(it.path(name)));
  rmSync(it.path('gone dir'), { recursive: true });
  await it.follow();
  await waitUntil('both are known to be removed', async () => {
    const { stdout } = await it.sandbox.run(['undelete', '--list', '--json']);
    return stdout.includes('/gone dir"') && stdout.includes('/gone dir/file"');
  });
  const revived = await it.sandbox.run(['undelete', '--recursive', it.path('gone dir')]);
  expect(revived, revived.stdout + revived.stderr).toMatchObject({ exitCode: 0 });
  for (const [at, name] of ['gone dir', 'gone dir/file'].entries()) {
    const { mode, uid, gid, size } = lstatSync(it.path(name));
    expect(before[at]).toMatchObject({ mode, uid, gid, size });
  }
  expect(await get(it.path('gone dir'), 'user.of')).toBe('6469');
  expect(await get(it.path('gone dir'), 'system.posix_acl_default')).toBe(ACL);
  await saysSoon('gone dir', inDirectory);

  const text = `trusted.lfsazsync=AA,system.posix_acl_access=${base64(ACL)},user.n%FF=AQ,user.color=cmVk`;
  const blob = (name: string) => it.rig.blob(it.path('in', name)).getBlockBlobClient();
  const metadata = { owner: '1', group: '2', permissions: '0640', modtime: '2017-07-14 02:40:00 +0000' };
  await blob('file').upload('content', 7, { metadata: { ...metadata, lfsazsync_xattr: text } });
  const marker = { ...metadata, permissions: '0750', hdi_isfolder: 'true' };
  await blob('dir').upload('', 0, {
    metadata: { ...marker, lfsazsync_xattr: `system.posix_acl_default=${base64(ACL)},user.d=AQ` },
  });
  await blob('dir/plain').upload('x', 1, { metadata });
  const { exitCode, stdout } = await it.sandbox.run([
    'import',
    '--prefix',
    it.sandbox.blobName(it.path('in')),
    '--json',
  ]);
  expect(exitCode, stdout).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({
    warnings: 1,
    problems: [{ code: 'xattrs', blob: it.sandbox.blobName(it.path('in', 'file')) }],
  });
  expect(await get(it.path('in', 'file'), 'user.color')).toBe('726564');
  expect(await get(it.path('in', 'file'), 'system.posix_acl_access')).toBe(ACL);
  expect(await get(it.path('in', 'dir'), 'system.posix_acl_default')).toBe(ACL);
  expect(await get(it.path('in', 'dir', 'plain'), 'system.posix_acl_access')).toBeUndefined();
});
