import {
  appendFileSync,
  closeSync,
  fstatSync,
  mkdirSync,
  openSync,
  renameSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Step } from '../../../src/copytool/steps.ts';
import { HSM } from '../../../src/lustre/hsm-state.ts';
import { waitUntil } from '../../support/wait.ts';
import { Rig, read } from './fixture.ts';

let rig: Rig;
beforeAll(async () => {
  rig = await Rig.start({
    config: { copytool: { block_size: '64KiB', range_size: '64KiB', max_bytes_in_flight: '2MiB' } },
  });
});
afterAll(() => rig?.stop());

const MANY_BLOCKS = 'a'.repeat(300 * 1024);

/** Changes a file that has a copy while it is archived again, and gives the end of that archive. */
async function changedAt(step: Step, name: string, content: string, change: (path: string) => void) {
  const path = rig.write(name, 'previous version');
  await rig.archive(path);
  writeFileSync(path, content);
  const { fid, after } = await rig.archiveHeldAt(step, path);
  change(path);
  rig.letGo(step);
  return { path, fid, record: (await rig.ended('archive', fid, after)).record };
}

describe('a file that changes while it is archived is never committed, and its previous version stays', () => {
  const changes: [string, (path: string) => void][] = [
    ['grows', (path) => appendFileSync(path, 'more')],
    ['shrinks', (path) => truncateSync(path, 3)],
    ['becomes empty', (path) => truncateSync(path, 0)],
    ['is written over, as long as before', (path) => writeFileSync(path, 'B', { flag: 'r+' })],
  ];
  const steps: Step[] = ['archive.begun', 'archive.named', 'archive.uploaded', 'archive.destination-read'];
  for (const step of steps) {
    for (const [how, change] of changes) {
      for (const [size, content] of [
        ['small', 'next version'],
        ['in blocks', MANY_BLOCKS],
      ] as const) {
        test(`${how} at ${step} (${size})`, async () => {
          const { path, record } = await changedAt(step, `${how} ${step} ${size}`, content, change);
          expect(record).toMatchObject({ outcome: 'failed', errno: 'EBUSY' });
          expect(await rig.content(path)).toBe('previous version');
          expect((await rig.states(path)) & HSM.DIRTY).toBe(HSM.DIRTY);
          await rig.archive(path);
          expect(await rig.content(path)).toBe(await read(path));
        });
      }
    }
  }
});

test.each<Step>(['archive.verified', 'archive.committed', 'archive.confirmed', 'archive.recorded'])(
  'a write after the last check (%s) leaves the file dirty, with a copy of what it was',
  async (step) => {
    const { path, record } = await changedAt(step, `late ${step}`, 'next version', (target) =>
      appendFileSync(target, '!'),
    );
    expect(record).toMatchObject({ outcome: 'failed', code: 'changed', errno: 'EBUSY' });
    expect(await rig.content(path)).toBe('next version');
    expect((await rig.states(path)) & HSM.DIRTY).toBe(HSM.DIRTY);
    expect((await rig.sandbox.lfs(['hsm_release', path])).exitCode).not.toBe(0);
    await rig.archive(path);
    expect(await rig.content(path)).toBe('next version!');
  },
);

test('a file that is clean but holds something else than its archive is marked dirty', async () => {
  const path = rig.write('falsely clean', 'archived');
  const { fid, after } = await rig.archiveHeldAt('archive.ended', path);
  // As when the write falls between the end's check and the coordinator's completion.
  appendFileSync(path, ' and more');
  await rig.fs.files.setHsm(fid, { clear: HSM.DIRTY });
  expect(await rig.states(path)).toBe(HSM.EXISTS | HSM.ARCHIVED);
  rig.letGo('archive.ended');
  await rig.ended('archive', fid, after);
  expect((await rig.states(path)) & HSM.DIRTY).toBe(HSM.DIRTY);
  await rig.archive(path);
  expect(await rig.content(path)).toBe('archived and more');
});

describe('a file that is unlinked while it is archived', () => {
  test.each<Step>(['archive.taken', 'archive.begun'])('before it has been named (%s) uploads nothing', async (step) => {
    const path = rig.write(`unlinked ${step}`, 'x');
    const { fid, after } = await rig.archiveHeldAt(step, path);
    unlinkSync(path);
    rig.letGo(step);
    expect((await rig.ended('archive', fid, after)).record).toMatchObject({ outcome: 'failed', errno: 'ENOENT' });
    expect(await rig.content(path)).toBeUndefined();
  });

  test.each<Step>([
    'archive.uploaded',
    'archive.verified',
    'archive.committed',
    'archive.confirmed',
    'archive.recorded',
    'archive.ended',
  ])('later (%s) leaves no orphan behind', async (step) => {
    const path = rig.write(`unlinked ${step}`, 'x');
    const { fid, after } = await rig.archiveHeldAt(step, path);
    unlinkSync(path);
    rig.letGo(step);
    await rig.ended('archive', fid, after);
    await waitUntil('there is no orphan', async () => (await rig.content(path)) === undefined);
  });

  test('but still open has no name, so nothing is uploaded, and nothing of it is deleted', async () => {
    const path = rig.write('open', 'x');
    const { fid, after } = await rig.archiveHeldAt('archive.taken', path);
    const file = openSync(path, 'r');
    unlinkSync(path);
    rig.letGo('archive.taken');
    expect((await rig.ended('archive', fid, after)).record).toMatchObject({
      outcome: 'failed',
      code: 'unlinked',
      errno: 'ENOENT',
    });
    expect(fstatSync(file).nlink).toBe(0);
    closeSync(file);
    expect(await rig.content(path)).toBeUndefined();
  });

  test('and replaced by another of that name does not take the other’s copy along', async () => {
    const path = rig.write('saved', 'old editor buffer');
    const { fid, after } = await rig.archiveHeldAt('archive.ended', path);
    const fresh = rig.write('saved.tmp', 'new editor buffer');
    renameSync(fresh, path);
    await rig.archive(path);
    rig.letGo('archive.ended');
    await rig.ended('archive', fid, after);
    expect(await rig.content(path)).toBe('new editor buffer');
  });
});

describe('a file that is renamed while it is archived', () => {
  test.each<Step>(['archive.named', 'archive.committed', 'archive.ended'])(
    '(%s) is told to the follower, and can be restored',
    async (step) => {
      const path = rig.write(`renamed ${step}`, 'moved content');
      const { fid, after } = await rig.archiveHeldAt(step, path);
      mkdirSync(rig.path('elsewhere'), { recursive: true });
      const moved = rig.path('elsewhere', step);
      renameSync(path, moved);
      rig.letGo(step);
      expect((await rig.ended('archive', fid, after)).record).toMatchObject({ outcome: 'ok' });
      expect(
        rig.copytool.log.find(({ record }) => record?.['fid'] === fid && record['reason'] === 'renamed', after),
      ).not.toEqual([]);
      await rig.release(moved);
      expect(await read(moved)).toBe('moved content');
    },
  );
});
