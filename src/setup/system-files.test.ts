import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { run } from '../../test/support/run.ts';
import { directoriesStep } from './directories.ts';
import { machineStep, removalStep } from './machine.ts';
import { runSetup } from './run.ts';
import { OUR_MARK, type SystemPlaces, systemFiles } from './system-files.ts';

const PLACES: SystemPlaces = {
  program: '/usr/bin/lfsazsync',
  config: '/etc/lfsazsync/config.yaml',
  mount: '/mnt/lustre',
  stateDir: '/var/lib/lfsazsync',
  runDir: '/run/lfsazsync',
  logFile: undefined,
  auditFile: '/var/lib/lfsazsync/audit.log',
};
const UNIT = '/etc/systemd/system/lfsazsync-copytool.service';

let root: string;
beforeEach(() => {
  root = mkdtempSync('/tmp/lfsazsync-setup-');
});
afterEach(() => rmSync(root, { recursive: true }));

const systemd = await run('systemd-analyze', ['--version']).then(
  ({ exitCode }) => exitCode === 0,
  () => false,
);

describe('what is written', () => {
  test('has a value everywhere, and says whose it is', async () => {
    for (const { path, content } of await systemFiles(PLACES)) {
      expect(content, path).not.toMatch(/@[A-Z]+@/);
      expect(content.startsWith(OUR_MARK), path).toBe(true);
    }
  });

  test('lets services write where the configuration says, and nowhere else', async () => {
    const places = { ...PLACES, logFile: '/srv/logs/lfsazsync.log', auditFile: '/srv/audit/changes' };
    const unit = (await systemFiles(places)).find(({ path }) => path === UNIT);
    expect(unit?.content).toContain(
      '\nReadWritePaths=/mnt/lustre /var/lib/lfsazsync /run/lfsazsync -/srv/logs -/srv/audit\n',
    );
    expect(unit?.content).toContain('\nProtectSystem=strict\n');
    expect(unit?.content).toContain('\nExecStart=/usr/bin/lfsazsync copytool --config /etc/lfsazsync/config.yaml\n');
  });

  // Lustre's client (osc_io_iter_init) and MDT (mdd_trans_create) hold root to the owner's quota without it: restores, records.
  test('lets services work on files of users who are over their quota', async () => {
    const units = (await systemFiles(PLACES)).filter(({ path }) => path.endsWith('.service'));
    expect(units).toHaveLength(3);
    for (const { path, content } of units)
      expect(content, path).toMatch(/^CapabilityBoundingSet=(?:\S+ )*CAP_SYS_RESOURCE(?: |$)/m);
  });

  // ProtectClock= implies a DeviceAllow= up to systemd 252, which then shuts off all others.
  test('leaves services the devices of Lustre: the changelog is one', async () => {
    for (const { path, content } of await systemFiles(PLACES))
      expect(content, path).not.toMatch(/^(?:ProtectClock|PrivateDevices|DeviceAllow|DevicePolicy)=/m);
  });

  test('names no log to logrotate twice', async () => {
    const places = { ...PLACES, logFile: '/var/log/lfsazsync/service.log', auditFile: '/var/log/lfsazsync/audit.log' };
    const file = (await systemFiles(places)).find(({ path }) => path.startsWith('/etc/logrotate.d/'));
    expect(file?.content).toContain('\n/var/log/lfsazsync/*.log {\n');
  });

  test.each([
    { mount: '/mnt/two words' },
    { program: '/opt/100%/lfsazsync' },
    { stateDir: 'relative' },
    { config: '/root/config.yaml' },
    { stateDir: '/tmp' },
  ])('is refused with paths that services can not use: %o', async (wrong) => {
    await expect(systemFiles({ ...PLACES, ...wrong })).rejects.toMatchObject({ code: 'SETUP_PATH', exit: 'usage' });
  });

  test.skipIf(!systemd)('systemd finds nothing wrong with the units', async () => {
    // The program must be there for that, and the mount's unit has no backing here.
    const program = join(root, 'lfsazsync');
    writeFileSync(program, '#!/bin/sh\n', { mode: 0o755 });
    const units = (await systemFiles(PLACES)).filter(({ path }) => path.startsWith('/etc/systemd/'));
    for (const { path, content } of units)
      writeFileSync(
        join(root, path.slice(path.lastIndexOf('/') + 1)),
        content.replaceAll('/usr/bin/lfsazsync', program),
      );
    const names = units.map(({ path }) => join(root, path.slice(path.lastIndexOf('/') + 1)));
    const { exitCode, stdout, stderr } = await run('systemd-analyze', ['verify', '--man=no', ...names]);
    expect(`${stdout}${stderr}`).toBe('');
    expect(exitCode).toBe(0);
  });
});

describe('writing it', () => {
  const signal = new AbortController().signal;
  const set = async (files: Awaited<ReturnType<typeof systemFiles>>, { dryRun = false, remove = false } = {}) => {
    const options = { root, files };
    const steps = remove
      ? [removalStep(options)]
      : [directoriesStep(root, ['/var/lib/lfsazsync']), machineStep(options)];
    return await runSetup(steps, { dryRun, signal, onResult: () => {} });
  };
  const statesOf = (results: Awaited<ReturnType<typeof set>>) => new Set(results.map(({ state }) => state));
  const detailOf = (results: Awaited<ReturnType<typeof set>>, path: string) =>
    results.find(({ subject }) => subject === path)?.detail;

  test('twice changes nothing the second time', async () => {
    const files = await systemFiles(PLACES);
    expect(statesOf(await set(files))).toEqual(new Set(['done']));
    expect(statesOf(await set(files))).toEqual(new Set(['unchanged']));
    expect(statSync(join(root, UNIT)).mode & 0o7777).toBe(0o644);
    expect(statSync(join(root, '/var/lib/lfsazsync')).mode & 0o7777).toBe(0o750);
  });

  test('puts right what an older version wrote, and its mode', async () => {
    const files = await systemFiles(PLACES);
    await set(files);
    writeFileSync(join(root, UNIT), `${OUR_MARK} of long ago\n`);
    chmodSync(join(root, '/etc/logrotate.d/lfsazsync'), 0o666);
    const results = await set(files);
    expect(detailOf(results, UNIT)).toBe('brought up to date');
    expect(detailOf(results, '/etc/logrotate.d/lfsazsync')).toBe('brought up to date');
    expect(readFileSync(join(root, UNIT), 'utf8')).toBe(files.find(({ path }) => path === UNIT)?.content);
  });

  test('a directory that is there already, and open to others, is closed: a stricter one stays as it is', async () => {
    const directory = join(root, '/var/lib/lfsazsync');
    mkdirSync(directory, { recursive: true });
    for (const [is, becomes] of [
      [0o777, 0o750],
      [0o755, 0o750],
      [0o2770, 0o2750],
      [0o700, 0o700],
    ] as const) {
      chmodSync(directory, is);
      const dry = await set([], { dryRun: true });
      expect(dry).toMatchObject([{ state: is === becomes ? 'unchanged' : 'would' }]);
      expect(statSync(directory).mode & 0o7777).toBe(is);
      await set([]);
      expect(statSync(directory).mode & 0o7777, is.toString(8)).toBe(becomes);
      expect(await set([])).toMatchObject([{ state: 'unchanged', detail: 'is there' }]);
    }
    chownSync(directory, 4711, 0);
    expect(detailOf(await set([]), '/var/lib/lfsazsync')).toMatch(/belongs to user 4711.*chown root/);
    rmSync(directory, { recursive: true });
    writeFileSync(directory, '');
    await expect(set([])).rejects.toMatchObject({ code: 'SETUP_DIRECTORY' });
  });

  test('leaves alone what somebody else wrote there, also when it is taken away', async () => {
    const files = await systemFiles(PLACES);
    mkdirSync(dirname(join(root, UNIT)), { recursive: true });
    writeFileSync(join(root, UNIT), '[Unit]\n');
    for (const remove of [false, true])
      expect(detailOf(await set(files, { remove }), UNIT)).toBe('stays: it was not written by lfsazsync');
    expect(readFileSync(join(root, UNIT), 'utf8')).toBe('[Unit]\n');
  });

  test('a unit that only another version has is taken away; a copy under another name, and what is not ours, stays', async () => {
    const files = await systemFiles(PLACES);
    const written = files.find(({ path }) => path === UNIT)?.content ?? '';
    const unit = (name: string) => `/etc/systemd/system/${name}`;
    const newer = ['lfsazsync-report.timer', 'lfsazsync-report.service'].map(unit);
    const others = ['lfsazsync-copytool-fs2.service', 'lfsazsync-own.service', 'other.service'].map(unit);
    for (const remove of [false, true]) {
      await set(files);
      // As the version wrote it that has such a unit.
      for (const path of newer) {
        const name = path.slice(path.lastIndexOf('/') + 1).replace('.service', '');
        writeFileSync(join(root, path), written.replaceAll('lfsazsync-copytool`', `${name}\``));
      }
      writeFileSync(join(root, others[0] as string), written);
      writeFileSync(join(root, others[1] as string), '[Service]\n');
      writeFileSync(join(root, others[2] as string), written);
      mkdirSync(join(root, unit('lfsazsync-report.service.d')), { recursive: true });
      for (const path of newer)
        expect(detailOf(await set(files, { dryRun: true, remove }), path)).toMatch(/^remove it/);
      expect(newer.every((path) => existsSync(join(root, path)))).toBe(true);
      const results = await set(files, { remove });
      for (const path of newer) expect(detailOf(results, path)).toMatch(/^removed/);
      expect(newer.some((path) => existsSync(join(root, path)))).toBe(false);
      for (const path of others) expect(existsSync(join(root, path)), path).toBe(true);
      expect(existsSync(join(root, UNIT))).toBe(!remove);
    }
  });

  test('a dry run tells, and does nothing', async () => {
    const files = await systemFiles(PLACES);
    expect(statesOf(await set(files, { dryRun: true }))).toEqual(new Set(['would']));
    expect(existsSync(join(root, 'etc'))).toBe(false);
    await set(files);
    expect(statesOf(await set(files, { dryRun: true, remove: true }))).toEqual(new Set(['would']));
    expect(statesOf(await set(files, { remove: true }))).toEqual(new Set(['done']));
    expect(statesOf(await set(files, { remove: true }))).toEqual(new Set(['unchanged']));
    expect(existsSync(join(root, '/var/lib/lfsazsync'))).toBe(true);
  });
});
