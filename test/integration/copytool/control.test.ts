import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import type { ActionInFlight, CopytoolFigures } from '../../../src/copytool/figures.ts';
import { copytoolSocket } from '../../../src/copytool/socket.ts';
import { askService } from '../../../src/service/control/client.ts';
import { waitUntil } from '../../support/wait.ts';
import { Rig, read } from './fixture.ts';

/** Of the coordinator, seconds: an action that is not heard of for so long is given up. */
const TIMEOUT_S = 1;
const KiB = 1024;

let rig: Rig;
let config: Record<string, unknown>;

beforeAll(async () => {
  rig = await Rig.start({
    config: {
      copytool: {
        block_size: '64KiB',
        range_size: '64KiB',
        max_bytes_in_flight: '4MiB',
        concurrency: 2,
        restore_reserve: 1,
        upload_concurrency_per_file: 2,
      },
    },
  });
  config = parse(readFileSync(rig.sandbox.configFile, 'utf8')) as Record<string, unknown>;
  if (rig.sandbox.standIn) {
    await rig.sandbox.serverLctl([
      'set_param',
      `mdt.*.hsm.active_request_timeout=${TIMEOUT_S}`,
      'mdt.*.hsm.loop_period=1',
      // When so many are out, the coordinator keeps everything else to itself, cancels too.
      'mdt.*.hsm.max_requests=10',
    ]);
  }
});
afterEach(async () => {
  await ctl('resume');
  await reconfigure({});
});
afterAll(async () => {
  await rig?.stop();
});

async function ctl<T = unknown>(...args: string[]): Promise<T> {
  const { exitCode, stdout, stderr } = await rig.sandbox.run(['copytool', 'ctl', ...args, '--json']);
  if (exitCode !== 0) throw new Error(`copytool ctl ${args.join(' ')}: ${exitCode} ${stdout} ${stderr}`);
  return JSON.parse(stdout) as T;
}

/** The figures without a process for each look; what the command prints has a test of its own. */
async function status(): Promise<CopytoolFigures> {
  const directory = join(rig.sandbox.dir, 'run-dir');
  const target = { directory, name: copytoolSocket(rig.sandbox.mount), service: 'copytool', start: '' };
  return (await askService(target, 'status')) as CopytoolFigures;
}

/** A status in which something is so. */
function statusWhere(what: string, holds: (figures: CopytoolFigures) => boolean): Promise<CopytoolFigures> {
  let last: CopytoolFigures | undefined;
  return waitUntil(
    what,
    async () => {
      last = await status();
      return holds(last) ? last : undefined;
    },
    { interval: 200, detail: () => `${JSON.stringify(last, undefined, 1)}\n${rig.copytool.log.text().slice(-4_000)}` },
  );
}

const actionOn = (figures: CopytoolFigures, fid: string): ActionInFlight | undefined =>
  figures.inFlight.find((action) => action.fid === fid);

/** Writes the configuration with other settings of the copytool, and has it read. */
async function reconfigure(copytool: object, more: object = {}): Promise<void> {
  const text = stringify({ ...config, ...more, copytool: { ...(config['copytool'] as object), ...copytool } });
  writeFileSync(rig.sandbox.configFile, text);
  await ctl('reload');
}

async function hangup(message: string): Promise<Record<string, unknown>> {
  const after = rig.copytool.lines.length;
  process.kill(rig.copytool.pid, 'SIGHUP');
  const { record } = await rig.copytool.waitFor(({ record }) => record?.['msg'] === message, { after });
  return record as Record<string, unknown>;
}

describe('status', () => {
  test('tells what was done, how much, and with which settings', async () => {
    const before = await status();
    const path = rig.write('counted', randomBytes(150 * KiB).toString('latin1'));
    const size = readFileSync(path).length;
    await rig.archiveAndRelease(path);
    await read(path);
    const [archive, restore] = [
      { succeeded: 1, moved: size, bytes: size },
      { succeeded: 1, moved: size, bytes: size },
    ];
    const figures = await statusWhere(
      'both are counted',
      ({ actions, queue }) =>
        queue.running + queue.queued === 0 && actions.restore.succeeded === before.actions.restore.succeeded + 1,
    );
    for (const [kind, grown] of Object.entries({ archive, restore }) as ['archive' | 'restore', typeof archive][]) {
      for (const [field, by] of Object.entries(grown) as [keyof typeof archive, number][]) {
        expect(figures.actions[kind][field] - before.actions[kind][field], `${kind} ${field}`).toBe(by);
      }
      expect(figures.archives['1']?.actions[kind]).toEqual(figures.actions[kind]);
      expect(figures.bandwidth[kind].bytes - before.bandwidth[kind].bytes).toBe(size);
      expect(figures.rates.bytesPerSecond[kind]['5m']).toBeGreaterThan(0);
    }
    expect(figures).toMatchObject({
      schema: 1,
      service: 'copytool',
      process: { pid: rig.copytool.pid, version: expect.stringMatching(/^\d+\.\d+\.\d+/) },
      lustre: { mount: rig.sandbox.mount, registered: true, helper: { pid: expect.any(Number) } },
      paused: {},
      archives: { '1': { container: rig.sandbox.container } },
      bandwidth: { all: { limit: null, held: false, waiting: 0 } },
      inFlight: [],
      actionsOmitted: 0,
      restart: [],
    });
    expect(figures.settings).toContainEqual(
      expect.objectContaining({ setting: 'copytool.concurrency', value: '2', live: true }),
    );
    expect(Object.keys(await ctl<CopytoolFigures>('status'))).toEqual(Object.keys(figures));
    const { stdout } = await rig.sandbox.run(['copytool', 'ctl', 'status']);
    expect(stdout).toContain(`of ${rig.sandbox.mount}`);
    expect(stdout).toMatch(/^restore +0 +0 +\d/m);
  });

  test('counts failures by their code', async () => {
    const path = rig.write('conflict', 'mine');
    await rig.sandbox.containerClient.getBlockBlobClient(rig.sandbox.blobName(path)).upload('theirs', 6);
    await rig.ask('archive', path);
    const figures = await statusWhere('it is counted', ({ errors }) => (errors['stranger'] ?? 0) > 0);
    expect(figures.errors['stranger']).toBe(1);
    expect(figures.actions.archive.failed).toBeGreaterThan(0);
  });
});

describe('a pause', () => {
  test('keeps readers and archives waiting beyond the coordinator’s timeout; afterwards they get what they want', async () => {
    const released = rig.write('read-while-paused', 'worth the wait');
    await rig.archiveAndRelease(released);
    const [first, second] = [rig.write('archived-while-paused', 'later'), rig.write('cancelled-while-paused', 'never')];
    const after = rig.copytool.lines.length;
    expect(await ctl('pause')).toMatchObject({ paused: { archive: { now: false }, restore: {}, remove: {} } });
    const reading = read(released);
    await rig.lfs('hsm_archive', first, second);
    const fids = await Promise.all([released, first, second].map((path) => rig.fid(path)));
    const held = await statusWhere('all three wait', ({ queue }) => queue.queued === 3);
    expect(held.inFlight.map(({ state }) => state)).toEqual(['paused', 'paused', 'paused']);
    const cookies = held.inFlight.map(({ cookie }) => cookie);

    await delay(4 * TIMEOUT_S * 1000);
    await hangup('configuration read again');
    const still = await status();
    expect(still.inFlight.map(({ cookie }) => cookie)).toEqual(cookies);
    expect(still.paused).toEqual(held.paused);
    expect(still.counters.heartbeats).toBeGreaterThan(held.counters.heartbeats);

    await rig.lfs('hsm_cancel', second);
    const cancelled = await rig.ended('archive', fids[2] as never, after);
    expect(cancelled.record).toMatchObject({ outcome: 'cancelled' });
    // It counts until Lustre has been told.
    await statusWhere('two are left', ({ queue }) => queue.queued === 2);

    expect(await ctl('resume', 'restore')).toMatchObject({ paused: { archive: {}, remove: {} } });
    expect(await reading).toBe('worth the wait');
    expect(await rig.content(first)).toBeUndefined();
    await ctl('resume');
    expect((await rig.ended('archive', fids[1] as never, after)).record).toMatchObject({ outcome: 'ok' });
    expect(await rig.content(first)).toBe('later');
    expect(await rig.content(second)).toBeUndefined();
  });

  test('--now holds what is under way at its next block, and lets it go on where it was', async () => {
    // Half a minute at this rate: it is not over when it is held.
    const content = randomBytes(KiB * KiB).toString('hex');
    const path = rig.write('held-under-way', content);
    const [fid, after] = [await rig.fid(path), rig.copytool.lines.length];
    await ctl('set', 'bandwidth_archive', '64KiB/s');
    await rig.lfs('hsm_archive', path);
    await statusWhere('some of it has gone', (figures) => (actionOn(figures, fid)?.moved ?? 0) > 0);
    await ctl('pause', 'archive', '--now');
    await ctl('set', 'bandwidth_archive', 'unlimited');
    const held = await statusWhere('its blocks wait', ({ bandwidth }) => bandwidth.archive.waiting === 2);
    expect(held.bandwidth.archive).toMatchObject({ held: true, limit: null });
    expect(actionOn(held, fid)).toMatchObject({ state: 'held', size: content.length });
    await delay(2 * TIMEOUT_S * 1000);
    expect(actionOn(await status(), fid)?.moved).toBe(actionOn(held, fid)?.moved);
    await ctl('resume');
    expect((await rig.ended('archive', fid, after)).record).toMatchObject({ outcome: 'ok', bytes: content.length });
    expect(await rig.content(path)).toBe(content);
  });

  test('of what is under way can be ended by a cancel', async () => {
    const path = rig.write('held-and-cancelled', randomBytes(2 * KiB * KiB));
    const [fid, after] = [await rig.fid(path), rig.copytool.lines.length];
    await ctl('pause', 'all', '--now');
    await ctl('resume', 'archive');
    await ctl('set', 'bandwidth_archive', '64KiB/s');
    await rig.lfs('hsm_archive', path);
    await statusWhere('it has begun', (figures) => (actionOn(figures, fid)?.moved ?? 0) > 0);
    await ctl('pause', 'all', '--now');
    await rig.lfs('hsm_cancel', path);
    expect((await rig.ended('archive', fid, after)).record).toMatchObject({ outcome: 'cancelled' });
    expect((await status()).bandwidth.archive.waiting).toBe(0);
  });
});

describe('set', () => {
  test('more slots are used at once, and a bandwidth for all is taken by what is under way', async () => {
    await ctl('set', 'bandwidth', '64KiB/s');
    const paths = ['a', 'b', 'c'].map((name) => rig.write(`slots-${name}`, randomBytes(KiB * KiB)));
    const after = rig.copytool.lines.length;
    await rig.lfs('hsm_archive', ...paths);
    const fids = await Promise.all(paths.map((path) => rig.fid(path)));
    const few = await statusWhere('one is at work', ({ queue }) => queue.running === 1 && queue.queued === 2);
    expect(few.bandwidth.all.limit).toBe(64 * KiB);
    expect(await ctl('set', 'concurrency', '5')).toEqual({ setting: 'copytool.concurrency', from: '2', to: '5' });
    await statusWhere('all are at work', ({ queue }) => queue.running === 3);
    await ctl('set', 'bandwidth', 'unlimited');
    for (const fid of fids) expect((await rig.ended('archive', fid, after)).record).toMatchObject({ outcome: 'ok' });
  });

  test('changes what is logged, until SIGHUP', async () => {
    expect(await ctl('set', 'log.level', 'info')).toEqual({ setting: 'log.level', from: 'debug', to: 'info' });
    const after = rig.copytool.lines.length;
    await rig.archive(rig.write('quiet', 'x'));
    expect(rig.copytool.log.find(({ record }) => record?.['level'] === 'debug', after)).toEqual([]);
    const { changed } = await hangup('configuration read again');
    expect(changed).toEqual([{ setting: 'log.level', from: 'info', to: 'debug' }]);
    await rig.archive(rig.write('loud', 'x'));
    expect(rig.copytool.log.find(({ record }) => record?.['level'] === 'debug', after)).not.toEqual([]);
  });

  test.each([
    [['bandwidth', 'fast'], 'SETTING_INVALID', "must be 'unlimited' or a rate"],
    [['concurrency', '0'], 'SETTING_INVALID', 'must be from 1 to 1024'],
    [['concurrency', '1'], 'SETTING_INVALID', 'restore_reserve must be less than copytool.concurrency'],
    [['concurrency', '500'], 'SETTING_NEEDS_RESTART', 'can be raised to 16'],
    [['max_bytes_in_flight', '1GiB'], 'SETTING_NEEDS_RESTART', "can't be changed while the copytool runs"],
    [['mount', '/mnt/other'], 'SETTING_NEEDS_RESTART', "can't be changed while the copytool runs"],
    [['bandwith', '1GiB/s'], 'SETTING_UNKNOWN', "no setting 'bandwith'"],
  ])('refuses %j, and says why', async (args, code, message) => {
    const before = await status();
    const { exitCode, stdout } = await rig.sandbox.run(['copytool', 'ctl', 'set', ...args, '--json']);
    expect(exitCode).toBe(2);
    expect(JSON.parse(stdout)).toMatchObject({ error: { code, message: expect.stringContaining(message) } });
    expect((await status()).settings).toEqual(before.settings);
  });
});

describe('SIGHUP', () => {
  test('keeps what is in force when the file is broken, and says what is wrong', async () => {
    await ctl('set', 'bandwidth', '10MiB/s');
    const before = await status();
    for (const [broken, reason] of [
      [`${stringify(config)}\n  - nonsense: [`, rig.sandbox.configFile],
      [stringify({ ...config, copytool: { concurrency: 'many' } }), 'copytool.concurrency: must be a whole number'],
    ] as const) {
      writeFileSync(rig.sandbox.configFile, broken);
      const told = await hangup('configuration could not be read again, the old one stays in force');
      expect(told).toMatchObject({ level: 'error', reason: expect.stringContaining(reason) });
      const { exitCode, stderr } = await rig.sandbox.run([
        ...['copytool', 'ctl', 'reload', '--socket'],
        join(rig.sandbox.dir, 'run-dir', `copytool${rig.sandbox.mount.replaceAll('/', '-')}.sock`),
      ]);
      expect({ exitCode, stderr }).toEqual({ exitCode: 2, stderr: expect.stringContaining(reason) });
      writeFileSync(rig.sandbox.configFile, stringify(config));
      expect((await status()).settings).toEqual(before.settings);
    }
    await rig.archive(rig.write('goes-on', 'as before'));
  });

  test('puts in force what can be, and says what needs a restart', async () => {
    await ctl('set', 'concurrency', '7');
    const copytool = { bandwidth_restore: '5MiB/s', concurrency: 3, heartbeat: '300ms' };
    const text = stringify({ ...config, copytool: { ...(config['copytool'] as object), ...copytool } });
    writeFileSync(rig.sandbox.configFile, text);
    const after = rig.copytool.lines.length;
    const { changed } = await hangup('configuration read again');
    expect(changed).toEqual([
      { setting: 'copytool.concurrency', from: '7', to: '3' },
      { setting: 'copytool.bandwidth_restore', from: 'unlimited', to: '5MiB/s' },
    ]);
    const restart = [{ setting: 'copytool.heartbeat', from: '200ms', to: '300ms' }];
    const warned = await rig.copytool.waitFor('some settings take effect after a restart', { after });
    expect(warned.record).toMatchObject({ settings: restart });
    const figures = await status();
    expect(figures.bandwidth.restore.limit).toBe(5 * KiB * KiB);
    expect(figures.restart).toEqual(restart);
    expect(figures.settings).toContainEqual(
      expect.objectContaining({ setting: 'copytool.heartbeat', value: '200ms', live: false }),
    );
  });
});

describe('the end', () => {
  test('of a copytool that holds what is under way comes at once, and loses nothing', async () => {
    const released = rig.write('read-over-the-end', 'at last');
    await rig.archiveAndRelease(released);
    await ctl('set', 'bandwidth_archive', '64KiB/s');
    const path = rig.write('handed-back', randomBytes(2 * KiB * KiB));
    const fid = await rig.fid(path);
    await rig.lfs('hsm_archive', path);
    await statusWhere('it has begun', (figures) => (actionOn(figures, fid)?.moved ?? 0) > 0);
    await ctl('pause', 'all', '--now');
    const reading = read(released);
    await statusWhere('the reader waits', ({ queue }) => queue.queued === 1);
    const stopping = Date.now();
    expect(await rig.copytool.stop()).toMatchObject({ exitCode: 143 });
    // Its drain timeout is a minute.
    expect(Date.now() - stopping).toBeLessThan(30_000);
    const asked = await rig.sandbox.run(['copytool', 'ctl', 'status', '--json']);
    expect(asked.exitCode).toBe(1);
    expect(JSON.parse(asked.stdout)).toMatchObject({ error: { code: 'SERVICE_NOT_RUNNING' } });
    await rig.restart();
    expect((await status()).paused).toEqual({});
    expect(['at last', 'EAGAIN', 'ENODATA']).toContain(await reading);
    expect(await read(released)).toBe('at last');
    // Lustre tries an archive again only if its policy says so.
    await rig.archive(path);
  });
});
