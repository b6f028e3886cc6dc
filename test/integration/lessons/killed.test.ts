import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { waitUntil, within } from '../../support/wait.ts';
import { CLEAN, content, useBench } from './lessons.ts';

// Lesson 13: a copytool died, and its requests hung readers for days. The coordinator's own timeout is an hour here.

const bench = useBench({ config: { copytool: { heartbeat: '100ms', range_size: '64KiB' } } });

/** Milliseconds: a bound for what would otherwise take an hour. */
const PATIENCE = 60_000;

/** Waits until the coordinator has heard of the transfer: what it stores then decides whether it can be adopted. */
async function reported(path: string): Promise<void> {
  await waitUntil('progress has reached the coordinator', async () => {
    const { stdout } = await bench.it.sandbox.lfs(['hsm_action', path]);
    return /\(\d*[1-9]\d* bytes moved\)/.test(stdout);
  });
}

describe.each(['the copytool', 'its helper', 'both'] as const)('lesson 13: %s killed', (who) => {
  async function kill(): Promise<void> {
    const it = bench.it;
    if (who === 'its helper') {
      await it.copytool.killChildren();
      return;
    }
    await (who === 'both' ? it.copytool.crash() : it.copytool.kill());
    it.copytool = await it.sandbox.startCopytool([], it.steps.env);
  }

  it('a reader that waits gets its data, after reports of progress, too', async ({ skip }) => {
    const it = bench.it;
    if (!it.sandbox.standIn) skip('a hang would last');
    const data = content(300_000);
    const path = await it.write(`read, ${who}`, data);
    await it.command('archive', path);
    await it.command('release', path);
    const restoring = it.steps.hold('restore.copied');
    const reading = readFile(path);
    await restoring.reached();
    await reported(path);
    await kill();
    restoring.release();
    expect((await within('the reader has its data', PATIENCE, reading)).equals(data)).toBe(true);
  });

  it('an archive is finished', async ({ skip }) => {
    const it = bench.it;
    if (!it.sandbox.standIn) skip('a hang would last');
    const data = content(300_000);
    const path = await it.write(`archived, ${who}`, data);
    const archiving = it.steps.hold('archive.uploaded');
    expect((await it.sandbox.lfs(['hsm_archive', path])).exitCode).toBe(0);
    await archiving.reached();
    await kill();
    archiving.release();
    await it.waitForState(path, CLEAN);
    expect((await it.blob(it.sandbox.blobName(path)))?.equals(data)).toBe(true);
  });
});
