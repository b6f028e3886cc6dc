import { mkdirSync, renameSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { waitUntil } from '../../support/wait.ts';
import { read } from '../copytool/fixture.ts';
import { FollowRig } from './rig.ts';

// `rename_mode: restore`, the way of the original deployment: a renamed file is restored, marked dirty and archived
// under its new name; then its old blob goes.

let it: FollowRig;
const at = (...names: string[]) => it.path(...names);
beforeAll(async () => {
  it = await FollowRig.start({
    version: '2.15',
    standInOnly: true,
    config: { follow: { rename_mode: 'restore', restores: 2 } },
  });
});
afterAll(() => it?.stop());

test('released files of a renamed directory are archived anew, a few at a time, killed in between', async () => {
  mkdirSync(at('d'));
  const names = ['a', 'b', 'c', 'e', 'f'];
  for (const name of names) await it.rig.archiveAndRelease(it.rig.write(`d/${name}`, `content of ${name}`));
  await it.once();
  const before = await Promise.all(names.map((name) => it.rig.record(at('d', name))));
  renameSync(at('d'), at('D'));
  for (const step of ['move.noted', 'move.dirtied', 'old.examined']) {
    it.hold(step);
    const follower = await it.follow();
    await it.held(step);
    await follower.crash();
    it.letAllGo();
  }
  await it.follow();
  await it.mirrored();
  for (const [index, name] of names.entries()) {
    const record = await it.rig.record(at('D', name));
    const [old, now] = [before[index], record].map((one) =>
      one !== undefined && 'generation' in one ? one.generation.seq : undefined,
    );
    expect(now, `${name} was archived anew`).toBeGreaterThan(old as number);
    expect(await it.rig.content(at('D', name))).toBe(`content of ${name}`);
  }
  await it.rig.release(at('D', 'a'));
  expect(await read(at('D', 'a'))).toBe('content of a');
  await waitUntil('nothing is left to be done', async () => (await it.status()).journal.waiting === 0);
});
