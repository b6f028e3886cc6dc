import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { HSM } from '../../../src/lustre/hsm-state.ts';
import { RELEASED, Rig, read } from './fixture.ts';

let rig: Rig;
beforeAll(async () => {
  rig = await Rig.start({ osts: 1, ostSize: 64 << 20, config: { copytool: { block_size: '256KiB' } } });
});
afterAll(() => rig?.stop());
beforeEach((context) => {
  if (!rig.sandbox.standIn) context.skip();
});
afterEach(async () => {
  await rig.sandbox.simctl(['fault', 'clear=all']);
});

const fault = (spec: string) => rig.sandbox.simctl(['fault', `set=${spec}`]);

describe('an error of the file system', () => {
  test.each(['EIO', 'ESTALE'])(
    '%s while a file is read for its archive: told, nothing committed, nothing lost',
    async (errno) => {
      const path = rig.write(`read ${errno}`, 'first');
      await rig.archive(path);
      writeFileSync(path, randomBytes(1 << 20));
      await fault(`error:read,fid=${await rig.fid(path)},errno=${errno},skip=1`);
      expect((await rig.ask('archive', path)).record).toMatchObject({ outcome: 'failed', errno });
      expect(await rig.content(path)).toBe('first');
      expect((await rig.states(path)) & HSM.DIRTY).toBe(HSM.DIRTY);
      await rig.sandbox.simctl(['fault', 'clear=all']);
      await rig.archiveAndRelease(path);
      expect(await read(path)).not.toBe('first');
    },
  );

  test('no space for a restore: ENOSPC, the file stays released, and comes back when there is space', async () => {
    const content = randomBytes(8 << 20);
    const path = rig.write('large', content);
    await rig.archiveAndRelease(path);
    const [fid, after] = [await rig.fid(path), rig.copytool.lines.length];
    await rig.sandbox.simctl(['sim', 'op=ost_fill', 'index=0', `kb=${62 << 10}`]);
    expect(await read(path)).toMatch(/^E[A-Z]+$/);
    expect((await rig.ended('restore', fid, after)).record).toMatchObject({ outcome: 'failed', errno: 'ENOSPC' });
    expect(await rig.states(path)).toBe(RELEASED);
    await rig.sandbox.simctl(['sim', 'op=ost_fill', 'index=0', 'kb=0']);
    expect(readFileSync(path).equals(content)).toBe(true);
  });

  test('a write that fails during a restore: told, and the file stays released', async () => {
    const path = rig.write('write-error', 'must come back');
    await rig.archiveAndRelease(path);
    const [fid, after] = [await rig.fid(path), rig.copytool.lines.length];
    await fault('error:write,errno=EIO,count=1');
    expect(await read(path)).toMatch(/^E[A-Z]+$/);
    expect((await rig.ended('restore', fid, after)).record).toMatchObject({ outcome: 'failed', errno: 'EIO' });
    expect(await rig.states(path)).toBe(RELEASED);
    expect(await read(path)).toBe('must come back');
  });

  test('an error that is not ENOENT about the file in the way is not its death', async () => {
    const first = rig.write('victim', 'content of the living');
    await rig.archive(first);
    const moved = rig.path('victim.moved');
    await rig.sandbox.exec('mv', [first, moved]);
    const second = rig.write('victim', 'another');
    const { fid, after } = await rig.archiveHeldAt('archive.uploaded', second);
    await fault('error:fid2path,errno=EIO');
    rig.letGo('archive.uploaded');
    expect((await rig.ended('archive', fid, after)).record).toMatchObject({ outcome: 'failed' });
    expect(await rig.content(second)).toBe('content of the living');
  });
});
