import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { archiveId } from '../../support/sandbox.ts';
import { content, useBench } from './lessons.ts';

// Lesson 35: one naming for archive, restore and remove, also with a prefix.

const PREFIX = 'projects/set one';
const bench = useBench({ config: { archives: { [archiveId]: { prefix: PREFIX } } } });

it('lesson 35: a prefix holds for archive, release, restore and remove alike', async () => {
  const it = bench.it;
  const data = content(50_000);
  const path = await it.write('dir/file', data);
  const inside = it.sandbox.blobName(path);
  // The same name without the prefix, and one that only begins like it, belong to somebody else.
  const foreign = [inside, `${PREFIX}x/${inside}`];
  for (const name of foreign) await it.sandbox.containerClient.getBlockBlobClient(name).upload('foreign', 7);
  await it.roundTrip(path, data);
  expect((await it.blob(`${PREFIX}/${inside}`))?.equals(data)).toBe(true);
  await it.command('remove', '--wait', path);
  expect(await it.blob(`${PREFIX}/${inside}`)).toBeUndefined();
  for (const name of foreign) expect((await it.blob(name))?.toString()).toBe('foreign');
  expect((await readFile(path)).equals(data)).toBe(true);
});
