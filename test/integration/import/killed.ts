import { expect } from 'vitest';
import { Random, seedOf } from '../../support/random.ts';
import { comparable, ImportRig, seeTree } from './fixture.ts';

/**
 * Two copies of the same blobs: one is imported undisturbed, the other by an import that is killed (kill -9, helper and all)
 * at random moments before it may finish. Both trees are the same in the end.
 */
export async function killedImport(blobs: number, kills: number): Promise<void> {
  const random = new Random(seedOf());
  const it = await ImportRig.start();
  try {
    for (const top of ['calm', 'killed']) await fill(it, top, blobs);
    const began = Date.now();
    expect(await it.import('--prefix', 'calm')).toMatchObject({ exitCode: 0, failed: 0, conflicts: 0 });
    const took = Date.now() - began;
    for (let kill = 0; kill < kills; kill++) {
      const service = it.sandbox.startService(['import', '--json', '--prefix', 'killed']);
      // Start and all: some are killed before they have begun. All of them together have half of the time that it takes.
      await new Promise((resolve) => setTimeout(resolve, 200 + random.below(Math.max(200, took / (2 * kills)))));
      await service.crash();
    }
    const done = await it.import('--prefix', 'killed');
    expect(done, done.stderr).toMatchObject({ exitCode: 0, failed: 0, conflicts: 0 });
    // Each kill was in the middle of it. A few blobs may all be there before the last kill.
    if (blobs >= 10_000) expect(done).toMatchObject({ resumed: true });
    expect(timeless(comparable(seeTree(it.at('killed'))))).toEqual(timeless(comparable(seeTree(it.at('calm')))));
    // And nothing is left to be done.
    expect(await it.import('--prefix', 'killed')).toMatchObject({
      exitCode: 0,
      present: blobs,
      made: { files: 0 },
    });
  } finally {
    await it.stop();
  }
}

/** Directories that no blob says anything of are from when their import began. */
function timeless(tree: ReturnType<typeof comparable>): ReturnType<typeof comparable> {
  const same = Object.entries(tree).map(([path, seen]) => [
    path,
    seen.type === 'dir' && seen.mode === 0o777 ? { ...seen, mtime: 0 } : seen,
  ]);
  return Object.fromEntries(same) as ReturnType<typeof comparable>;
}

async function fill(it: ImportRig, top: string, blobs: number): Promise<void> {
  const owner = { owner: '1000', group: '1001', permissions: '0640', modtime: '2017-07-14 02:40:00 +0000' };
  const make = async (i: number): Promise<void> => {
    const place = `${top}/${i % 7}/${i % 50}`;
    if (i % 10 === 0) await it.put(`${place}/d${i}`, '', { hdi_isfolder: 'true', ...owner, permissions: '0751' });
    else if (i % 10 === 1) await it.put(`${place}/l${i}`, `../to/${i}`, { ...owner, ftype: 'LNK' });
    else if (i % 10 === 2) await it.put(`${place}/d${i - 2}/e${i}`, '', owner);
    else await it.put(`${place}/f${i}`, `content ${i}`, i % 10 < 6 ? owner : { modtime: owner.modtime });
  };
  for (let at = 0; at < blobs; at += 64) {
    await Promise.all(Array.from({ length: Math.min(64, blobs - at) }, (_, index) => make(at + index)));
  }
}
