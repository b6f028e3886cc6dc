import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Sandbox, startSandbox } from '../../support/sandbox.ts';

let sandbox: Sandbox;
let root: string;
beforeAll(async () => {
  // Where services can see it.
  sandbox = await startSandbox({ standInOnly: true, parent: '/var/lib' });
  root = join(sandbox.dir, 'root');
});
afterAll(async () => await sandbox?.stop());

const UNIT = '/etc/systemd/system/lfsazsync-copytool.service';

async function setup(...args: string[]) {
  const { exitCode, stdout, stderr } = await sandbox.run([
    ...['setup', '--json', '--root', root, '--program', '/usr/bin/lfsazsync'],
    ...args,
  ]);
  expect(exitCode, stderr || stdout).toBe(0);
  const { steps } = JSON.parse(stdout) as { steps: { step: string; subject: string; state: string }[] };
  return { steps, stateOf: (subject: string) => steps.find((one) => one.subject === subject)?.state };
}

test('the services of this configuration below a scratch root: made, unchanged, brought up to date, taken away', async () => {
  const dry = await setup('--dry-run');
  expect(dry.stateOf(UNIT)).toBe('would');
  expect(existsSync(root)).toBe(false);

  const made = await setup();
  expect(made.stateOf(UNIT)).toBe('done');
  const unit = readFileSync(join(root, UNIT), 'utf8');
  expect(unit).toContain(`ExecStart=/usr/bin/lfsazsync copytool --config ${sandbox.configFile}\n`);
  expect(unit).toContain(`RequiresMountsFor=${sandbox.mount}\n`);
  expect(new Set((await setup()).steps.map(({ state }) => state))).toEqual(new Set(['unchanged']));

  // As a package does after an upgrade: neither Lustre nor the container is looked at.
  const upgraded = await sandbox.run(
    ['setup', '--files-only', '--root', root, '--program', '/opt/lfsazsync/bin/lfsazsync'],
    { env: { LFSAZSYNC_LLAPI: '/nowhere' } },
  );
  expect(upgraded).toMatchObject({ exitCode: 0, stdout: expect.stringContaining(`file ${UNIT}: brought up to date`) });

  const removed = await setup('--uninstall');
  expect(removed.stateOf(UNIT)).toBe('done');
  expect(existsSync(join(root, UNIT))).toBe(false);
  expect(existsSync(sandbox.configFile)).toBe(true);
  expect(existsSync(join(sandbox.dir, 'state/catalog.db'))).toBe(true);
});

test('back to an older program, when the catalog is a newer one’s: refused, and built anew as the guide says', async () => {
  const identity = async () => {
    const { exitCode, stdout } = await sandbox.run(['setup', '--no-services', '--json']);
    expect(exitCode, stdout).toBe(0);
    return (JSON.parse(stdout) as { uuid: string }).uuid;
  };
  const uuid = await identity();
  expect(await sandbox.run(['scan'])).toMatchObject({ exitCode: 0 });
  const configuration = readFileSync(sandbox.configFile, 'utf8');
  const state = join(sandbox.dir, 'state');
  const database = new DatabaseSync(join(state, 'catalog.db'));
  const { user_version: version } = database.prepare('PRAGMA user_version').get() as { user_version: number };
  database.exec(`PRAGMA user_version = ${version + 1}`);
  database.close();

  for (const command of [['scan'], ['find'], ['sweep'], ['policy-run'], ['changelog-follow', '--once']]) {
    const { exitCode, stderr } = await sandbox.run(command);
    expect({ command, exitCode }).toEqual({ command, exitCode: 1 });
    expect(stderr).toMatch(/newer version of lfsazsync/);
  }
  const old = join(state, 'old');
  mkdirSync(old);
  for (const name of readdirSync(state).filter((one) => one.startsWith('catalog.db')))
    renameSync(join(state, name), join(old, name));
  for (const command of [['scan'], ['sweep'], ['verify', '--settle', '0s']]) {
    const { exitCode, stderr, stdout } = await sandbox.run(command);
    expect({ command, exitCode, said: exitCode === 0 ? '' : stderr + stdout }).toEqual({
      command,
      exitCode: 0,
      said: '',
    });
  }
  // Neither the identity nor the configuration has changed.
  expect(await identity()).toBe(uuid);
  expect(readFileSync(sandbox.configFile, 'utf8')).toBe(configuration);
});
