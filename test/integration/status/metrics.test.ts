import { readFileSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openCatalog } from '../../../src/catalog/open.ts';
import { type Sandbox, startSandbox } from '../../support/sandbox.ts';

let sandbox: Sandbox;
beforeAll(async () => {
  sandbox = await startSandbox({ standInOnly: true });
});
afterAll(() => sandbox?.stop());

/** What is answered at a Unix socket. */
function served(socketPath: string): Promise<string> {
  return new Promise((resolve, reject) => {
    get({ socketPath, path: '/metrics' }, (answer) => {
      const parts: Buffer[] = [];
      answer.on('data', (part: Buffer) => parts.push(part));
      answer.on('end', () => resolve(Buffer.concat(parts).toString('utf8')));
    }).once('error', reject);
  });
}

/** As in the hours after a scan: more runs of policies than anybody shows. The release's is its only one, and the oldest. */
async function policyRuns(count: number): Promise<void> {
  const catalog = openCatalog({ file: join(sandbox.dir, 'state/catalog.db') });
  await catalog.endRun(await catalog.beginRun('policy', 'release'), 'partial', {});
  for (let run = 0; run < count; run += 1)
    await catalog.endRun(await catalog.beginRun('policy', 'archive'), 'complete', {});
  // Under way: the last that has ended counts.
  await catalog.beginRun('policy', 'archive');
  await catalog.beginRun('scan', '/');
  catalog.close();
}

test('before anything runs, and once it does; to a file, and over HTTP', async () => {
  const before = await sandbox.run(['metrics', '--timeout', '60']);
  expect(before).toMatchObject({ exitCode: 0, stderr: '' });
  expect(before.stdout).toContain('lfsazsync_service_up{service="copytool"} 0\n');
  expect(before.stdout).toContain('lfsazsync_source_available{source="catalog"} 0\n');
  await sandbox.startCopytool();
  expect(await sandbox.run(['scan'])).toMatchObject({ exitCode: 0 });
  await policyRuns(30);
  const file = join(sandbox.dir, 'lfsazsync.prom');
  expect(await sandbox.run(['metrics', '--timeout', '60', '--output', file])).toMatchObject({
    exitCode: 0,
    stdout: '',
  });
  const text = readFileSync(file, 'utf8');
  expect(text).toContain('lfsazsync_service_up{service="copytool"} 1\n');
  expect(text).toContain('lfsazsync_copytool_registered 1\n');
  expect(text).toMatch(/^lfsazsync_run_complete\{kind="scan",name="\/"\} 1$/m);
  expect(text).toMatch(/^lfsazsync_run_complete\{kind="policy",name="archive"\} 1$/m);
  expect(text).toMatch(/^lfsazsync_run_complete\{kind="policy",name="release"\} 0$/m);
  for (const line of text.trim().split('\n'))
    expect(line).toMatch(
      /^(?:# (?:HELP|TYPE) lfsazsync_[a-z_]+ .+|lfsazsync_[a-z_]+(?:\{(?:[a-z]+="[^"]*",?)+\})? -?[\d.e+-]+)$/,
    );

  const socket = join(sandbox.dir, 'm.sock');
  const server = await sandbox.startService(['metrics', '--listen', `unix:${socket}`]);
  await server.waitFor(/serving \/metrics/);
  expect(await served(socket)).toContain('lfsazsync_build_info{version=');
  await server.stop();
  expect(await sandbox.run(['metrics', '--listen', '0.0.0.0:9470'])).toMatchObject({ exitCode: 2 });
});
