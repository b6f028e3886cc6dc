import { renameSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { RECORD_XATTR } from '../../../src/identity/file-record.ts';
import { waitUntil } from '../../support/wait.ts';
import { Rig, read } from './fixture.ts';

/** A file's record may be behind its copy (a crash between commit and record) or gone (`rsync -X`, `setfattr -x`). */
let rig: Rig;
beforeAll(async () => {
  rig = await Rig.start();
  if (!rig.sandbox.standIn) return;
  await rig.sandbox.serverLctl(['set_param', 'mdt.*.hsm.active_request_timeout=1']);
  await rig.sandbox.serverLctl(['set_param', 'mdt.*.hsm.loop_period=1']);
});
afterAll(() => rig?.stop());
beforeEach((context) => {
  if (!rig.sandbox.standIn) context.skip();
});

const strip = async (path: string) => rig.fs.files.removeXattr(await rig.fid(path), RECORD_XATTR);

describe('a dirty file whose record is behind its copy can be archived', () => {
  const sizes: [string, (version: string) => string][] = [
    ['small', (version) => version],
    ['in blocks', (version) => version.repeat(200_000)],
  ];

  test.each(sizes)('by several versions, after kills between commit and record (%s)', async (size, content) => {
    const path = rig.write(`behind ${size}`, content('version one'));
    await rig.archive(path);
    for (const version of ['version two', 'version three']) {
      writeFileSync(path, content(version));
      await rig.archiveHeldAt('archive.committed', path);
      await rig.copytool.crash();
      await rig.restart();
      await waitUntil('the coordinator has given the action up', async () => {
        const found = await rig.fs.files.get({ path: Buffer.from(path) }, { parts: ['action'] });
        return found.action?.action === 'NOOP';
      });
      rig.letGo('archive.committed');
    }
    writeFileSync(path, content('version four'));
    await rig.archiveAndRelease(path);
    expect(await read(path)).toBe(content('version four'));
  });

  test.each(sizes)('because it was stripped (%s)', async (size, content) => {
    const path = rig.write(`stripped ${size}`, content('version 1'));
    for (const version of ['version 2', 'version 3', 'version 4']) {
      await rig.archive(path);
      writeFileSync(path, content(version));
    }
    await strip(path);
    await rig.archiveAndRelease(path);
    expect(await read(path)).toBe(content('version 4'));
  });
});

describe('a released file without a record', () => {
  test('does not get an older version of its length that is at its path', async () => {
    const path = rig.write('to and fro', 'content ONE');
    await rig.archive(path);
    const aside = rig.path('aside');
    renameSync(path, aside);
    writeFileSync(aside, 'content TWO');
    const { mtimeMs } = statSync(aside);
    utimesSync(aside, mtimeMs / 1000, mtimeMs / 1000 + 60);
    await rig.archive(aside);
    renameSync(aside, path);
    await rig.release(path);
    await strip(path);
    const [fid, after] = [await rig.fid(path), rig.copytool.lines.length];
    expect(await read(path)).toMatch(/^E[A-Z]+$/);
    const { record } = await rig.ended('restore', fid, after);
    expect(record).toMatchObject({ outcome: 'failed', code: 'copy-missing', errno: 'ENODATA' });
    expect(String(record?.['reason'])).toContain('modification time');
    renameSync(path, aside);
    expect(await read(aside)).toBe('content TWO');
  });
});
