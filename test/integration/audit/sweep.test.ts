import { chmodSync, linkSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { lockSweep } from '../../../src/audit/start-sweep.ts';
import { runSweep } from '../../../src/audit/sweep.ts';
import { stagingName } from '../../../src/blob/naming.ts';
import type { Catalog } from '../../../src/catalog/catalog.ts';
import { silentLog } from '../../support/silent-log.ts';
import { AuditRig } from './fixture.ts';

let it: AuditRig;
beforeEach(async () => {
  it = await AuditRig.start();
});
afterEach(() => it?.stop());

const at = (...names: string[]) => it.rig.path(...names);
/** The blob's name of a path of the test's tree. */
const blob = (...names: string[]) => it.rig.sandbox.blobName(at(...names));
const client = (name: string) => it.rig.sandbox.containerClient.getBlockBlobClient(name);

/** A tree with something of everything, archived; the container is in step. */
async function tree(): Promise<void> {
  mkdirSync(at('d/sub'), { recursive: true });
  for (const name of ['a', 'd/b', 'd/sub/c', 'gone']) await it.rig.archive(it.rig.write(name, `content of ${name}`));
  await it.rig.release(at('d/b'));
  symlinkSync('no/where', at('d/symlink'));
  linkSync(at('a'), at('d/second'));
  it.rig.write('fresh', 'never archived');
  await it.scan();
  await it.follow();
}

const IN_STEP = {
  a: 'file content of a',
  d: 'dir',
  'd/b': 'file content of d/b',
  'd/second': 'link a',
  'd/sub': 'dir',
  'd/sub/c': 'file content of d/sub/c',
  'd/symlink': 'symlink no/where',
  gone: 'file content of gone',
};

/** The container below the test's tree, by names within it; what is elsewhere by its whole name. */
async function container(): Promise<Record<string, string>> {
  const top = `${it.rig.sandbox.blobName(it.rig.sandbox.tree)}/`;
  const found: Record<string, string> = {};
  for (const [name, what] of Object.entries(await it.container())) {
    const short = name.startsWith(top) ? name.slice(top.length) : name;
    if (`${name}/` === top) continue;
    found[short] = what.startsWith(`link ${top}`) ? `link ${what.slice(`link ${top}`.length)}` : what;
  }
  return found;
}

test('a container that is in step: nothing is found, and the run is in the catalog', async () => {
  await tree();
  expect(await container()).toEqual(IN_STEP);
  const sweep = await it.sweepFinds();
  expect(sweep).toMatchObject({
    outcome: 'complete',
    resumed: false,
    own: { file: { count: 4 }, dir: { count: 3 }, symlink: { count: 1 }, link: { count: 1 }, staged: 0 },
    strangers: { count: 0 },
    otherFileSystems: { count: 0, byUuid: {} },
    findings: {},
    journaled: 0,
    marked: 0,
    exit: { name: 'ok', code: 0 },
  });
  expect(sweep.reserved).toBeGreaterThan(0);
  await it.withCatalog(async (catalog) => {
    expect((await catalog.runs('sweep', 1))[0]).toMatchObject({ outcome: 'complete', detail: { journaled: 0 } });
    expect((await catalog.journalStats()).count).toBe(0);
  });
  await it.sweepFinds();
});

test('what strangers, crashes and lost records leave is found, told and put right', async () => {
  await tree();
  const fid = await it.rig.fid(at('a'));
  const other = await it.rig.fid(at('d/sub/c'));
  // A directory's marker and a symlink are gone; another's metadata were changed; a hard link names something else.
  await client(blob('d/sub')).delete();
  await client(blob('d/symlink')).delete();
  const sub = client(blob('d/b'));
  await sub.setMetadata({ ...(await sub.getProperties()).metadata, owner: '4711' });
  const second = client(blob('d/second'));
  await second.setMetadata({ ...(await second.getProperties()).metadata, lfsazsync_link: 'else/where' });
  // Copies where nobody wants them: at another name, in staging.
  const source = client(blob('a'));
  await copyTo(source.url, blob('left/over'));
  await copyTo(client(blob('d/sub/c')).url, stagingName('', other));
  // The record of this death never came.
  const dead = await it.rig.fid(at('gone'));
  rmSync(at('gone'));
  // Others' blobs are theirs.
  await client('theirs').upload('x', 1);
  await client('others').upload('', 0, {
    metadata: { lfsazsync_fs: '00000000-0000-4000-8000-000000000000', lfsazsync_fid: fid, lfsazsync_kind: 'dir' },
  });
  const sweep = await it.sweepFinds(
    ['missing', blob('d/sub')],
    ['missing', blob('d/symlink')],
    ['attributes', blob('d/b')],
    ['link', blob('d/second')],
    ['place', blob('left/over')],
    ['staged', stagingName('', other)],
  );
  expect(sweep).toMatchObject({
    strangers: { count: 1, bytes: 1 },
    otherFileSystems: { count: 1, byUuid: { '00000000-0000-4000-8000-000000000000': 1 } },
    own: { staged: 1 },
    journaled: 6,
  });
  await it.follow();
  const { gone: _, ...rest } = IN_STEP;
  expect(await container()).toEqual({ ...IN_STEP, theirs: 'stranger x', others: 'dir' });
  await it.sweepFinds();
  // A scan finds the death.
  await it.scan();
  await it.follow();
  expect(await container()).toEqual({ ...rest, theirs: 'stranger x', others: 'dir' });
  expect(it.audit.map((entry) => entry.fid)).toContain(dead);
  await it.sweepFinds();
});

test('the catalog lost in the middle of everything costs a scan and a sweep', async () => {
  await tree();
  const dead = await it.rig.fid(at('gone'));
  renameSync(at('d'), at('e'));
  renameSync(at('a'), at('e/a'));
  rmSync(at('gone'));
  rmSync(at('e/symlink'));
  chmodSync(at('e/sub'), 0o700);
  it.loseCatalog();
  await it.scan();
  const sweep = await it.sweep();
  expect(sweep.outcome).toBe('complete');
  expect(sweep.findings).toMatchObject({ unknown: 2 });
  expect(sweep.marked).toBe(2);
  await it.follow();
  expect(await container()).toEqual({
    e: 'dir',
    'e/a': 'file content of a',
    'e/b': 'file content of d/b',
    'e/second': 'link e/a',
    'e/sub': 'dir',
    'e/sub/c': 'file content of d/sub/c',
  });
  expect(it.audit.map((entry) => entry.fid)).toContain(dead);
  await it.sweepFinds();
});

test('without a catalog there is nothing to hold it against: a scan comes first', async () => {
  await tree();
  const before = await container();
  it.loseCatalog();
  const result = await it.rig.sandbox.run(['sweep', '--json']);
  expect(result).toMatchObject({ exitCode: 1 });
  expect(JSON.parse(result.stdout)).toMatchObject({ error: { code: 'CATALOG_MISSING' } });
  // Into one that was only begun: all FIDs are looked at, and nothing is taken for dead.
  await it.withNewCatalog(async (catalog) => catalog.claim(it.fsUuid));
  const sweep = await it.sweep();
  expect(sweep.marked).toBeGreaterThan(5);
  await it.follow();
  expect(await container()).toEqual(before);
  expect(it.audit).toEqual([]);
});

test('of a modified file, and of one that is not in HSM, nothing is asked', async () => {
  await tree();
  writeFileSync(at('a'), 'other content, not archived');
  renameSync(at('d/sub/c'), at('moved'));
  writeFileSync(at('moved'), 'new, and renamed');
  await it.scan();
  await it.follow();
  await it.sweepFinds();
  await it.rig.archive(at('moved'));
  await it.rig.archive(at('a'));
  await it.scan();
  await it.follow();
  await it.sweepFinds();
});

test('stopped after every page, and killed: it goes on, and finds all the same', async () => {
  await tree();
  for (const name of ['d/sub', 'd/symlink', 'd/b', 'gone']) await client(blob(name)).delete();
  await copyTo(client(blob('a')).url, blob('d/left'));
  const planted = [
    ['missing', blob('d/sub')],
    ['missing', blob('d/symlink')],
    ['missing', blob('d/b')],
    ['missing', blob('gone')],
    ['place', blob('d/left')],
  ] as const;
  const lines = planted.map(([code, name]) => `${code} ${name}`).sort();
  const whole = await it.withCatalog((catalog) =>
    runSweep({ ...options(catalog), signal: new AbortController().signal }),
  );
  const found: string[] = [];
  let runs = 0;
  const stopped = await it.withCatalog(async (catalog) => {
    for (;;) {
      runs += 1;
      const stop = new AbortController();
      const summary = await runSweep({
        ...{ ...options(catalog), parallel: 1, pageSize: 2, signal: stop.signal },
        onProgress: (progress) => progress().phase === 'list' && stop.abort(),
        onFinding: ({ code, name }) => found.push(`${code} ${name}`),
      });
      expect(summary.resumed).toBe(runs > 1);
      if (summary.outcome === 'complete') return summary;
      expect(runs).toBeLessThan(50);
    }
  });
  expect(runs).toBeGreaterThan(5);
  // What comes after the listing is done again from its beginning.
  expect([...new Set(found)].sort()).toEqual(lines);
  const { pages: _, elapsed: __, started: ___, resumed: ____, ...counts } = whole;
  expect(stopped).toMatchObject({ ...counts, pending: expect.any(Number) as number });
  // Killed wherever it is.
  for (let delay = 250; delay < 1_500; delay += 150) {
    const service = it.rig.sandbox.startService(['sweep', '--json']);
    await new Promise((resolve) => setTimeout(resolve, delay));
    await service.kill();
  }
  const last = await it.sweep();
  expect(last.outcome).toBe('complete');
  expect(last.findings).toEqual(whole.findings);
  await it.follow();
  const { 'd/b': ____b, gone: ____g, ...rest } = IN_STEP;
  expect(await container()).toEqual(rest);
  // What is nowhere can't be put back by anybody but verify: it is in the quarantine.
  await it.withCatalog(async (catalog) => {
    const given = (await catalog.quarantine(undefined, 10)).map((row) => row.fid);
    expect(given.sort()).toEqual([await it.rig.fid(at('d/b')), await it.rig.fid(at('gone'))].sort());
  });
});

const options = (catalog: Catalog) => ({
  ...{ catalog, fsUuid: it.fsUuid, archives: new Map([[1, it.store]]), parallel: 4 },
});

test('one sweep at a time', async () => {
  await tree();
  const lock = await lockSweep({
    ...{ directory: join(it.rig.sandbox.dir, 'state'), version: '0', path: 'sandbox', log: silentLog },
  });
  const result = await it.rig.sandbox.run(['sweep', '--json']);
  expect(result).toMatchObject({ exitCode: 6 });
  expect(JSON.parse(result.stdout)).toMatchObject({ error: { code: 'SWEEP_RUNNING' } });
  await lock.release();
  await it.sweepFinds();
});

async function copyTo(url: string, name: string): Promise<void> {
  const poller = await client(name).beginCopyFromURL(url);
  await poller.pollUntilDone();
}
