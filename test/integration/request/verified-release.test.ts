import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RequestResult } from '../../../src/cli/request-command.ts';
import { type Sandbox, startSandbox } from '../../support/sandbox.ts';

// What is released can be brought back: its copy is looked for, by the rules of a restore, before.

let sandbox: Sandbox;
beforeAll(async () => {
  sandbox = await startSandbox();
  await sandbox.startCopytool();
});
afterAll(async () => {
  await sandbox?.stop();
});

async function command(
  argv: readonly string[],
): Promise<{ exitCode: number | null; json: RequestResult; stderr: string }> {
  const { exitCode, stdout, stderr } = await sandbox.run([...argv, '--json']);
  return { exitCode, stderr, json: JSON.parse(stdout) as RequestResult };
}

async function archived(directory: string, ...names: string[]): Promise<string[]> {
  const dir = join(sandbox.tree, directory);
  mkdirSync(dir);
  const paths = names.map((name) => join(dir, name));
  for (const path of paths) writeFileSync(path, `content of ${path}`);
  const { exitCode, json, stderr } = await command(['archive', '-r', '--wait', dir]);
  expect([exitCode, json.outcomes?.done.files, stderr]).toEqual([0, names.length, '']);
  return paths;
}

const stateOf = async (path: string) => (await sandbox.lfs(['hsm_state', path])).stdout.slice(path.length + 2).trim();
const RELEASED = /^\(0x0000000d\)/;
const RESIDENT = /^\(0x00000009\)/;

test('a file whose copy is gone, or another’s, keeps its data; the others are released', async () => {
  const [good = '', gone = '', wrong = '', moved = ''] = await archived('mixed', 'good', 'gone', 'wrong', 'moved');
  const client = sandbox.containerClient;
  await client.getBlobClient(sandbox.blobName(gone)).delete();
  await client.getBlockBlobClient(sandbox.blobName(wrong)).upload('something else', 14);
  const renamed = `${moved}-since`;
  renameSync(moved, renamed);

  const { exitCode, json, stderr } = await command(['release', good, gone, wrong, renamed]);
  expect(exitCode).toBe(3);
  expect(json.reasons).toMatchObject([{ outcome: 'refused', code: 'COPY_UNVERIFIED', files: 2 }]);
  expect(stderr).toMatch(/gone: its copy could not be verified: .*nothing/);
  expect(stderr).toMatch(/wrong: its copy could not be verified: .*not a blob of lfsazsync/);
  expect(await stateOf(gone)).toMatch(RESIDENT);
  expect(await stateOf(wrong)).toMatch(RESIDENT);
  for (const [path, name] of [
    [good, good],
    [renamed, moved],
  ] as const) {
    expect(await stateOf(path)).toMatch(RELEASED);
    expect(await readFile(path, 'utf8')).toBe(`content of ${name}`);
  }
});

test('a dry run looks at the copies, too, and releases nothing', async () => {
  const [good = '', gone = ''] = await archived('dry', 'good', 'gone');
  await sandbox.containerClient.getBlobClient(sandbox.blobName(gone)).delete();
  const { json } = await command(['release', '--dry-run', good, gone]);
  expect([json.outcomes.would_ask.files, json.outcomes.refused.files]).toEqual([1, 1]);
  expect(await stateOf(good)).toMatch(RESIDENT);
});

test('when the container can’t be asked, nothing is released', async () => {
  const [path = ''] = await archived('unreachable', 'file');
  const nowhere = sandbox.connectionString.replace(/127\.0\.0\.1:\d+/, '127.0.0.1:9');
  const { exitCode, stdout, stderr } = await sandbox.run(['release', path], {
    env: { AZURE_STORAGE_CONNECTION_STRING: nowhere },
  });
  expect(exitCode).not.toBe(0);
  expect(stdout).toMatch(/1 file .* not asked for/);
  expect(stderr).toMatch(/error: .*127\.0\.0\.1:9/s);
  expect(await stateOf(path)).toMatch(RESIDENT);
});
