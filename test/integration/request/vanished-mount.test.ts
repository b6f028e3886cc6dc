import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startSandbox } from '../../support/sandbox.ts';
import { waitUntil } from '../../support/wait.ts';

test('a mount that is taken away while files are waited for ends the wait with an error', async () => {
  await using sandbox = await startSandbox({ endpoint: false, standInOnly: true });
  const path = join(sandbox.tree, 'file');
  writeFileSync(path, 'x');
  const service = sandbox.startService(['archive', '--wait', path]);
  await waitUntil('it is asked for', async () => {
    const { stdout } = await sandbox.lfs(['hsm_action', path]);
    return stdout.includes('ARCHIVE');
  });
  await sandbox.exec('umount', ['-l', sandbox.mount]);
  const { exitCode } = await service.exited();
  expect(exitCode).toBe(1);
  expect(service.log.text()).toMatch(/error: .* was unmounted while files were waited for/);
});
