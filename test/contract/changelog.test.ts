import { constants } from 'node:fs';
import {
  appendFile,
  chmod,
  chown,
  link,
  mkdir,
  open,
  readFile,
  rename,
  rm,
  rmdir,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { beforeAll, beforeEach, it as check, expect } from 'vitest';
import { seam } from '../support/seam-tool.ts';
import { ChangelogReader } from './changelog.ts';
import { CLEAN, DIRTY, EXISTS, USER, useContract } from './fixture.ts';

// Which records an operation makes, with their exact flags. Facts: 01, 03 B, 04, 05, 06, 10.

const contract = useContract();
let log: ChangelogReader;
let names: Map<string, string>;
const enabled =
  process.env['LFSAZSYNC_TEST_MOUNT'] === undefined || process.env['LFSAZSYNC_TEST_CHANGELOG_USER'] !== undefined;
const it = check.skipIf(!enabled);

let tree = '';
beforeAll(async () => {
  tree = await contract.it.fid(contract.it.tree);
  if (enabled) log = await ChangelogReader.open(contract.it);
});

/** Each check works in a directory of its own, `dir` in the records. */
let directory = '';
let count = 0;
beforeEach(async () => {
  if (!enabled) return;
  directory = `c${++count}`;
  names = new Map();
  await mkdir(contract.it.path(directory));
  await know('.', 'dir');
  await log.expect(names, [`MKDIR 0x0 t=dir p=${tree} ${directory}`]);
});

const at = (name: string): string => contract.it.path(`${directory}/${name}`);

/** Gives the file's FID a name in the records. */
async function know(name: string, label = name): Promise<string> {
  const path = name === '.' ? contract.it.path(directory) : at(name);
  const fid = await contract.it.fid(path);
  names.set(fid, label);
  return fid;
}

async function made(name: string, data = 'data'): Promise<string> {
  await writeFile(at(name), data);
  await know(name);
  await log.expect(names, [`CREAT 0x0 t=${name} p=dir ${name}`, `CLOSE 0x242 t=${name}`]);
  return at(name);
}

it('creating, writing, appending and reading (01)', async () => {
  const path = await made('b');
  await appendFile(path, 'more');
  await log.expect(names, ['CLOSE 0x442 t=b']);
  await readFile(path);
  await (await open(path, constants.O_WRONLY)).close();
  await log.expect(names, ['CLOSE 0x2 t=b']);
});

it('truncating by size and by O_TRUNC (01)', async () => {
  const path = await made('t');
  const handle = await open(path, constants.O_WRONLY);
  await handle.truncate(2);
  await handle.close();
  await log.expect(names, ['TRUNC 0xe t=t', 'CLOSE 0x2 t=t']);
  await writeFile(path, '');
  await log.expect(names, ['TRUNC 0xe t=t', 'CLOSE 0x242 t=t']);
});

it('mode and owner give SATTR, times only a CLOSE of the program that set them (01, README 7)', async () => {
  const path = await made('m');
  await chmod(path, 0o600);
  await log.expect(names, ['SATTR 0x14 t=m']);
  await chown(path, USER, USER);
  await log.expect(names, ['SATTR 0xe4 t=m']);
  await utimes(path, 1_577_934_245, 1_577_934_245);
  await contract.it.sandbox.exec('touch', ['-d', '2020-01-02T03:04:05', path]);
  await log.expect(names, ['CLOSE 0x42 t=m']);
});

it('attributes give XATTR with their name, reading them nothing (01)', async () => {
  const path = await made('x');
  await seam(['setxattr', path, 'user.color', 'blue']);
  await log.expect(names, ['XATTR 0x0 t=x x=user.color']);
  await seam(['setxattr', path, 'trusted.rig', 'blue']);
  await log.expect(names, ['XATTR 0x0 t=x x=trusted.rig']);
  await seam(['getxattr', path, 'trusted.rig']);
  await seam(['removexattr', path, 'user.color']);
  await log.expect(names, ['XATTR 0x0 t=x x=user.color']);
});

it('directories, symlinks, hard links, special files (01)', async () => {
  await mkdir(at('d'));
  await know('d');
  await log.expect(names, ['MKDIR 0x0 t=d p=dir d']);
  await symlink('../target/with/path', at('s'));
  await know('s');
  await log.expect(names, ['SLINK 0x0 t=s p=dir s']);
  await made('f');
  await link(at('f'), at('d/hard'));
  await log.expect(names, ['HLINK 0x0 t=f p=d hard']);
  await rm(at('d/hard'));
  await log.expect(names, ['UNLNK 0x0 t=f p=d hard']);
  await rm(at('f'));
  await log.expect(names, ['UNLNK 0x1 t=f p=dir f']);
  await contract.it.sandbox.exec('mkfifo', [at('p')]);
  await know('p');
  await log.expect(names, ['MKNOD 0x0 t=p p=dir p']);
  await rm(at('s'));
  await rmdir(at('d'));
  await log.expect(names, ['UNLNK 0x1 t=s p=dir s', 'RMDIR 0x1 t=d p=dir d']);
});

it('renames: to a free name, over a file, over one with another link, of directories (01, README 8)', async () => {
  await made('a');
  await rename(at('a'), at('b'));
  await log.expect(names, ['RENME 0x0 t=0:0x0:0x0 p=dir b s=a sp=dir a']);
  await made('victim');
  await rename(at('b'), at('victim'));
  await log.expect(names, ['RENME 0x1 t=victim p=dir victim s=a sp=dir b']);
  await made('linked');
  await link(at('linked'), at('other'));
  await log.expect(names, ['HLINK 0x0 t=linked p=dir other']);
  await rename(at('victim'), at('linked'));
  await log.expect(names, ['RENME 0x0 t=linked p=dir linked s=a sp=dir victim']);
  // Two names of one inode: nothing happens.
  await link(at('other'), at('third'));
  await log.expect(names, ['HLINK 0x0 t=linked p=dir third']);
  await rename(at('other'), at('third'));
  for (const name of ['d1', 'd2', 'd3']) {
    await mkdir(at(name));
    await know(name);
  }
  await log.expect(
    names,
    ['d1', 'd2', 'd3'].map((name) => `MKDIR 0x0 t=${name} p=dir ${name}`),
  );
  await rename(at('d1'), at('d2/inner'));
  await log.expect(names, ['RENME 0x0 t=0:0x0:0x0 p=d2 inner s=d1 sp=dir d1']);
  await rename(at('d2/inner'), at('d3'));
  await log.expect(names, ['RENME 0x1 t=d3 p=dir d3 s=d1 sp=d2 inner']);
});

it('an open file that is unlinked: last link at once, nothing at its close (01, 04)', async () => {
  await made('o');
  const handle = await open(at('o'), 'r');
  await rm(at('o'));
  await log.expect(names, ['UNLNK 0x1 t=o p=dir o']);
  await handle.close();
  await made('after');
});

it('who did it is in the record (01)', async () => {
  await chmod(contract.it.path(directory), 0o777);
  await log.expect(names, ['SATTR 0x14 t=dir']);
  await contract.it.sandbox.exec('touch', [at('user')], { uid: USER });
  await know('user');
  const records = (await log.read()).filter((record) => names.get(record.target) === 'user');
  expect(records[0]?.rest).toContain(`u=${USER}:${USER} `);
  await log.expect(names, ['CREAT 0x0 t=user p=dir user', 'CLOSE 0x42 t=user']);
});

it('names come as they are, whatever is in them (01, README 18)', async () => {
  for (const name of [
    'new\nline',
    'back\\slash %41',
    'p=[0x1:0x2:0x3] fake',
    ' leading and trailing ',
    'L'.repeat(255),
  ]) {
    await writeFile(at(name), '');
    const fid = await contract.it.fid(at(name));
    const record = (await log.read()).find((one) => one.target === fid && one.type === 'CREAT');
    expect(record?.rest.endsWith(`] ${name}`)).toBe(true);
  }
  await log.skip();
});

it('the life of a copy: archive, dirty, archive again, release, restore, remove (03 B, README 9, 10, 22)', async () => {
  const it = contract.it;
  await using agent = await it.agent();
  const path = await made('h', 'one');
  const fid = await know('h');
  await it.request('archive', path);
  await agent.archive(fid);
  await it.waitForState(path, CLEAN);
  await log.expect(names, ['HSM 0x280 t=h', 'HSM 0x280 t=h', 'HSM 0x0 t=h']);
  await appendFile(path, 'two');
  await it.waitForState(path, CLEAN | DIRTY);
  await log.expect(names, ['HSM 0x680 t=h', 'CLOSE 0x442 t=h']);
  await it.request('archive', path);
  await agent.archive(fid);
  await it.waitForState(path, CLEAN);
  await log.expect(names, ['HSM 0x280 t=h', 'HSM 0x0 t=h']);
  // Up to 2.15, 'release' is told when a file is released; later, when it is restored.
  const early = Number(/2\.(\d+)/.exec((await it.sandbox.lctl(['get_param', '-n', 'version'])).stdout)?.[1]) < 16;
  const told = ['HSM 0x180 t=h'];
  await it.request('release', path);
  await log.expect(names, ['TRUNC 0xf t=h', ...(early ? told : []), 'LYOUT 0x0 t=h', 'CLOSE 0x2 t=h']);
  const reading = readFile(path, 'utf8');
  await agent.restore('onetwo', fid);
  await reading;
  await it.waitForState(path, CLEAN);
  await log.expect(names, ['HSM 0x0 t=h', ...(early ? [] : told), 'HSM 0x80 t=h']);
  await it.request('remove', path);
  await agent.remove(fid);
  await it.waitForState(path, 0);
  await log.expect(names, ['HSM 0x280 t=h', 'HSM 0x200 t=h']);
});

it('truncating an archived file (03 B)', async () => {
  const it = contract.it;
  await using agent = await it.agent();
  const path = await made('th', 'one');
  await it.request('archive', path);
  await agent.archive(await know('th'));
  await it.waitForState(path, CLEAN);
  await log.expect(names, ['HSM 0x280 t=th', 'HSM 0x280 t=th', 'HSM 0x0 t=th']);
  const handle = await open(path, constants.O_WRONLY);
  await handle.truncate(2);
  await handle.close();
  await it.waitForState(path, CLEAN | DIRTY);
  await log.expect(names, ['TRUNC 0xe t=th', 'HSM 0x680 t=th', 'CLOSE 0x2 t=th']);
});

it('errors and cancels carry the errno (06, 07, README 9)', async () => {
  const it = contract.it;
  await using agent = await it.agent();
  const path = await made('e');
  const fid = await know('e');
  await it.request('archive', path);
  const failing = await agent.next('ARCHIVE', fid);
  await agent.begin(failing);
  await agent.end(failing, { errval: 5 });
  await it.waitForState(path, EXISTS);
  await log.expect(names, ['HSM 0x280 t=e', 'HSM 0x5 t=e']);
  await it.request('archive', path);
  const changing = await agent.next('ARCHIVE', fid);
  await agent.begin(changing);
  await appendFile(path, 'x');
  await agent.end(changing);
  await it.waitForState(path, EXISTS | DIRTY);
  await log.expect(names, ['HSM 0x680 t=e', 'CLOSE 0x442 t=e', 'HSM 0x410 t=e']);
  const clean = await made('e2');
  const fid2 = await know('e2');
  await it.request('archive', clean);
  await agent.archive(fid2);
  await it.waitForState(clean, CLEAN);
  await it.request('release', clean);
  await log.skip();
  const reading = it.sandbox.exec('cat', [clean]);
  const restore = await agent.next('RESTORE', fid2);
  await agent.begin(restore);
  await agent.end(restore, { errval: 2 });
  await reading;
  await log.expect(names, ['HSM 0x82 t=e2']);
});

it('unlink and rename over archived and released files say that a copy is left (04, README 8)', async () => {
  const it = contract.it;
  await using agent = await it.agent();
  for (const name of ['u1', 'u2', 'u5']) {
    await writeFile(at(name), name);
    const fid = await know(name);
    await it.request('archive', at(name));
    await agent.archive(fid);
    await it.waitForState(at(name), CLEAN);
  }
  await it.request('release', at('u2'));
  await writeFile(at('n5'), 'new');
  await know('n5');
  await log.skip();
  await rm(at('u1'));
  await rm(at('u2'));
  await log.expect(names, ['UNLNK 0x3 t=u1 p=dir u1', 'UNLNK 0x3 t=u2 p=dir u2']);
  await rename(at('n5'), at('u5'));
  await log.expect(names, ['RENME 0x3 t=u5 p=dir u5 s=n5 sp=dir n5']);
});

it('hsm_set and hsm_clear (04)', async () => {
  const it = contract.it;
  const path = await made('s');
  await it.ok('hsm_set', '--exists', path);
  await log.expect(names, ['HSM 0x280 t=s', 'CLOSE 0x2 t=s']);
  await it.ok('hsm_clear', '--exists', path);
  await log.expect(names, ['HSM 0x280 t=s', 'CLOSE 0x2 t=s']);
});

it('an import (05, README 15)', async () => {
  const it = contract.it;
  const imported = await seam(
    ['import', it.sandbox.llapi, at('i'), 1_234_567, '0640', 1000, 1001, 1_500_000_000, 1, 0],
    {
      env: { ...process.env, ...it.sandbox.env },
    },
  );
  expect(imported.rc).toBe(0);
  await know('i');
  await log.expect(names, [
    'CREAT 0x0 t=i p=dir i',
    'LYOUT 0x0 t=i',
    'CLOSE 0x2 t=i',
    'HSM 0x280 t=i',
    'TRUNC 0xff t=i',
    'CLOSE 0x42 t=i',
  ]);
});

it('a range of records includes its end, and clearing needs a user that exists (02, README 24)', async () => {
  const it = contract.it;
  const { mdt, changelogUser = '' } = it.sandbox;
  await made('r1');
  await truncate(at('r1'), 1);
  const text = await it.ok('changelog', mdt);
  const indexes = text.match(/^\d+(?= \d\d[A-Z]+ )/gm)?.map(Number) ?? [];
  const [from, to] = [indexes.at(-3) ?? 0, indexes.at(-2) ?? 0];
  expect((await it.ok('changelog', mdt, String(from), String(to))).match(/^\d+(?= )/gm)).toEqual([
    String(from),
    String(to),
  ]);
  expect(await it.lfs(['changelog_clear', mdt, 'cl999', '3'])).toMatchObject({
    exitCode: 2,
    stderr:
      "lfs changelog_clear: cannot purge records for 'cl999': No such file or directory (2)\nchangelog_clear: no changelog user: cl999\n",
  });
  expect(await it.lfs(['changelog_clear', mdt, changelogUser, '99999999'])).toMatchObject({
    exitCode: 22,
    stderr: `lfs changelog_clear: cannot purge records for '${changelogUser}': Invalid argument (22)\nchangelog_clear: record out of range: 99999999\n`,
  });
  await it.ok('changelog_clear', mdt, changelogUser, String(to));
  await log.skip();
});

it('only root reads it (08)', async () => {
  const it = contract.it;
  expect(await it.lfs(['changelog', it.sandbox.mdt], { uid: USER })).toMatchObject({
    stderr: 'lfs changelog: cannot start changelog: Permission denied\n',
  });
  expect(await it.lfs(['changelog', 'nofs-MDT0000'])).toMatchObject({
    exitCode: 2,
    stderr: 'lfs changelog: cannot start changelog: No such file or directory\n',
  });
});
