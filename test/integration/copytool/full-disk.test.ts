import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { waitUntil } from '../../support/wait.ts';
import { CLEAN, Rig, read } from './fixture.ts';

const asRoot = process.getuid?.() === 0;

describe.skipIf(!asRoot)('a copytool whose log and audit log are on a full disk', () => {
  let disk: string;
  let rig: Rig;
  const log = () => join(disk, 'copytool.log');
  const audit = () => join(disk, 'audit.log');
  const filler = () => join(disk, 'filler');

  beforeAll(async () => {
    disk = mkdtempSync(join(tmpdir(), 'lfsazsync-disk-'));
    // Room for four files, the directory among them.
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k,nr_inodes=4', 'tmpfs', disk]);
    rig = await Rig.start({ config: { log: { audit_file: audit() } } });
  });
  afterAll(async () => {
    await rig?.stop();
    execFileSync('umount', ['-l', disk]);
    rmSync(disk, { recursive: true });
  });

  /** Starts the copytool again, with its log on the disk; what it says there may be lost. */
  async function restart(): Promise<void> {
    await rig.copytool.stop();
    rig.copytool = rig.sandbox.startService(['copytool'], {
      LFSAZSYNC_TEST_STEPS: rig.steps,
      LFSAZSYNC_LOG_FILE: log(),
    });
    await waitUntil('it answers', () => status(rig));
  }

  async function archived(path: string): Promise<void> {
    await rig.lfs('hsm_archive', path);
    await waitUntil(`${path} is archived`, async () => ((await rig.states(path)) & CLEAN) === CLEAN);
  }

  test('serves readers and archives, deletes and overwrites nothing, and does so again when there is room', async () => {
    const files = Array.from({ length: 8 }, (_, n) => rig.write(`read-${n}`, `content ${n}`));
    for (const file of files) await rig.archiveAndRelease(file);
    const [kept, dead] = [rig.write('kept', 'its copy'), rig.write('dead', 'of the dead')];
    await rig.archive(kept);
    await rig.archive(dead);
    unlinkSync(dead);
    writeFileSync(dead, 'of the living');
    await restart();
    fill(filler());

    for (const [n, file] of files.entries()) expect(await read(file)).toBe(`content ${n}`);
    for (let n = 0; n < 8; n++) await archived(rig.write(`new-${n}`, `new ${n}`));
    expect(await rig.content(rig.path('new-7'))).toBe('new 7');
    await rig.lfs('hsm_remove', kept);
    await rig.lfs('hsm_archive', dead);
    const full = await waitUntil('both have failed', async () => {
      const now = await status(rig);
      return now.actions.remove.failed === 1 && now.actions.archive.failed === 1 && now;
    });
    expect(full.counters['logLinesDropped']).toBeGreaterThan(0);
    expect(await rig.content(kept)).toBe('its copy');
    expect(await rig.content(dead)).toBe('of the dead');
    expect(readFileSync(audit(), 'utf8')).toBe('');
    expect(rig.copytool.log.text().match(/log file .* can not be written.*ENOSPC/g)).toHaveLength(1);

    rmSync(filler());
    await rig.lfs('hsm_remove', kept);
    await waitUntil('the copy is gone', async () => (await rig.content(kept)) === undefined);
    await archived(dead);
    expect(await rig.content(dead)).toBe('of the living');
    const audited = linesOf(audit());
    expect(audited).toMatchObject([
      { action: 'delete', blob: rig.sandbox.blobName(kept) },
      { action: 'overwrite', blob: rig.sandbox.blobName(dead) },
    ]);
    expect(readFileSync(log(), 'utf8')).toContain('log lines could not be written and are lost');
  });

  test('says why a deletion ended, when only its audit log is on the full disk; a disk full at the start stops nothing', async () => {
    const [file, kept] = [rig.write('read', 'content'), rig.write('kept-too', 'its copy')];
    await archived(file);
    await rig.release(file);
    await archived(kept);
    await rig.copytool.stop();
    for (const path of [log(), audit()]) rmSync(path);
    // Not even an empty file can be made.
    const more = [1, 2, 3].map((n) => join(disk, `filler-${n}`));
    for (const path of more) writeFileSync(path, '');

    await rig.restart();
    const removal = await rig.ask('remove', kept);
    expect(removal.record).toMatchObject({ outcome: 'failed' });
    expect(removal.text).toContain(`the audit log ${audit()} can't be written (ENOSPC`);
    expect(await rig.content(kept)).toBe('its copy');

    await restart();
    expect(await read(file)).toBe('content');
    await archived(rig.write('new', 'new'));
    expect((await status(rig)).counters['logLinesDropped']).toBeGreaterThan(0);
    for (const path of more) rmSync(path);
    await rig.lfs('hsm_remove', kept);
    await waitUntil('the copy is gone', async () => (await rig.content(kept)) === undefined);
    expect(linesOf(audit())).toMatchObject([{ action: 'delete', blob: rig.sandbox.blobName(kept) }]);
    expect(readFileSync(log(), 'utf8')).toContain('log lines could not be written and are lost');
  });
});

/** Takes every page of the disk. */
function fill(file: string): void {
  try {
    for (;;) appendFileSync(file, Buffer.alloc(4096));
  } catch {
    // it is full
  }
}

function linesOf(file: string): unknown[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as unknown);
}

interface Status {
  readonly counters: Readonly<Record<string, number>>;
  readonly actions: Readonly<Record<'archive' | 'remove', { readonly failed: number }>>;
}

async function status(rig: Rig): Promise<Status> {
  const { stdout, stderr, exitCode } = await rig.sandbox.run(['copytool', 'ctl', 'status', '--json']);
  if (exitCode !== 0) throw new Error(`status: ${stderr}`);
  return JSON.parse(stdout) as Status;
}
