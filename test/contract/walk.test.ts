import { link, mkdir, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { HelperClient } from '../support/helper-client.ts';
import { useContract } from './fixture.ts';

// The helper's walk and its reading of the changelog, spoken to by the protocol: so that they can be tried on a real Lustre.

const contract = useContract();

async function start(mode: string, args: readonly string[] = []): Promise<HelperClient> {
  const { mount, llapi, env } = contract.it.sandbox;
  const helper = new HelperClient(mode, ['--mount', mount, '--liblustreapi', llapi, ...args], {
    ...process.env,
    ...env,
  });
  expect(await helper.hello()).toMatchObject({ t: 'hello', mode });
  return helper;
}

type Row = readonly unknown[];
const MODE = 2;
const NLINK = 5;
const SIZE = 6;
const MTIME = 9;
const HSM = 13;
const OSTS = 15;
const LINKS = 19;

it('a walk tells FIDs, attributes, layouts and names as lfs and stat do', async () => {
  const c = contract.it;
  await c.directory('walked');
  await c.write('walked/plain', 'content');
  await c.ok('setstripe', '-c', '1', 'walked/striped');
  await writeFile(c.path('walked/ s=[\n'), '');
  await mkdir(c.path('walked/sub'));
  await link(c.path('walked/plain'), c.path('walked/sub/second'));
  await symlink('nowhere', c.path('walked/link'));
  const [top, sub] = [await c.fid(c.path('walked')), await c.fid(c.path('walked/sub'))];
  const helper = await start('scan');
  const { given } = await helper.ask('walk', { fids: [top] });
  const rows = new Map<string, Row>();
  const ended: unknown[] = [];
  for (;;) {
    const event = await helper.next(['entries', 'idle']);
    if (event['given'] === given) break;
    if (event.t !== 'entries') continue;
    for (const [parent, list] of event['list'] as [string, Row[]][]) {
      for (const row of list) rows.set(`${parent}/${row[1]}`, row);
    }
    ended.push(...(event['directories'] as unknown[]));
    expect(event['failed']).toEqual([]);
  }
  expect([...rows.keys()].sort()).toEqual(
    [...['plain', 'striped', ' s=[\n', 'sub', 'link'].map((name) => `${top}/${name}`), `${sub}/second`].sort(),
  );
  expect(ended).toHaveLength(2);
  expect(ended).toContainEqual([top, 5, 0]);
  expect(ended).toContainEqual([sub, 1, 0]);
  for (const name of ['plain', 'striped', 'sub']) {
    const row = rows.get(`${top}/${name}`) ?? [];
    const real = await stat(c.path(`walked/${name}`));
    expect(row[0]).toBe(await c.fid(c.path(`walked/${name}`)));
    expect(row[MODE]).toBe(real.mode);
    expect(row[NLINK]).toBe(real.nlink);
    expect(row[MTIME]).toBe(Math.floor(real.mtimeMs / 1000));
    if (name !== 'sub') expect(row[SIZE]).toBe(real.size);
  }
  const plain = rows.get(`${top}/plain`) ?? [];
  expect(plain[HSM]).toBe(0);
  const ost = Number((await c.ok('getstripe', '-i', c.path('walked/plain'))).trim());
  expect(plain[OSTS]).toContain(ost);
  const [links, complete] = plain[LINKS] as [unknown[], boolean];
  expect(complete).toBe(true);
  expect(links).toHaveLength(2);
  expect(links).toContainEqual([top, 'plain']);
  expect(links).toContainEqual([sub, 'second']);
  // The same by FID; what is gone says so.
  await rm(c.path('walked/striped'));
  const gone = rows.get(`${top}/striped`)?.[0];
  const reply = await helper.ask('entries', { fids: [plain[0], gone, sub] });
  const [again, missing, directory] = reply['list'] as [Row, number, Row];
  expect(again.slice(2, 9)).toEqual(plain.slice(2, 9));
  expect(missing).toBe(-2);
  expect(directory[LINKS]).toEqual([[[top, 'sub']], true]);
  expect(again).toHaveLength(LINKS + 1);
  // And what is under way for it; what is no file has nothing.
  const withActions = await helper.ask('entries', { fids: [plain[0], sub], actions: true });
  const [acting, none] = withActions['list'] as [Row, Row];
  expect(acting[LINKS + 1]).toEqual({ action: 'NOOP', state: 'none', done: '0' });
  expect(none[LINKS + 1]).toBe(-25);
  await helper.close();
});

it('the changelog tells names as bytes and what a rename did; its last index is found, and nothing can be cleared that was not told', async () => {
  const c = contract.it;
  const { mdt, changelogUser } = c.sandbox;
  if (changelogUser === undefined && c.standIn) {
    await c.sandbox.serverLctl(['--device', mdt, 'changelog_register']);
  }
  const probe = await start('changelog', ['--mdt', mdt]);
  const last = Number((await probe.ask('last_index'))['index']);
  await probe.close();
  await c.directory('told');
  await writeFile(c.path('told/new\nline'), '');
  const fid = await c.fid(c.path('told/new\nline'));
  await rename(c.path('told/new\nline'), c.path('told/ s=[0x1:0x1:0x0] x'));
  const parent = await c.fid(c.path('told'));
  const reader = await start('changelog', ['--mdt', mdt, '--start', String(last + 1), '--interval', '50']);
  const event = await reader.next('records', (one) =>
    (one['list'] as Row[]).some((row) => row[1] === 8 && row[9] === fid),
  );
  const renamed = (event['list'] as Row[]).find((row) => row[1] === 8 && row[9] === fid) ?? [];
  expect(renamed.slice(4, 7)).toEqual([null, parent, ' s=[0x1:0x1:0x0] x']);
  expect(renamed.slice(9)).toEqual([fid, parent, 'new\nline']);
  expect(Number((await reader.ask('last_index'))['index'])).toBeGreaterThanOrEqual(Number(renamed[0]));
  expect((await reader.ask('clear', { index: 1 })).rc).toBe(-22);
  await reader.close();
});
