import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import {
  ContainerSASPermissions,
  generateBlobSASQueryParameters,
  StorageSharedKeyCredential,
} from '@azure/storage-blob';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { copytoolSocket } from '../../../src/copytool/socket.ts';
import type { DoctorJson } from '../../../src/doctor/report.ts';
import { RecordType } from '../../../src/lustre/changelog-record.ts';
import { ControlServer } from '../../../src/service/control/server.ts';
import { OperatorError } from '../../../src/service/errors.ts';
import { startGateway } from '../../support/blob-gateway.ts';
import { createContainer } from '../../support/endpoint.ts';
import { executable } from '../../support/project.ts';
import { type Sandbox, startSandbox } from '../../support/sandbox.ts';
import { silentLog } from '../../support/silent-log.ts';

let sandbox: Sandbox;
beforeAll(async () => {
  sandbox = await startSandbox({ standInOnly: true, config: { lctl: undefined } });
  await configure({});
});
afterAll(async () => await sandbox?.stop());

/** See statfs(2). */
const TMPFS = 0x01021994;

/** What a client sees, unless it is asked to be the metadata server. */
const AS_SERVER = { LUSTRE_SIM_NODE: 'server' };
/** The sandbox's variables say again what stands in its configuration: here the file is to count. */
const FILE_COUNTS = {
  AZURE_STORAGE_CONNECTION_STRING: undefined,
  LFSAZSYNC_CONTAINER: undefined,
  LFSAZSYNC_MOUNT: undefined,
};

interface Setting {
  readonly mount?: string;
  readonly stateDir?: string;
  readonly container?: string;
  readonly credential?: string;
  readonly user?: string | undefined;
}

const sasFile = () => join(sandbox.dir, 'sas');
const secretFile = () => join(sandbox.dir, 'connection-string');

async function configure({
  mount,
  stateDir,
  container,
  credential,
  user = sandbox.changelogUser,
}: Setting): Promise<void> {
  const lines = [
    `mount: ${mount ?? sandbox.mount}`,
    `state_dir: ${stateDir ?? join(sandbox.dir, 'state')}`,
    `run_dir: ${join(sandbox.dir, 'run-dir')}`,
    `liblustreapi: ${sandbox.llapi}`,
    'archives:',
    '  1:',
    `    container: ${container ?? sandbox.container}`,
    `    credential: ${credential ?? `{type: connection_string, file: ${secretFile()}}`}`,
    ...(user === undefined || user === '' ? [] : ['follow:', `  changelog_user: ${user}`]),
  ];
  writeFileSync(sandbox.configFile, `${lines.join('\n')}\n`);
}

async function doctor(args: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Promise<DoctorJson> {
  const { stdout, stderr } = await sandbox.run(['doctor', '--json', ...args], { env: { ...FILE_COUNTS, ...env } });
  expect(stdout, stderr).toMatch(/^\{/);
  return JSON.parse(stdout) as DoctorJson;
}

/** What one check says. */
async function finding(id: string, env: NodeJS.ProcessEnv = {}) {
  const { checks, exit } = await doctor(['--only', id], env);
  const found = checks.find((check) => check.id === id);
  return { ...found, exit: exit.code };
}

describe('a sandbox that is all right', () => {
  test('has no failure; what a client can not see is unknown, with what to ask for', async () => {
    await using copytool = await sandbox.startCopytool([], FILE_COUNTS);
    const { checks, counts, exit } = await doctor();
    expect(checks.filter(({ status }) => status === 'failed' || status === 'skipped')).toEqual([]);
    expect(exit).toEqual({ name: 'ok', code: 0 });
    expect(counts.unknown).toBeGreaterThan(0);
    for (const { status, fix, id } of checks) if (status !== 'ok') expect(fix, id).toBeTruthy();
    expect(checks.find(({ id }) => id === 'coordinator.control')).toMatchObject({
      status: 'unknown',
      fix: expect.stringContaining('doctor --administrator'),
    });
    expect(checks.find(({ id }) => id === 'services.copytool')).toMatchObject({
      status: 'ok',
      evidence: expect.stringMatching(/^running, version \d+\.\d+/),
    });
    expect(copytool.alive).toBe(true);
  });

  test('prints what the administrators of the servers are to run', async () => {
    const { stdout, exitCode } = await sandbox.run(['doctor', '--administrator'], { env: FILE_COUNTS });
    expect(exitCode).toBe(0);
    expect(stdout).toContain(`lctl --device ${sandbox.mdt} changelog_register`);
    expect(stdout).toContain('mdt.*.hsm_control=enabled');
    expect(stdout).toContain('mdt.*.hsm.max_requests=384');
    // Older servers don't have this one: there the others must be set all the same.
    expect(stdout).toContain('mdt.*.hsm.max_hal_count=3 || true');
    expect(stdout).toContain('mdt.*.hsm.active_request_timeout=432000');
    expect(stdout).toContain("changelog_mask='all-ATIME-FLRW-GXATR-MARK-NOPEN-OPEN-RESYNC-XATTR-LYOUT'");
    expect(stdout).toContain('lctl get_param mdt.*.hsm_control ');
    expect(stdout).toContain('mdd.*.changelog_users');
    expect(stdout).toMatch(/^Please run the following commands .*"set_param -P" on its MGS/m);
  });

  test('for people: a line each, what to do below and only once, a summary at the end', async () => {
    const only = ['machine', 'coordinator', 'changelog.mask', 'changelog.users'].flatMap((name) => ['--only', name]);
    const { stdout, exitCode } = await sandbox.run(['doctor', ...only], { env: FILE_COUNTS });
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^ok {6}machine\.node: Node\.js /m);
    expect(stdout).toMatch(/^unknown coordinator\.control: mdt\.\*\.hsm_control can’t be read on a client$/m);
    expect(stdout).toMatch(/^unknown changelog\.users: .*\n {8}→ Give whoever runs the metadata servers/m);
    expect(stdout.split('doctor --administrator')).toHaveLength(2);
    expect(stdout.trimEnd().split('\n').at(-1)).toMatch(/^\d+ ok, .*8 unknown$/);
  });
});

/** Each fault is found by its check; after what the check says to do, it is content. */
describe('what is broken is found, and the fix mends it', () => {
  const bad = { status: 'failed', exit: 1 };
  const good = { status: 'ok', exit: 0 };

  test('the mount point', async () => {
    await configure({ mount: '/mnt/nowhere' });
    expect(await finding('lustre.mount')).toMatchObject({ ...bad, evidence: 'nothing is mounted at /mnt/nowhere' });
    expect((await doctor(['--only', 'lustre'])).checks.find(({ id }) => id === 'lustre.mdts')).toMatchObject({
      status: 'skipped',
    });
    await configure({});
    expect(await finding('lustre.mdts')).toMatchObject(good);
    expect(await finding('lustre.file-system')).toMatchObject({
      ...good,
      evidence: expect.stringMatching(/, root 0x200000007:0x1:0x0; liblustreapi \d/),
    });
  });

  test('the limit of open files', async () => {
    const limited = async (files: number) => {
      // Node raises the soft limit to the hard one.
      const script = 'ulimit -n "$0" && exec "$@"';
      const { stdout } = await sandbox.exec(
        'sh',
        ['-c', script, String(files), executable, 'doctor', '--json', '--only', 'machine.limits'],
        { env: FILE_COUNTS },
      );
      return (JSON.parse(stdout) as DoctorJson).checks.find(({ id }) => id === 'machine.limits');
    };
    const found = await limited(1024);
    expect(found).toMatchObject({ status: 'warning', evidence: expect.stringMatching(/^1024 open files/) });
    const enough = Number(/open files to (\d+)/.exec(found?.fix ?? '')?.[1]);
    expect((await limited(enough))?.fix ?? '').not.toContain('open files');
  });

  test('a proxy of this shell alone, its password kept', async () => {
    const env = { HTTPS_PROXY: 'http://user:pass-word@proxy:3128', https_proxy: undefined, http_proxy: undefined };
    const found = await finding('container.proxy', env);
    expect(found).toMatchObject({ status: 'warning', fix: expect.stringContaining('/etc/default/lfsazsync') });
    expect(JSON.stringify(found)).not.toContain('pass-word');
    expect(found.evidence).toContain('proxy:3128');
    const without = { HTTPS_PROXY: undefined, HTTP_PROXY: undefined, https_proxy: undefined, http_proxy: undefined };
    expect(await finding('container.proxy', { ...without, NO_PROXY: '127.0.0.1' })).toMatchObject(good);
  });

  test('the coordinator, as the metadata server shows it', async () => {
    await sandbox.serverLctl(['set_param', 'mdt.*.hsm_control=disabled']);
    expect(await finding('coordinator.control', AS_SERVER)).toMatchObject({
      ...bad,
      evidence: 'disabled',
      subject: sandbox.mdt,
    });
    await sandbox.serverLctl(['set_param', 'mdt.*.hsm_control=enabled']);
    expect(await finding('coordinator.control', AS_SERVER)).toMatchObject(good);
    const found = async () =>
      new Map((await doctor(['--only', 'coordinator'], AS_SERVER)).checks.map((check) => [check.id, check]));
    await sandbox.serverLctl(['set_param', 'mdt.*.hsm.loop_period=600']);
    await sandbox.serverLctl(['set_param', 'mdt.*.hsm.active_request_timeout=20']);
    const ids = ['coordinator.max-requests', 'coordinator.loop', 'coordinator.timeout'];
    const before = await found();
    for (const id of ids) {
      expect(before.get(id), id).toMatchObject({ status: 'warning' });
      // As it is told.
      const [, setting = ''] = /lctl set_param -P (\S+=\d+)/.exec(before.get(id)?.fix ?? '') ?? [];
      await sandbox.serverLctl(['set_param', setting]);
    }
    const after = await found();
    for (const id of [...ids, 'coordinator.policy']) expect(after.get(id), id).toMatchObject({ status: 'ok' });
  });

  test('no copytool for the archive', async () => {
    expect(await finding('coordinator.agents', AS_SERVER)).toMatchObject({
      ...bad,
      evidence: 'no agent for archive 1',
    });
    expect(await finding('services.copytool')).toMatchObject({ status: 'warning' });
    await using copytool = await sandbox.startCopytool([], FILE_COUNTS);
    expect(await finding('coordinator.agents', AS_SERVER)).toMatchObject(good);
    expect(await finding('services.copytool')).toMatchObject(good);
    expect(copytool.alive).toBe(true);
  });

  test('a service of another version than this program, and one that is unwell', async () => {
    const running = async (status: () => unknown) =>
      await ControlServer.open({
        ...{ directory: join(sandbox.dir, 'run-dir'), name: copytoolSocket(sandbox.mount), version: '0.0.9' },
        handlers: { status },
        log: silentLog,
      });
    const old = await running(() => ({ process: { version: '0.0.9' } }));
    expect(await finding('services.copytool')).toMatchObject({
      ...{ status: 'warning', exit: 0, evidence: expect.stringMatching(/version 0\.0\.9: this program is \d/) },
      fix: expect.stringContaining('systemctl restart lfsazsync-copytool'),
    });
    await old.close();
    const unwell = await running(() => {
      throw new OperatorError('no memory', { code: 'NO_MEMORY', hint: 'Give it some.' });
    });
    expect(await finding('services.copytool')).toMatchObject({ ...bad, evidence: 'no memory', fix: 'Give it some.' });
    await unwell.close();
    await using copytool = await sandbox.startCopytool([], FILE_COUNTS);
    expect(await finding('services.copytool')).toMatchObject(good);
    expect(copytool.alive).toBe(true);
  });

  test('the mask of the changelog', async () => {
    // A user without a mask of its own gets Lustre's default.
    if (sandbox.changelogUser !== undefined)
      await sandbox.serverLctl(['--device', sandbox.mdt, 'changelog_deregister', sandbox.changelogUser]);
    await sandbox.serverLctl(['set_param', 'mdd.*.changelog_mask=all-RENME-SATTR']);
    const found = await finding('changelog.mask', AS_SERVER);
    expect(found).toMatchObject({ ...bad, evidence: 'without RENME, SATTR' });
    const mask = /changelog_mask='([^']+)'/.exec(found.fix ?? '')?.[1];
    await sandbox.serverLctl(['set_param', `mdd.*.changelog_mask=${mask}`]);
    expect(await finding('changelog.mask', AS_SERVER)).toMatchObject(good);
    // Where extended attributes are carried, their records are needed, too.
    appendFileSync(sandbox.configFile, 'metadata:\n  xattrs: true\n');
    expect(await finding('changelog.mask', AS_SERVER)).toMatchObject({
      ...{ ...bad, evidence: 'without XATTR' },
      fix: expect.stringContaining("mask='all-ATIME-FLRW-GXATR-MARK-NOPEN-OPEN-RESYNC-LYOUT'"),
    });
    await configure({});
  });

  test('the changelog user', async () => {
    await configure({ user: '' });
    expect(await finding('changelog.user')).toMatchObject({
      ...bad,
      fix: expect.stringContaining('changelog_register'),
    });
    await configure({ user: 'cl77' });
    expect(await finding('changelog.users', AS_SERVER)).toMatchObject({
      ...bad,
      evidence: expect.stringMatching(/^cl77 is not registered/),
    });
    const registered = (await sandbox.serverLctl(['--device', sandbox.mdt, 'changelog_register', '-n'])).stdout.trim();
    await configure({ user: registered });
    expect(await finding('changelog.users', AS_SERVER)).toMatchObject(good);
    expect(await finding('changelog.user')).toMatchObject(good);
    expect(await finding('changelog.readable')).toMatchObject({
      ...good,
      evidence: expect.stringMatching(/^last record \d+/),
    });
    await configure({});
  });

  test('the container, and what a credential may do there', async () => {
    await configure({ container: 'not-there' });
    expect(await finding('container.access')).toMatchObject({
      ...bad,
      evidence: expect.stringContaining('no container not-there'),
    });
    expect(await finding('container.account')).toMatchObject({ status: 'skipped' });
    await createContainer(sandbox.connectionString, 'not-there');
    expect(await finding('container.access')).toMatchObject(good);
    await configure({ credential: sas('rl') });
    expect(await finding('container.access')).toMatchObject({
      ...bad,
      evidence: expect.stringMatching(/write \(w\), delete \(d\)/),
    });
    await configure({ credential: sas('racwdl', 3_600_000) });
    expect(await finding('container.access')).toMatchObject(good);
    expect(await finding('container.expiry')).toMatchObject({
      status: 'warning',
      evidence: expect.stringMatching(/, in (?:59m|1h)$/),
    });
    await configure({ credential: sas('racwdl', -60_000) });
    expect((await finding('container.access')).status).toBe('failed');
    // Its cause is not lost behind what it breaks.
    expect(await finding('container.expiry')).toMatchObject({ ...bad, fix: expect.stringContaining(sasFile()) });
    await configure({ credential: sas('racwdl', 30 * 86_400_000) });
    expect(await finding('container.expiry')).toMatchObject(good);
    await configure({});
    expect(await finding('container.clock')).toMatchObject(good);
  });

  test('a clock that is off, also when the service refuses signatures because of it; an account of the wrong kind', async () => {
    const endpoint = /BlobEndpoint=([^;]+)/.exec(sandbox.connectionString)?.[1] as string;
    const gateway = await startGateway(endpoint);
    const whole = readFileSync(secretFile(), 'utf8');
    try {
      writeFileSync(secretFile(), whole.replaceAll(endpoint, gateway.endpoint));
      for (const [hours, word] of [
        [-1, 'ahead of'],
        [1, 'behind'],
      ] as const) {
        const date = () => new Date(Date.now() + hours * 3_600_000).toUTCString();
        gateway.interfere = () => ({
          answer: { status: 403, code: 'AuthenticationFailed', headers: { date: date() } },
        });
        expect(await finding('container.clock')).toMatchObject({
          ...bad,
          evidence: expect.stringMatching(new RegExp(`^this machine is 3[56]\\d\\d s ${word} the service$`)),
          fix: expect.stringContaining('chrony'),
        });
      }
      // An account of another kind.
      gateway.interfere = ({ url }) =>
        url.includes('restype=account') ? { headers: { 'x-ms-is-hns-enabled': 'true' } } : undefined;
      expect(await finding('container.access')).toMatchObject({
        ...bad,
        evidence: expect.stringContaining('hierarchical namespace'),
        fix: expect.stringContaining('Use an account without one'),
      });
      // One that keeps versions says so with each blob; there is one once the container is claimed.
      gateway.interfere = () => undefined;
      expect(await sandbox.run(['setup', '--no-services'], { env: FILE_COUNTS })).toMatchObject({ exitCode: 0 });
      gateway.interfere = () => ({ headers: { 'x-ms-version-id': '2026-01-01T00:00:00.0000000Z' } });
      expect(await finding('container.protection')).toMatchObject({ ...good, evidence: 'versioning' });
      gateway.interfere = () => ({ headers: { 'x-ms-has-legal-hold': 'true' } });
      expect(await finding('container.access')).toMatchObject({
        ...bad,
        evidence: expect.stringContaining('can be changed or deleted'),
      });
      // One of versions leaves the blobs themselves alone.
      gateway.interfere = () => ({
        headers: { 'x-ms-has-immutability-policy': 'true', 'x-ms-immutable-storage-with-versioning-enabled': 'true' },
      });
      expect(await finding('container.access')).toMatchObject(good);
      gateway.interfere = () => undefined;
      expect(await finding('container.clock')).toMatchObject(good);
      expect(await finding('container.access')).toMatchObject(good);
    } finally {
      writeFileSync(secretFile(), whole);
      await gateway.stop();
    }
  });

  test('a secret that others can read', async () => {
    chmodSync(secretFile(), 0o644);
    expect(await finding('container.secret')).toMatchObject({
      ...bad,
      fix: expect.stringContaining(`chmod 600 ${secretFile()}`),
    });
    chmodSync(secretFile(), 0o600);
    expect(await finding('container.secret')).toMatchObject(good);
  });

  test('soft delete of the account', async () => {
    expect(await finding('container.protection')).toMatchObject({ status: 'warning', exit: 0 });
    const { BlobServiceClient } = await import('@azure/storage-blob');
    const service = BlobServiceClient.fromConnectionString(sandbox.connectionString);
    await service.setProperties({ deleteRetentionPolicy: { enabled: true, days: 14 } });
    expect(await finding('container.protection')).toMatchObject({ ...good, evidence: 'soft delete, 14 days' });
  });

  test('the state directory, and the catalog in it', async () => {
    const state = join(sandbox.dir, 'state');
    chmodSync(state, 0o777);
    expect(await finding('machine.state')).toMatchObject({
      ...bad,
      fix: expect.stringContaining(`chmod 750 ${state}`),
    });
    chmodSync(state, 0o750);
    expect((await finding('machine.state')).status).not.toBe('failed');
    if (statfsSync('/dev/shm').type === TMPFS) {
      const volatile = mkdtempSync('/dev/shm/lfsazsync-state-');
      chmodSync(volatile, 0o750);
      await configure({ stateDir: volatile });
      const inMemory = await finding('machine.state');
      rmSync(volatile, { recursive: true });
      await configure({});
      expect(inMemory).toMatchObject({
        ...{ status: 'warning', evidence: expect.stringContaining('is in memory') },
        fix: expect.stringContaining('local disk'),
      });
    }
    expect(await finding('catalog.readable')).toMatchObject({ status: 'warning' });
    expect(await sandbox.run(['scan'], { env: FILE_COUNTS })).toMatchObject({ exitCode: 0 });
    expect(await finding('catalog.readable')).toMatchObject(good);
    const file = join(state, 'catalog.db');
    const whole = readFileSync(file);
    writeFileSync(file, Buffer.from('no database at all, but long enough to be looked at as one'));
    expect(await finding('catalog.readable')).toMatchObject({ ...bad, fix: expect.stringMatching(/./) });
    writeFileSync(file, whole);
    expect(await finding('catalog.readable')).toMatchObject(good);
  });

  test('policies that nobody runs', async () => {
    expect(await finding('services.policies')).toMatchObject({
      ...{ status: 'warning', exit: 0, evidence: expect.stringContaining('no policy has run yet') },
      fix: expect.stringContaining('lfsazsync-policy.timer'),
    });
    expect(await sandbox.run(['policy-run'], { env: FILE_COUNTS })).toMatchObject({ exitCode: 0 });
    expect(await finding('services.policies')).toMatchObject(good);
    // As an hour and a half later.
    const database = new DatabaseSync(join(sandbox.dir, 'state', 'catalog.db'));
    database.exec(
      "UPDATE runs SET started_ms = started_ms - 5400000, ended_ms = ended_ms - 5400000 WHERE kind = 'policy'",
    );
    database.close();
    expect(await finding('services.policies')).toMatchObject({
      status: 'warning',
      evidence: expect.stringMatching(/^no policy has run since 20/),
    });
    const resident = sandbox.startService(['policy-run', '--every', '1h'], FILE_COUNTS);
    await resident.waitFor('policy-run ready');
    expect(await finding('services.policies')).toMatchObject({ ...good, evidence: expect.stringMatching(/^running/) });
    await resident.stop();
  });

  test('types of records that never come', async () => {
    expect(await finding('changelog.types')).toMatchObject({ status: 'unknown' });
    const user = (await sandbox.serverLctl(['--device', sandbox.mdt, 'changelog_register', '-n'])).stdout.trim();
    await configure({ user });
    expect(await sandbox.run(['changelog-follow', '--once'], { env: FILE_COUNTS })).toMatchObject({ exitCode: 0 });
    // As after a long time in which nothing was renamed.
    const database = new DatabaseSync(join(sandbox.dir, 'state', 'catalog.db'));
    const { CREAT, MKDIR, HLINK, SLINK, UNLNK, RMDIR, CLOSE, SATTR, HSM } = RecordType;
    const count = database.prepare('INSERT OR REPLACE INTO record_types (mdt, type, count) VALUES (?, ?, 2000)');
    for (const type of [CREAT, MKDIR, HLINK, SLINK, UNLNK, RMDIR, CLOSE, SATTR, HSM]) count.run(sandbox.mdt, type);
    database.close();
    expect(await finding('changelog.types')).toMatchObject({
      status: 'warning',
      exit: 0,
      subject: sandbox.mdt,
      evidence: expect.stringMatching(/: RENME \(renames\)$/),
      fix: expect.stringContaining(`mdd.${sandbox.mdt}.changelog_mask=+RENME`),
    });
    writeFileSync(join(sandbox.tree, 'before'), '');
    renameSync(join(sandbox.tree, 'before'), join(sandbox.tree, 'after'));
    expect(await sandbox.run(['changelog-follow', '--once'], { env: FILE_COUNTS })).toMatchObject({ exitCode: 0 });
    expect(await finding('changelog.types')).toMatchObject(good);
    await configure({});
  });

  test('a container of another file system', async () => {
    expect(await finding('identity.agree')).toMatchObject(good);
    await using other = await startSandbox({ standInOnly: true, endpoint: false });
    await configure({ mount: other.mount });
    const found = await finding('identity.agree', { LUSTRE_SIM: undefined, ...other.fileSystem.env });
    expect(found).toMatchObject({ status: 'failed' });
    await configure({});
    expect(await finding('identity.agree')).toMatchObject(good);
  });

  test('another HSM agent at work', async () => {
    expect(await finding('machine.rivals')).toMatchObject(good);
    const folder = mkdtempSync('/tmp/lfsazsync-rival-');
    copyFileSync('/bin/sleep', join(folder, 'lhsmd'));
    const { spawn } = await import('node:child_process');
    const rival = spawn(join(folder, 'lhsmd'), ['600'], { stdio: 'ignore' });
    try {
      expect(await finding('machine.rivals')).toMatchObject({
        ...bad,
        evidence: expect.stringContaining(`process ${rival.pid}`),
      });
    } finally {
      rival.kill('SIGKILL');
      rmSync(folder, { recursive: true });
    }
    await new Promise((resolve) => rival.once('exit', resolve));
    expect(await finding('machine.rivals')).toMatchObject(good);
  });
});

describe('the bundle for support has the findings and the logs, and no secret', () => {
  async function bundle(name: string): Promise<string> {
    const file = join(sandbox.dir, `${name}.tar.gz`);
    const result = await sandbox.run(['doctor', '--bundle', file], { env: FILE_COUNTS });
    expect(result.stdout).toContain(`wrote ${file}`);
    const folder = join(sandbox.dir, `unpacked-${name}`);
    expect(await sandbox.exec('sh', ['-c', `mkdir -p ${folder} && tar -xzf ${file} -C ${folder}`])).toMatchObject({
      exitCode: 0,
    });
    return join(folder, name);
  }

  test('not the key of an account', async () => {
    const key = /AccountKey=([^;]+)/.exec(sandbox.connectionString)?.[1] as string;
    const content = await bundle('bundle');
    const parts = readdirSync(content);
    expect(parts).toEqual(expect.arrayContaining(['doctor.json', 'configuration.json', 'catalog.json', 'machine.txt']));
    for (const part of parts) expect(readFileSync(join(content, part), 'utf8'), part).not.toContain(key);
    const { checks } = JSON.parse(readFileSync(join(content, 'doctor.json'), 'utf8')) as DoctorJson;
    expect(checks.length).toBeGreaterThan(10);
    expect(existsSync(join(content, 'copytool.json'))).toBe(true);
  });

  test('not a shared access signature, wherever it has got to: logs, the audit log, the answers of a service', async () => {
    const credential = sas('racwdl');
    const token = readFileSync(sasFile(), 'utf8');
    const raw = new URLSearchParams(token).get('sig') as string;
    const log = join(sandbox.dir, 'service.log');
    const audit = join(sandbox.dir, 'state', 'audit.log');
    await configure({ credential });
    await using copytool = await sandbox.startCopytool([], FILE_COUNTS);
    await configure({ credential: `${credential}\nlog:\n  file: ${log}` });
    // As if a program had logged URLs: as they are sent, in JSON, and with the signature's characters as they are.
    const planted = [token, token.replaceAll('&', '\\u0026'), `sp=rl&sig=${raw}&se=2030`];
    for (const file of [log, audit])
      appendFileSync(file, planted.map((text) => `{"url":"https://a/c/b?${text}","mark":"planted"}\n`).join(''));
    const content = await bundle('with-sas');
    expect(copytool.alive).toBe(true);
    expect(JSON.parse(readFileSync(join(content, 'copytool.json'), 'utf8'))).toMatchObject({ service: 'copytool' });
    for (const part of ['service.log', 'audit.log'])
      expect(readFileSync(join(content, part), 'utf8'), part).toContain('"planted"');
    for (const part of readdirSync(content)) {
      const text = readFileSync(join(content, part), 'utf8');
      for (const secret of [raw, encodeURIComponent(raw), raw.slice(0, 20)]) expect(text, part).not.toContain(secret);
    }
    await configure({});
  });
});

/** A credential with a shared access signature in a file of its own. */
function sas(permissions: string, lasts = 86_400_000): string {
  const [, account = '', key = ''] = /AccountName=([^;]+);AccountKey=([^;]+)/.exec(sandbox.connectionString) ?? [];
  const query = generateBlobSASQueryParameters(
    {
      containerName: sandbox.container,
      permissions: ContainerSASPermissions.parse(permissions),
      expiresOn: new Date(Date.now() + lasts),
    },
    new StorageSharedKeyCredential(account, key),
  ).toString();
  const endpoint = /BlobEndpoint=([^;]+)/.exec(sandbox.connectionString)?.[1];
  writeFileSync(sasFile(), query, { mode: 0o600 });
  return `{type: sas, file: ${sasFile()}}\n    endpoint: ${endpoint}`;
}
