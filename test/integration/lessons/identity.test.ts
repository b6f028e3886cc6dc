import { readFile, rename } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { CLEAN, content, useBench } from './lessons.ts';

// Whose bytes go where, when names change at the worst moment.

const bench = useBench();

it('lesson 1: another file under the same name while the archive waits: each blob holds its own file', async () => {
  const it = bench.it;
  const [first, second] = [content(200_000), content(100_000)];
  const path = await it.write('swap/name', first);
  const held = it.steps.hold('archive.taken');
  await it.command('archive', path);
  await held.reached();
  const moved = it.path('swap/moved');
  await rename(path, moved);
  await it.write('swap/name', second);
  held.release();
  await it.waitForState(moved, CLEAN);
  expect((await it.blob(it.sandbox.blobName(moved)))?.equals(first)).toBe(true);
  expect(await it.blob(it.sandbox.blobName(path))).toBeUndefined();
  expect(await it.state(path)).toBe(0);
  await it.command('archive', '--wait', path);
  expect((await it.blob(it.sandbox.blobName(path)))?.equals(second)).toBe(true);
  await it.command('release', moved, path);
  expect((await readFile(moved)).equals(first)).toBe(true);
  expect((await readFile(path)).equals(second)).toBe(true);
});

it('lesson 1: renamed during the upload: nothing at the new name is taken for something else', async () => {
  const it = bench.it;
  const [first, second] = [content(300_000), content(300_000)];
  const path = await it.write('mid/a', first);
  const held = it.steps.hold('archive.uploaded');
  await it.command('archive', path);
  await held.reached();
  await rename(path, it.path('mid/b'));
  await it.write('mid/a', second);
  held.release();
  // Its copy was committed under the name that it had, and is found there: the bytes decide, not the name.
  await it.waitForState(it.path('mid/b'), CLEAN);
  await it.command('release', it.path('mid/b'));
  expect((await readFile(it.path('mid/b'))).equals(first)).toBe(true);
  expect((await readFile(it.path('mid/a'))).equals(second)).toBe(true);
});
