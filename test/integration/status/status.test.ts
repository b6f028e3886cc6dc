import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { FILE_STATES, type StatusSnapshot } from '../../../src/status/types.ts';
import { type Sandbox, startSandbox } from '../../support/sandbox.ts';
import { waitUntil } from '../../support/wait.ts';

let sandbox: Sandbox;

beforeAll(async () => {
  sandbox = await startSandbox({ standInOnly: true });
});
afterAll(() => sandbox?.stop());

async function status(
  args: string[] = [],
  config?: string,
  more: NodeJS.ProcessEnv = {},
): Promise<{ exitCode: number | null; json: StatusSnapshot }> {
  // The sandbox's own variables would win over the file.
  const own = {
    LFSAZSYNC_MOUNT: undefined,
    LFSAZSYNC_CONTAINER: undefined,
    AZURE_STORAGE_CONNECTION_STRING: undefined,
  };
  const env = { env: { ...more, ...(config === undefined ? {} : { ...own, LFSAZSYNC_CONFIG: config }) } };
  const { exitCode, stdout, stderr } = await sandbox.run(
    ['status', '--json', ...(args.length === 0 ? ['--timeout', '60'] : args)],
    env,
  );
  expect(stderr).toBe('');
  return { exitCode, json: JSON.parse(stdout) as StatusSnapshot };
}

const codes = ({ health }: StatusSnapshot) => health.problems.map(({ code }) => code);

/** A configuration that differs. */
function changedConfig(name: string, change: (config: Record<string, unknown>) => void): string {
  const config = parse(readFileSync(sandbox.configFile, 'utf8')) as Record<string, unknown>;
  change(config);
  const file = join(sandbox.dir, `${name}.yaml`);
  writeFileSync(file, stringify(config), { mode: 0o600 });
  return file;
}

describe('with nothing running', () => {
  test('what does not run, and what is not there yet, is said with what to do', async () => {
    const { exitCode, json } = await status();
    expect(exitCode).toBe(3);
    expect(codes(json)).toEqual(['NOT_SET_UP', 'COPYTOOL_NOT_RUNNING', 'FOLLOWER_NOT_RUNNING', 'CATALOG_MISSING']);
    expect(json.health.problems.every(({ hint }) => hint !== undefined)).toBe(true);
    expect(json.services).toEqual({
      copytool: { state: 'not-running' },
      'changelog-follow': { state: 'not-running' },
      scan: { state: 'not-running' },
      sweep: { state: 'not-running' },
      import: { state: 'not-running' },
      verify: { state: 'not-running' },
    });
    expect(json.containers).toMatchObject([{ archive: 1, state: 'ok', container: sandbox.container }]);
    expect(json.fileSystem).toMatchObject({ available: true, fsname: 'lustrefs', uuid: null });
    expect(json.recoveryPoint).toMatchObject({ partial: true });
  });

  test('as text for people, too', async () => {
    const { exitCode, stdout } = await sandbox.run(['status', '--timeout', '60']);
    expect(exitCode).toBe(3);
    expect(stdout).toContain('needs attention\nwarning: ');
    expect(stdout).toMatch(/^copytool +not running$/m);
    expect(stdout).toMatch(/^lustrefs-OST0001 +0\.\d %/m);
  });
});

describe('the coordinator and its agents', () => {
  /** Where the parameters of the metadata servers are. */
  const AS_SERVER = { LUSTRE_SIM_NODE: 'server' };

  test('a client can’t see them, which is no problem of its own', async () => {
    const { json } = await status();
    expect(json.coordinator).toMatchObject({ available: false, code: 'NOT_SEEN', hint: expect.any(String) });
    const { stdout } = await sandbox.run(['status', '--timeout', '60']);
    expect(stdout).toMatch(/^coordinator and agents: unknown: .*only on metadata servers/m);
  });

  test('without a copytool, and switched off: two errors, with what to do', async () => {
    await sandbox.serverLctl(['set_param', 'mdt.*.hsm_control=disabled']);
    const { exitCode, json } = await status([], undefined, AS_SERVER);
    await sandbox.serverLctl(['set_param', 'mdt.*.hsm_control=enabled']);
    expect(exitCode).toBe(1);
    expect(codes(json).slice(0, 2)).toEqual(['COORDINATOR_NOT_ENABLED', 'NO_AGENT']);
    expect(json.coordinator).toEqual({
      available: true,
      mdts: [{ mdt: sandbox.mdt, control: 'disabled', maxRequests: expect.any(Number), active: 0 }],
      agents: [{ archive: 1, count: 0 }],
    });
  });

  test('with a copytool: how many agents there are for each archive, and how many actions are at work', async () => {
    await sandbox.serverLctl(['set_param', 'mdt.*.hsm.max_requests=77']);
    const copytool = await sandbox.startCopytool();
    const { json } = await status([], undefined, AS_SERVER);
    expect(json.coordinator).toMatchObject({
      mdts: [{ control: 'enabled', maxRequests: 77 }],
      agents: [{ archive: 1, count: 1 }],
    });
    expect(codes(json)).not.toContain('NO_AGENT');
    const { stdout } = await sandbox.run(['status', '--timeout', '60'], { env: AS_SERVER });
    expect(stdout).toMatch(/^\S+-MDT0000 +enabled +0 +77$\nagents: archive 1: 1$/m);
    await copytool.stop();
  });
});

describe('with a copytool and a catalog', () => {
  beforeAll(async () => {
    await sandbox.startCopytool();
    for (const name of ['new', 'archived', 'released', 'modified']) writeFileSync(join(sandbox.tree, name), name);
    mkdirSync(join(sandbox.tree, 'directory'));
    const path = (name: string) => join(sandbox.tree, name);
    const done = async (...args: string[]) => expect(await sandbox.run(args)).toMatchObject({ exitCode: 0 });
    await done('archive', '--wait', path('archived'), path('released'), path('modified'));
    await done('release', path('released'));
    writeFileSync(path('modified'), 'otherwise');
    await done('scan');
  });

  test('the contract of --json', async () => {
    const { exitCode, json } = await status();
    expect(exitCode).toBe(3);
    expect(codes(json)).toEqual(['FOLLOWER_NOT_RUNNING']);
    expect(Object.keys(json)).toEqual(
      'schema time host version mount health services fileSystem coordinator containers changelogs recoveryPoint policies catalog osts'.split(
        ' ',
      ),
    );
    const iso = expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    expect(json).toMatchObject({ schema: 1, time: iso, mount: sandbox.mount });
    expect(json.services.copytool).toMatchObject({ state: 'running', figures: { schema: 1, service: 'copytool' } });
    expect(json.containers).toEqual([
      { archive: 1, endpoint: expect.stringContaining('http'), container: sandbox.container, state: 'ok' },
    ]);
    expect(json.changelogs).toEqual([
      {
        mdt: sandbox.fileSystem.mdt,
        user: null,
        applied: null,
        from: 'mdt',
        lag: { available: true, records: expect.any(Number), seconds: expect.any(Number) },
        rescan: null,
      },
    ]);
    expect(json.osts).toEqual({
      available: true,
      targets: [0, 1].map((index) => ({
        index,
        name: `lustrefs-OST000${index}`,
        used: expect.any(Number),
        available: expect.any(Number),
        percent: expect.any(Number),
      })),
      high: 85,
      low: 80,
    });
    expect(json.catalog).toMatchObject({
      available: true,
      scanned: iso,
      scanning: null,
      importing: null,
      directories: 3,
      symlinks: 0,
      special: 0,
    });
    if (!json.catalog.available) return;
    expect(json.catalog.files).toEqual({
      new: { count: 1, bytes: 3 },
      modified: { count: 1, bytes: 9 },
      archived: { count: 1, bytes: 8 },
      released: { count: 1, bytes: 8 },
      unfinished: { count: 0, bytes: 0 },
      lost: { count: 0, bytes: 0 },
    });
    expect(Object.keys(json.catalog.files)).toEqual([...FILE_STATES]);
    expect(json.catalog.runs).toMatchObject([{ kind: 'scan', started: iso, ended: iso, outcome: 'complete' }]);
    expect(json.catalog.journal).toMatchObject({ waiting: expect.any(Number), quarantined: 0 });
    expect(json.recoveryPoint).toMatchObject({ since: iso, partial: false });
  });

  test('everything that docs/status.md names is there', async () => {
    const { json } = await status();
    const doc = readFileSync(new URL('../../../docs/status.md', import.meta.url), 'utf8');
    const named = (table: string) =>
      [...table.matchAll(/^\| (`[^|]+`) \|/gm)].flatMap(([, cell]) =>
        [...(cell ?? '').matchAll(/`(\w+)`/g)].map(([, name]) => name),
      );
    const [, outer = '', inner = ''] = doc.split(/\| field (?:of `catalog` )?\| \|\n/);
    expect(named(outer.split('\n\n')[0] ?? '').sort()).toEqual(Object.keys(json).sort());
    expect([...named(inner), 'available'].sort()).toEqual(Object.keys(json.catalog).sort());
  });

  test('a verification that is under way, and each policy', async () => {
    // Nobody reads the report yet: it waits.
    const report = join(sandbox.dir, 'report');
    expect(await sandbox.exec('mkfifo', [report])).toMatchObject({ exitCode: 0 });
    const verify = sandbox.startService(['verify', '--settle', '0s', '--report', report]);
    const { json } = await waitUntil('it is told of', async () => {
      const found = await status();
      return found.json.services.verify.state === 'running' ? found : undefined;
    });
    expect(json.services.verify).toMatchObject({ figures: { pid: verify.pid, path: sandbox.mount } });
    expect(json.policies).toEqual(
      ['archive', 'release', 'remove'].map((policy) => ({
        ...{ policy, running: null, last: null, next: null, by: null },
        triggers: [expect.any(String)],
      })),
    );
    const { stdout } = await sandbox.run(['status', '--timeout', '60']);
    expect(stdout).toMatch(/^verify +running, of /m);
    expect(stdout).toMatch(/^archive +every 5m +never$/m);
    await sandbox.exec('cat', [report]);
    expect([0, 3]).toContain((await verify.exited()).exitCode);
  });

  test('a copytool that is stopped in its tracks holds nothing up', async () => {
    const running = (await status()).json.services.copytool;
    if (running.state !== 'running') throw new Error('not running');
    const { pid } = running.figures.process;
    process.kill(pid, 'SIGSTOP');
    try {
      const { exitCode, json } = await status(['--timeout', '3']);
      expect(exitCode).toBe(1);
      expect(json.services.copytool).toMatchObject({ state: 'unavailable', code: 'SERVICE_SILENT' });
      expect(codes(json)).toContain('SERVICE_SILENT');
    } finally {
      process.kill(pid, 'SIGCONT');
    }
  });

  test('an OST above the mark, a paused kind', async () => {
    const kib = 1024 * 1024;
    await sandbox.simctl(['sim', 'op=ost_fill', 'index=1', `kb=${Math.round(kib * 0.9)}`]);
    expect(await sandbox.run(['copytool', 'ctl', 'pause', 'archive'])).toMatchObject({ exitCode: 0 });
    const { json } = await status();
    expect(codes(json)).toEqual(['PAUSED', 'FOLLOWER_NOT_RUNNING', 'OST_FULL']);
    expect(json.health.problems.at(-1)?.message).toMatch(/^lustrefs-OST0001 is 9\d\.\d % full/);
    await sandbox.simctl(['sim', 'op=ost_fill', 'index=1', 'kb=0']);
    expect(await sandbox.run(['copytool', 'ctl', 'resume', 'archive'])).toMatchObject({ exitCode: 0 });
  });

  test('what is broken is told, each by its own', async () => {
    const config = changedConfig('broken', (settings) => {
      settings['mount'] = join(sandbox.dir, 'nowhere');
      settings['mdts'] = ['lustrefs-MDT0007'];
      settings['state_dir'] = join(sandbox.dir, 'damaged');
      settings['lfs'] = '/nonexistent/lfs';
      settings['archives'] = {
        1: {
          endpoint: 'http://127.0.0.1:1/account',
          container: 'ccc',
          credential: { type: 'sas', file: join(sandbox.dir, 'sas') },
        },
      };
    });
    mkdirSync(join(sandbox.dir, 'damaged'), { recursive: true });
    writeFileSync(join(sandbox.dir, 'damaged', 'catalog.db'), Buffer.alloc(8192, 'no database'));
    writeFileSync(join(sandbox.dir, 'sas'), 'sv=2023-11-03&sp=r&se=2020-01-01T00:00:00Z&sig=secret', { mode: 0o600 });
    const { exitCode, json } = await status([], config);
    expect(exitCode).toBe(1);
    expect(codes(json)).toEqual(
      expect.arrayContaining(['SAS_EXPIRED', 'NETWORK', 'COPYTOOL_NOT_RUNNING', 'PROGRAM_MISSING']),
    );
    expect(json).toMatchObject({
      fileSystem: { available: false },
      catalog: { available: false },
      osts: { available: false },
    });
    expect(JSON.stringify(json)).not.toContain('secret');
  });

  test('--watch goes on, with --json a line each time', async () => {
    const command = await sandbox.startService(['status', '--watch', '1', '--json', '--timeout', '60']);
    const snapshot = (line: { record?: Record<string, unknown> | undefined }) => line.record?.['schema'] === 1;
    const first = await command.waitFor(snapshot);
    await command.waitFor(snapshot, { after: command.lines.indexOf(first) + 1 });
    await command.kill('SIGKILL');
  });
});
