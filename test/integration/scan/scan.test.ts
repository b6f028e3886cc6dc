import { link, mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import type { Catalog } from '../../../src/catalog/catalog.ts';
import { openCatalog } from '../../../src/catalog/open.ts';
import { type Fid, parseFid, ROOT_FID } from '../../../src/identity/fid.ts';
import type { ScanJson } from '../../../src/scan/report.ts';
import { RELEASED_FILE } from '../../contract/fixture.ts';
import { collect } from '../../support/catalog.ts';
import type { RunResult } from '../../support/run.ts';
import { Steps } from '../../support/steps.ts';
import { useStandIn } from '../lustre-sim/fixture.ts';

const standIn = useStandIn({ config: { archives: undefined } });
const catalogs: Catalog[] = [];
afterEach(() => {
  for (const catalog of catalogs.splice(0)) catalog.close();
});

const file = () => join(standIn.it.sandbox.dir, 'state/catalog.db');

function catalog(): Catalog {
  const opened = openCatalog({ file: file(), readOnly: true });
  catalogs.push(opened);
  return opened;
}

const scan = (...args: string[]): Promise<RunResult> => standIn.it.sandbox.run(['scan', '--json', ...args]);

async function scanned(...args: string[]): Promise<ScanJson> {
  const result = await scan(...args);
  expect(result, result.stderr).toMatchObject({ exitCode: 0 });
  return JSON.parse(result.stdout) as ScanJson;
}

/** Paths below a directory of the tree, as the catalog has them. */
async function pathsIn(directory: string): Promise<string[]> {
  const top = Buffer.from(join(standIn.it.tree, directory).slice(standIn.it.sandbox.mount.length + 1));
  const opened = catalog();
  const fid = await opened.lookup(top);
  if (fid === undefined) return [];
  return (await collect(opened.subtree(fid)))
    .map((one) => one.path.toString('latin1'))
    .filter((path) => path !== '')
    .sort();
}

async function grow(directory: string, directories: number, files: number): Promise<void> {
  const make = `
import os, sys
for d in range(int(sys.argv[2])):
    os.makedirs(f"{sys.argv[1]}/d{d}")
    for f in range(int(sys.argv[3])): os.mknod(f"{sys.argv[1]}/d{d}/{f}")
`;
  const args = ['-c', make, join(standIn.it.tree, directory), String(directories), String(files)];
  expect(await standIn.it.sandbox.exec('python3', args)).toMatchObject({ exitCode: 0 });
}

test('everything, by any name and of any type, with what it says of itself; the next scan finds what changed', async () => {
  const c = standIn.it;
  const path = await c.directory('kinds');
  const odd = [Buffer.from('new\nline'), Buffer.from([0x62, 0xff]), Buffer.from(' -rf "$x"'), Buffer.from('é')];
  for (const name of odd) await writeFile(Buffer.concat([Buffer.from(`${path}/`), name]), 'content');
  await mkdir(join(path, 'sub'));
  await writeFile(join(path, 'sub/file'), '1');
  await link(join(path, 'sub/file'), join(path, 'second'));
  await symlink('no/where', join(path, 'symlink'));
  await c.sandbox.exec('mkfifo', [join(path, 'fifo')]);
  await using agent = await c.agent();
  const away = await c.released(agent, 'kinds/away');

  const first = await scanned();
  expect(first).toMatchObject({
    mount: c.sandbox.mount,
    catalog: file(),
    path: '',
    outcome: 'complete',
    resumed: false,
    changed: expect.any(Number),
    vanished: 0,
    unreadable: { directories: 0, entries: 0 },
    problems: [],
    problemsLeftOut: 0,
    exit: { name: 'ok', code: 0 },
  });
  expect(first.uuid).toMatch(/^[0-9a-f-]{36}$/);
  expect(Date.parse(first.started)).toBeGreaterThan(0);
  expect(first.seconds).toBeGreaterThan(0);
  expect(first.entries).toMatchObject({ symlink: 1, fifo: 1, chr: 0, blk: 0, sock: 0 });
  expect(first.total).toBe(Object.values(first.entries).reduce((sum, count) => sum + count, 0));
  const expected = [
    ...odd.map((name) => name.toString('latin1')),
    'sub',
    'sub/file',
    'second',
    'symlink',
    'fifo',
    'away',
  ];
  expect(await pathsIn('kinds')).toEqual(expected.sort());
  expect(await catalog().check()).toEqual([]);
  expect(await catalog().lastScan()).toBeDefined();
  const [run] = await catalog().runs('scan', 1);
  expect(run).toMatchObject({ outcome: 'complete', detail: { added: first.new } });
  // Nothing was brought back.
  const fid = parseFid(away.fid) as Fid;
  expect((await catalog().known([fid])).get(fid)?.entry?.hsm).toBe(RELEASED_FILE);
  await c.expectState(away.path, RELEASED_FILE);
  expect(await c.action(away.path)).toBe('NOOP');

  expect(await scanned()).toMatchObject({ new: 0, changed: 0, vanished: 0, total: first.total });
  await rename(join(path, 'second'), join(path, 'sub/third'));
  await rm(join(path, 'symlink'));
  await writeFile(join(path, 'fresh'), '');
  expect(await scanned()).toMatchObject({ new: 1, vanished: 1 });
  expect(await pathsIn('kinds')).toEqual(
    [...expected.filter((name) => name !== 'second' && name !== 'symlink'), 'sub/third', 'fresh'].sort(),
  );
  expect(await catalog().check()).toEqual([]);
});

test('a part of the tree: what is outside is left alone, what vanished in it is found', async () => {
  const c = standIn.it;
  await c.directory('part/in/deep');
  for (const name of ['part/in/deep/gone', 'part/in/stays', 'part/out']) await c.write(name);
  await scanned();
  const before = await catalog().lastScan();
  await rm(c.path('part/in/deep/gone'));
  await rm(c.path('part/out'));
  await c.write('part/in/deep/new');
  expect(await scanned('--path', c.path('part/in'))).toMatchObject({ new: 1, vanished: 1, outcome: 'complete' });
  expect(await pathsIn('part')).toEqual(['in', 'in/deep', 'in/deep/new', 'in/stays', 'out']);
  expect(await catalog().lastScan(), 'it is no scan of everything').toBe(before);
  for (const wrong of [c.path('part/in/stays'), c.path('nothing/here'), '/']) {
    const { exitCode, stdout } = await scan('--path', wrong);
    expect([exitCode, JSON.parse(stdout).error.exit], wrong).toEqual([expect.any(Number), exitCode]);
    expect(exitCode, wrong).not.toBe(0);
  }
});

test('into an empty catalog, a part of the tree has its whole path', async () => {
  const c = standIn.it;
  await c.directory('lonely/a/b');
  await c.write('lonely/a/b/file');
  await rm(file(), { force: true });
  for (const suffix of ['-wal', '-shm']) await rm(file() + suffix, { force: true });
  await scanned('--path', c.path('lonely/a/b'));
  const top = c.path('lonely/a/b/file').slice(c.sandbox.mount.length + 1);
  expect(await catalog().lookup(Buffer.from(top))).toBe(await fidOf(c.path('lonely/a/b/file')));
  expect(await catalog().lastScan()).toBeUndefined();
});

const fidOf = async (path: string) => parseFid(await standIn.it.fid(path));

test('killed and stopped in the middle, it goes on; a second one is refused and told who is at work', async () => {
  await grow('long', 600, 15);
  const steps = new Steps(standIn.it.sandbox);
  /** Holds a scan where it has put something, and has more to walk. */
  const started = async () => {
    let held = steps.hold('scan.batch');
    const args = ['scan', '--threads', '1', '--restart'];
    const service = standIn.it.sandbox.startService(args, steps.env);
    for (;;) {
      await held.reached();
      if ((await collect(catalog().unwalked())).length > 1) return { service, goOn: held.release };
      held.release();
      held = steps.hold('scan.batch');
    }
  };
  const first = await started();
  expect(await catalog().scanning()).toBeDefined();
  const refused = await scan();
  expect(refused.exitCode).toBe(6);
  expect(JSON.parse(refused.stdout).error).toMatchObject({ code: 'SCAN_RUNNING', exit: 6 });
  expect(refused.stdout).toContain(`process ${first.service.pid} `);
  process.kill(first.service.pid, 'SIGTERM');
  first.goOn();
  await first.service.exited();

  const second = await started();
  await second.service.kill();
  second.goOn();
  expect((await collect(catalog().unwalked())).length).toBeGreaterThan(0);
  expect(await scanned()).toMatchObject({ resumed: true, outcome: 'complete', vanished: 0 });
  expect(await pathsIn('long')).toHaveLength(600 * 16);
  expect(await catalog().scanning()).toBeUndefined();

  const third = await started();
  process.kill(third.service.pid, 'SIGINT');
  third.goOn();
  expect((await third.service.exited()).exitCode).toBe(130);
  expect(third.service.log.text()).toContain('The same command goes on from here.');
  // A part of it is scanned meanwhile, and does not lose the place.
  await scanned('--path', standIn.it.path('long/d7'));
  expect(await catalog().scanning()).toBeDefined();
  expect(await scanned()).toMatchObject({ resumed: true, outcome: 'complete', vanished: 0 });
  expect(await catalog().check()).toEqual([]);
});

test('while users work, nothing that stays is missed, and nothing dead is left', async () => {
  const c = standIn.it;
  await grow('busy', 40, 20);
  let over = false;
  const churn = (async () => {
    for (let n = 0; !over; n++) {
      const path = c.path(`busy/d${n % 40}/temporary-${n}`);
      await writeFile(path, '');
      await rename(path, c.path(`busy/d${(n * 7) % 40}/moved-${n}`));
      if (n % 2 === 0) await rm(c.path(`busy/d${(n * 7) % 40}/moved-${n}`));
    }
  })();
  try {
    for (let round = 0; round < 2; round++) await scanned();
  } finally {
    over = true;
    await churn;
  }
  await scanned();
  const { stdout } = await c.sandbox.exec('find', ['.', '-mindepth', '1', '-printf', '%P\\n'], { cwd: c.path('busy') });
  expect(await pathsIn('busy')).toEqual(stdout.trim().split('\n').sort());
  expect(await catalog().check()).toEqual([]);
});

test('another file system in its place, or none, deletes nothing and is told', async () => {
  const c = standIn.it;
  await scanned();
  const count = (await collect(catalog().entries())).length;
  expect(count).toBeGreaterThan(3);
  const set = 'import os,sys\nos.setxattr(sys.argv[1], "trusted.lfsazsync_fs", sys.argv[2].encode())';
  const { uuid } = await scanned();
  await c.sandbox.exec('python3', ['-c', set, c.sandbox.mount, '0b0e7a52-6f0c-4e3c-9a8e-2f4b6d1c9e10']);
  const other = await scan();
  expect(other.exitCode).toBe(1);
  expect(JSON.parse(other.stdout).error.code).toBe('CATALOG_OTHER_FILE_SYSTEM');
  await c.sandbox.exec('python3', ['-c', set, c.sandbox.mount, uuid]);
  expect((await collect(catalog().entries())).length).toBe(count);

  const config = join(c.sandbox.dir, 'elsewhere.yaml');
  await writeFile(config, (await readFile(c.sandbox.configFile, 'utf8')).replace(/^mount: .*$/m, 'mount: /'));
  const none = await c.sandbox.run(['scan', '--json', '--config', config], { env: { LFSAZSYNC_MOUNT: undefined } });
  expect(none.exitCode).toBe(1);
  expect((await collect(catalog().entries())).length).toBe(count);
  expect(await scanned()).toMatchObject({ new: 0, vanished: 0 });
});

test('a damaged catalog is set aside, and a new one filled', async () => {
  await scanned();
  await writeFile(file(), Buffer.alloc(8192, 7));
  for (const suffix of ['-wal', '-shm']) await rm(file() + suffix, { force: true });
  const result = await scan();
  expect(result.exitCode, result.stderr).toBe(0);
  expect(result.stderr).toContain('catalog.db.damaged-');
  expect((JSON.parse(result.stdout) as ScanJson).new).toBeGreaterThan(0);
  expect(await catalog().lookup(Buffer.alloc(0))).toBe(ROOT_FID);
});
