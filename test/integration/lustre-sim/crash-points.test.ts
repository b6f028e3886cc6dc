import { existsSync, statSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { CLEAN, EXISTS, RELEASED_FILE } from '../../contract/fixture.ts';
import { HelperClient } from '../../support/helper-client.ts';
import { actions, bytes, Daemon, statuses, useStandIn } from './fixture.ts';

// The daemon dies by itself at named points (FAULTS.md). Started again, every operation is there as a whole or not at
// all, and no file's data is lost.

const standIn = useStandIn();
let daemon: Daemon;

beforeAll(() => {
  daemon = new Daemon(standIn.it.sandbox);
});

async function crashAt(point: string, skip = 0): Promise<void> {
  await standIn.it.sandbox.simctl(['fault', `set=crash:${point},skip=${skip}`]);
}

it('before the journal: the operation was not; after it: it was, though nobody was told', async () => {
  const it = standIn.it;
  await crashAt('before-journal');
  await expect(mkdir(it.path('before'))).rejects.toThrow();
  await daemon.died();
  await daemon.start();
  expect(existsSync(it.path('before'))).toBe(false);
  await crashAt('after-journal');
  await expect(mkdir(it.path('after'))).rejects.toThrow();
  await daemon.died();
  await daemon.start();
  expect(statSync(it.path('after')).isDirectory()).toBe(true);
  const fids = [await it.fid(it.path('after')), await it.fid(await it.directory('next'))];
  expect(new Set(fids).size).toBe(2);
});

it('in a release: the file is still there, and can be released then', async () => {
  const it = standIn.it;
  const data = bytes(300_000, 1);
  const agent = await it.agent();
  const { path } = await it.archived(agent, 'release', data);
  await agent.helper.kill();
  await crashAt('release');
  expect((await it.lfs(['hsm_release', path])).exitCode).not.toBe(0);
  await daemon.died();
  await daemon.start();
  await it.expectState(path, CLEAN);
  expect((await readFile(path)).equals(data)).toBe(true);
  await it.request('release', path);
  await it.expectState(path, RELEASED_FILE);
});

it('after the journal of a release: it is released, and comes back', async () => {
  const it = standIn.it;
  const data = bytes(300_000, 2);
  const agent = await it.agent();
  const { path, fid } = await it.archived(agent, 'released', data);
  await agent.helper.kill();
  await crashAt('after-journal');
  expect((await it.lfs(['hsm_release', path])).exitCode).not.toBe(0);
  await daemon.died();
  await daemon.start();
  await it.expectState(path, RELEASED_FILE);
  await using next = await it.agent();
  const reading = readFile(path);
  await next.restore(data, fid);
  expect((await reading).equals(data)).toBe(true);
});

it.each(['swap', 'completed', 'before-journal'])(
  'at the end of a restore (%s): released as before, and restored again',
  async (point) => {
    const it = standIn.it;
    const data = bytes(200_000, 3);
    const agent = await it.agent();
    const { path, fid } = await it.released(agent, `restore-${point}`, data);
    await it.request('restore', path);
    const action = await agent.next('RESTORE', fid);
    await agent.write(String((await agent.begin(action))['dfid']), data);
    await crashAt(point);
    // The helper may get an error, or wait for an answer that never comes.
    const ending = agent.end(action, { length: data.length }).catch(() => undefined);
    await daemon.died();
    await agent.helper.kill();
    await ending;
    await daemon.start();
    await it.expectState(path, RELEASED_FILE);
    await using next = await it.agent();
    expect((await next.restore(data, fid)).cookie).toBe(action.cookie);
    await it.waitForState(path, CLEAN);
    expect((await readFile(path)).equals(data)).toBe(true);
  },
);

it.each(['completed', 'before-journal'])(
  'at the end of an archive (%s): the file only exists, and is archived again',
  async (point) => {
    const it = standIn.it;
    const agent = await it.agent();
    const path = await it.write(`archive-${point}`, bytes(1000, 4));
    const fid = await it.fid(path);
    await it.request('archive', path);
    const action = await agent.next('ARCHIVE', fid);
    expect((await agent.begin(action)).rc).toBe(0);
    await crashAt(point);
    const ending = agent.end(action).catch(() => undefined);
    await daemon.died();
    await agent.helper.kill();
    await ending;
    await daemon.start();
    await it.expectState(path, EXISTS);
    expect(await statuses(it.sandbox, fid)).toEqual(['STARTED']);
    await using next = await it.agent();
    await it.request('archive', path);
    const again = await next.archive(fid);
    expect(again.cookie).not.toBe(action.cookie);
    await it.waitForState(path, CLEAN);
  },
);

it('while the journal is written anew: the old one counts; written anew, it is short and says the same', async () => {
  const it = standIn.it;
  const { sandbox } = it;
  const path = await it.write('rewritten', 'content');
  const agent = await it.agent();
  await it.request('archive', path);
  await agent.archive(await it.fid(path));
  await agent.helper.kill();
  const journal = join(daemon.dir, 'journal');
  // Each change of a large attribute goes into the journal as a whole, so that it grows fast.
  const grow = async (rounds: number): Promise<string | undefined> => {
    const attrs = new HelperClient('attrs', ['--mount', sandbox.mount, '--liblustreapi', sandbox.llapi]);
    expect((await attrs.hello()).t).toBe('hello');
    const fid = await it.fid(path);
    let last: string | undefined;
    try {
      for (let round = 0; round < rounds; round++) {
        const value = Buffer.alloc(60_000, `${round} `).toString('base64');
        const size = statSync(journal).size;
        if ((await attrs.ask('set_xattr', { fid, name: 'trusted.big', value, flags: 0 })).rc !== 0) return last;
        last = value;
        if (statSync(journal).size < size) return last;
      }
      throw new Error('the journal was never written anew');
    } finally {
      await attrs.close();
    }
  };
  await crashAt('compact');
  const before = await grow(5000);
  await daemon.died();
  await daemon.start();
  expect(before).toBeDefined();
  expect(statSync(journal).size).toBeLessThan(1e6);
  await it.expectState(path, CLEAN);
  const after = await grow(5000);
  const list = await actions(sandbox);
  await daemon.restart();
  expect(await actions(sandbox)).toEqual(list);
  const attrs = new HelperClient('attrs', ['--mount', sandbox.mount, '--liblustreapi', sandbox.llapi]);
  try {
    expect((await attrs.hello()).t).toBe('hello');
    const got = await attrs.ask('get', { fid: await it.fid(path), want: ['xattrs'], xattrs: ['trusted.big'] });
    expect(got['xattrs']).toEqual({ 'trusted.big': after });
  } finally {
    await attrs.close();
  }
  expect(await readFile(path, 'utf8')).toBe('content');
});

it('crashes do not add up: twenty in a row leave a tree that is right', async () => {
  const it = standIn.it;
  const dir = await it.directory('often');
  const there: string[] = [];
  for (let round = 0; round < 20; round++) {
    const name = join(dir, String(round));
    await crashAt(round % 2 === 0 ? 'before-journal' : 'after-journal', round % 5);
    // Operations go on until one of them dies.
    for (let file = 0; ; file++) {
      const path = `${name}-${file}`;
      const written = await writeFile(path, path).then(
        () => true,
        () => false,
      );
      if (!written) break;
      there.push(path);
    }
    await daemon.died();
    await daemon.start();
  }
  for (const path of there) expect(await readFile(path, 'utf8')).toBe(path);
});
