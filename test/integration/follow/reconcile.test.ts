import { chmodSync, linkSync, mkdirSync, renameSync, symlinkSync, unlinkSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { stagingName } from '../../../src/blob/naming.ts';
import { BlobStore } from '../../../src/blob/store.ts';
import type { Catalog } from '../../../src/catalog/catalog.ts';
import { openCatalog } from '../../../src/catalog/open.ts';
import { searchCopy } from '../../../src/copies/search-copy.ts';
import { LustreSource } from '../../../src/follow/lustre-source.ts';
import { REASON } from '../../../src/follow/reasons.ts';
import type { ReconcileContext } from '../../../src/follow/reconcile/context.ts';
import { workOff, workOn } from '../../../src/follow/reconcile/journal-worker.ts';
import { lookAt, type View } from '../../../src/follow/reconcile/look.ts';
import { PutOff } from '../../../src/follow/reconcile/put-off.ts';
import { reap } from '../../../src/follow/reconcile/reap.ts';
import { Reconciler } from '../../../src/follow/reconcile/reconciler.ts';
import { RECONCILE_STEPS, type ReconcileStep } from '../../../src/follow/reconcile/steps.ts';
import { removeDead } from '../../../src/follow/reconcile/tombstones.ts';
import { refresh } from '../../../src/follow/refresh.ts';
import { type Fid, ROOT_FID } from '../../../src/identity/fid.ts';
import { FILE_SYSTEM_XATTR } from '../../../src/identity/file-record.ts';
import { ERRNO } from '../../../src/lustre/errno.ts';
import type { AuditEntry } from '../../../src/service/audit.ts';
import { ErrnoError } from '../../../src/service/errors.ts';
import { scratch } from '../../support/catalog.ts';
import { silentLog as log } from '../../support/silent-log.ts';
import { Rig, read } from '../copytool/fixture.ts';

let rig: Rig;
let fsUuid: string;
let store: BlobStore;
let place: ReturnType<typeof scratch>;
let catalog: Catalog;
let audit: AuditEntry[];
let round = 0;

beforeAll(async () => {
  rig = await Rig.start({ config: { copytool: { locate_timeout: '5s' } } });
  fsUuid = (await rig.fs.readUuid()) as string;
  store = await BlobStore.open(
    {
      ...{ endpoint: undefined, container: rig.sandbox.containerClient.containerName, prefix: '' },
      ...{ credential: { type: 'connection_string', env: 'CONNECTION' }, accessTier: undefined, rehydrate: 'none' },
    },
    { env: { CONNECTION: rig.sandbox.connectionString } },
  );
});
afterAll(async () => {
  store?.close();
  await rig?.stop();
});
beforeEach(() => {
  place = scratch();
  catalog = openCatalog({ file: place.file, create: true });
  audit = [];
  round += 1;
  mkdirSync(at());
});
afterEach(() => {
  catalog.close();
  place.remove();
});

/** A path in this test's own directory. */
const at = (...names: string[]) => rig.path(`t${round}`, ...names);

const archiveAgain = async (fid: Fid) => rig.lfs('hsm_archive', rig.fs.fidPath(fid));

class Killed extends Error {}

function context(step: (step: ReconcileStep) => Promise<void> = () => Promise.resolve()): ReconcileContext {
  return {
    ...{ fs: rig.fs, fsUuid, archives: new Map([[1, store]]), catalog, log, step, archiveAgain },
    audit: {
      record: (entry) => Promise.resolve(void audit.push(entry)),
      reopen: () => Promise.resolve(),
      close: () => Promise.resolve(),
    },
    signal: new AbortController().signal,
  };
}

/** What the follower would do of these files' records: they are looked at, and what follows is in the journal. */
async function seen(...fids: Fid[]): Promise<void> {
  const since = Math.floor(Date.now() / 1000);
  await catalog.apply({ marks: fids.map((fid) => ({ fid, hints: 0, since })) });
  const timing = () => ({ now: Date.now(), settle: 0, again: 0 });
  for (let after: Fid | undefined; (await catalog.markStats()).count > 0; ) {
    after = (await refresh(catalog, new LustreSource(rig.fs, fsUuid), { after, limit: 100, timing })).next;
  }
  const living = await catalog.present(fids);
  await catalog.apply({
    journal: fids.filter((fid) => living.has(fid)).map((fid) => ({ fid, reasons: REASON.NAMES, since })),
  });
}

/** Works until the journal has nothing left, and nothing may have failed. */
async function follow(...fids: Fid[]): Promise<void> {
  await seen(...fids);
  for (let rounds = 0; (await catalog.journalStats()).count > 0; rounds++) {
    expect(rounds, JSON.stringify(await catalog.journalDue(Date.now() + 1e9, 10))).toBeLessThan(200);
    const { failed } = await workOff(context(), { concurrency: 4 });
    expect(failed, JSON.stringify(await catalog.journalDue(Date.now() + 1e9, 10))).toBe(0);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function archived(name: string, content: string): Promise<Fid> {
  const path = rig.write(join(`t${round}`, name), content);
  await rig.archive(path);
  const fid = await rig.fid(path);
  await follow(fid);
  return fid;
}

/** The blobs below this test's directory and in staging: name → kind and content, without directories. */
async function container(): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  const below = `${rig.sandbox.blobName(at())}/`;
  for await (const { name, metadata } of rig.sandbox.containerClient.listBlobsFlat({ includeMetadata: true })) {
    const kind = metadata?.['lfsazsync_kind'];
    if (kind === 'dir') continue;
    if (name.startsWith(stagingName('', ''))) found[name] = 'staged';
    if (!name.startsWith(below)) continue;
    const content = (await rig.sandbox.containerClient.getBlobClient(name).downloadToBuffer()).toString();
    found[name.slice(below.length)] = kind === undefined || kind === 'file' ? content : `${kind}:${content}`;
  }
  return found;
}

const blobOf = async (name: string) => (await rig.blob(at(name)).getProperties()).metadata ?? {};

describe('files that were renamed', () => {
  test('a released one: its copy follows, and a restore finds it', async () => {
    const fid = await archived('a', 'released');
    await rig.release(at('a'));
    mkdirSync(at('d'));
    renameSync(at('a'), at('d', 'b'));
    await follow(fid);
    expect(await container()).toEqual({ 'd/b': 'released' });
    expect(audit).toMatchObject([{ action: 'delete', fid }]);
    expect(await read(at('d', 'b'))).toBe('released');
  });

  test('with another owner, mode and time: the copy says so, and the file stays clean', async () => {
    const fid = await archived('a', 'x');
    renameSync(at('a'), at('b'));
    chmodSync(at('b'), 0o4711);
    utimesSync(at('b'), 1_500_000_000, 1_500_000_001);
    chmodSync(at('b'), 0o4711);
    await follow(fid);
    expect(await blobOf('b')).toMatchObject({ lfsazsync_mode: '4711', lfsazsync_mtime: '1500000001.000000000' });
    chmodSync(at('b'), 0o600);
    await follow(fid);
    expect(await blobOf('b')).toMatchObject({ lfsazsync_mode: '0600', lfsazsync_fid: fid });
    expect(await container()).toEqual({ b: 'x' });
  });

  test('a chain, a new file at the first name, and a circle of three', async () => {
    const a = await archived('a', 'A');
    const b = await archived('b', 'B');
    const c = await archived('c', 'C');
    renameSync(at('c'), at('d'));
    renameSync(at('b'), at('c'));
    renameSync(at('a'), at('b'));
    await follow(a, b, c);
    expect(await container()).toEqual({ b: 'A', c: 'B', d: 'C' });
    for (const name of ['b', 'c', 'd']) await rig.release(at(name));
    renameSync(at('b'), at('t'));
    renameSync(at('d'), at('b'));
    renameSync(at('c'), at('d'));
    renameSync(at('t'), at('c'));
    await follow(a, b, c);
    expect(await container()).toEqual({ b: 'C', c: 'A', d: 'B' });
    expect(await Promise.all(['b', 'c', 'd'].map((name) => read(at(name))))).toEqual(['C', 'A', 'B']);
  });

  test('a modified file’s copy steps aside for another, and goes when the next is written', async () => {
    const dirty = await archived('a', 'old');
    const other = await archived('b', 'other');
    renameSync(at('a'), at('c'));
    rig.write(join(`t${round}`, 'c'), 'new');
    renameSync(at('b'), at('a'));
    await follow(dirty, other);
    expect(await container()).toEqual({ a: 'other', [stagingName('', dirty)]: 'staged' });
    await rig.archive(at('c'));
    await follow(dirty);
    expect(await container()).toEqual({ a: 'other', c: 'new' });
  });

  test('onto a file: the dead one’s copy gives way; a stranger’s blob never does', async () => {
    const victim = await archived('a', 'victim');
    const mover = await archived('b', 'mover');
    renameSync(at('b'), at('a'));
    await follow(victim, mover);
    expect(await container()).toEqual({ a: 'mover' });
    await rig.blob(at('s')).getBlockBlobClient().upload('theirs', 6);
    renameSync(at('a'), at('s'));
    await seen(mover);
    expect(await workOff(context(), { concurrency: 1 })).toMatchObject({ done: 0, failed: 1 });
    expect((await catalog.quarantine(undefined, 10)).map((row) => row.fid)).toEqual([mover]);
    expect(await container()).toEqual({ a: 'mover', s: 'theirs' });
    await rig.release(at('s'));
    expect(await read(at('s'))).toBe('mover');
  });
});

test('any permutation of names', async () => {
  const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
  const fids: Fid[] = [];
  for (const name of names) fids.push(await archived(name, name));
  for (const name of names) await rig.release(at(name));
  // Two circles and one that stays; which worker meets which is chance.
  const [to, aside] = [['c', 'a', 'b', 'h', 'd', 'e', 'g', 'f'], at('aside')];
  mkdirSync(aside);
  for (const name of names) renameSync(at(name), join(aside, name));
  for (const [i, name] of names.entries()) renameSync(join(aside, name), at(to[i] as string));
  await follow(...fids);
  const wanted = Object.fromEntries(names.map((name, i) => [to[i] as string, name]));
  expect(await container()).toEqual(wanted);
  for (const [name, content] of Object.entries(wanted)) expect(await read(at(name))).toBe(content);
});

describe('what is out of order for a while is no failure of the file’s', () => {
  const once = { concurrency: 1, maxTries: 1 };

  test('a metadata server that is away', async ({ skip }) => {
    if (!rig.sandbox.standIn) skip();
    const fid = await archived('a', 'x');
    renameSync(at('a'), at('b'));
    await seen(fid);
    const fault = 'error:hsm_state,errno=ENOTCONN';
    await rig.sandbox.simctl(['fault', `set=${fault}`]);
    try {
      expect(await workOff(context(), once)).toEqual({ done: 0, failed: 0, later: 1 });
    } finally {
      await rig.sandbox.simctl(['fault', `clear=${fault}`]);
    }
    expect(await catalog.journalStats()).toMatchObject({ count: 1, quarantined: 0 });
    await catalog.journalRetry([fid]);
    await follow(fid);
    expect(await container()).toEqual({ b: 'x' });
  });

  test('a full disk below the audit log', async () => {
    const fid = await archived('a', 'x');
    renameSync(at('a'), at('b'));
    await seen(fid);
    const full = { ...context().audit, record: () => Promise.reject(new ErrnoError(ERRNO.ENOSPC, 'audit log')) };
    expect(await workOff({ ...context(), audit: full }, once)).toEqual({ done: 0, failed: 0, later: 1 });
    expect(await container()).toEqual({ a: 'x', b: 'x' });
    await catalog.journalRetry([fid]);
    await follow(fid);
    expect(await container()).toEqual({ b: 'x' });
  });
});

test('what was told to wait by a clock that has been set back since does not wait that long', async () => {
  const [moved, other] = [await archived('a', 'x'), await archived('b', 'y')];
  renameSync(at('a'), at('c'));
  renameSync(at('b'), at('d'));
  await seen(moved, other);
  const { stamp } = (await catalog.journalEntry(moved)) as { stamp: number };
  const later = (fid: Fid, hours: number) =>
    ({ fid, stamp, outcome: 'later', notBefore: Date.now() + hours * 3_600_000 }) as const;
  await catalog.apply({ outcomes: [later(moved, 10), later(other, 2)] });
  const stop = new AbortController();
  const onEnd = () => stop.abort();
  const settle = () => 0;
  await workOn(context(), { concurrency: 1, stop: stop.signal, settle, onEnd, idle: async () => stop.abort() });
  expect(await container()).toEqual({ b: 'y', c: 'x' });
  expect((await catalog.journalDue(Number.MAX_SAFE_INTEGER, 10)).map(({ fid }) => fid)).toEqual([other]);
  await catalog.journalRetry([other]);
  await follow();
});

describe('what is deleted', () => {
  test('is nothing as long as the new copy is not there', async () => {
    const fid = await archived('a', 'x');
    await rig.release(at('a'));
    renameSync(at('a'), at('b'));
    await seen(fid);
    const spoiling = context(async (step) => {
      if (step === 'copy.hinted') await rig.blob(at('b')).delete();
    });
    expect(await workOff(spoiling, { concurrency: 1 })).toMatchObject({ done: 0, failed: 1 });
    expect(await container()).toEqual({ a: 'x' });
    await follow(fid);
    expect(await container()).toEqual({ b: 'x' });
    expect(await read(at('b'))).toBe('x');
  });

  test('is the version that was looked at, and no other', async () => {
    const fid = await archived('a', 'x');
    renameSync(at('a'), at('b'));
    await seen(fid);
    const changing = context(async (step) => {
      if (step === 'old.examined') await rig.blob(at('a')).setMetadata({ theirs: 'now' });
    });
    expect(await workOff(changing, { concurrency: 1 })).toMatchObject({ done: 0, failed: 0, later: 1 });
    expect(Object.keys(await container())).toEqual(['a', 'b']);
    await follow(fid);
    expect(await container()).toEqual({ a: 'x', b: 'x' });
  });

  test('is nothing when it is to stop', async () => {
    const fid = await archived('a', 'x');
    renameSync(at('a'), at('b'));
    await seen(fid);
    const lost = new AbortController();
    const stopping = context(async (step) => {
      if (step === 'old.examined') lost.abort(new Error('the lease is lost'));
    });
    await expect(workOff({ ...stopping, signal: lost.signal }, { concurrency: 1 })).rejects.toThrow(
      'the lease is lost',
    );
    expect(await container()).toEqual({ a: 'x', b: 'x' });
    expect((await catalog.journalStats()).count).toBe(1);
  });

  test('is nothing once another file system is mounted, at whatever moment that happens', async () => {
    const [moved, dead] = [await archived('a', 'x'), await archived('c', 'y')];
    renameSync(at('a'), at('b'));
    unlinkSync(at('c'));
    await seen(moved, dead);
    const uuid = (value: string) => rig.fs.files.setXattr(ROOT_FID, FILE_SYSTEM_XATTR, Buffer.from(value));
    const mounting = (at: ReconcileStep) =>
      context(async (step) => {
        if (step === at) await uuid('11111111-6f0c-4e3c-9a8e-2f4b6d1c9e10');
      });
    try {
      const changed = expect.objectContaining({ code: 'FILE_SYSTEM_CHANGED' });
      await expect(workOff(mounting('old.examined'), { concurrency: 1 })).rejects.toEqual(changed);
      const reaping = { grace: 0, concurrency: 1, mayRemove: async () => true };
      // It was so before the first look, and it comes to be so after the last one.
      await expect(reap(context(), reaping)).rejects.toEqual(changed);
      await uuid(fsUuid);
      await expect(reap(mounting('old.examined'), reaping)).rejects.toEqual(changed);
    } finally {
      await uuid(fsUuid);
    }
    expect(await container()).toEqual({ a: 'x', b: 'x', c: 'y' });
    await follow(moved);
    expect(await container()).toEqual({ b: 'x', c: 'y' });
  });
});

test('an archive that another file’s copy was in the way of is asked for again when that has gone', async () => {
  const other = await archived('a', 'other');
  renameSync(at('a'), at('b'));
  const path = rig.write(join(`t${round}`, 'a'), 'new');
  const refused = await rig.ask('archive', path);
  expect(refused.record?.['outcome']).not.toBe('ok');
  const fid = await rig.fid(path);
  await seen(fid);
  const after = rig.copytool.lines.length;
  await catalog.apply({ journal: [{ fid, reasons: REASON.ARCHIVE_AGAIN, since: 0 }] });
  expect(await workOff(context(), { concurrency: 1 })).toMatchObject({ failed: 0 });
  expect((await rig.ended('archive', fid, after)).record?.['outcome']).toBe('ok');
  await follow(other, fid);
  expect(await container()).toEqual({ a: 'new', b: 'other' });
});

describe('a file that can’t be put right makes way for whoever has its old name', () => {
  const long = Array.from({ length: 5 }, () => 'long'.repeat(60));
  test.each([
    { why: 'a stranger’s blob is where it belongs', to: ['s'] },
    { why: 'no blob can have its name', to: long },
  ])('$why', async ({ to }) => {
    const stuck = await archived('a', 'old');
    const mover = await archived('b', 'mover');
    await rig.blob(at('s')).getBlockBlobClient().upload('theirs', 6);
    mkdirSync(at(...to.slice(0, -1)), { recursive: true });
    renameSync(at('a'), at(...to));
    await rig.release(at(...to));
    await seen(stuck);
    // Directories that are new to the catalog have what is in them looked at once more.
    for (let rounds = 0; rounds < 3; rounds++) await workOff(context(), { concurrency: 1 });
    expect(await catalog.journalDue(Number.MAX_SAFE_INTEGER, 10)).toEqual([]);
    expect((await catalog.quarantine(undefined, 10)).map((row) => row.fid)).toEqual([stuck]);
    renameSync(at('b'), at('a'));
    await seen(mover);
    await workOff(context(), { concurrency: 1 });
    expect(await container()).toEqual({ [stagingName('', stuck)]: 'staged', s: 'theirs', a: 'mover' });
    expect(await read(at(...to))).toBe('old');
    renameSync(at(...to), at('b'));
    await follow(stuck);
    expect(await container()).toEqual({ b: 'old', s: 'theirs', a: 'mover' });
  });
});

test('a file that is given up does not keep an archive from its old name', async () => {
  const stuck = await archived('a', 'old');
  await rig.blob(at('s')).getBlockBlobClient().upload('theirs', 6);
  renameSync(at('a'), at('s'));
  const path = rig.write(join(`t${round}`, 'a'), 'new');
  expect((await rig.ask('archive', path)).record?.['outcome']).not.toBe('ok');
  const fid = await rig.fid(path);
  await seen(stuck, fid);
  const after = rig.copytool.lines.length;
  await catalog.apply({ journal: [{ fid, reasons: REASON.ARCHIVE_AGAIN, since: 0 }] });
  await workOff(context(), { concurrency: 1 });
  expect((await rig.ended('archive', fid, after)).record?.['outcome']).toBe('ok');
  renameSync(at('s'), at('b'));
  await follow(stuck, fid);
  expect(await container()).toEqual({ a: 'new', b: 'old', s: 'theirs' });
});

describe('killed after any step', () => {
  // Steps of markers, of imported files' copies, and of `rename_mode: restore` have tests of their own.
  test.each(RECONCILE_STEPS.filter((step) => !/^(?:marker|imported|move)/.test(step)))(
    '%s: a released file that swapped names',
    async (deadly) => {
      const a = await archived('a', 'A');
      const b = await archived('b', 'B');
      await rig.release(at('a'));
      await rig.release(at('b'));
      renameSync(at('a'), at('t'));
      renameSync(at('b'), at('a'));
      renameSync(at('t'), at('b'));
      await seen(a, b);
      let kills = 0;
      // Every time that it comes to that step: nothing after it is done, and nothing is cleaned up.
      for (let times = 1; times <= 4; times++) {
        let left = times;
        const killing = context((step) =>
          step === deadly && --left === 0 ? Promise.reject(new Killed()) : Promise.resolve(),
        );
        const row = { fid: a, reasons: REASON.NAMES, since: 0, stamp: 0 };
        await new Reconciler(killing).reconcile(row).catch((error: unknown) => {
          if (!(error instanceof Killed)) throw error;
          kills += 1;
        });
        // Whatever was killed when: a restore would find both, by what it knows itself.
        for (const [fid, content] of [
          [a, 'A'],
          [b, 'B'],
        ] as const) {
          const view = (await lookAt(context(), fid)) as View;
          const { copy, misses } = await searchCopy(view, { store, prefix: '' }, fsUuid);
          expect(copy, `${content} after ${deadly}: ${JSON.stringify(misses)}`).toBeDefined();
          const found = rig.sandbox.containerClient.getBlobClient(copy?.blob.name ?? '');
          expect((await found.downloadToBuffer()).toString()).toBe(content);
        }
      }
      expect(kills).toBeGreaterThan(0);
      await follow(a, b);
      expect(await container()).toEqual({ a: 'B', b: 'A' });
      expect([await read(at('a')), await read(at('b'))]).toEqual(['B', 'A']);
    },
  );
});

test('killed before the file was told where its copy is now: it is told by the next try', async () => {
  const fid = await archived('a', 'x');
  await rig.release(at('a'));
  renameSync(at('a'), at('b'));
  await seen(fid);
  const killing = context((step) => (step === 'copy.copied' ? Promise.reject(new Killed()) : Promise.resolve()));
  const row = { fid, reasons: REASON.NAMES, since: 0, stamp: 0 };
  await expect(new Reconciler(killing).reconcile(row)).rejects.toThrow(Killed);
  await follow(fid);
  expect(await container()).toEqual({ b: 'x' });
  renameSync(at('b'), at('c'));
  expect(await read(at('c'))).toBe('x');
});

describe('markers', () => {
  test('of directories and symlinks come, change, move and go', async () => {
    mkdirSync(at('d'));
    symlinkSync('nowhere', at('l'));
    const [d, l] = [await rig.fid(at('d')), await rig.fid(at('l'))];
    await follow(d, l);
    expect(await blobOf('d')).toMatchObject({ hdi_isfolder: 'true', lfsazsync_fid: d });
    expect(await container()).toEqual({ l: 'symlink:nowhere' });
    chmodSync(at('d'), 0o1777);
    renameSync(at('l'), at('d', 'm'));
    await follow(d, l);
    expect(await blobOf('d')).toMatchObject({ lfsazsync_mode: '1777' });
    expect(await container()).toEqual({ 'd/m': 'symlink:nowhere' });
    renameSync(at('d'), at('e'));
    await follow(d, l);
    expect(await container()).toEqual({ 'e/m': 'symlink:nowhere' });
    expect(await rig.content(at('d'))).toBeUndefined();
    unlinkSync(at('e', 'm'));
    await seen(l);
    const mayRemove = () => Promise.reject(new Error('of a marker nobody asks'));
    // So that it can be brought back.
    expect(await reap(context(), { grace: 1000, concurrency: 2, mayRemove })).toEqual({ buried: 0, kept: 0 });
    expect(await container()).toEqual({ 'e/m': 'symlink:nowhere' });
    expect(await reap(context(), { grace: 0, concurrency: 2, mayRemove })).toEqual({ buried: 1, kept: 0 });
    expect(await container()).toEqual({});
    expect(await catalog.tombstone(l)).toBeUndefined();
  });

  test('a directory’s new name takes all below it along', async () => {
    mkdirSync(at('d', 'deep'), { recursive: true });
    const fids = [await rig.fid(at('d')), await rig.fid(at('d', 'deep'))];
    rig.write(join(`t${round}`, 'd', 'never archived'), 'x');
    await follow(...fids, await archived('d/f', 'f'), await archived('d/deep/g', 'g'));
    await seen(await rig.fid(at('d', 'never archived')));
    await follow();
    renameSync(at('d'), at('e'));
    await seen(fids[0] as Fid);
    expect(await workOff(context(), { concurrency: 1 })).toMatchObject({ done: 1 });
    const below = (await catalog.journalDue(Date.now(), 10)).map(({ fid }) => fid);
    const archivedBelow = await Promise.all(['deep', 'f', 'deep/g'].map((name) => rig.fid(at('e', name))));
    expect(below.sort()).toEqual(archivedBelow.sort());
    await follow();
    expect(await container()).toEqual({ 'e/f': 'f', 'e/deep/g': 'g' });
    expect(await rig.content(at('d', 'deep'))).toBeUndefined();
    expect(await blobOf('e/deep')).toMatchObject({ lfsazsync_fid: fids[1] });
  });

  test('a directory that is looked at for the first time under its second name does, too', async () => {
    mkdirSync(at('d', 'deep'), { recursive: true });
    const files = ['d/f', 'd/deep/g'];
    for (const name of files) await rig.archive(rig.write(join(`t${round}`, name), name));
    const marks = await Promise.all(files.map(async (name) => ({ fid: await rig.fid(at(name)), hints: 0, since: 0 })));
    await catalog.apply({ marks });
    const timing = () => ({ now: Date.now(), settle: 0, again: 0 });
    await refresh(catalog, new LustreSource(rig.fs, fsUuid), { after: undefined, limit: 2, timing });
    expect(await workOff(context(), { concurrency: 2 })).toMatchObject({ done: 2 });
    expect(await catalog.present([await rig.fid(at('d'))])).toEqual(new Set());
    renameSync(at('d'), at('e'));
    await follow();
    expect(await container()).toEqual({ 'e/f': 'd/f', 'e/deep/g': 'd/deep/g' });
  });

  test('hard links: the content moves on when its name is unlinked', async () => {
    const fid = await archived('b', 'x');
    linkSync(at('b'), at('a'));
    linkSync(at('b'), at('c'));
    await follow(fid);
    expect(await container()).toEqual({ a: 'link:', b: 'x', c: 'link:' });
    expect((await blobOf('a'))['lfsazsync_link']).toBe(rig.sandbox.blobName(at('b')));
    await rig.release(at('b'));
    unlinkSync(at('b'));
    await follow(fid);
    expect(await container()).toEqual({ a: 'x', c: 'link:' });
    expect((await blobOf('c'))['lfsazsync_link']).toBe(rig.sandbox.blobName(at('a')));
    expect(await read(at('c'))).toBe('x');
  });
});

test('the dead: what they left goes when its time has come, and only their own', async () => {
  const fid = await archived('a', 'x');
  linkSync(at('a'), at('b'));
  await follow(fid);
  unlinkSync(at('a'));
  unlinkSync(at('b'));
  await seen(fid);
  const tombstone = await catalog.tombstone(fid);
  if (tombstone === undefined) throw new Error('no tombstone');
  const asked: Fid[] = [];
  const mayRemove = async (stone: { fid: Fid }) => asked.push(stone.fid) === 0;
  expect(await reap(context(), { grace: 1000, concurrency: 2, mayRemove })).toEqual({ buried: 0, kept: 0 });
  expect(await container()).toEqual({ a: 'x', b: 'link:' });
  expect(asked).toEqual([]);
  expect(await reap(context(), { grace: 0, concurrency: 2, mayRemove })).toEqual({ buried: 0, kept: 1 });
  expect(asked).toEqual([fid]);
  expect(await container()).toEqual({ a: 'x' });
  const later = await archived('a', 'another');
  expect(await removeDead(context(), tombstone, { copies: true })).toBe(true);
  expect(await container()).toEqual({ a: 'another' });
  expect((await blobOf('a'))['lfsazsync_fid']).toBe(later);
});

test('what can’t be deleted is tried ever more seldom', async () => {
  const fid = await archived('a', 'x');
  const lease = rig.blob(at('a')).getBlobLeaseClient();
  await lease.acquireLease(-1);
  unlinkSync(at('a'));
  await seen(fid);
  let now = 0;
  const putOff = new PutOff(() => now);
  const once = () => reap(context(), { grace: 0, concurrency: 1, mayRemove: async () => true, putOff });
  const tries: number[] = [];
  for (let minute = 0; minute <= 180; minute++) {
    now = minute * 60_000;
    expect(await once()).toEqual({ buried: 0, kept: 1 });
    if (audit.length > tries.length) tries.push(minute);
  }
  expect(tries).toEqual([0, 1, 3, 7, 15, 31, 63, 123]);
  await lease.breakLease(0);
  now = 183 * 60_000;
  expect(await once()).toEqual({ buried: 1, kept: 0 });
  expect(await container()).toEqual({});
});
