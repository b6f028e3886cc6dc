import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { silentLog } from '../../test/support/silent-log.ts';
import { loadConfig } from '../config/load.ts';
import type { Config } from '../config/types.ts';
import { LiveSettings } from './settings.ts';

let directory: string;
let applied: Config[];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'lfsazsync-settings-'));
  applied = [];
});
afterEach(() => rmSync(directory, { recursive: true }));

function write(copytool: object, more: object = {}): void {
  writeFileSync(join(directory, 'config.yaml'), stringify({ mount: '/mnt/lustre', ...more, copytool }));
}

async function start(flags: { flag: string; path: string; value: unknown }[] = []): Promise<LiveSettings> {
  const reload = () => loadConfig({ file: join(directory, 'config.yaml'), env: {}, flags });
  const settings = new LiveSettings({ loaded: await reload(), reload, mostConcurrency: 64, log: silentLog });
  settings.follow((config) => applied.push(config));
  return settings;
}

const originOf = (settings: LiveSettings, name: string) =>
  settings.list().find(({ setting }) => setting === name)?.from;

it('puts one change after the other in force, until the file is read again', async () => {
  write({ concurrency: 8 });
  const settings = await start([{ flag: '--log-level', path: 'log.level', value: 'warn' }]);
  expect(applied).toHaveLength(1);
  settings.set('copytool.bandwidth', '10MiB/s');
  settings.set('concurrency', '12');
  settings.set('log.level', 'debug');
  expect(applied.at(-1)).toMatchObject({
    log: { level: 'debug' },
    copytool: { concurrency: 12, bandwidth: 10 * 1024 ** 2 },
  });
  expect(settings.copytool.concurrency).toBe(12);
  expect(originOf(settings, 'copytool.concurrency')).toBe('ctl set');
  write({ concurrency: 9 });
  expect((await settings.reload()).changed).toEqual([
    { setting: 'log.level', from: 'debug', to: 'warn' },
    { setting: 'copytool.concurrency', from: '12', to: '9' },
    { setting: 'copytool.bandwidth', from: '10MiB/s', to: 'unlimited' },
  ]);
  expect(settings.copytool).toMatchObject({ concurrency: 9, bandwidth: 'unlimited' });
  expect(originOf(settings, 'log.level')).toBe('--log-level');
});

it('changes nothing when a value is none, alone or with the others', async () => {
  write({ concurrency: 8, restore_reserve: 4 });
  const settings = await start();
  const before = settings.list();
  expect(() => settings.set('concurrency', '4')).toThrow(/restore_reserve must be less than copytool.concurrency/);
  settings.set('restore_reserve', '2');
  settings.set('concurrency', '4');
  expect(settings.copytool).toMatchObject({ concurrency: 4, restoreReserve: 2 });
  expect(() => settings.set('restore_reserve', '4')).toThrow(/must be less/);
  expect(settings.copytool).toMatchObject({ concurrency: 4, restoreReserve: 2 });
  writeFileSync(join(directory, 'config.yaml'), 'mount: relative');
  await expect(settings.reload()).rejects.toThrow(/mount/);
  expect(settings.copytool).toMatchObject({ concurrency: 4, restoreReserve: 2 });
  write({ concurrency: 8, restore_reserve: 4 });
  await settings.reload();
  expect(settings.list()).toEqual(before);
});

it('keeps what needs a restart as it was, says so, and forgets it when the file is as before', async () => {
  write({ concurrency: 8 });
  const settings = await start();
  write({ concurrency: 8, helper_threads: 20 }, { lfs: '/opt/bin/lfs' });
  const restart = [
    { setting: 'lfs', from: 'lfs', to: '/opt/bin/lfs' },
    { setting: 'copytool.helper_threads', from: '18', to: '20' },
  ];
  expect(await settings.reload()).toEqual({ changed: [], restart });
  expect(settings.restart).toEqual(restart);
  expect(applied.at(-1)).toMatchObject({ lfs: 'lfs', copytool: { helperThreads: 18 } });
  expect(settings.list()).toContainEqual(expect.objectContaining({ setting: 'lfs', value: 'lfs', live: false }));
  write({ concurrency: 8 });
  expect(await settings.reload()).toEqual({ changed: [], restart: [] });
});

it('raises the concurrency as far as the helper has threads, and the rest with a restart', async () => {
  write({ concurrency: 8 });
  const settings = await start();
  expect(() => settings.set('concurrency', '65')).toThrow(/can be raised to 64/);
  write({ concurrency: 100 });
  const { restart } = await settings.reload();
  expect(settings.copytool.concurrency).toBe(64);
  expect(restart).toEqual([{ setting: 'copytool.concurrency', from: '8', to: '100' }]);
  expect(settings.list()).toContainEqual(expect.objectContaining({ setting: 'copytool.concurrency', value: '64' }));
});
