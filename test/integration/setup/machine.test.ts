import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
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
