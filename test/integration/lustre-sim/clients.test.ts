import {
  appendFile,
  link,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { CLEAN, RELEASED_FILE } from '../../contract/fixture.ts';
import type { Agent } from '../../support/agent.ts';
import { seam } from '../../support/seam-tool.ts';
import { waitUntil } from '../../support/wait.ts';
import { actions, bytes, parameter, setParameter, useStandIn } from './fixture.ts';

// Several mounts are several clients, each with caches and a copytool of its own.

const standIn = useStandIn({ mounts: 3 });

/** A path of the first client as another sees it. */
function seenBy(client: number, path: string): string {
  const { mounts } = standIn.it.sandbox;
  return join(mounts[client] ?? '', path.slice(standIn.it.sandbox.mount.length));
}

function taken(agent: Agent): string[] {
  return agent.helper.events.filter(({ t }) => t === 'action').map((event) => String(event['fid']));
}

it('what one client writes, the others read at once, also where they had read before', async () => {
  const it = standIn.it;
  const path = await it.write('shared', bytes(200_000, 0));
  const there = seenBy(1, path);
  const reader = await open(there, 'r');
  try {
    for (let round = 1; round <= 20; round++) {
      const data = bytes(100_000 + 10_000 * (round % 7), round);
      await writeFile(path, data);
      expect((await readFile(there)).equals(data), `round ${round}`).toBe(true);
      expect((await stat(there)).size).toBe(data.length);
      const part = Buffer.alloc(100);
      await reader.read(part, 0, 100, 5000);
      expect(part.equals(data.subarray(5000, 5100))).toBe(true);
      await appendFile(there, 'tail');
      expect((await stat(path)).size).toBe(data.length + 4);
      expect((await readFile(path)).subarray(data.length).toString()).toBe('tail');
    }
  } finally {
    await reader.close();
  }
});

it('mapped memory of one client is seen by the others', async () => {
  const it = standIn.it;
  const path = await it.write('mapped', 'aaaaaaaaaa');
  const there = seenBy(2, path);
  expect((await seam(['mmap-read', there, 10])).lines).toEqual(['aaaaaaaaaa']);
  expect((await seam(['mmap-write', path, 2, 'XX'])).rc).toBe(0);
  expect(await readFile(there, 'utf8')).toBe('aaXXaaaaaa');
  await writeFile(path, 'bbbbbbbbbb', { flag: 'r+' });
  expect((await seam(['mmap-read', there, 10])).lines).toEqual(['bbbbbbbbbb']);
});

it('names, sizes, modes, links and attributes are the same everywhere at once', async () => {
  const it = standIn.it;
  const dir = await it.directory('names');
  const there = seenBy(1, dir);
  for (let round = 0; round < 10; round++) {
    const [a, b] = [join(dir, 'a'), join(there, 'a')];
    await writeFile(a, 'x'.repeat(round));
    expect((await stat(b)).size).toBe(round);
    await link(b, join(there, 'second'));
    expect((await stat(a)).nlink).toBe(2);
    await truncate(b, 100 + round);
    expect((await stat(a)).size).toBe(100 + round);
    expect((await seam(['setxattr', a, 'user.a', `v${round}`])).rc).toBe(0);
    expect(Buffer.from((await seam(['getxattr', b, 'user.a'])).lines[0] ?? '', 'hex').toString()).toBe(`v${round}`);
    await rename(b, join(there, 'moved'));
    expect((await readdir(dir)).sort()).toEqual(['moved', 'second']);
    await expect(stat(a)).rejects.toMatchObject({ code: 'ENOENT' });
    await rm(join(dir, 'moved'));
    await rm(join(dir, 'second'));
    expect(await readdir(there)).toEqual([]);
    await mkdir(join(dir, 'sub'), { mode: 0o700 });
    expect((await stat(join(there, 'sub'))).mode & 0o777).toBe(0o700);
    await rm(join(there, 'sub'), { recursive: true });
  }
});

it('a directory that somebody looks at by its FID is renamed like any other, and what is in it, too', async () => {
  const it = standIn.it;
  const [from, to] = [await it.directory('view from'), await it.directory('view to')];
  for (const name of ['d', 'd/in', 'd/in/deep']) await mkdir(join(from, name));
  const byFid = join(it.sandbox.mount, '.lustre/fid', await it.fid(join(from, 'd')));
  // The kernel has one place for a directory that it knows. It must not be the one below .lustre/fid: a rename to another
  // directory would have to take it from there, which it can't while it holds what all such renames hold (ESTALE).
  for (let round = 0; round < 20; round++) {
    expect(await readdir(join(byFid, 'in'))).toEqual(['deep']);
    await rename(join(from, 'd'), join(to, 'd'));
    expect(await readdir(byFid)).toEqual(['in']);
    expect((await stat(join(byFid, 'in'))).isDirectory()).toBe(true);
    await rename(join(to, 'd/in'), join(from, 'in'));
    expect(await readdir(byFid)).toEqual([]);
    await rename(join(from, 'in'), join(to, 'd/in'));
    await rename(join(to, 'd'), join(from, 'd'));
  }
  // One directory all the same: what is made in one place is there in the other, with the same number.
  await mkdir(join(byFid, 'in/made'));
  expect((await readdir(join(from, 'd/in'))).sort()).toEqual(['deep', 'made']);
  expect((await stat(join(byFid, 'in'))).ino).toBe((await stat(join(from, 'd/in'))).ino);
  await expect(rename(join(from, 'd'), join(byFid, 'in/d'))).rejects.toThrow('EINVAL');
  await rm(join(from, 'd'), { recursive: true });
  await expect(readdir(byFid)).rejects.toThrow('ENOENT');
});

it('a restore by one client feeds readers of all, and all see the states', async () => {
  const it = standIn.it;
  await using agent = await it.agent({ client: 1 });
  const data = bytes(300_000, 9);
  const { path, fid } = await it.released(agent, 'restored', data);
  const paths = [0, 1, 2].map((client) => seenBy(client, path));
  for (const each of paths) {
    expect((await stat(each)).blocks).toBe(1);
    await it.expectState(each, RELEASED_FILE);
  }
  const reading = Promise.all(paths.map((each) => readFile(each)));
  await agent.restore(data, fid);
  for (const content of await reading) expect(content.equals(data)).toBe(true);
  for (const each of paths) {
    await it.waitForState(each, CLEAN);
    expect((await stat(each)).blocks).toBeGreaterThan(500);
  }
  // One client writes while another archives: the archive is refused.
  await writeFile(paths[2] ?? '', data, { flag: 'a' });
  await it.request('archive', path);
  const action = await agent.next('ARCHIVE', fid);
  await agent.begin(action);
  await writeFile(paths[0] ?? '', 'x', { flag: 'r+' });
  expect((await agent.end(action)).rc).toBe(-16);
});

it('a file that others have open for writing is not released: one is not seen, two are in the way (08, MDT lease)', async () => {
  const it = standIn.it;
  await using agent = await it.agent();
  const { path } = await it.archived(agent, 'busy', 'data');
  const writers = await Promise.all([1, 2].map((client) => open(seenBy(client, path), 'r+')));
  try {
    expect((await it.lfs(['hsm_release', path])).exitCode).toBe(16);
    await it.expectState(path, CLEAN);
  } finally {
    for (const writer of writers) await writer.close();
  }
  await it.request('release', path);
  await it.expectState(path, RELEASED_FILE);
});

it('with a copytool on each client, every action goes to exactly one of them, and all get some', async () => {
  const it = standIn.it;
  const { sandbox } = it;
  await setParameter(sandbox, 'mdt.*.hsm.max_requests', 100);
  await using one = await it.agent({ client: 0 });
  await using two = await it.agent({ client: 1 });
  await using three = await it.agent({ client: 2 });
  const agents = [one, two, three];
  expect((await parameter(sandbox, 'mdt.*.hsm.agents')).split('\n')).toHaveLength(3);
  // A request goes out as a whole to the least busy one: so one file each.
  const fids: string[] = [];
  const got = (): string[] => agents.flatMap(taken);
  for (let file = 0; file < 9; file++) {
    const path = await it.write(`spread-${file}`);
    fids.push(await it.fid(path));
    await it.request('archive', path);
    await waitUntil('it was given out', () => got().length === fids.length);
  }
  expect(got().sort()).toEqual(fids.sort());
  for (const agent of agents) expect(taken(agent)).toHaveLength(3);
  for (const agent of agents) for (const fid of taken(agent)) await agent.archive(fid);
  expect((await actions(sandbox)).filter(({ fid }) => fids.includes(fid)).map(({ status }) => status)).toEqual(
    fids.map(() => 'SUCCEED'),
  );
  // A cancel goes to the one who has the action.
  const path = await it.write('cancelled');
  const fid = await it.fid(path);
  await it.request('archive', path);
  await waitUntil('somebody has it', () => agents.some((agent) => taken(agent).includes(fid)));
  const owner = agents.find((agent) => taken(agent).includes(fid)) ?? one;
  const action = await owner.next('ARCHIVE', fid);
  await owner.begin(action);
  await it.request('cancel', path);
  expect((await owner.next('CANCEL', fid)).cookie).toBe(action.cookie);
  expect((await owner.end(action, { errval: 125 })).rc).toBe(0);
  for (const agent of agents) expect(taken(agent)).not.toContain(fid);
});

it('when a copytool leaves, the others take what comes', async () => {
  const it = standIn.it;
  const { sandbox } = it;
  const gone = await it.agent({ client: 1 });
  await using stays = await it.agent({ client: 2 });
  await gone.stop();
  await waitUntil('one is left', async () => (await parameter(sandbox, 'mdt.*.hsm.agents')).split('\n').length === 1);
  for (let file = 0; file < 3; file++) {
    const path = await it.write(`after-${file}`);
    await it.request('archive', path);
    await stays.archive(await it.fid(path));
    await it.waitForState(path, CLEAN);
  }
});

it('two copytools on one client: both get everything, one end counts; one that leaves takes the registration with it', async () => {
  const it = standIn.it;
  const { sandbox } = it;
  const one = await it.agent({ client: 1 });
  await using two = await it.agent({ client: 1 });
  const path = await it.write('both');
  const fid = await it.fid(path);
  await it.request('archive', path);
  const [first, second] = await Promise.all([one.next('ARCHIVE', fid), two.next('ARCHIVE', fid)]);
  expect(first.cookie).toBe(second.cookie);
  for (const [agent, action] of [
    [one, first],
    [two, second],
  ] as const)
    expect((await agent.begin(action)).rc).toBe(0);
  expect((await one.end(first)).rc).toBe(0);
  expect((await two.end(second)).rc).toBe(-2);
  await it.waitForState(path, CLEAN);
  await one.stop();
  await waitUntil('nobody is listed', async () => (await parameter(sandbox, 'mdt.*.hsm.agents')) === '');
});

it('every client has an instance of its own', async () => {
  const it = standIn.it;
  const names = await Promise.all(it.sandbox.mounts.map(async (mount) => (await it.ok('getname', mount)).trim()));
  for (const name of names) expect(name).toMatch(/^lustrefs-ff11[0-9a-f]{12}$/);
  expect(new Set(names).size).toBe(3);
});
