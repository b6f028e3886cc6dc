import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { STEPS } from '../../../src/copytool/steps.ts';
import { waitUntil } from '../../support/wait.ts';
import { CLEAN, Rig, read } from './fixture.ts';

let rig: Rig;
beforeAll(async () => {
  rig = await Rig.start({
    config: { copytool: { block_size: '64KiB', range_size: '64KiB', max_bytes_in_flight: '2MiB' } },
  });
  if (rig.sandbox.standIn) {
    // Until actions are adopted, the coordinator gives a dead copytool's actions up only after this time.
    await rig.sandbox.serverLctl(['set_param', 'mdt.*.hsm.active_request_timeout=1']);
    await rig.sandbox.serverLctl(['set_param', 'mdt.*.hsm.loop_period=1']);
  }
});
afterAll(() => rig?.stop());
beforeEach((context) => {
  if (!rig.sandbox.standIn) context.skip();
});

const stepsOf = (action: string) => STEPS.filter((step) => step.startsWith(`${action}.`));

/** Kills the copytool and its helper, as a failing machine does, and starts another when Lustre has noticed. */
async function crash(path: string): Promise<void> {
  await rig.copytool.crash();
  await rig.restart();
  await waitUntil('the coordinator has given the action up', async () => {
    const found = await rig.fs.files.get({ path: Buffer.from(path) }, { parts: ['action'] });
    return found.action?.action === 'NOOP';
  });
}

describe.each(stepsOf('archive'))('killed at %s', (step) => {
  test.each([
    ['small', 'version two'],
    ['in blocks', 'version two '.repeat(20_000)],
  ])('a file that is %s has its copy, old or new, whole, and ends up archived', async (size, content) => {
    const path = rig.write(`${step} ${size}`, 'version one');
    await rig.archive(path);
    writeFileSync(path, content);
    await rig.archiveHeldAt(step, path);
    await crash(path);
    expect(['version one', content]).toContain(await rig.content(path));
    rig.letGo(step);
    await rig.lfs('hsm_archive', path);
    await waitUntil('the file is archived', async () => (await rig.states(path)) === CLEAN);
    await rig.release(path);
    expect(await read(path)).toBe(content);
    expect(await rig.content(path)).toBe(content);
  });
});

describe.each(stepsOf('restore'))('killed at %s', (step) => {
  test('the file stays released or is whole, and can be read', async () => {
    const content = `restored ${step} `.repeat(10_000);
    const path = rig.write(step, content);
    await rig.archiveAndRelease(path);
    rig.hold(step);
    const reading = read(path);
    await rig.held(step);
    await crash(path);
    rig.letGo(step);
    // The one that waited is told the truth or nothing: the content, or an error.
    expect([content, 'ENODATA', 'EIO', 'ETIMEDOUT', 'ECANCELED', 'EINTR']).toContain(await reading);
    expect(await read(path)).toBe(content);
    expect(await rig.content(path)).toBe(content);
  });
});

describe.each(stepsOf('remove'))('killed at %s', (step) => {
  test('the file keeps its data, and its copy can be removed or made again', async () => {
    const path = rig.write(step, 'resident');
    await rig.archive(path);
    rig.hold(step);
    await rig.lfs('hsm_remove', path);
    await rig.held(step);
    await crash(path);
    rig.letGo(step);
    expect(await read(path)).toBe('resident');
    writeFileSync(path, 'written again');
    await rig.archiveAndRelease(path);
    expect(await read(path)).toBe('written again');
  });
});
