import { writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { CopytoolChannel } from '../../../src/lustre/copytool-channel.ts';
import { helperPath } from '../../support/project.ts';
import { waitUntil } from '../../support/wait.ts';
import { Rig, read } from './fixture.ts';

let rig: Rig;
const serverSet = (setting: string) => rig.sandbox.serverLctl(['set_param', setting]);
const agents = async () => (await rig.sandbox.serverLctl(['get_param', '-n', 'mdt.*.hsm.agents'])).stdout.trim();

beforeAll(async () => {
  rig = await Rig.start({ config: { copytool: { registration_renewal: '1s' } } });
});
afterAll(() => rig?.stop());
beforeEach((context) => {
  if (!rig.sandbox.standIn) context.skip();
});
afterEach(async () => {
  await serverSet('mdt.*.hsm_control=enabled');
});

/** Archived and released while the copytool is known. */
async function released(name: string): Promise<string> {
  const path = rig.write(name, `content of ${name}`);
  await rig.archiveAndRelease(path);
  return path;
}

describe('a copytool that the coordinator has forgotten without telling it', () => {
  test('serves again by itself after the coordinator was shut down and enabled', async () => {
    const path = await released('shutdown');
    await serverSet('mdt.*.hsm_control=shutdown');
    expect(await agents()).toBe('');
    await serverSet('mdt.*.hsm_control=enabled');
    expect(await read(path)).toBe('content of shutdown');
    expect(await agents()).toContain('archive_id=1');
  });

  test('serves again as soon as the coordinator is there, however long that takes', async () => {
    const path = await released('long shutdown');
    await serverSet('mdt.*.hsm_control=shutdown');
    // It finds the coordinator gone, says so, and goes on trying.
    await rig.copytool.waitFor('copytool not registered any more, registering again');
    const after = rig.copytool.lines.length;
    await serverSet('mdt.*.hsm_control=enabled');
    await rig.copytool.waitFor('copytool registered', { after });
    expect(await read(path)).toBe('content of long shutdown');
  });

  test('serves again after another copytool of its client has unregistered', async () => {
    const path = await released('unregistered');
    const other = await CopytoolChannel.open({
      mount: rig.sandbox.mount,
      liblustreapi: rig.sandbox.llapi,
      helper: helperPath,
      archives: [2],
    });
    await other.close();
    expect(await read(path)).toBe('content of unregistered');
  });
});

describe('renewing the registration', () => {
  test('loses no action, whatever moment it comes in', async () => {
    const paths = await Promise.all(Array.from({ length: 6 }, (_, n) => released(`moment ${n}`)));
    for (const [n, path] of paths.entries()) {
      // Over the second that a renewal comes in.
      await delay(150 * n);
      expect(await read(path)).toMatch(/^content of/);
      writeFileSync(path, `again ${n}`);
      await rig.archive(path);
    }
  });

  test('leaves actions at work alone', async () => {
    const path = rig.write('at work', 'finished');
    const { fid } = await rig.archiveHeldAt('archive.named', path);
    // With work in hand it waits for ten intervals.
    await delay(12_000);
    rig.letGo('archive.named');
    expect((await rig.ended('archive', fid)).record).toMatchObject({ outcome: 'ok' });
    expect(rig.copytool.log.find('copytool not registered any more, registering again').length).toBeLessThan(3);
  });
});

describe('with a metadata server that is down', () => {
  let several: Rig;
  beforeAll(async () => {
    several = await Rig.start({ standInOnly: true, mdts: 2, config: { copytool: { registration_renewal: '1s' } } });
  });
  afterAll(() => several?.stop());

  const set = (setting: string) => several.sandbox.serverLctl(['set_param', setting]);
  const known = async () =>
    (await several.sandbox.serverLctl(['get_param', '-n', 'mdt.*.hsm.agents'])).stdout.includes('archive_id');
  const mdt1 = (words: string) => several.sandbox.simctl(['sim', ...words.split(' '), 'index=1']);

  test('nothing is renewed until it answers', async () => {
    await mdt1('op=mdt_down on=1');
    await waitUntil('the renewal asks it', async () => (await mdt1('op=mdt_waiting')).includes('waiting=1'));
    // What it would have undone: the other one goes on sending actions.
    expect(await known()).toBe(true);
    const path = several.write('meanwhile', 'served');
    await several.archiveAndRelease(path);
    expect(await read(path)).toBe('served');
    // Forgotten now, it stays so, as the first server alone must not be asked.
    await set('mdt.*.hsm_control=shutdown');
    await set('mdt.*.hsm_control=enabled');
    expect(await known()).toBe(false);
    expect(await mdt1('op=mdt_waiting')).toContain('waiting=1');
    await mdt1('op=mdt_down on=0');
    await waitUntil('it is registered again', known);
    expect(await read(path)).toBe('served');
  });
});
