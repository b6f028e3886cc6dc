import { rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { comparable, Follower, ImportRig, seeTree } from './fixture.ts';

/** For any of the steps, of any number of files on a busy machine. */
const LONG = 7_200_000;
const SCRIPT = join(import.meta.dirname, 'tree.py');

/**
 * A tree is archived and followed into a container; its file system is lost; a new, empty one takes the container over, and
 * imports it. Both are the same, contents included, as the file systems themselves tell it.
 */
export async function roundTrip(files: number): Promise<void> {
  const first = await ImportRig.start();
  let second: ImportRig | undefined;
  try {
    const made = await first.sandbox.exec('python3', [SCRIPT, first.at('tree'), String(files)], { timeout: LONG });
    expect(made, made.stderr).toMatchObject({ exitCode: 0 });
    const archived = await first.sandbox.run(['archive', '--recursive', '--wait', first.at('tree')], {
      timeout: LONG,
    });
    expect(archived, archived.stderr).toMatchObject({ exitCode: 0 });
    const scanned = await first.sandbox.run(['scan'], { timeout: LONG });
    expect(scanned, scanned.stderr).toMatchObject({ exitCode: 0 });
    const follower = await Follower.open(first.rig);
    await follower.work();
    follower.close();
    const wanted = seeTree(first.at('tree'), true);
    const uuid = (await first.rig.fs.readUuid()) as string;
    await first.rig.copytool.stop();
    second = await ImportRig.start({
      connectionString: first.sandbox.connectionString,
      container: first.sandbox.container,
      before: async (sandbox) => {
        // Only an empty file system takes a container over.
        rmdirSync(sandbox.tree);
        const taken = await sandbox.run(['setup', '--take-over', uuid]);
        expect(taken, taken.stderr).toMatchObject({ exitCode: 0 });
      },
    });
    const done = await second.import();
    expect(done, done.stderr).toMatchObject({ exitCode: 0, conflicts: 0, refused: 0, failed: 0 });
    const before = seeTree(second.at('tree'));
    expect(comparable(before)).toEqual(comparable(withoutContents(wanted)));
    const restored = await second.sandbox.run(['restore', '--recursive', '--wait', second.at('tree')], {
      timeout: LONG,
    });
    expect(restored, restored.stderr).toMatchObject({ exitCode: 0 });
    expect(comparable(seeTree(second.at('tree'), true))).toEqual(comparable(wanted));
    // What was just imported is not written back, whatever is looked at.
    const etags = await etagsOf(first);
    const followed = await second.sandbox.run(['changelog-follow', '--once'], { timeout: LONG });
    expect(followed, followed.stderr).toMatchObject({ exitCode: 0 });
    const next = await Follower.open(second.rig);
    for await (const entries of next.catalog.entries()) await next.look(...entries.map(({ fid }) => fid));
    expect((await next.catalog.journalStats()).count).toBe(0);
    next.close();
    expect(await etagsOf(first)).toEqual(etags);
  } finally {
    await second?.stop();
    await first.stop();
  }
}

function withoutContents(tree: ReturnType<typeof seeTree>): ReturnType<typeof seeTree> {
  return new Map(
    [...tree].map(([path, seen]) => {
      if (seen.type === 'symlink') return [path, seen];
      const { content: _, ...rest } = seen;
      return [path, rest];
    }),
  );
}

async function etagsOf({ sandbox }: ImportRig): Promise<Record<string, string>> {
  const etags: Record<string, string> = {};
  for await (const { name, properties } of sandbox.containerClient.listBlobsFlat()) {
    if (!name.startsWith('.lfsazsync/')) etags[name] = properties.etag;
  }
  return etags;
}
