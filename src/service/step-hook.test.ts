import { access, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { stepHook } from './step-hook.ts';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lfsazsync-steps-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

test('a step that is not held is passed', async () => {
  await stepHook(undefined)('archive.taken');
  await stepHook(directory)('archive.taken');
});

test('a held step lets one action wait until it is let go', async () => {
  const step = stepHook(directory);
  await writeFile(join(directory, 'archive.committed'), '');
  let passed = false;
  const waiting = step('archive.committed').then(() => {
    passed = true;
  });
  const reached = join(directory, 'archive.committed.reached');
  while (
    !(await access(reached).then(
      () => true,
      () => false,
    ))
  )
    await new Promise(setImmediate);
  await step('archive.committed');
  expect(passed).toBe(false);
  await rm(reached);
  await waiting;
  expect(passed).toBe(true);
});
