import { mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { useFollowing } from '../integration/lessons/following.ts';
import { Random } from '../support/random.ts';

/*
 * A storm of renames: directories that swap their names or leave and come back, files that move between them, faster
 * than the follower carries them over. When it has nothing left to do, container and file system are in step, with
 * neither a scan nor a sweep.
 */

const SECONDS = Number(process.env['LFSAZSYNC_STORM_SECONDS'] ?? '60');
const SEED = Number(process.env['LFSAZSYNC_STORM_SEED'] ?? Math.floor(Math.random() * 1e6));
const following = useFollowing();

test(`after ${SECONDS} s of renames from seed ${SEED} on`, async () => {
  const it = following.it;
  const random = new Random(SEED);
  const pick = <T>(from: readonly T[]): T => random.pick(from);
  for (let directory = 0; directory < 12; directory++) {
    mkdirSync(it.path(`t/d${directory}/empty`), { recursive: true });
    for (let file = 0; file < 8; file++) await it.write(`t/d${directory}/f${directory}-${file}`);
  }
  await it.archive();
  await it.release();
  await it.inStep();
  const directories = Array.from({ length: 12 }, (_, n) => `t/d${n}`);
  const files = directories.flatMap((directory, n) =>
    Array.from({ length: 8 }, (_, f) => ({ directory, name: `f${n}-${f}` })),
  );
  const rename = (from: string, to: string) => renameSync(it.path(from), it.path(to));
  let renames = 0;
  const kinds = [
    async () => {
      const [one, other] = [pick(directories), pick(directories)];
      if (one === other) return;
      rename(one, 't/aside');
      rename(other, one);
      rename('t/aside', other);
      for (const file of files) {
        if (file.directory === one) file.directory = other;
        else if (file.directory === other) file.directory = one;
      }
    },
    async () => {
      const directory = pick(directories);
      rename(directory, `${directory}, away`);
      rename(`${directory}, away`, directory);
    },
    async () => {
      const file = pick(files);
      const to = pick(directories);
      rename(join(file.directory, file.name), join(to, file.name));
      file.directory = to;
    },
  ];
  for (const end = Date.now() + SECONDS * 1000; Date.now() < end; ) {
    // In bursts, with pauses in which the follower gets to some of it.
    for (let burst = random.below(40); burst >= 0; burst--, renames++) await pick(kinds)();
    await new Promise((resolve) => setTimeout(resolve, random.below(400)));
  }
  process.stderr.write(`${renames} changes of names\n`);
  await it.idle(1_200_000);
  expect(await it.findings(), it.logs().slice(-5_000)).toEqual([]);
});
