import { execFileSync } from 'node:child_process';
import { lstatSync, readdirSync } from 'node:fs';
import {
  chmod,
  chown,
  link,
  mkdir,
  open,
  rename,
  rm,
  rmdir,
  symlink,
  unlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Catalog } from '../../../src/catalog/catalog.ts';
import { openCatalog } from '../../../src/catalog/open.ts';
import { LustreSource } from '../../../src/follow/lustre-source.ts';
import { REASON } from '../../../src/follow/reasons.ts';
import { RecordBatch } from '../../../src/follow/record-batch.ts';
import { refresh } from '../../../src/follow/refresh.ts';
import { takeIn } from '../../../src/follow/take-in.ts';
import { type Fid, ROOT_FID } from '../../../src/identity/fid.ts';
import { ChangelogReader } from '../../../src/lustre/changelog-reader.ts';
import { type LustreFileSystem, openFileSystem } from '../../../src/lustre/file-system.ts';
import { scratch } from '../../support/catalog.ts';
import { helperPath } from '../../support/project.ts';
import { useStandIn } from '../lustre-sim/fixture.ts';

const UUID = '0b0e7a52-6f0c-4e3c-9a8e-2f4b6d1c9e10';

describe.each(['2.15', '2.17'] as const)('Lustre %s', (version) => {
  const standIn = useStandIn({ version });
  let fileSystem: LustreFileSystem;
  let user: string;
  let place: ReturnType<typeof scratch>;
  let catalog: Catalog;
  let tree: string;

  beforeAll(async () => {
    const { sandbox } = standIn.it;
    process.env['LUSTRE_SIM_DIR'] = sandbox.env['LUSTRE_SIM_DIR'];
    user = (await sandbox.serverLctl(['--device', sandbox.mdt, 'changelog_register', '-n'])).stdout.trim();
    fileSystem = await openFileSystem({ mount: sandbox.mount, liblustreapi: sandbox.llapi, helper: helperPath });
    if ((await fileSystem.readUuid()) === undefined) await fileSystem.writeUuid(UUID);
  });
  afterAll(() => fileSystem?.close());

  beforeEach(async () => {
    place = scratch();
    catalog = openCatalog({ file: place.file, create: true });
    tree = standIn.it.tree;
    await follow();
  });
  afterEach(() => {
    catalog.close();
    place.remove();
  });

  const timing = () => ({ now: Date.now(), settle: 0, again: 0 });
  const refreshSome = (after?: Fid) =>
    refresh(catalog, new LustreSource(fileSystem, UUID), { after, limit: 100, timing });

  /** Takes in all records that there are. */
  async function follow(): Promise<void> {
    const { mount, mdt, llapi } = standIn.it.sandbox;
    const applied = (await catalog.cursors())[0]?.applied;
    const reader = await ChangelogReader.start({
      ...{ mount, mdt, liblustreapi: llapi, helper: helperPath, user, interval: 50 },
      ...(applied === undefined ? {} : { start: applied + 1 }),
    });
    const batch = new RecordBatch(mdt, applied);
    for await (const event of reader) {
      if (event.kind === 'records') for (const record of event.records) batch.add(record);
      else if (event.kind === 'end') break;
      else throw new Error(`unexpected: ${JSON.stringify(event)}`);
    }
    await takeIn(catalog, batch);
    if (batch.last !== undefined) await reader.clear(batch.last);
    await reader.close();
  }

  /** @returns how many could not be looked at */
  async function catchUp(): Promise<number> {
    let failed = 0;
    await follow();
    for (let after: Fid | undefined; (await catalog.markStats()).count > 0; ) {
      const round = await refreshSome(after);
      after = round.next;
      failed += round.failed;
    }
    return failed;
  }

  /** Names below the tree with what they are, by a walk of the test's own. */
  function truth(directory = tree, below = ''): Map<string, string> {
    const found = new Map<string, string>();
    for (const name of readdirSync(Buffer.from(directory, 'latin1'), { encoding: 'buffer' }).map((one) =>
      one.toString('latin1'),
    )) {
      const path = `${directory}/${name}`;
      const stat = lstatSync(Buffer.from(path, 'latin1'));
      found.set(below + name, describeStat(stat));
      if (stat.isDirectory()) for (const [deeper, what] of truth(path, `${below}${name}/`)) found.set(deeper, what);
    }
    return found;
  }

  const describeStat = (stat: {
    mode: number;
    uid: number;
    gid: number;
    nlink: number;
    size: number;
    mtimeMs: number;
  }) => {
    const directory = (stat.mode & 0o170000) === 0o040000;
    return [
      (stat.mode & 0o7777).toString(8),
      stat.uid,
      stat.gid,
      directory ? 'directory' : `${stat.nlink} links, ${stat.size} bytes`,
      Math.floor(stat.mtimeMs / 1000),
    ].join(' ');
  };

  /** The same from the catalog. */
  async function catalogued(): Promise<Map<string, string>> {
    const found = new Map<string, string>();
    const root = (await catalog.lookup(Buffer.from(tree.slice(standIn.it.sandbox.mount.length + 1)))) as Fid;
    for await (const page of catalog.subtree(root)) {
      for (const { path, entry } of page) {
        const type = { dir: 0o040000, file: 0o100000 }[entry?.type as string] ?? 0;
        const stat = {
          ...entry,
          mode: (entry?.mode ?? 0) | type,
          size: Number(entry?.size),
          mtimeMs: (entry?.mtime ?? 0) * 1000,
        };
        found.set(path.toString('latin1'), describeStat(stat as Parameters<typeof describeStat>[0]));
      }
    }
    return found;
  }

  async function expectTruth(): Promise<void> {
    expect(await catalogued()).toEqual(truth());
    expect(await catalog.check()).toEqual([]);
  }

  const fidOf = async (path: string) =>
    (await fileSystem.files.get({ path: Buffer.from(path) }, { parts: ['stat'] })).fid;

  test('what is made, linked, renamed, changed and removed is in the catalog, with every name that a file can have', async () => {
    await mkdir(`${tree}/d`);
    await mkdir(`${tree}/d/e`);
    const names = ['plain', 'new\nline', ' s=[0x1:0x1:0x0] x', 'été', 'L'.repeat(255)].map((name) => Buffer.from(name));
    names.push(Buffer.from([0x62, 0xff, 0xfe]));
    for (const name of names) await writeFile(Buffer.concat([Buffer.from(`${tree}/d/e/`), name]), 'content');
    await symlink('../x', `${tree}/d/link`);
    execFileSync('mkfifo', [`${tree}/d/fifo`]);
    await writeFile(`${tree}/two`, '2');
    await link(`${tree}/two`, `${tree}/d/second`);
    await catchUp();
    await expectTruth();

    await rename(`${tree}/d`, `${tree}/moved`);
    await rename(`${tree}/moved/e/plain`, `${tree}/moved/e/new\nline`);
    await chmod(`${tree}/two`, 0o4711);
    await chown(`${tree}/moved/e/été`, 7, 8);
    await utimes(`${tree}/moved/e/été`, 1_600_000_000, 1_600_000_000);
    await unlink(`${tree}/two`);
    await rename(`${tree}/moved/link`, `${tree}/a`);
    await rename(`${tree}/a`, `${tree}/b`);
    await mkdir(`${tree}/a`);
    await catchUp();
    await expectTruth();

    await rm(`${tree}/moved`, { recursive: true });
    await rmdir(`${tree}/a`);
    await catchUp();
    await expectTruth();
    expect((await catalog.cursors())[0]?.rescan).toBeUndefined();
  });

  test('names that the attribute has no room for are found by their paths', async () => {
    await writeFile(`${tree}/file`, '');
    for (let index = 0; index < 40; index++) await link(`${tree}/file`, `${tree}/${'n'.repeat(200)}-${index}`);
    await catchUp();
    await expectTruth();
  });

  test('a file without a name lives until it is closed, and only then dies', async () => {
    const handle = await open(`${tree}/held`, 'w');
    const fid = await fidOf(`${tree}/held`);
    await catchUp();
    await unlink(`${tree}/held`);
    await catchUp();
    expect((await catalog.known([fid])).get(fid)).toMatchObject({ entry: { nlink: 0 }, links: [] });
    expect((await catalog.journalEntry(fid))?.reasons).toBe(REASON.LOOK);
    await handle.close();
    await catalog.apply({ marks: [{ fid, hints: 0, since: 1 }] });
    await catchUp();
    expect((await catalog.known([fid])).get(fid)?.entry).toBeUndefined();
    await expectTruth();
  });

  test('under another UUID, or none, nothing is dead, and every mark stays', async () => {
    await writeFile(`${tree}/file`, 'x');
    const fid = await fidOf(`${tree}/file`);
    await catchUp();
    await unlink(`${tree}/file`);
    await follow();
    const marks = (await catalog.markStats()).count;
    for (const other of ['11111111-6f0c-4e3c-9a8e-2f4b6d1c9e10', undefined]) {
      if (other === undefined) await fileSystem.files.removeXattr(ROOT_FID, 'trusted.lfsazsync_fs');
      else await fileSystem.files.setXattr(ROOT_FID, 'trusted.lfsazsync_fs', Buffer.from(other));
      await expect(refreshSome()).rejects.toMatchObject({ code: 'FILE_SYSTEM_CHANGED' });
    }
    await fileSystem.writeUuid(UUID);
    expect((await catalog.markStats()).count).toBe(marks);
    expect(await catalog.present([fid])).toEqual(new Set([fid]));
    await catchUp();
    await expectTruth();
  });

  test('a striped directory: what is in it hangs on stripes, of which nobody is told more than a path', async () => {
    await mkdir(`${tree}/striped`);
    await standIn.it.sandbox.simctl(['sim', 'op=stripe', `fid=${await fidOf(`${tree}/striped`)}`]);
    await writeFile(`${tree}/striped/file`, 'x');
    await mkdir(`${tree}/striped/below`);
    await writeFile(`${tree}/striped/below/deep`, 'x');
    await link(`${tree}/striped/file`, `${tree}/other`);
    expect(await catchUp()).toBe(0);
    await expectTruth();

    await rename(`${tree}/striped/file`, `${tree}/striped/renamed`);
    await rename(`${tree}/striped/below/deep`, `${tree}/striped/deep`);
    const below = await fidOf(`${tree}/striped/below`);
    await utimes(`${tree}/striped`, 1_600_000_000, 1_600_000_000);
    await unlink(`${tree}/other`);
    expect(await catchUp()).toBe(0);
    await expectTruth();
    // It was not renamed by being looked at once more.
    expect(((await catalog.journalEntry(below))?.reasons ?? 0) & REASON.TREE).toBe(0);
    await rm(`${tree}/striped`, { recursive: true });
    await catchUp();
    await expectTruth();
  });

  test('the OSTs, the pool and the HSM state of a file', async () => {
    const { it } = standIn;
    await it.ok('setstripe', '-c', '2', `${tree}/wide`);
    await writeFile(`${tree}/wide`, 'x');
    await catchUp();
    const fid = await fidOf(`${tree}/wide`);
    expect((await catalog.known([fid])).get(fid)?.entry).toMatchObject({ osts: [0, 1], pool: '', hsm: 0 });
    await it.ok('hsm_set', '--exists', '--archived', '--archive-id', '3', `${tree}/wide`);
    await catchUp();
    expect((await catalog.known([fid])).get(fid)?.entry).toMatchObject({ hsm: 0x9, archive: 3 });
    expect((await catalog.journalEntry(fid))?.reasons).toBe(REASON.COPY);
  });
});
