import { link, mkdir, rename, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';
import { type Fid, parseFid, ROOT_FID } from '../../../src/identity/fid.ts';
import { LustreFiles } from '../../../src/lustre/attributes.ts';
import { ERRNO } from '../../../src/lustre/errno.ts';
import { HelperProcess } from '../../../src/lustre/helper.ts';
import type { ScanEntry } from '../../../src/lustre/scan-entry.ts';
import { type ScanBatch, type ScannedDirectory, Scanner } from '../../../src/lustre/scanner.ts';
import { ErrnoError } from '../../../src/service/errors.ts';
import { CLEAN, RELEASED_FILE } from '../../contract/fixture.ts';
import { helperPath } from '../../support/project.ts';
import { useStandIn } from '../lustre-sim/fixture.ts';

const standIn = useStandIn({ osts: 3 });
const scanners: Scanner[] = [];
afterEach(async () => {
  await Promise.all(scanners.splice(0).map((scanner) => scanner.close()));
});

async function start(threads = 4): Promise<Scanner> {
  const { mount, llapi } = standIn.it.sandbox;
  const scanner = await Scanner.start({ mount, liblustreapi: llapi, helper: helperPath, threads });
  scanners.push(scanner);
  return scanner;
}

interface Seen {
  readonly entries: ScanEntry[];
  readonly directories: ScannedDirectory[];
  readonly scanner: Scanner;
}

async function scan(roots: readonly Fid[], each: (batch: ScanBatch) => Promise<void> = async () => {}): Promise<Seen> {
  const scanner = await start();
  const seen: Seen = { entries: [], directories: [], scanner };
  for await (const batch of scanner.walk(roots)) {
    seen.entries.push(...batch.entries);
    seen.directories.push(...batch.directories);
    await each(batch);
  }
  return seen;
}

const fidOf = async (path: string): Promise<Fid> => parseFid(await standIn.it.fid(path)) as Fid;

async function directory(name: string): Promise<{ path: string; fid: Fid }> {
  const path = await standIn.it.directory(name);
  return { path, fid: await fidOf(path) };
}

describe('what is told of an entry', () => {
  it('is what the file system has, for every kind and any name', async () => {
    const c = standIn.it;
    const { path, fid: parent } = await directory('kinds');
    const names = ['plain', 'new\nline', ' s=[x', 'é', 'L'.repeat(255)].map((name) => Buffer.from(name));
    names.push(Buffer.from([0x62, 0xff]), Buffer.from('..x'));
    for (const name of names) await writeFile(Buffer.concat([Buffer.from(`${path}/`), name]), 'content');
    await symlink('over/there', join(path, 'symlink'));
    await mkdir(join(path, 'sub'), { mode: 0o1750 });
    await c.sandbox.exec(
      'sh',
      ['-c', 'mkfifo fifo && mknod chr c 1 3 && chown 12:34 plain && chmod 4711 plain && touch -d @1000000000 plain'],
      { cwd: path },
    );
    const { entries, directories, scanner } = await scan([parent]);
    const of = (name: string | Buffer): ScanEntry | undefined =>
      entries.find((entry) => entry.parent === parent && entry.name.equals(Buffer.from(name)));
    for (const name of names)
      expect(of(name), name.toString()).toMatchObject({ type: 'file', size: 7, hsm: 0, links: null });
    expect(of('plain')).toMatchObject({
      fid: await fidOf(join(path, 'plain')),
      mode: 0o4711,
      uid: 12,
      gid: 34,
      mtime: 1e9,
    });
    expect(of('plain')).toMatchObject({ nlink: 1, archive: 0, record: null, lemur: null, linksComplete: true });
    expect(of('plain')?.osts).toHaveLength(1);
    expect(of('symlink')).toMatchObject({ type: 'symlink', size: 10, osts: [] });
    expect(of('sub')).toMatchObject({ type: 'dir', fid: await fidOf(join(path, 'sub')) });
    expect(of('fifo')?.type).toBe('fifo');
    expect(of('chr')?.type).toBe('chr');
    expect(entries).toHaveLength(names.length + 4);
    expect(directories).toHaveLength(2);
    expect(directories).toContainEqual({ fid: parent, entries: names.length + 4, errno: 0 });
    expect(scanner.totals).toMatchObject({
      entries: names.length + 4,
      directories: 2,
      unreadable: 0,
      failed: 0,
      gone: 0,
    });
  });

  it('layouts, pools, links, HSM states and records; nothing that is released is brought back', async () => {
    const c = standIn.it;
    const { path, fid: parent } = await directory('states');
    await using agent = await c.agent();
    await c.ok('setstripe', '-c', '3', join(path, 'wide'));
    const kept = await c.archived(agent, 'states/kept');
    const away = await c.released(agent, 'states/away');
    const set = 'import os,sys\nfor n in sys.argv[2:]: os.setxattr(sys.argv[1], n, b"\\x00" + n.encode())';
    const mark = (file: string, ...names: string[]) => c.sandbox.exec('python3', ['-c', set, file, ...names]);
    await mark(away.path, 'trusted.lfsazsync', 'trusted.lhsm_uuid');
    await mark(kept.path, 'trusted.lhsm_uuid');
    await mark(join(path, 'wide'), 'trusted.lfsazsync', 'trusted.lhsm_uuid');
    await mkdir(join(path, 'sub'));
    await link(kept.path, join(path, 'sub/second'));
    const { entries } = await scan([parent]);
    const of = (name: string): ScanEntry | undefined => entries.find((entry) => entry.name.toString() === name);
    expect(of('wide')).toMatchObject({ osts: [0, 1, 2], hsm: 0, record: null, lemur: null });
    expect(of('kept')).toMatchObject({ hsm: CLEAN, archive: 1, nlink: 2, linksComplete: true, record: null });
    expect(of('kept')?.lemur).toEqual(Buffer.from('\0trusted.lhsm_uuid'));
    const sub = await fidOf(join(path, 'sub'));
    for (const name of ['kept', 'second']) {
      const links = of(name)
        ?.links?.map((one) => [one.parent, one.name.toString()])
        .sort();
      expect(links).toEqual(
        [
          [parent, 'kept'],
          [sub, 'second'],
        ].sort(),
      );
    }
    expect(of('away')).toMatchObject({
      hsm: RELEASED_FILE,
      osts: [],
      record: Buffer.from('\0trusted.lfsazsync'),
      lemur: null,
    });
    await c.expectState(away.path, RELEASED_FILE);
    expect(await c.action(away.path)).toBe('NOOP');

    // The same of many FIDs, with all their names, and what is gone says so.
    const { mount, llapi } = c.sandbox;
    const helper = await HelperProcess.start({ mode: 'attrs', mount, liblustreapi: llapi, helper: helperPath });
    await unlink(join(path, 'wide'));
    const wide = of('wide')?.fid as Fid;
    const [a, k, gone, s] = await new LustreFiles(helper).entries([away.fid as Fid, kept.fid as Fid, wide, sub]);
    await helper.close();
    expect(a).toMatchObject({
      hsm: RELEASED_FILE,
      links: [{ parent, name: Buffer.from('away') }],
      linksComplete: true,
    });
    expect(k).toMatchObject({ hsm: CLEAN, nlink: 2, linksComplete: true });
    expect(gone instanceof ErrnoError && gone.errno).toBe(ERRNO.ENOENT);
    expect(s).toMatchObject({ type: 'dir', links: [{ parent, name: Buffer.from('sub') }], linksComplete: true });
  });
});

describe('the walk', () => {
  it('leaves .lustre out at the root, and says of FIDs that are none, or no directories, that they were not read', async () => {
    const { path } = await directory('odd');
    await writeFile(join(path, 'file'), '');
    const file = await fidOf(join(path, 'file'));
    const missing = parseFid('0x200000401:0xfffff:0x0') as Fid;
    const { directories } = await scan([missing, file]);
    expect(directories).toContainEqual({ fid: missing, entries: 0, errno: ERRNO.ENOENT });
    expect(directories).toContainEqual({ fid: file, entries: 0, errno: ERRNO.ENOTDIR });
    const all = await scan([ROOT_FID]);
    expect(all.entries.filter((entry) => entry.parent === ROOT_FID).map(String)).not.toContain('.lustre');
    expect(all.directories.every((one) => one.errno === 0)).toBe(true);
  });

  it('one huge directory, deep ones and many: everything once, also with a slow reader', async () => {
    const c = standIn.it;
    const { path, fid } = await directory('large');
    const make = `
import os, sys
os.chdir(sys.argv[1])
os.mkdir("huge")
for i in range(8000): os.mknod(f"huge/{i}")
for i in range(300):
    os.makedirs(f"many/{i}/x")
    os.mknod(f"many/{i}/x/file")
deep = "deep"
for i in range(200):
    os.mkdir(deep)
    deep += "/d"
`;
    expect(await c.sandbox.exec('python3', ['-c', make, path], { timeout: 110_000 })).toMatchObject({ exitCode: 0 });
    let pauses = 0;
    const { entries, directories, scanner } = await scan([fid], async () => {
      if (pauses++ < 20) await new Promise((resolve) => setTimeout(resolve, 20));
    });
    const expected = 1 + 8000 + 1 + 900 + 200;
    expect(entries).toHaveLength(expected);
    expect(new Set(entries.map((entry) => `${entry.parent}/${entry.name.toString()}`)).size).toBe(expected);
    expect(directories).toHaveLength(1 + 2 + 600 + 200);
    expect(directories.reduce((sum, one) => sum + one.entries, 0)).toBe(expected);
    expect(scanner.totals.entries).toBe(expected);
    // What a directory holds was told before its end.
    const huge = await fidOf(join(path, 'huge'));
    expect(directories.find((one) => one.fid === huge)).toEqual({ fid: huge, entries: 8000, errno: 0 });
  });

  it('while the tree changes: what stays is there, and nothing is told that never was', async () => {
    const c = standIn.it;
    const { path, fid } = await directory('busy');
    for (let d = 0; d < 20; d++) {
      await mkdir(join(path, `d${d}`));
      for (let i = 0; i < 50; i++) await writeFile(join(path, `d${d}`, `stays-${i}`), '');
    }
    let over = false;
    onTestFinished(() => {
      over = true;
    });
    const churn = (async () => {
      for (let n = 0; !over; n++) {
        const [from, to] = [join(path, `d${n % 20}`, `comes-${n}`), join(path, `d${(n * 7) % 20}`, `went-${n}`)];
        await writeFile(from, '');
        await rename(from, to);
        if (n % 3 !== 0) await unlink(to);
        const short = join(path, `short-${n % 5}`);
        if (n % 2 === 0) await mkdir(short, { recursive: true });
        else await rm(short, { recursive: true, force: true });
      }
    })();
    const before = new Set<Fid>();
    for (let round = 0; round < 5; round++) {
      const { entries, directories } = await scan([fid]);
      const stays = entries.filter((entry) => entry.name.toString().startsWith('stays-'));
      expect(stays).toHaveLength(1000);
      for (const entry of stays) before.add(entry.fid);
      for (const entry of entries) expect(entry.name.toString()).toMatch(/^(stays|comes|went|short)-\d+$|^d\d+$/);
      for (const one of directories) expect([0, ERRNO.ENOENT]).toContain(one.errno);
    }
    over = true;
    await churn;
    expect(before.size, 'a FID is a FID').toBe(1000);
    await c.sandbox.exec('rm', ['-rf', path]);
  });

  it('the helper killed in the middle: what was not complete is walked by the next one, and nothing is missing', async () => {
    const { path, fid } = await directory('again');
    for (let d = 0; d < 60; d++) {
      await mkdir(join(path, `a${d}/b`), { recursive: true });
      for (let i = 0; i < 30; i++) await writeFile(join(path, `a${d}/b`, String(i)), '');
    }
    const scanner = await start(1);
    const entries = new Map<string, ScanEntry>();
    const open = new Set<Fid>([fid]);
    const take = (batch: ScanBatch): void => {
      for (const entry of batch.entries) {
        entries.set(`${entry.parent}/${entry.name.toString()}`, entry);
        if (entry.type === 'dir') open.add(entry.fid);
      }
      for (const one of batch.directories) if (one.errno === 0) open.delete(one.fid);
    };
    const death = (async () => {
      for await (const batch of scanner.walk([fid])) {
        take(batch);
        process.kill(scanner.pid, 'SIGKILL');
      }
    })();
    await expect(death).rejects.toMatchObject({ code: 'HELPER_GONE' });
    for await (const batch of (await start()).walk([...open])) take(batch);
    expect(open.size).toBe(0);
    expect(entries.size).toBe(60 * 32);
  });
});
