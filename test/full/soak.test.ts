import { appendFile, open, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { ERRNO } from '../../src/lustre/errno.ts';
import { useBench } from '../integration/lessons/lessons.ts';

// Users at work for minutes while files are archived and released under their hands: every read gives what was written
// last. LFSAZSYNC_SOAK_MINUTES (default 2) says how long, LFSAZSYNC_SOAK_SEED repeats a run's choices.

const minutes = Number(process.env['LFSAZSYNC_SOAK_MINUTES'] ?? '2');
const seed = Number(process.env['LFSAZSYNC_SOAK_SEED'] ?? Date.now() % 1_000_000);
const USERS = 4;
const NAMES = 12;

const bench = useBench();

/** Mulberry32: small, and the same choices for the same seed. */
function chooser(start: number): (below: number) => number {
  let state = start >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

/** One user's directory: what the files in it must hold. */
class User {
  readonly files = new Map<string, Buffer>();
  readonly #choose: (below: number) => number;
  readonly #home: string;
  readonly history: string[] = [];

  constructor(home: string, start: number) {
    this.#home = home;
    this.#choose = chooser(start);
  }

  path(name: string): string {
    return `${this.#home}/${name}`;
  }

  async step(): Promise<void> {
    const name = `f${this.#choose(NAMES)}`;
    const held = this.files.get(name);
    const path = this.path(name);
    const bytes = Buffer.alloc(1 + this.#choose(200_000), this.#choose(256));
    const kinds = ['write', 'append', 'truncate', 'patch', 'rename', 'unlink', 'read', 'archive', 'release'] as const;
    const kind = held === undefined ? 'write' : (kinds[this.#choose(kinds.length)] ?? 'read');
    this.history.push(`${kind} ${name} ${bytes.length}`);
    const before = held ?? Buffer.alloc(0);
    if (kind === 'write') {
      await writeFile(path, bytes);
      this.files.set(name, bytes);
    } else if (kind === 'append') {
      await appendFile(path, bytes);
      this.files.set(name, Buffer.concat([before, bytes]));
    } else if (kind === 'truncate') {
      const size = this.#choose(before.length + 1);
      await truncate(path, size);
      this.files.set(name, before.subarray(0, size));
    } else if (kind === 'patch') {
      const position = this.#choose(before.length + 1);
      const file = await open(path, 'r+');
      await file.write(bytes, 0, bytes.length, position);
      await file.close();
      const after = Buffer.alloc(Math.max(before.length, position + bytes.length));
      before.copy(after);
      bytes.copy(after, position);
      this.files.set(name, after);
    } else if (kind === 'rename') {
      const to = `f${this.#choose(NAMES)}`;
      await rename(path, this.path(to));
      if (to !== name) {
        this.files.set(to, before);
        this.files.delete(name);
      }
    } else if (kind === 'unlink') {
      await rm(path);
      this.files.delete(name);
    } else if (kind === 'read') {
      await this.check(name);
    } else {
      const request = kind === 'archive' ? 'hsm_archive' : 'hsm_release';
      const { exitCode } = await bench.it.sandbox.lfs([request, path]);
      // A file that is not clean, or is being restored, can't be released.
      expect([0, ERRNO.EPERM, ERRNO.EBUSY]).toContain(exitCode);
    }
  }

  async check(name: string): Promise<void> {
    const back = await readFile(this.path(name));
    const said = `seed ${seed}, ${this.path(name)}, after:\n${this.history.slice(-40).join('\n')}`;
    expect(back.equals(this.files.get(name) ?? Buffer.alloc(0)), said).toBe(true);
  }
}

it(`every read gives what was written last (seed ${seed}, ${minutes} min)`, async () => {
  const { sandbox } = bench.it;
  await sandbox.serverLctl(['set_param', 'mdt.*.hsm.max_requests=64']);
  const users: User[] = [];
  for (let index = 0; index < USERS; index++) {
    await bench.it.write(`user${index}/begin`);
    users.push(new User(bench.it.path(`user${index}`), seed * USERS + index));
  }
  const end = Date.now() + minutes * 60_000;
  await Promise.all(
    users.map(async (user) => {
      while (Date.now() < end) await user.step();
    }),
  );
  // What another file's copy keeps from its place is left for the follower: such files stay as they are.
  await sandbox.run(['archive', '--recursive', '--wait', sandbox.tree]);
  await sandbox.run(['release', '--recursive', sandbox.tree]);
  for (const user of users) for (const name of user.files.keys()) await user.check(name);
});
