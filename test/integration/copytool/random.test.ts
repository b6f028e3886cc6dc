import { createHash } from 'node:crypto';
import { appendFile, link, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { waitUntil } from '../../support/wait.ts';
import { CLEAN, Rig, read } from './fixture.ts';

/** Another sequence of operations: LFSAZSYNC_TEST_SEED=N. A failure prints the one it had. */
const SEED = Number(process.env['LFSAZSYNC_TEST_SEED'] ?? Date.now() % 1_000_000);
const OPERATIONS = Number(process.env['LFSAZSYNC_TEST_OPERATIONS'] ?? 200);
const NAMES = ['a', 'b', 'c', 'd/a', 'd/b', 'd/e/a', 'f', 'g'];

let rig: Rig;
beforeAll(async () => {
  rig = await Rig.start({
    config: {
      copytool: { block_size: '64KiB', range_size: '64KiB', max_bytes_in_flight: '2MiB', locate_timeout: '2s' },
    },
  });
  if (!rig.sandbox.standIn) return;
  await rig.sandbox.serverLctl(['set_param', 'mdt.*.hsm.active_request_timeout=2']);
  await rig.sandbox.serverLctl(['set_param', 'mdt.*.hsm.loop_period=1']);
});
afterAll(() => rig?.stop());

/** Reproducible numbers (mulberry32). */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** One inode of the model: several names may lead to it. */
interface Inode {
  content: string;
}

test(`users write, rename, link and remove while files come and go and copytools die: every read gives the right content (seed ${SEED})`, async (context) => {
  if (!rig.sandbox.standIn) context.skip();
  const next = random(SEED);
  const files = new Map<string, Inode>();
  const done: string[] = [];
  let restored = 0;
  const restores = () => rig.copytool.log.find('restore done').length;
  const pick = () => NAMES[next(NAMES.length)] ?? 'a';
  const story = () => `seed ${SEED}, last operations:\n${done.slice(-40).join('\n')}`;

  /** Something new of any size, the same for the same seed. */
  const content = () => {
    const piece = createHash('sha256')
      .update(String(next(1 << 30)))
      .digest('hex');
    return piece.repeat([1, 1, 1, 20, 3000][next(5)] ?? 1);
  };
  const check = async (name: string, inode: Inode): Promise<boolean> => {
    const found = await read(rig.path(name));
    if (/^E[A-Z]+$/.test(found)) return false; // an error is allowed, a wrong content never
    expect(found === inode.content, `${name} reads ${found.length} bytes ${found.slice(0, 80)}\n${story()}`).toBe(true);
    return true;
  };
  const operations: Record<string, (name: string) => Promise<unknown>> = {
    async write(name) {
      const inode = { content: content() };
      await mkdir(dirname(rig.path(name)), { recursive: true });
      await writeFile(rig.path('.new'), inode.content);
      await rename(rig.path('.new'), rig.path(name));
      files.set(name, inode);
    },
    async append(name) {
      const inode = files.get(name);
      if (inode === undefined) return;
      const more = content();
      // Fails, without writing, where the content can't be brought back at the moment.
      await appendFile(rig.path(name), more).then(
        () => {
          inode.content += more;
        },
        () => {},
      );
    },
    async rename(name) {
      const [inode, to] = [files.get(name), pick()];
      if (inode === undefined || to === name || files.get(to) === inode) return;
      await mkdir(dirname(rig.path(to)), { recursive: true });
      await rename(rig.path(name), rig.path(to));
      files.delete(name);
      files.set(to, inode);
    },
    async link(name) {
      const [inode, to] = [files.get(name), pick()];
      if (inode === undefined || files.has(to)) return;
      await mkdir(dirname(rig.path(to)), { recursive: true });
      await link(rig.path(name), rig.path(to));
      files.set(to, inode);
    },
    async unlink(name) {
      await rm(rig.path(name), { force: true });
      files.delete(name);
    },
    archive: (name) => rig.sandbox.lfs(['hsm_archive', rig.path(name)]),
    release: (name) => rig.sandbox.lfs(['hsm_release', rig.path(name)]),
    /** Archive and release, if that comes about soon. */
    async stow(name) {
      if (!files.has(name)) return;
      await rig.sandbox.lfs(['hsm_archive', rig.path(name)]);
      for (let look = 0; look < 40 && (await rig.states(rig.path(name))) !== CLEAN; look++) {
        await new Promise((resolve) => setTimeout(resolve, 25));
      }
      await rig.sandbox.lfs(['hsm_release', rig.path(name)]);
    },
    remove: (name) => rig.sandbox.lfs(['hsm_remove', rig.path(name)]),
    cancel: (name) => rig.sandbox.lfs(['hsm_cancel', rig.path(name)]),
    async read(name) {
      const inode = files.get(name);
      if (inode !== undefined) await check(name, inode);
    },
    async settle() {
      await new Promise((resolve) => setTimeout(resolve, next(400)));
    },
    async crash() {
      restored += restores();
      await rig.copytool.crash();
      await rig.restart();
    },
  };
  const odds = [
    'write',
    'write',
    'append',
    'rename',
    'rename',
    'link',
    'unlink',
    'remove',
    'cancel',
    'read',
    'settle',
    'settle',
  ];
  const often = ['archive', 'archive', 'release', 'release', 'stow', 'stow', 'stow', 'stow', 'read', 'read', ...odds];
  for (let count = 0; count < OPERATIONS; count++) {
    const what = count % 80 === 79 ? 'crash' : (often[next(often.length)] ?? 'settle');
    const name = pick();
    done.push(`${what} ${name}`);
    await operations[what]?.(name);
  }

  for (const [name, inode] of files) {
    await waitUntil(`${name} can be read again`, () => check(name, inode), {
      detail: () => `${story()}\n${rig.copytool.log.text().slice(-4_000)}`,
      interval: 500,
    });
  }
  restored += restores();
  const log = rig.copytool.log.text();
  expect(log).not.toMatch(/"code":"unexpected"/);
  expect(restored).toBeGreaterThan(0);
}, 600_000);
