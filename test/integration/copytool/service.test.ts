import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ContainerSASPermissions } from '@azure/storage-blob';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ROOT_FID } from '../../../src/identity/fid.ts';
import { FILE_SYSTEM_XATTR } from '../../../src/identity/file-record.ts';
import { HSM } from '../../../src/lustre/hsm-state.ts';
import { createContainer } from '../../support/endpoint.ts';
import { waitUntil } from '../../support/wait.ts';
import { CLEAN, RELEASED, Rig, read } from './fixture.ts';
import { StallingProxy } from './proxy.ts';

let rig: Rig;
let proxy: StallingProxy;
const secret = () => join(rig.sandbox.dir, 'connection-string');
/** The sandbox's variables say again what stands in its configuration: here the file is to count. */
const FILE_COUNTS = { AZURE_STORAGE_CONNECTION_STRING: undefined, LFSAZSYNC_CONTAINER: undefined };

beforeAll(async () => {
  rig = await Rig.start({
    config: {
      copytool: {
        block_size: '64KiB',
        range_size: '64KiB',
        max_bytes_in_flight: '4MiB',
        concurrency: 2,
        restore_reserve: 1,
        drain_timeout: '30s',
      },
    },
  });
  proxy = await StallingProxy.start(rig.sandbox.connectionString);
  await rig.copytool.stop();
  writeFileSync(secret(), proxy.through(rig.sandbox.connectionString), { mode: 0o600 });
  await rig.restart(FILE_COUNTS);
});
afterEach(() => {
  proxy.rule = () => undefined;
});
afterAll(async () => {
  await rig?.stop();
  await proxy?.stop();
});

const cancelArrived = (fid: string, after: number) =>
  rig.copytool.waitFor(({ record }) => record?.['fid'] === fid && record['msg'] === 'action cancelled', { after });

describe('a transfer that hangs', () => {
  beforeEach(() => {
    proxy.stalled = 0;
  });

  test('is cancelled within a second, ended once as cancelled, and leaves the previous version', async () => {
    const path = rig.write('cancelled', 'previous');
    await rig.archive(path);
    writeFileSync(path, randomBytes(1 << 20));
    const [fid, after] = [await rig.fid(path), rig.copytool.lines.length];
    proxy.rule = ({ url = '' }) => (url.includes('comp=block&') ? 'stall' : undefined);
    await rig.lfs('hsm_archive', path);
    await waitUntil('the upload hangs', () => proxy.stalled > 0);
    await rig.lfs('hsm_cancel', path);
    const told = await cancelArrived(fid, after);
    const { record } = await rig.ended('archive', fid, after);
    expect(record).toMatchObject({ outcome: 'cancelled', errno: 'ECANCELED' });
    // The promise, with a hundred times what it takes.
    expect(Date.parse(String(record?.['time'])) - Date.parse(String(told.record?.['time']))).toBeLessThan(1_000);
    expect(await rig.content(path)).toBe('previous');
    expect((await rig.states(path)) & HSM.DIRTY).toBe(HSM.DIRTY);
    proxy.rule = () => undefined;
    await rig.archive(path);
  });

  test('of a restore is cancelled, its reader gets an error, and the file can be read later', async () => {
    const path = rig.write('unread', randomBytes(1 << 20).toString('hex'));
    await rig.archiveAndRelease(path);
    const [fid, after] = [await rig.fid(path), rig.copytool.lines.length];
    proxy.rule = ({ method, headers }) =>
      method === 'GET' && (headers['range'] ?? headers['x-ms-range']) !== undefined ? 'stall' : undefined;
    const reading = read(path);
    await waitUntil('the download hangs', () => proxy.stalled > 0);
    await rig.lfs('hsm_cancel', path);
    expect(await reading).toBe('ENODATA');
    expect((await rig.ended('restore', fid, after)).record).toMatchObject({ outcome: 'cancelled' });
    expect(await rig.states(path)).toBe(RELEASED);
    proxy.rule = () => undefined;
    expect(await read(path)).toHaveLength(2 << 20);
  });

  test('is kept alive by heartbeats beyond the coordinator’s timeout', async () => {
    if (!rig.sandbox.standIn) return;
    await rig.sandbox.serverLctl(['set_param', 'mdt.*.hsm.active_request_timeout=2']);
    const path = rig.write('slow', randomBytes(200 * 1024).toString('hex'));
    const [fid, after] = [await rig.fid(path), rig.copytool.lines.length];
    proxy.rule = ({ url = '' }) => (url.includes('comp=block&') ? 'stall' : undefined);
    await rig.lfs('hsm_archive', path);
    await waitUntil('the upload hangs', () => proxy.stalled > 0);
    await delay(6_000);
    expect(
      rig.copytool.log.find(({ record }) => record?.['fid'] === fid && record['outcome'] !== undefined, after),
    ).toEqual([]);
    await rig.lfs('hsm_cancel', path);
    expect((await rig.ended('archive', fid, after)).record).toMatchObject({ outcome: 'cancelled' });
    await rig.sandbox.serverLctl(['set_param', 'mdt.*.hsm.active_request_timeout=3600']);
  });

  test('of archives leaves room for restores; what waits is kept alive and can be cancelled', async () => {
    const wanted = rig.write('wanted', 'now please');
    await rig.archiveAndRelease(wanted);
    const big = [rig.write('big1', randomBytes(1 << 20)), rig.write('big2', randomBytes(1 << 20))];
    const after = rig.copytool.lines.length;
    proxy.rule = ({ url = '' }) => (url.includes('comp=block&') ? 'stall' : undefined);
    await rig.lfs('hsm_archive', ...big);
    await waitUntil('an upload hangs', () => proxy.stalled > 0);
    expect(await read(wanted)).toBe('now please');
    for (const path of big) await rig.lfs('hsm_cancel', path);
    for (const path of big)
      expect((await rig.ended('archive', await rig.fid(path), after)).record).toMatchObject({ outcome: 'cancelled' });
    expect(await rig.content(big[0] ?? '')).toBeUndefined();
  });
});

describe('cancelled between two steps', () => {
  test.each(['archive.verified', 'archive.uploaded', 'archive.named'] as const)(
    '%s: nothing is committed',
    async (step) => {
      const path = rig.write(`cancel ${step}`, 'never committed');
      const { fid, after } = await rig.archiveHeldAt(step, path);
      await rig.lfs('hsm_cancel', path);
      await cancelArrived(fid, after);
      rig.letGo(step);
      expect((await rig.ended('archive', fid, after)).record).toMatchObject({
        outcome: 'cancelled',
        errno: 'ECANCELED',
      });
      expect(await rig.content(path)).toBeUndefined();
      expect(await rig.record(path)).toBeUndefined();
      expect((await rig.states(path)) & HSM.ARCHIVED).toBe(0);
    },
  );

  test('archive.committed: the blob stays, the file does not say that it is archived', async () => {
    const path = rig.write('cancel committed', 'committed, but not ours any more');
    const { fid, after } = await rig.archiveHeldAt('archive.committed', path);
    await rig.lfs('hsm_cancel', path);
    await cancelArrived(fid, after);
    rig.letGo('archive.committed');
    expect((await rig.ended('archive', fid, after)).record).toMatchObject({ outcome: 'cancelled' });
    expect(await rig.record(path)).toBeUndefined();
    expect((await rig.states(path)) & HSM.ARCHIVED).toBe(0);
    await rig.archiveAndRelease(path);
    expect(await read(path)).toBe('committed, but not ours any more');
  });
});

describe('stopping', () => {
  afterEach(async () => {
    await rig.copytool.stop();
    await rig.restart(FILE_COUNTS);
  });

  test('the first signal lets what is at work finish, and hands back what waits', async () => {
    const [one, two] = [rig.write('drain1', 'finished'), rig.write('drain2', 'handed back')];
    const { fid } = await rig.archiveHeldAt('archive.named', one);
    const after = rig.copytool.lines.length;
    await rig.lfs('hsm_archive', two);
    await rig.copytool.waitFor('action taken', { after });
    process.kill(rig.copytool.pid, 'SIGTERM');
    expect((await rig.ended('archive', await rig.fid(two))).record).toMatchObject({
      outcome: 'failed',
      code: 'shutdown',
      errno: 'EAGAIN',
    });
    rig.letGo('archive.named');
    expect((await rig.ended('archive', fid)).record).toMatchObject({ outcome: 'ok' });
    expect(await rig.copytool.exited()).toMatchObject({ exitCode: 143 });
    expect([await rig.content(one), await rig.content(two)]).toEqual(['finished', undefined]);
    expect(await rig.states(one)).toBe(CLEAN);
  });

  test('the second signal ends it at once, and nobody hangs', async () => {
    const path = rig.write('interrupted', 'x');
    await rig.archiveAndRelease(path);
    rig.hold('restore.located');
    const reading = read(path);
    await rig.held('restore.located');
    process.kill(rig.copytool.pid, 'SIGINT');
    await rig.copytool.waitFor('copytool stopping');
    process.kill(rig.copytool.pid, 'SIGINT');
    expect(await rig.copytool.exited()).toMatchObject({ exitCode: 130 });
    expect(await reading).toMatch(/^E[A-Z]+$/);
    rig.letGo('restore.located');
    await rig.restart(FILE_COUNTS);
    expect(await read(path)).toBe('x');
  });

  test('signals to its whole group are for it alone: its helpers stay until everything has ended', async () => {
    const path = rig.write('group', 'finished');
    const { fid } = await rig.archiveHeldAt('archive.named', path);
    process.kill(-rig.copytool.pid, 'SIGTERM');
    await rig.copytool.waitFor('copytool stopping');
    rig.letGo('archive.named');
    expect((await rig.ended('archive', fid)).record).toMatchObject({ outcome: 'ok' });
    expect(await rig.copytool.exited()).toMatchObject({ exitCode: 143 });
    expect(rig.copytool.log.text()).not.toContain('native helper is gone');
  });

  test('without any of its helpers it starts another, and says so', async () => {
    const path = rig.write('helperless', 'x');
    await rig.copytool.killChildren();
    await rig.copytool.waitFor('native helper started again');
    expect(rig.copytool.log.text()).toMatch(/native helper .* was ended by SIGKILL/);
    await rig.archiveAndRelease(path);
    expect(await read(path)).toBe('x');
  });
});

describe('what is wrong is told before registering', () => {
  /** Starts a copytool that must not come up; its exit code and what it said. */
  async function refused(
    config: (text: string) => string,
    connection = '',
  ): Promise<{ code: number | null; text: string }> {
    const [file, before] = [rig.sandbox.configFile, readFileSync(rig.sandbox.configFile, 'utf8')];
    const wrong = join(rig.sandbox.dir, 'wrong.yaml');
    writeFileSync(wrong, config(readFileSync(file, 'utf8')), { mode: 0o600 });
    if (connection !== '') writeFileSync(`${secret()}.wrong`, connection, { mode: 0o600 });
    const service = rig.sandbox.startService(['copytool', '--config', wrong], FILE_COUNTS);
    const { exitCode } = await service.exited();
    expect(readFileSync(file, 'utf8')).toBe(before);
    expect(service.log.find('copytool registered')).toEqual([]);
    return { code: exitCode, text: service.log.text() };
  }

  test('a second copytool on the same client: who holds the lock', async () => {
    const { code, text } = await refused((config) => config);
    expect(code).toBe(6);
    expect(text).toMatch(/already: process \d+ \(by its helper \d+\) holds the lock/);
    const path = rig.write('still served', 'x');
    await rig.archive(path);
  });

  test('a credential that may only read: the permission that is missing', async () => {
    const sas = await rig.sandbox.containerClient.generateSasUrl({
      permissions: ContainerSASPermissions.parse('rl'),
      expiresOn: new Date(Date.now() + 3_600_000),
    });
    const { origin, pathname, search } = new URL(sas);
    const account = pathname.split('/')[1] ?? '';
    const { code, text } = await refused(
      (config) =>
        config
          .replace('type: connection_string', 'type: sas')
          .replace(secret(), `${secret()}.wrong`)
          .replace(/( +)container: /, `$1endpoint: ${origin}/${account}\n$1container: `),
      search.slice(1),
    );
    expect(code).toBe(7);
    expect(text).toMatch(/write|create|add/i);
    expect(text).not.toContain(new URLSearchParams(search).get('sig'));
  });

  test('a container that does not exist', async () => {
    const { code, text } = await refused((config) => config.replace(/container: \S+/, 'container: nowhere'));
    expect(code).not.toBe(0);
    expect(text).toContain('nowhere');
  });

  test('a file system without the UUID that its container knows: most likely another one', async () => {
    const uuid = await rig.fs.readUuid();
    await rig.copytool.stop();
    await rig.fs.files.removeXattr(ROOT_FID, FILE_SYSTEM_XATTR);
    const { code, text } = await refused((config) => config);
    expect(code).toBe(1);
    expect(text).toContain(String(uuid));
    expect(text).toContain('has no UUID');
    expect(await rig.fs.readUuid()).toBeUndefined();
    await rig.fs.writeUuid(String(uuid));
    await rig.restart(FILE_COUNTS);
  });

  test('no archive at all: what to configure', async () => {
    const { code, text } = await refused((config) => config.replace(/archives:\n(?: .*\n)+/, ''));
    expect(code).toBe(2);
    expect(text).toMatch(/archive/i);
  });

  test('another file system’s container', async () => {
    const container = 'taken';
    await createContainer(rig.sandbox.connectionString, container);
    const control = JSON.stringify({
      version: 1,
      fs: '11111111-2222-4333-8444-555555555555',
      prefix: '',
      created: new Date().toISOString(),
    });
    await rig.sandbox.containerClient.getBlobClient('x').exists();
    const { ContainerClient } = await import('@azure/storage-blob');
    await new ContainerClient(rig.sandbox.connectionString, container)
      .getBlockBlobClient('.lfsazsync/control')
      .upload(control, control.length);
    const { code, text } = await refused((config) => config.replace(/container: \S+/, `container: ${container}`));
    expect(code).toBe(1);
    expect(text).toContain('11111111-2222-4333-8444-555555555555');
    expect(text).toMatch(/hint|own/);
  });
});
