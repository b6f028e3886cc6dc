import { chmod, chown, link, mkdir, rename, symlink, unlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { outOfStep } from '../support/in-step.ts';
import { type Sandbox, startSandbox } from '../support/sandbox.ts';
import { seenAt } from '../support/tree-walk.ts';

// That the comparison which the proofs rest on sees each kind of difference. The container is put wrong by hand.

const CONTENT = Buffer.from('content');
let sandbox: Sandbox;
let inode: bigint;

beforeAll(async () => {
  sandbox = await startSandbox({ standInOnly: true });
  await sandbox.startCopytool();
  await mkdir(at('dir'));
  await writeFile(at('dir', 'file'), CONTENT);
  await chmod(at('dir', 'file'), 0o644);
  await archived(at('dir'));
  inode = (await seenAt(sandbox.mount, Buffer.from(name('dir', 'file')))).ino;
});
afterAll(async () => {
  await sandbox?.stop();
});

const at = (...names: string[]) => join(sandbox.tree, ...names);
const name = (...names: string[]) => sandbox.blobName(at(...names));
const blob = (...names: string[]) => sandbox.containerClient.getBlockBlobClient(name(...names));

async function archived(path: string): Promise<void> {
  const result = await sandbox.run(['archive', '--recursive', '--wait', path]);
  expect(result, result.stderr).toMatchObject({ exitCode: 0 });
}

async function findings(content: Buffer | undefined = CONTENT, strangers: string[] = []): Promise<string[]> {
  return await outOfStep({
    ...{ mount: sandbox.mount, container: sandbox.containerClient, strangers },
    contents: (ino) => (ino === inode ? content : undefined),
  });
}

/** Puts one key of a blob's metadata wrong, looks, and puts it right. */
async function withKey(of: string[], key: string, value: string): Promise<string[]> {
  const { metadata = {} } = await blob(...of).getProperties();
  await blob(...of).setMetadata({ ...metadata, [key]: value });
  const found = await findings();
  await blob(...of).setMetadata(metadata);
  return found;
}

const about = (path: string[], text: string) =>
  expect.stringContaining(`${JSON.stringify(name(...path))}: ${text}`) as string;

it('nothing is found in a container that is in step', async () => {
  expect(await findings()).toEqual([]);
});

describe('what is wrong with a blob is found', () => {
  it.each([
    ['owner', '7'],
    ['group', '7'],
    ['permissions', '0600'],
    ['modtime', '2006-01-02 15:04:05 +0000'],
    ['lfsazsync_mode', '4644'],
    ['lfsazsync_mtime', '1.000000000'],
    ['lfsazsync_size', '6'],
    ['lfsazsync_crc64', '0000000000000000'],
    ['lfsazsync_fid', '0x200000401:0xfff:0x0'],
    ['lfsazsync_fs', '00000000-0000-4000-8000-000000000000'],
    ['lfsazsync_kind', 'link'],
    ['symlink', 'x'],
  ])('%s of a file', async (key, value) => {
    const found = await withKey(['dir', 'file'], key, value);
    expect(found.length).toBeGreaterThan(0);
    for (const line of found) expect(line).toContain(JSON.stringify(name('dir', 'file')));
  });

  it.each([
    ['owner', '7'],
    ['hdi_isfolder', 'false'],
    ['lfsazsync_kind', 'file'],
    ['lfsazsync_mtime', '1.000000000'],
  ])('%s of a directory', async (key, value) => {
    expect((await withKey(['dir'], key, value)).length).toBe(1);
  });

  it('its content', async () => {
    expect(await findings(Buffer.from('other'))).toEqual([
      about(['dir', 'file'], 'it holds 7 bytes "content" in place of 5'),
    ]);
  });

  it('one that is ours and stands for nothing, a stranger, a stranger that is gone', async () => {
    const { metadata = {} } = await blob('dir', 'file').getProperties();
    await blob('left over').upload('content', 7, { metadata });
    await blob('theirs').upload('content', 7);
    expect(await findings()).toEqual([about(['left over'], 'a file of'), about(['theirs'], 'a blob of somebody')]);
    await blob('left over').delete();
    expect(await findings(CONTENT, [name('theirs')])).toEqual([]);
    await blob('theirs').delete();
    expect(await findings(CONTENT, [name('theirs')])).toEqual([about(['theirs'], "a stranger's")]);
  });

  it('a staged copy that was left', async () => {
    const { metadata = {} } = await blob('dir', 'file').getProperties();
    const staged = sandbox.containerClient.getBlockBlobClient('.lfsazsync/staging/0x1:0x2:0x0');
    await staged.upload('content', 7, { metadata });
    expect((await findings()).length).toBe(1);
    await staged.delete();
  });
});

describe('what changes in the file system is found', () => {
  it.each<[string, () => Promise<void>, () => Promise<void>]>([
    ['a mode', () => chmod(at('dir', 'file'), 0o4755), () => chmod(at('dir', 'file'), 0o644)],
    ['an owner', () => chown(at('dir'), 5, 0), () => chown(at('dir'), 0, 0)],
    ['a group', () => chown(at('dir', 'file'), 0, 5), () => chown(at('dir', 'file'), 0, 0)],
  ])('%s', async (_, change, back) => {
    await change();
    expect((await findings()).length).toBeGreaterThan(0);
    await back();
    expect(await findings()).toEqual([]);
  });

  it('a name, a link, a symlink, an empty directory, an unarchived file, an mtime', async () => {
    const { mtime } = await seenAt(sandbox.mount, Buffer.from(name('dir')));
    const restoreTime = () => utimes(at('dir'), Number(mtime), Number(mtime));
    await rename(at('dir', 'file'), at('dir', 'moved'));
    await restoreTime();
    expect(await findings()).toEqual([about(['dir', 'file'], 'a file of'), about(['dir', 'moved'], 'a file')]);
    await rename(at('dir', 'moved'), at('dir', 'file'));
    await link(at('dir', 'file'), at('dir', 'link'));
    await restoreTime();
    expect(await findings()).toEqual([about(['dir', 'link'], 'a file of 2 names')]);
    await unlink(at('dir', 'link'));
    await symlink('file', at('dir', 'symlink'));
    await mkdir(at('dir', 'empty'));
    await writeFile(at('dir', 'new'), 'x');
    await restoreTime();
    expect(await findings()).toEqual([
      about(['dir', 'empty'], 'a dir'),
      about(['dir', 'new'], 'a file'),
      about(['dir', 'symlink'], 'a symlink'),
    ]);
    await utimes(at('dir', 'file'), 5, 5);
    expect((await findings()).length).toBe(5);
  });
});
