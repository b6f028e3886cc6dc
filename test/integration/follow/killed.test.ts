import { chmodSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { RECONCILE_STEPS } from '../../../src/follow/reconcile/steps.ts';
import { FOLLOW_STEPS } from '../../../src/follow/service/steps.ts';
import { read } from '../copytool/fixture.ts';
import { FollowRig } from './rig.ts';

// kill -9 of the follower and its helpers at once, as when the machine fails: after each named step, and at random.

/** Taken with `rename_mode: restore` only (by-restore.test.ts), and for imported files' copies (import/followed.test.ts). */
const ELSEWHERE = /^(?:move|imported)\./;

let it: FollowRig;
/** Of different sizes: `mirrored` tells the two by that. */
const CONTENTS = { a: 'content of a', b: 'content of b, which is longer' } as const;
let changes = 0;
const at = (...names: string[]) => it.path('t', ...names);
beforeAll(async () => {
  it = await FollowRig.start({ version: '2.15', standInOnly: true });
  await prepare();
  // It is once behind it, so that `position.noted` is about a catalog that is there.
  await it.once();
});
afterAll(() => it?.stop());

/** Some of everything that a follower has to do something about. */
async function prepare(): Promise<void> {
  mkdirSync(at('d0', 'sub'), { recursive: true });
  symlinkSync('target', at('d0', 'link'));
  for (const name of ['a', 'b'] as const) writeFileSync(at(name), CONTENTS[name]);
  writeFileSync(at('d0', 'in'), 'content of in');
  const archived = await it.sandbox.run(['archive', '--wait', '--recursive', at()]);
  expect(archived, archived.stderr).toMatchObject({ exitCode: 0 });
  const released = await it.sandbox.run(['release', at('a'), at('b'), at('d0', 'in')]);
  expect(released, released.stderr).toMatchObject({ exitCode: 0 });
}

/** Two released files swap their names, a directory is renamed, a symlink goes and another comes, a mode is changed. */
function change(): void {
  const [from, to] = [at(`d${changes}`), at(`d${changes + 1}`)];
  changes += 1;
  renameSync(at('a'), at('x'));
  renameSync(at('b'), at('a'));
  renameSync(at('x'), at('b'));
  renameSync(from, to);
  rmSync(join(to, changes % 2 === 1 ? 'link' : 'other'));
  symlinkSync('elsewhere', join(to, changes % 2 === 1 ? 'other' : 'link'));
  chmodSync(join(to, 'sub'), 0o1700 + changes);
}

async function expectContents(): Promise<void> {
  const [a, b] = changes % 2 === 1 ? (['b', 'a'] as const) : (['a', 'b'] as const);
  expect(await it.rig.content(at('a'))).toBe(CONTENTS[a]);
  expect(await it.rig.content(at('b'))).toBe(CONTENTS[b]);
  expect(await it.rig.content(at(`d${changes}`, 'in'))).toBe('content of in');
}

test.each([...FOLLOW_STEPS, ...RECONCILE_STEPS].filter((step) => !ELSEWHERE.test(step)))(
  'killed after %s, the next one makes the container right',
  async (step) => {
    if (step === FOLLOW_STEPS[0]) {
      it.hold(step);
      const first = it.sandbox.startService(['changelog-follow'], { LFSAZSYNC_TEST_STEPS: it.rig.steps });
      change();
      await it.held(step);
      await first.crash();
    } else {
      it.hold(step);
      change();
      await it.held(step);
      await it.follower.crash();
    }
    it.letAllGo();
    await it.follow();
    await it.mirrored();
    await expectContents();
  },
);

test('killed again and again at random, while users work; then users read', async () => {
  await it.stopFollowing();
  for (let kill = 0; kill < 5; kill += 1) {
    const follower = it.sandbox.startService(['changelog-follow']);
    await delay(300 + Math.random() * 1_500);
    for (let n = 0; n < 10; n += 1) {
      mkdirSync(at(`k${kill}-${n}`));
      symlinkSync(String(n), at(`k${kill}-${n}`, 'link'));
      if (n % 3 === 0) renameSync(at(`k${kill}-${n}`), at(`r${kill}-${n}`));
      if (n % 4 === 1) rmSync(at(`k${kill}-${n}`), { recursive: true, force: true });
    }
    change();
    await delay(Math.random() * 1_000);
    await follower.crash();
  }
  await it.once();
  await it.mirrored();
  await expectContents();
  const [a, b] = changes % 2 === 1 ? (['b', 'a'] as const) : (['a', 'b'] as const);
  expect(await read(at('a'))).toBe(CONTENTS[a]);
  expect(await read(at('b'))).toBe(CONTENTS[b]);
});
