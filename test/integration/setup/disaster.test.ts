import {
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { type Sandbox, startSandbox } from '../../support/sandbox.ts';
import { comparable, seeTree } from '../import/fixture.ts';

// docs/disaster-recovery.md, command by command: the file system is lost, a new one takes its place.

let lost: Sandbox;
let young: Sandbox | undefined;

beforeAll(async () => {
  lost = await startSandbox({ standInOnly: true, config: { removal: { grace: '0s' } } });
});
afterAll(async () => {
  await young?.stop();
  await lost?.stop();
});

async function ran(sandbox: Sandbox, ...argv: string[]): Promise<{ stdout: string; exitCode: number | null }> {
  const { stdout, stderr, exitCode } = await sandbox.run(argv, { timeout: 300_000 });
  expect(exitCode, `${argv.join(' ')}: ${stderr}${stdout}`).toBe(0);
  return { stdout, exitCode };
}

/** A tree with what users have, below the root itself. */
function populate(mount: string): void {
  const at = (...names: string[]) => join(mount, ...names);
  mkdirSync(at('projects', 'urgent'), { recursive: true });
  mkdirSync(at('empty directory'));
  for (let n = 0; n < 40; n++) writeFileSync(at('projects', `file ${n}`), `content ${n}`.repeat(n * 100));
  writeFileSync(at('projects', 'urgent', 'größe\nnew line'), Buffer.alloc(3_000_000, 'x'));
  linkSync(at('projects', 'file 1'), at('projects', 'urgent', 'link'));
  symlinkSync('../file 2', at('projects', 'urgent', 'symlink'));
  chmodSync(at('projects', 'file 3'), 0o4711);
  chownSync(at('projects', 'file 3'), 1000, 100);
  chmodSync(at('projects', 'file 3'), 0o4711);
  chmodSync(at('projects', 'urgent'), 0o3770);
  utimesSync(at('projects', 'file 4'), 1_500_000_000, 1_500_000_000);
  for (const name of ['projects/urgent', 'projects', 'empty directory'])
    utimesSync(at(name), 1_600_000_000, 1_600_000_001);
}

test('a new file system, the same container: taken over, imported, read, followed, archived on', async () => {
  rmSync(lost.tree, { recursive: true });
  populate(lost.mount);
  await ran(lost, 'setup');
  const copytool = await lost.startCopytool();
  await ran(lost, 'archive', '--recursive', '--wait', lost.mount);
  await ran(lost, 'changelog-follow', '--once');
  const before = seeTree(lost.mount, true);
  const dead = JSON.parse((await ran(lost, 'setup', '--json')).stdout).uuid as string;
  await copytool.crash();

  young = await startSandbox({
    ...{ standInOnly: true, containerOf: lost },
    config: { removal: { grace: '0s' }, copytool: { heartbeat: '200ms' } },
  });
  rmSync(young.tree, { recursive: true });

  const refused = await young.run(['setup', '--dry-run']);
  expect(refused.exitCode).toBe(1);
  const [, told] = /setup --take-over (\S+?)`/.exec(refused.stderr) ?? [];
  expect(told).toBe(dead);
  await ran(young, 'setup', '--take-over', String(told));

  await ran(young, 'import', '--dry-run');
  expect(seeTree(young.mount).size).toBe(0);
  await ran(young, 'import', '--report', join(young.dir, 'import.ndjson'));
  await young.startCopytool();
  const follower = await young.startFollower();
  await ran(young, 'restore', '--recursive', '--wait', join(young.mount, 'projects', 'urgent'));

  // Every file by its content, which the first read brings back; not synchronously, as the copytool is served from here.
  for (const [path, { type }] of before) {
    if (type === 'file') await readFile(Buffer.concat([Buffer.from(`${young.mount}/`), Buffer.from(path, 'latin1')]));
  }
  expect(comparable(seeTree(young.mount, true))).toEqual(comparable(before));

  // Archiving goes on: what is new, and what is changed, under the new UUID; what is untouched needs none.
  writeFileSync(join(young.mount, 'projects', 'new'), 'new');
  writeFileSync(join(young.mount, 'projects', 'file 5'), 'changed');
  await ran(young, 'archive', '--recursive', '--wait', join(young.mount, 'projects'));
  // As most editors save: another file takes the name, at which the blob still is the one of the file system that is gone.
  const saved = join(young.mount, 'projects', 'file 6');
  writeFileSync(`${saved}~`, 'saved');
  renameSync(`${saved}~`, saved);
  await vi.waitFor(async () => ran(young as Sandbox, 'archive', '--wait', saved), { timeout: 60_000, interval: 1000 });
  await follower.stop();
  await ran(young, 'changelog-follow', '--once');
  const { uuid } = JSON.parse((await ran(young, 'setup', '--json')).stdout) as { uuid: string };
  for (const name of ['projects/new', 'projects/file 5', 'projects/file 6']) {
    const { metadata } = await lost.containerClient.getBlobClient(name).getProperties();
    expect(metadata?.['lfsazsync_fs']).toBe(uuid);
    expect((await lost.containerClient.getBlobClient(name).downloadToBuffer()).toString()).toMatch(
      /^(new|changed|saved)$/,
    );
  }
  // The one that is gone would not be served any more, were it to come back.
  const back = await lost.run(['copytool']);
  expect(back.exitCode).toBe(1);
});
