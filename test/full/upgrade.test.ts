import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { arch } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { packLater, packRelease, type Release } from '../support/releases.ts';
import type { RunResult } from '../support/run.ts';
import { run } from '../support/run.ts';
import { type Sandbox, startSandbox } from '../support/sandbox.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import { waitUntil } from '../support/wait.ts';

// One version installed over another, and back, while its services run: this version, and one of the future that has another
// unit and another schema of the catalog. Everything goes below a scratch root; no service manager is asked for anything.

const LATER = {
  version: '99.0.0',
  migration: 'CREATE TABLE of_the_future (id INTEGER PRIMARY KEY) STRICT',
  unit: { name: 'lfsazsync-copytool.service', from: 'LimitNOFILE=65536', to: 'LimitNOFILE=131072' },
};
const UNIT = `/etc/systemd/system/${LATER.unit.name}`;

let dir: string;
let now: Release;
let later: Release;

beforeAll(async () => {
  dir = mkdtempSync('/var/tmp/lfsazsync-upgrade-');
  now = await packRelease(join(dir, 'now'));
  later = await packLater(join(dir, 'later'), dir, LATER);
}, 7_200_000);
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** A way to install, below a root. */
interface Way {
  readonly name: string;
  /** What operators call, and units start. */
  readonly program: string;
  install(sandbox: Sandbox, root: string, release: Release): Promise<void>;
  /** As the guide says; units are gone then. */
  remove(sandbox: Sandbox, root: string): Promise<void>;
}

async function must(what: Promise<RunResult>): Promise<string> {
  const { exitCode, stdout, stderr } = await what;
  expect(exitCode, `${stdout}${stderr}`).toBe(0);
  return stdout;
}

/** @returns all that it says, and the package's scripts */
async function dpkg(sandbox: Sandbox, root: string, ...args: string[]): Promise<string> {
  const argv = [`--root=${root}`, '--force-script-chrootless', `--log=${root}/dpkg.log`, ...args];
  const { exitCode, stdout, stderr } = await sandbox.exec('dpkg', argv);
  expect(exitCode, `${stdout}${stderr}`).toBe(0);
  return `${stdout}${stderr}`;
}

/** An empty machine that has what the package depends on. */
function machineFor(root: string): void {
  for (const name of ['info', 'updates', 'triggers']) mkdirSync(join(root, 'var/lib/dpkg', name), { recursive: true });
  const architecture = arch() === 'x64' ? 'amd64' : 'arm64';
  const paragraphs = Object.entries({ libc6: '2.34-1', 'libstdc++6': '12.2.0-1' }).map(([name, version]) =>
    [
      `Package: ${name}`,
      'Status: install ok installed',
      'Maintainer: nobody <nobody@localhost>',
      `Architecture: ${architecture}`,
      `Version: ${version}`,
      `Description: ${name}\n`,
    ].join('\n'),
  );
  writeFileSync(join(root, 'var/lib/dpkg/status'), paragraphs.join('\n'));
  writeFileSync(join(root, 'var/lib/dpkg/available'), '');
}

const WAYS: readonly Way[] = [
  {
    name: 'the Debian package',
    program: 'opt/lfsazsync/bin/lfsazsync',
    install: async (sandbox, root, { deb }) => {
      if (!existsSync(join(root, 'var/lib/dpkg/status'))) machineFor(root);
      expect(await dpkg(sandbox, root, '--install', deb)).not.toContain('not brought up to date');
    },
    remove: async (sandbox, root) => {
      expect(await dpkg(sandbox, root, '--remove', 'lfsazsync')).not.toContain('not taken away');
      expect(existsSync(join(root, 'opt/lfsazsync'))).toBe(false);
    },
  },
  {
    name: 'the folder with everything, behind a link',
    program: 'usr/bin/lfsazsync',
    install: async (sandbox, root, { tarball, folder }) => {
      for (const name of ['opt', 'usr/bin']) mkdirSync(join(root, name), { recursive: true });
      await must(sandbox.exec('tar', ['-xJf', tarball, '-C', join(root, 'opt')], { timeout: 600_000 }));
      const link = join(root, 'usr/bin/lfsazsync');
      await must(sandbox.exec('ln', ['-sfn', join(root, 'opt', folder, 'bin/lfsazsync'), link]));
      if (existsSync(join(root, UNIT)))
        await must(sandbox.exec(link, ['setup', '--files-only', '--root', root, '--program', '/usr/bin/lfsazsync']));
    },
    remove: async (sandbox, root) => {
      await must(sandbox.exec(join(root, 'usr/bin/lfsazsync'), ['setup', '--uninstall', '--root', root]));
    },
  },
];

describe.skipIf(!existsSync('/usr/bin/dpkg-deb')).each(WAYS)('$name', (way) => {
  let sandbox: Sandbox;
  let root: string;
  let services: ServiceProcess[] = [];
  beforeAll(async () => {
    sandbox = await startSandbox({ standInOnly: true, parent: '/var/lib', config: { follow: { settle: '1s' } } });
    root = join(sandbox.dir, 'root');
    mkdirSync(root);
  });
  afterAll(async () => await sandbox?.stop());

  const call = (...args: string[]) => sandbox.exec(join(root, way.program), args);
  const ok = (...args: string[]) => must(call(...args));
  const unit = () => readFileSync(join(root, UNIT), 'utf8');
  const file = (name: string) => join(sandbox.tree, name);

  /** What systemd does, in the units' order. */
  async function start(): Promise<void> {
    const begin = async (argv: string[], ready: string) => {
      const service = sandbox.startService(argv, {}, join(root, way.program));
      services.push(service);
      await service.waitFor(ready, { timeout: 120_000 });
    };
    await begin(['copytool'], 'copytool ready');
    await begin(['changelog-follow'], 'follower ready');
  }

  async function stop(): Promise<void> {
    const ends = await Promise.all(services.map(async (service) => await service.stop()));
    services = [];
    for (const { exitCode, signal } of ends) expect(signal === 'SIGTERM' ? 143 : exitCode).toBe(143);
  }

  async function inStep(): Promise<void> {
    let last = '';
    const quiet = async () => {
      last = await ok('changelog-follow', 'ctl', 'status', '--json');
      const { mdts, marks, journal } = JSON.parse(last);
      const caughtUp = mdts.every(({ lag }: { lag: { caughtUp: boolean } }) => lag.caughtUp);
      return caughtUp && marks.count + journal.waiting + journal.atWork === 0;
    };
    await waitUntil('the container is in step', quiet, { interval: 300, timeout: 300_000, detail: () => last });
  }

  /** Its only copy is in the container then. */
  async function released(name: string, content: string): Promise<void> {
    writeFileSync(file(name), content);
    await ok('archive', '--wait', file(name));
    await ok('release', file(name));
  }

  async function schemaOf(): Promise<number> {
    const database = new DatabaseSync(join(sandbox.dir, 'state/catalog.db'), { readOnly: true });
    const { user_version: version } = database.prepare('PRAGMA user_version').get() as { user_version: number };
    database.close();
    return version;
  }

  const reads = async (name: string, content: string) =>
    expect(await must(sandbox.exec('cat', [file(name)], { timeout: 300_000 }))).toBe(content);

  let schema: number;
  let first: string;
  let uuid: string;
  const identity = async () => (JSON.parse(await ok('setup', '--no-services', '--json')) as { uuid: string }).uuid;

  test('this version is installed, set up, and works', async () => {
    await way.install(sandbox, root, now);
    expect(await ok('--version')).toContain(`lfsazsync/${now.version} `);
    await ok('setup', '--root', root, '--program', '/usr/bin/lfsazsync');
    first = unit();
    expect(first).toContain(LATER.unit.from);
    expect(first).toContain(`--config ${sandbox.configFile}\n`);
    uuid = await identity();
    await ok('scan');
    schema = await schemaOf();
    await start();
    await released('of-now', 'written under this version');
    await inStep();
  });

  test('a later one over it, while its services run: units, catalog and copies are the later one’s', async () => {
    await way.install(sandbox, root, later);
    expect(await ok('--version')).toContain(`lfsazsync/${LATER.version} `);
    expect(unit()).toBe(first.replace(LATER.unit.from, LATER.unit.to));
    // Services of before go on until they are started again, and are answered to.
    await ok('copytool', 'ctl', 'status');
    await stop();
    await start();
    expect(await schemaOf()).toBe(schema + 1);
    await reads('of-now', 'written under this version');
    await released('of-later', 'written under the later version');
    writeFileSync(file('waits'), 'x');
    renameSync(file('of-now'), file('renamed'));
    await inStep();
    expect(await identity()).toBe(uuid);
    expect(await ok('find', '--name', 'renamed')).toContain('renamed');
  });

  test('back again: units are those of before; the newer catalog is refused, and left as it is', async () => {
    await stop();
    await way.install(sandbox, root, now);
    expect(await ok('--version')).toContain(`lfsazsync/${now.version} `);
    expect(unit()).toBe(first);
    renameSync(file('waits'), file('moved-meanwhile'));
    for (const command of [['scan'], ['find'], ['sweep'], ['policy-run'], ['changelog-follow'], ['setup']]) {
      const { exitCode, stderr } = await call(...command, ...(command[0] === 'setup' ? ['--no-services'] : []));
      expect({ command, exitCode, stderr }).toEqual({
        ...{ command, exitCode: 1 },
        stderr: expect.stringMatching(/newer version of lfsazsync[\s\S]*lfsazsync scan/),
      });
    }
    expect(await schemaOf()).toBe(schema + 1);
  });

  test('the way out that the guide shows: the catalog is built anew, and nothing is missing', async () => {
    const state = join(sandbox.dir, 'state');
    const aside = join(sandbox.dir, 'catalog-of-later');
    mkdirSync(aside);
    for (const name of readdirSync(state).filter((one) => one.startsWith('catalog.db')))
      renameSync(join(state, name), join(aside, name));
    await ok('scan');
    await ok('sweep');
    expect(await schemaOf()).toBe(schema);
    await start();
    await reads('of-later', 'written under the later version');
    await released('again', 'written under this version again');
    await inStep();
    await reads('renamed', 'written under this version');
    await reads('again', 'written under this version again');
    // Everything was renamed in the container, too.
    await inStep();
    expect(await ok('verify', '--checksum')).toContain('Nothing was found to be wrong');
    expect(await identity()).toBe(uuid);
  });

  test('removed: units are gone; configuration, catalog and identity stay', async () => {
    await stop();
    await way.remove(sandbox, root);
    expect(readdirSync(join(root, 'etc/systemd/system'))).toEqual([]);
    for (const kept of [sandbox.configFile, join(sandbox.dir, 'state/catalog.db')]) expect(existsSync(kept)).toBe(true);
  });
});

test('nothing of this machine was changed', async () => {
  for (const path of [UNIT, '/opt/lfsazsync', '/usr/bin/lfsazsync', '/etc/lfsazsync'])
    expect(existsSync(path), path).toBe(false);
  const { exitCode } = await run('dpkg-query', ['--show', 'lfsazsync'], { env: { PATH: '/usr/bin:/bin' } });
  expect(exitCode).not.toBe(0);
});
