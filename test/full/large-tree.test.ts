import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { useBench } from '../integration/lessons/lessons.ts';

// A tree of many files through the whole life of their data.

const DIRECTORIES = 50;
const FILES_EACH = 100;
const FILES = DIRECTORIES * FILES_EACH;

const bench = useBench();

const contentOf = (directory: number, file: number) =>
  Buffer.from(`${directory}/${file}\n`.repeat(1 + ((directory + file) % 50)));

it(`${FILES} files are archived, released and read back`, async () => {
  const { it } = bench;
  await it.sandbox.serverLctl(['set_param', 'mdt.*.hsm.max_requests=384']);
  for (let directory = 0; directory < DIRECTORIES; directory++) {
    const home = it.path(`large/d${directory}`);
    await mkdir(home, { recursive: true });
    for (let file = 0; file < FILES_EACH; file++) await writeFile(`${home}/f${file}`, contentOf(directory, file));
  }
  const run = (...argv: string[]) => it.sandbox.run(argv, { timeout: 1_500_000 });

  const archived = await run('archive', '--recursive', '--wait', '--json', it.path('large'));
  expect(archived.exitCode, archived.stderr).toBe(0);
  expect((await it.fileBlobs()).length).toBe(FILES);

  const released = await run('release', '--recursive', '--json', it.path('large'));
  expect(released.exitCode, released.stderr).toBe(0);
  const sums = createHash('sha256');
  const back = createHash('sha256');
  const some = Array.from({ length: 500 }, (_, index) => (index * 7919) % FILES);
  await Promise.all(
    some.map(async (index) => {
      const [directory, file] = [Math.floor(index / FILES_EACH), index % FILES_EACH];
      const read = await readFile(it.path(`large/d${directory}/f${file}`));
      expect(read.equals(contentOf(directory, file)), `large/d${directory}/f${file}`).toBe(true);
    }),
  );

  const restored = await run('restore', '--recursive', '--wait', '--json', it.path('large'));
  expect(restored.exitCode, restored.stderr).toBe(0);
  for (let directory = 0; directory < DIRECTORIES; directory++) {
    for (let file = 0; file < FILES_EACH; file++) {
      sums.update(contentOf(directory, file));
      back.update(await readFile(it.path(`large/d${directory}/f${file}`)));
    }
  }
  expect(back.digest('hex')).toBe(sums.digest('hex'));
});
