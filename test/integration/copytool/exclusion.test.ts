import { randomUUID } from 'node:crypto';
import { unlinkSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Fid } from '../../../src/identity/fid.ts';
import { REMOVING_XATTR } from '../../../src/identity/removal-mark.ts';
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

describe('the mark of a removal', () => {
  const mark = (fid: string, fields: object = {}) =>
    Buffer.from(
      JSON.stringify({ v: 1, fid, cookie: '1', id: 'other', who: 'other-machine', since: Date.now(), ...fields }),
    );
  const isMarked = async (fid: Fid) =>
    (await rig.fs.files.get({ fid }, { parts: ['xattrs'], xattrs: [REMOVING_XATTR] })).xattrs?.has(REMOVING_XATTR);
  const LONG_AGO = Date.now() - 3 * 3600_000;
  const removal = async (path: string, fid: Fid) => {
    const after = rig.copytool.lines.length;
    await rig.lfs('hsm_remove', path);
    return (await rig.ended('remove', fid, after)).record;
  };

  test('of another machine: the removal is refused, and the file left as it is', async () => {
    const path = rig.write('marked', 'content');
    await rig.archive(path);
    const fid = await rig.fid(path);
    await rig.fs.files.setXattr(fid, REMOVING_XATTR, mark(fid));
    expect(await removal(path, fid)).toMatchObject({ code: 'being-removed', errno: 'EBUSY' });
    expect(await rig.content(path)).toBe('content');
    expect(await rig.states(path)).toBe(CLEAN);
    await rig.fs.files.removeXattr(fid, REMOVING_XATTR);
  });

  test.each([
    ['of a machine that never came back', (fid: string) => mark(fid, { since: LONG_AGO })],
    ['of another file, carried along by a copy', () => mark('[0x200000401:0x999999:0x0]')],
    ['that nobody can read', () => Buffer.from('{')],
  ])('%s is replaced, and taken off in the end', async (title, value) => {
    const path = rig.write(title, 'content');
    await rig.archive(path);
    const fid = await rig.fid(path);
    await rig.fs.files.setXattr(fid, REMOVING_XATTR, value(fid));
    expect(await removal(path, fid)).toMatchObject({ outcome: 'ok' });
    expect(await isMarked(fid)).toBe(false);
    expect((await rig.states(path)) & (HSM.NORELEASE | HSM.ARCHIVED)).toBe(0);
    expect(await rig.content(path)).toBeUndefined();
  });

  test.each([
    ['long ago', { since: LONG_AGO }, true],
    ['whose removal has ended', { ended: true }, true],
    ['of a removal at work', {}, false],
    ['of a removal at work, by a clock that is wrong by an hour', { since: Date.now() + 3600_000 }, false],
  ])('%s: the next archive of the file takes it off: %s', async (title, fields, isTaken) => {
    const path = rig.write(`archived ${title}`, 'content');
    const fid = await rig.fid(path);
    await rig.fs.files.setXattr(fid, REMOVING_XATTR, mark(fid, fields));
    await rig.fs.files.setHsm(fid, { set: HSM.NORELEASE });
    const after = rig.copytool.lines.length;
    await rig.lfs('hsm_archive', path);
    expect((await rig.ended('archive', fid, after)).record).toMatchObject({ outcome: 'ok' });
    expect(await isMarked(fid)).toBe(!isTaken);
    expect(await rig.states(path)).toBe(isTaken ? CLEAN : CLEAN | HSM.NORELEASE);
  });

  test('NORELEASE that a user has set stays', async () => {
    const path = rig.write('never released', 'content');
    await rig.archive(path);
    const fid = await rig.fid(path);
    await rig.fs.files.setHsm(fid, { set: HSM.NORELEASE });
    expect(await removal(path, fid)).toMatchObject({ outcome: 'ok' });
    expect((await rig.states(path)) & (HSM.NORELEASE | HSM.ARCHIVED)).toBe(HSM.NORELEASE);
    expect(await isMarked(fid)).toBe(false);
  });

  test('a changed file: nothing of it stays', async () => {
    const path = rig.write('changed', 'content');
    await rig.archive(path);
    writeFileSync(path, 'changed content');
    const fid = await rig.fid(path);
    expect(await removal(path, fid)).toMatchObject({ outcome: 'ok' });
    expect((await rig.states(path)) & (HSM.NORELEASE | HSM.ARCHIVED)).toBe(0);
    expect(await isMarked(fid)).toBe(false);
    await rig.archiveAndRelease(path);
    expect(await read(path)).toBe('changed content');
  });
});
