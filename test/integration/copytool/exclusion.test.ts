import { randomUUID } from 'node:crypto';
import { unlinkSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Fid } from '../../../src/identity/fid.ts';
import { HSM } from '../../../src/lustre/hsm-state.ts';
import { waitUntil } from '../../support/wait.ts';
import { CLEAN, RELEASED, Rig, read } from './fixture.ts';

/** Two actions on the same file: whatever their order, what both report is true, and no data is lost. */
let rig: Rig;
beforeAll(async () => {
  rig = await Rig.start();
  if (rig.sandbox.standIn) await rig.sandbox.serverLctl(['set_param', 'mdt.*.hsm.loop_period=1']);
});
afterAll(() => rig?.stop());
beforeEach((context) => {
  if (!rig.sandbox.standIn) context.skip();
});

const taken = (verb: string, fid: string, after: number) =>
  rig.copytool.waitFor(
    ({ record }) => record?.['msg'] === 'action taken' && record['action'] === verb && record['fid'] === fid,
    { after },
  );
const endings = (fid: string, after: number) =>
  rig.copytool.log.find(({ record }) => record?.['fid'] === fid && record['outcome'] !== undefined, after);

describe('an action on a file that another copytool action is at work on waits for its end', () => {
  test.each(['remove.taken', 'remove.unarchived', 'remove.located', 'remove.deleted'] as const)(
    'an archive beside a removal (%s)',
    async (step) => {
      const path = rig.write(step, 'only data');
      await rig.archive(path);
      const [fid, after] = [await rig.fid(path), rig.copytool.lines.length];
      rig.hold(step);
      await rig.lfs('hsm_remove', path);
      await rig.held(step);
      // Dirty, so that the coordinator has a reason to pass the request on before the removal has ended.
      writeFileSync(path, 'new data');
      await rig.lfs('hsm_archive', path);
      await taken('archive', fid, after);
      expect(endings(fid, after)).toEqual([]);
      rig.letGo(step);
      expect((await rig.ended('remove', fid, after)).record).toMatchObject({ outcome: 'ok' });
      expect((await rig.ended('archive', fid, after)).record).toMatchObject({ outcome: 'ok' });
      // Lustre notes EXISTS when it sends an archive, and the removal's end takes that off: ARCHIVED is what counts.
      await rig.lfs('hsm_release', path);
      expect((await rig.states(path)) & RELEASED & ~HSM.EXISTS).toBe(RELEASED & ~HSM.EXISTS);
      expect(await read(path)).toBe('new data');
    },
  );

  test.each(['archive.committed', 'archive.recorded', 'archive.ended'] as const)(
    'a removal beside an archive (%s)',
    async (step) => {
      const path = rig.write(step, 'version 1');
      await rig.archive(path);
      writeFileSync(path, 'version 2');
      const { fid, after } = await rig.archiveHeldAt(step, path);
      await rig.lfs('hsm_remove', path);
      await taken('remove', fid, after);
      expect(endings(fid, after)).toEqual([]);
      expect(await rig.content(path)).toBe('version 2');
      rig.letGo(step);
      expect((await rig.ended('archive', fid, after)).record).toMatchObject({ outcome: 'ok' });
      expect((await rig.ended('remove', fid, after)).record).toMatchObject({ outcome: 'ok' });
      await waitUntil('the flags are off', async () => ((await rig.states(path)) & CLEAN) === 0);
      expect(await rig.content(path)).toBeUndefined();
      expect((await rig.sandbox.lfs(['hsm_release', path])).exitCode).not.toBe(0);
      expect(await read(path)).toBe('version 2');
    },
  );
});

describe('of two actions on a file, one at work and one that waits for its end', () => {
  const cancelled = { outcome: 'cancelled', errno: 'ECANCELED' };
  const cancelArrived = async (fid: string, after: number) => {
    const line = await rig.copytool.waitFor(
      ({ record }) => record?.['fid'] === fid && record['msg'] === 'action cancelled',
      { after },
    );
    return Date.parse(String(line.record?.['time']));
  };
  /** Lustre cancels the file's last request that has not ended. */
  const cancelWaiting = async (verb: 'archive' | 'remove', path: string, fid: string) => {
    const after = rig.copytool.lines.length;
    await rig.lfs('hsm_cancel', path);
    const told = await cancelArrived(fid, after);
    const { record } = await rig.ended(verb, fid as Fid, after);
    expect(record).toMatchObject(cancelled);
    expect(Date.parse(String(record?.['time'])) - told).toBeLessThan(1_000);
    await waitUntil('the coordinator has its end', async () => {
      const { stdout } = await rig.sandbox.serverLctl(['get_param', '-n', 'mdt.*.hsm.active_requests']);
      return !stdout.includes(`action=${verb.toUpperCase()}`);
    });
  };

  test('a removal behind an archive is cancelled, the archive goes on', async () => {
    const path = rig.write('archive goes on', 'version 1');
    await rig.archive(path);
    writeFileSync(path, 'version 2');
    const { fid, after } = await rig.archiveHeldAt('archive.verified', path);
    await rig.lfs('hsm_remove', path);
    await taken('remove', fid, after);
    await cancelWaiting('remove', path, fid);
    expect(endings(fid, after)).toHaveLength(1);
    rig.letGo('archive.verified');
    expect((await rig.ended('archive', fid, after)).record).toMatchObject({ outcome: 'ok' });
    await rig.release(path);
    expect(await read(path)).toBe('version 2');
  });

  test('an archive behind a removal is cancelled, the removal goes on', async () => {
    const path = rig.write('removal goes on', 'version 1');
    await rig.archive(path);
    const [fid, after] = [await rig.fid(path), rig.copytool.lines.length];
    rig.hold('remove.located');
    await rig.lfs('hsm_remove', path);
    await rig.held('remove.located');
    writeFileSync(path, 'version 2');
    await rig.lfs('hsm_archive', path);
    await taken('archive', fid, after);
    await cancelWaiting('archive', path, fid);
    expect(endings(fid, after)).toHaveLength(1);
    rig.letGo('remove.located');
    expect((await rig.ended('remove', fid, after)).record).toMatchObject({ outcome: 'ok' });
    expect(await rig.content(path)).toBeUndefined();
    expect((await rig.states(path)) & HSM.ARCHIVED).toBe(0);
    expect(await read(path)).toBe('version 2');
  });

  test('the one at work is cancelled, the one that waits begins', async () => {
    const path = rig.write('removal begins', 'version 1');
    await rig.archive(path);
    writeFileSync(path, 'version 2');
    const { fid, after } = await rig.archiveHeldAt('archive.verified', path);
    await rig.lfs('hsm_remove', path);
    await taken('remove', fid, after);
    await cancelWaiting('remove', path, fid);
    const cancelledOnce = rig.copytool.lines.length;
    await rig.lfs('hsm_cancel', path);
    await cancelArrived(fid, cancelledOnce);
    await rig.lfs('hsm_remove', path);
    await taken('remove', fid, cancelledOnce);
    expect(endings(fid, cancelledOnce)).toEqual([]);
    rig.letGo('archive.verified');
    expect((await rig.ended('archive', fid, cancelledOnce)).record).toMatchObject(cancelled);
    expect((await rig.ended('remove', fid, cancelledOnce)).record).toMatchObject({ outcome: 'ok' });
    expect(await rig.content(path)).toBeUndefined();
    expect((await rig.states(path)) & HSM.ARCHIVED).toBe(0);
    expect(await read(path)).toBe('version 2');
  });
});

describe('another machine at work on the same file', () => {
  test('has committed a version that is not recorded yet: it is not deleted', async () => {
    const path = rig.write('unrecorded', 'version 1');
    await rig.archive(path);
    const [fid, after] = [await rig.fid(path), rig.copytool.lines.length];
    rig.hold('remove.located');
    await rig.lfs('hsm_remove', path);
    await rig.held('remove.located');
    const { metadata } = await rig.blob(path).getProperties();
    await rig
      .blob(path)
      .getBlockBlobClient()
      .upload('version 1', 9, { metadata: { ...metadata, lfsazsync_gen: `2-${randomUUID()}` } });
    rig.letGo('remove.located');
    expect((await rig.ended('remove', fid, after)).record).toMatchObject({
      outcome: 'failed',
      code: 'other-version',
      errno: 'EBUSY',
    });
    expect(await rig.content(path)).toBe('version 1');
    expect(await read(path)).toBe('version 1');
    await rig.archiveAndRelease(path);
    expect(await read(path)).toBe('version 1');
  });

  test('has archived the file before the removal ends: the removal fails, and the file is archived again', async () => {
    const path = rig.write('again', 'content');
    await rig.archive(path);
    const [fid, after] = [await rig.fid(path), rig.copytool.lines.length];
    rig.hold('remove.deleted');
    await rig.lfs('hsm_remove', path);
    await rig.held('remove.deleted');
    await rig.fs.files.setHsm(fid, { set: HSM.ARCHIVED });
    rig.letGo('remove.deleted');
    expect((await rig.ended('remove', fid, after)).record).toMatchObject({ code: 'archived-again', errno: 'EBUSY' });
    expect((await rig.states(path)) & HSM.DIRTY).toBe(HSM.DIRTY);
    expect((await rig.sandbox.lfs(['hsm_release', path])).exitCode).not.toBe(0);
    await rig.archiveAndRelease(path);
    expect(await read(path)).toBe('content');
  });

  test('has deleted the copy before its archive has ended: the file is marked dirty', async () => {
    const path = rig.write('deleted', 'content');
    const { fid, after } = await rig.archiveHeldAt('archive.recorded', path);
    await rig.blob(path).delete();
    rig.letGo('archive.recorded');
    await rig.ended('archive', fid, after);
    expect((await rig.states(path)) & HSM.DIRTY).toBe(HSM.DIRTY);
    await rig.archiveAndRelease(path);
    expect(await rig.states(path)).toBe(RELEASED);
    expect(await read(path)).toBe('content');
    unlinkSync(path);
  });
});
