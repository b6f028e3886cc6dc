import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ContainerSASPermissions } from '@azure/storage-blob';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { CopytoolFigures } from '../../../src/copytool/figures.ts';
import { archiveOperations, type Operations, recallOperations } from '../../../src/policy/run/operations.ts';
import { waitUntil } from '../../support/wait.ts';
import { CLEAN, RELEASED, type Rig, read } from './fixture.ts';
import { FILE_COUNTS, type GatewayRig, startGatewayRig } from './gateway-rig.ts';

let it: GatewayRig;
const rig = () => it.rig;
const COPYTOOL = {
  concurrency: 3,
  restore_reserve: 1,
  block_size: '64KiB',
  range_size: '64KiB',
  max_bytes_in_flight: '1MiB',
  stall_timeout: '1s',
};

const down = () => {
  it.gateway.interfere = () => 'cut';
};
const up = () => {
  it.gateway.interfere = () => undefined;
};
const told = (message: string, after: number) =>
  rig().copytool.waitFor(({ record }) => record?.['msg'] === message && record['archive'] === 1, { after });
const endedNow = (after: number) =>
  rig()
    .copytool.log.find(({ record }) => record?.['outcome'] !== undefined, after)
    .map(({ text }) => text);

/** Brings about an outage that is known to the copytool, by archiving a file; gives the file. */
async function outage(name: string, content: string | Buffer = 'held'): Promise<{ path: string; after: number }> {
  const path = rig().write(name, content);
  const after = rig().copytool.lines.length;
  down();
  await rig().lfs('hsm_archive', path);
  await told('endpoint out of reach, actions are held', after);
  return { path, after };
}

describe('an endpoint that is out of reach', () => {
  beforeAll(async () => {
    it = await startGatewayRig({ second: true, config: { copytool: COPYTOOL } });
    // What is held counts among what the coordinator hands out at a time.
    if (rig().sandbox.standIn) await rig().sandbox.serverLctl(['set_param', 'mdt.*.hsm.max_requests=100']);
  });
  afterEach(up);
  afterAll(() => it?.stop());

  test('what archives and restores ask of the service is what dry runs of policies count', async () => {
    const counted = async (path: string, work: () => Promise<unknown>): Promise<Operations> => {
      const before = it.gateway.requests.length;
      await work();
      const name = rig().sandbox.blobName(path);
      const asked = it.gateway.requests
        .slice(before)
        .filter(({ url }) => decodeURIComponent(new URL(url, 'http://x').pathname).endsWith(`/${name}`));
      const count = (...operations: string[]) => asked.filter(({ operation }) => operations.includes(operation)).length;
      return {
        writes: count('Put Blob', 'Put Block', 'Put Block List'),
        reads: count('Get Blob'),
        other: count('Get Blob Properties'),
        deletes: count('Delete Blob'),
      };
    };
    for (const size of [0, 5, 65_536, 65_537, (1 << 20) + 1]) {
      const path = rig().write(`counted-${size}`, randomBytes(size));
      expect(await counted(path, () => rig().archive(path))).toEqual(archiveOperations(BigInt(size), 65_536));
      if (size === 0) continue;
      await rig().release(path);
      expect(await counted(path, () => rig().ask('restore', path))).toEqual(recallOperations(BigInt(size), 65_536));
    }
  });

  test('actions are held beyond the coordinator’s timeout, another archive is served, and all go on afterwards', async () => {
    const { sandbox } = rig();
    if (sandbox.standIn) await sandbox.serverLctl(['set_param', 'mdt.*.hsm.active_request_timeout=3']);
    const released = randomBytes(300_000).toString('hex');
    const wanted = rig().write('wanted', released);
    await rig().archiveAndRelease(wanted);
    const removed = rig().write('removed', 'x');
    await rig().archive(removed);
    const other = rig().write('other', 'of the other archive');
    const otherFid = await rig().fid(other);

    const { after } = await outage('first');
    const more = Array.from({ length: 12 }, (_, index) => rig().write(`more-${index}`, randomBytes(200_000)));
    await rig().lfs('hsm_archive', ...more);
    await rig().lfs('hsm_remove', removed);
    const reading = read(wanted);
    // More is at work and waits than there are slots and memory: the other archive has them nevertheless.
    await rig().lfs('hsm_archive', '--archive', '2', other);
    expect((await rig().ended('archive', otherFid, after)).record).toMatchObject({ outcome: 'ok', archive: 2 });
    await rig().release(other);
    expect(await read(other)).toBe('of the other archive');
    await delay(sandbox.standIn ? 6_000 : 1_000);
    expect(endedNow(after).filter((text) => !text.includes(otherFid))).toEqual([]);

    up();
    expect(await reading).toBe(released);
    for (const path of [rig().path('first'), ...more]) {
      await waitUntil(`${path} is archived`, async () => ((await rig().states(path)) & CLEAN) === CLEAN);
      expect(readFileSync(path).equals(await rig().blob(path).downloadToBuffer())).toBe(true);
    }
    await waitUntil('the copy is removed', async () => !(await rig().blob(removed).exists()));
    // One line at the beginning and one at the end, none for every request.
    const lines = (message: string) => rig().copytool.log.find(({ record }) => record?.['msg'] === message, after);
    expect(lines('endpoint out of reach, actions are held')).toHaveLength(1);
    expect(lines('endpoint answers again')).toHaveLength(1);
    expect(lines('endpoint answers again')[0]?.record).toMatchObject({ archive: 1, held: expect.any(Number) });
    if (sandbox.standIn) await sandbox.serverLctl(['set_param', 'mdt.*.hsm.active_request_timeout=3600']);
  });

  test('a cancel is heard, at work and waiting', async () => {
    const { path, after } = await outage('cancelled');
    const waiting = Array.from({ length: 4 }, (_, index) => rig().write(`waits-${index}`, 'x'));
    await rig().lfs('hsm_archive', ...waiting);
    await waitUntil(
      'all are taken',
      () => rig().copytool.log.find(({ record }) => record?.['msg'] === 'action taken', after).length >= 5,
    );
    for (const one of [path, ...waiting]) {
      const fid = await rig().fid(one);
      await rig().lfs('hsm_cancel', one);
      expect((await rig().ended('archive', fid, after)).record).toMatchObject({ outcome: 'cancelled' });
    }
    up();
    await told('endpoint answers again', after);
    expect((await rig().blobNames()).filter((name) => /cancelled|waits-/.test(name))).toEqual([]);
  });

  test('a file that is written to meanwhile is not committed as it was', async () => {
    const { path, after } = await outage('written', randomBytes(200_000));
    const fid = await rig().fid(path);
    // Large again: Azurite, unlike the service, takes uncommitted blocks for a blob that Put Blob must not overwrite.
    const written = randomBytes(100_000);
    writeFileSync(path, written);
    up();
    expect((await rig().ended('archive', fid, after)).record).toMatchObject({ outcome: 'failed', errno: 'EBUSY' });
    expect(await rig().content(path)).toBeUndefined();
    await rig().archive(path);
    expect((await rig().blob(path).downloadToBuffer()).equals(written)).toBe(true);
  });

  test('a stop is heard: after the drain all is handed back, and the next one goes on', async () => {
    const wanted = rig().write('wanted-later', 'after the stop');
    await rig().archiveAndRelease(wanted);
    const { path, after } = await outage('stopped');
    process.kill(rig().copytool.pid, 'SIGTERM');
    await rig().copytool.waitFor('copytool stopping', { after });
    process.kill(rig().copytool.pid, 'SIGTERM');
    expect((await rig().copytool.exited(20_000)).exitCode).toBe(143);
    expect(
      rig().copytool.log.find(({ record }) => record?.['fid'] !== undefined && record['code'] === 'shutdown', after),
    ).toHaveLength(1);
    up();
    await rig().restart(FILE_COUNTS);
    expect(await read(wanted)).toBe('after the stop');
    await rig().archive(path);
  });

  test('at the start it is told at once, and nothing is held', async () => {
    await rig().copytool.stop();
    down();
    const late = rig().sandbox.startService(['copytool'], { ...FILE_COUNTS, LFSAZSYNC_TEST_STEPS: rig().steps });
    expect((await late.exited(60_000)).exitCode).toBe(5);
    expect(late.log.text()).toMatch(/could not be reached/);
    up();
    await rig().restart(FILE_COUNTS);
  });
});

describe('an endpoint that is out of reach for longer than copytool.hold_timeout', () => {
  beforeAll(async () => {
    it = await startGatewayRig({ config: { copytool: { ...COPYTOOL, hold_timeout: '4s', concurrency: 2 } } });
  });
  afterEach(up);
  afterAll(() => it?.stop());

  test('readers get an error, at work and waiting; files stay released, and can be read when it is back', async () => {
    const files = Array.from({ length: 5 }, (_, index) => rig().write(`f${index}`, `content ${index}`));
    for (const path of files) await rig().archiveAndRelease(path);
    const after = rig().copytool.lines.length;
    down();
    expect(await Promise.all(files.map((path) => read(path)))).toEqual(
      files.map(() => expect.stringMatching(/^E[A-Z]+$/)),
    );
    const ends = rig().copytool.log.find(({ record }) => record?.['outcome'] === 'failed', after);
    expect(new Set(ends.map(({ record }) => record?.['code']))).toEqual(new Set(['blob-network']));
    for (const path of files) expect(await rig().states(path)).toBe(RELEASED);
    up();
    // Until its next turn, which may be further away than this hold_timeout, it counts as down.
    await told('endpoint answers again', after);
    expect(await Promise.all(files.map((path) => read(path)))).toEqual(files.map((_, index) => `content ${index}`));
  });
});

describe('a pause', () => {
  beforeAll(async () => {
    it = await startGatewayRig({ config: { copytool: { ...COPYTOOL, hold_timeout: '3s' } } });
  });
  afterEach(up);
  afterAll(() => it?.stop());

  test('keeps readers waiting through an outage for longer than copytool.hold_timeout', async () => {
    const ctl = async (...args: string[]): Promise<unknown> => {
      const { exitCode, stdout } = await rig().sandbox.run(['copytool', 'ctl', ...args, '--json']);
      expect({ exitCode, stdout }).toMatchObject({ exitCode: 0 });
      return JSON.parse(stdout);
    };
    const wanted = rig().write('wanted', 'in the end');
    await rig().archiveAndRelease(wanted);
    await ctl('pause', 'restore');
    const reading = read(wanted);
    const { path, after } = await outage('not-paused');
    const during = (await ctl('status')) as CopytoolFigures;
    expect(during.archives['1']?.outage).toMatchObject({ code: 'NETWORK', since: expect.any(String) });
    expect(during.retries['blob-network']).toBeGreaterThan(0);
    expect(during.inFlight.map(({ kind, state }) => [kind, state])).toEqual([
      ['restore', 'paused'],
      ['archive', 'unreachable'],
    ]);
    const given = await rig().ended('archive', await rig().fid(path), after);
    expect(given.record).toMatchObject({ outcome: 'failed', code: 'blob-network' });
    await delay(1_000);
    const later = (await ctl('status')) as CopytoolFigures;
    expect(later.inFlight.map(({ kind, state }) => [kind, state])).toEqual([['restore', 'paused']]);
    up();
    // Until its next turn, which may be further away than this hold_timeout, it counts as down.
    await told('endpoint answers again', after);
    await ctl('resume');
    expect(await reading).toBe('in the end');
  });
});

describe('a shared access signature', () => {
  let file: string;
  const sas = async (of: Rig, expires: Date): Promise<string> => {
    const url = await of.sandbox.containerClient.generateSasUrl({
      permissions: ContainerSASPermissions.parse('racwdl'),
      startsOn: new Date(Date.now() - 3_600_000),
      expiresOn: expires,
    });
    return url.slice(url.indexOf('?') + 1);
  };
  const inMinutes = (minutes: number) => new Date(Date.now() + minutes * 60_000);
  const write = async (of: Rig, expires: Date) => writeFileSync(file, `${await sas(of, expires)}\n`, { mode: 0o600 });

  beforeAll(async () => {
    it = await startGatewayRig({
      config: { copytool: COPYTOOL },
      archive: async (started, gateway) => {
        file = join(started.sandbox.dir, 'sas');
        await write(started, inMinutes(30));
        return { endpoint: gateway.endpoint, credential: { type: 'sas', file } };
      },
    });
  });
  afterAll(() => it?.stop());

  test('is warned of long before its end', async () => {
    const { record } = await rig().copytool.waitFor(({ record }) =>
      /^shared access signature expires in (29|30) minutes$/.test(String(record?.['msg'])),
    );
    expect(record).toMatchObject({ level: 'warn', hint: expect.stringContaining(file) });
  });

  test('that has expired holds the work, says what to do, and goes on by itself with another', async () => {
    const wanted = rig().write('wanted', 'worth waiting for');
    await rig().archiveAndRelease(wanted);
    const after = rig().copytool.lines.length;
    await write(rig(), inMinutes(-1));
    process.kill(rig().copytool.pid, 'SIGHUP');
    const reading = read(wanted);
    const { record } = await told('credential refused, actions are held', after);
    expect(record).toMatchObject({ code: 'AUTH', hint: expect.stringContaining(file) });
    await write(rig(), inMinutes(90));
    expect(await reading).toBe('worth waiting for');
    await told('credential accepted again', after);
    expect(rig().copytool.log.text()).not.toMatch(/sig=[A-Za-z0-9%]/);
  });

  test('that was rotated in the middle of a transfer is read again, and nothing is held', async () => {
    const path = rig().write('rotated', randomBytes(1 << 20));
    const old = new URLSearchParams(readFileSync(file, 'utf8').trim()).get('sig');
    await write(rig(), inMinutes(120));
    let blocks = 0;
    it.gateway.interfere = ({ operation, url }) => {
      if (operation === 'Put Block') blocks += 1;
      const isOld = new URL(url, 'http://x').searchParams.get('sig') === old;
      return isOld && blocks > 4 ? { answer: { status: 403, code: 'AuthenticationFailed' } } : undefined;
    };
    const after = rig().copytool.lines.length;
    await rig().archive(path);
    up();
    expect(readFileSync(path).equals(await rig().blob(path).downloadToBuffer())).toBe(true);
    expect(rig().copytool.log.find('credential refused, actions are held', after)).toEqual([]);
  });
});

describe('a copy in the Archive tier', () => {
  beforeAll(async () => {
    it = await startGatewayRig({
      config: { copytool: COPYTOOL },
      archive: async () => ({ rehydrate: 'High' }),
    });
  });
  afterEach(up);
  afterAll(() => it?.stop());

  test('is asked back, its reader waits with heartbeats, and gets it when it is there', async () => {
    const path = rig().write('cold', 'from far away');
    await rig().archiveAndRelease(path);
    const name = rig().sandbox.blobName(path);
    await rig().sandbox.containerClient.getBlockBlobClient(name).setAccessTier('Archive');
    const after = rig().copytool.lines.length;
    let asked: string | undefined;
    // Azurite brings a blob back at once. The service takes hours, and says meanwhile what the gateway says here.
    it.gateway.interfere = ({ operation, url, headers }) => {
      if (!url.includes('cold')) return undefined;
      if (operation === 'Set Blob Tier') {
        asked = `${headers['x-ms-access-tier']} ${headers['x-ms-rehydrate-priority']}`;
        return { answer: { status: 202, headers: { 'x-ms-request-id': 'faked' } } };
      }
      if (operation === 'Get Blob') return { answer: { status: 409, code: 'BlobBeingRehydrated' } };
      return asked === undefined ? undefined : { headers: { 'x-ms-archive-status': 'rehydrate-pending-to-hot' } };
    };
    const reading = read(path);
    await rig().copytool.waitFor('copy is on its way back from the Archive tier, which takes hours', { after });
    expect(asked).toBe('Hot High');
    await delay(1_500);
    expect(endedNow(after)).toEqual([]);
    up();
    await rig().sandbox.containerClient.getBlockBlobClient(name).setAccessTier('Hot');
    expect(await reading).toBe('from far away');
  });
});
