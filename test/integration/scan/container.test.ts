import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Sandbox, startSandbox } from '../../support/sandbox.ts';

let sandbox: Sandbox;
beforeAll(async () => {
  sandbox = await startSandbox({ standInOnly: true });
});
afterAll(() => sandbox?.stop());

const CONTROL = '.lfsazsync/control';

test('the first scan names the file system and its container; then the container need not answer, but be no other’s', async () => {
  const first = await sandbox.run(['scan', '--json']);
  expect(first, first.stderr).toMatchObject({ exitCode: 0, stderr: '' });
  const { uuid } = JSON.parse(first.stdout);
  const control = sandbox.containerClient.getBlobClient(CONTROL);
  const text = (await control.downloadToBuffer()).toString('utf8');
  expect(text).toContain(uuid);

  const other = text.replace(uuid, '0b0e7a52-6f0c-4e3c-9a8e-2f4b6d1c9e10');
  const blob = control.getBlockBlobClient();
  await blob.upload(other, other.length);
  const refused = await sandbox.run(['scan', '--json']);
  expect(refused.exitCode).toBe(1);
  expect(JSON.parse(refused.stdout).error.code).toBe('IDENTITY_MISMATCH');

  await sandbox.containerClient.delete();
  const without = await sandbox.run(['scan', '--json']);
  expect(without, without.stderr).toMatchObject({ exitCode: 0 });
  expect(without.stderr).toContain(`warning: container ${sandbox.container} could not be asked`);
});
