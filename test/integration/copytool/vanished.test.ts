import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Step } from '../../../src/copytool/steps.ts';
import { startSandbox } from '../../support/sandbox.ts';
import { waitUntil } from '../../support/wait.ts';
import { RELEASED, Rig, read } from './fixture.ts';

let rig: Rig;
beforeEach(async (context) => {
  rig = await Rig.start({ config: { copytool: { block_size: '64KiB', range_size: '64KiB' } } });
  if (!rig.sandbox.standIn) context.skip();
});
afterEach(() => rig?.stop());

/** Holds an action at a step, lets something happen to the mount, and lets it go on; its end in the log. */
async function meanwhile(
  verb: 'archive' | 'restore' | 'remove',
  step: Step,
  path: string,
  happens: () => Promise<unknown>,
): Promise<Record<string, unknown> | undefined> {
  const [fid, after] = [await rig.fid(path), rig.copytool.lines.length];
  rig.hold(step);
  const asked = verb === 'restore' ? read(path) : rig.lfs(`hsm_${verb}`, path);
  asked.catch(() => {});
  await rig.held(step);
  await happens();
  rig.letGo(step);
  return (await rig.ended(verb, fid, after)).record;
}

const lose = () => rig.sandbox.simctl(['sim', 'op=lose', `client=${rig.sandbox.mount}`]);
const find = () => rig.sandbox.simctl(['sim', 'op=find', `client=${rig.sandbox.mount}`]);
const unmount = () => rig.sandbox.exec('umount', ['-l', rig.sandbox.mount]);

describe('a client that loses its servers', () => {
  test.each<Step>(['archive.named', 'archive.uploaded'])(
    'in an archive, after %s: an error, the version before stays, and the next archive succeeds',
    async (step) => {
      const path = rig.write('file', 'first');
      await rig.archive(path);
      const content = randomBytes(200_000);
      writeFileSync(path, content);
      expect(await meanwhile('archive', step, path, lose)).toMatchObject({
        outcome: 'failed',
        errno: expect.stringMatching(/^E[A-Z]+$/),
      });
      expect(await rig.content(path)).toBe('first');
      await find();
      await waitUntil('it can be archived', async () => {
        await rig.lfs('hsm_archive', path);
        return (await rig.blob(path).downloadToBuffer()).equals(content);
      });
    },
  );

  test('in a restore: an error, the file stays released, and can be read when it is back', async () => {
    const content = randomBytes(200_000).toString('hex');
    const path = rig.write('file', content);
    await rig.archiveAndRelease(path);
    expect(await meanwhile('restore', 'restore.located', path, lose)).toMatchObject({ outcome: 'failed' });
    expect(await rig.content(path)).toBe(content);
    await find();
    await waitUntil('it can be read', async () => (await read(path)) === content);
  });
});

describe('a mount that is taken away', () => {
  test('in a removal: nothing is deleted for lack of evidence', async () => {
    const path = rig.write('file', 'must stay');
    await rig.archive(path);
    const blob = rig.blob(path);
    const record = await meanwhile('remove', 'remove.located', path, unmount);
    if (record?.['outcome'] === 'ok') expect(await blob.exists()).toBe(false);
    else expect((await blob.downloadToBuffer()).toString()).toBe('must stay');
  });

  test('in a restore: an error or all of it, and the copy stays', async () => {
    const path = rig.write('file', 'must stay');
    await rig.archiveAndRelease(path);
    const blob = rig.blob(path);
    expect(await rig.states(path)).toBe(RELEASED);
    const record = await meanwhile('restore', 'restore.located', path, unmount);
    expect(record?.['outcome']).toMatch(/^(ok|failed)$/);
    expect((await blob.downloadToBuffer()).toString()).toBe('must stay');
  });

  test('in an archive: the version before, or the whole of the new one', async () => {
    const path = rig.write('file', 'first');
    await rig.archive(path);
    const blob = rig.blob(path);
    const content = randomBytes(200_000);
    writeFileSync(path, content);
    const record = await meanwhile('archive', 'archive.named', path, unmount);
    const there = await blob.downloadToBuffer();
    if (record?.['outcome'] === 'ok') expect(there.equals(content)).toBe(true);
    else expect(there.toString()).toBe('first');
  });
});

describe('another file system that is mounted over it', () => {
  /** FIDs repeat between file systems: it has files of these, and of those that are given out next. */
  function other(fid: string, content: string): { directory: string; contents: () => string[] } {
    const directory = join(rig.sandbox.dir, 'other');
    const [seq, oid, version] = fid.split(':');
    const files = Array.from({ length: 64 }, (_, more) =>
      join(directory, '.lustre', 'fid', `${seq}:0x${(Number(oid) + more).toString(16)}:${version}`),
    );
    mkdirSync(join(directory, '.lustre', 'fid'), { recursive: true });
    for (const file of files) writeFileSync(file, content);
    return { directory, contents: () => files.map((file) => readFileSync(file, 'utf8')) };
  }

  const over = async (directory: string) =>
    expect(await rig.sandbox.exec('mount', ['--bind', directory, rig.sandbox.mount])).toMatchObject({ exitCode: 0 });

  test('an archive reads its own file', async () => {
    const path = rig.write('file', 'first');
    await rig.archive(path);
    const blob = rig.blob(path);
    writeFileSync(path, 'second');
    const theirs = other(await rig.fid(path), 'theirs');
    const record = await meanwhile('archive', 'archive.named', path, () => over(theirs.directory));
    await unmount();
    expect(record).toMatchObject({ outcome: 'ok' });
    expect((await blob.downloadToBuffer()).toString()).toBe('second');
    expect(theirs.contents()).toEqual(Array(64).fill('theirs'));
  });

  test('a restore writes into its own file', async () => {
    const path = rig.write('file', 'content');
    await rig.archiveAndRelease(path);
    const theirs = other(await rig.fid(path), 'theirs');
    const record = await meanwhile('restore', 'restore.begun', path, () => over(theirs.directory));
    await unmount();
    expect(record).toMatchObject({ outcome: 'ok' });
    expect(theirs.contents()).toEqual(Array(64).fill('theirs'));
    expect(await read(path)).toBe('content');
  });

  test('a native helper that dies then is not replaced by one that serves the other', async () => {
    const path = rig.write('file', 'content');
    await rig.archive(path);
    const second = await startSandbox({ standInOnly: true });
    try {
      await over(second.mount);
      await rig.killSide('helper');
      const { text } = await rig.copytool.waitFor('native helper could not be started, trying again');
      expect(text).toContain('FILE_SYSTEM_CHANGED');
    } finally {
      await unmount();
      await second.stop();
    }
    await rig.copytool.waitFor('native helper started again');
    writeFileSync(path, 'second');
    await rig.archive(path);
    expect(await rig.content(path)).toBe('second');
  });
});
