import { describe, expect, test } from 'vitest';
import type { Fid } from '../identity/fid.ts';
import { HSM } from '../lustre/hsm-state.ts';
import { ErrnoError } from '../service/errors.ts';
import type { Outcome, RequestFile, Why } from './types.ts';
import type { States } from './verbs.ts';
import { Watch, type WatchOptions } from './watch.ts';

const fileOf = (name: string): RequestFile => ({
  fid: name as Fid,
  path: Buffer.from(name),
  size: 10n,
  hsm: { states: 0, archive: 0 },
  action: { action: 'NOOP', state: 'none', done: 0n },
});
const at = (states: number, action: States['action']['action'] = 'NOOP', done = 0n): States => ({
  hsm: { states, archive: 1 },
  action: { action, state: action === 'NOOP' ? 'none' : 'running', done },
});
const NEW = at(0);
const RUNNING = at(HSM.EXISTS, 'ARCHIVE', 4n);
const WAITING: States = { ...RUNNING, action: { action: 'ARCHIVE', state: 'waiting', done: 0n } };
const ARCHIVED = at(HSM.EXISTS | HSM.ARCHIVED);
const DIRTY = at(HSM.EXISTS | HSM.DIRTY);
const GONE = new ErrnoError(2, 'get');

/** Watches files through scripted states, one a round; the last one stays. */
function follow(
  scripts: Readonly<Record<string, readonly (States | ErrnoError)[]>>,
  options: Partial<WatchOptions> = {},
) {
  const ends = new Map<string, [Outcome, Why?]>();
  const rounds = new Map<string, number>();
  const moving: bigint[] = [];
  let most = 0;
  const follower = new Watch({
    verb: 'archive',
    pollInterval: 5,
    window: 100,
    look: async (fids) => {
      most = Math.max(most, fids.length);
      return fids.map((fid) => {
        const round = rounds.get(fid) ?? 0;
        rounds.set(fid, round + 1);
        const script = scripts[fid] ?? [];
        return (script[round] ?? script.at(-1)) as States | ErrnoError;
      });
    },
    onEnd: (file, outcome, why) => {
      expect(ends.has(file.fid)).toBe(false);
      ends.set(file.fid, why === undefined ? [outcome] : [outcome, why]);
    },
    onRound: (bytes) => moving.push(bytes),
    ...options,
  });
  for (const name of Object.keys(scripts)) if (options.window === undefined) follower.add(fileOf(name));
  return { follower, ends, moving, most: () => most };
}

test('what never starts is told of once; what runs or ends is not', async () => {
  for (const [script, told] of [
    [[WAITING], 1],
    [[WAITING, RUNNING, WAITING], 0],
  ] as const) {
    const stalls: number[] = [];
    const { follower } = follow(
      { a: script, b: [WAITING] },
      { timeout: 200, stallAfter: 50, onStall: (since) => stalls.push(since) },
    );
    await follower.finish();
    expect([stalls.length, follower.stalled]).toEqual([told, told === 1]);
    for (const since of stalls) expect(since).toBeGreaterThanOrEqual(50);
  }
});

describe('following', () => {
  test('files to their end: done, failed with the reason, vanished', async () => {
    const { follower, ends, moving } = follow({
      quick: [ARCHIVED],
      slow: [NEW, RUNNING, RUNNING, RUNNING, ARCHIVED],
      changed: [RUNNING, DIRTY],
      ended: [RUNNING, at(HSM.EXISTS)],
      removed: [RUNNING, GONE],
    });
    await follower.finish();
    expect(Object.fromEntries([...ends].map(([name, [outcome, why]]) => [name, [outcome, why?.code]]))).toEqual({
      quick: ['done', undefined],
      slow: ['done', undefined],
      changed: ['failed', 'STILL_DIRTY'],
      ended: ['failed', 'ENDED_WITH_ERROR'],
      removed: ['vanished', undefined],
    });
    expect(moving[0]).toBe(12n);
  });

  test('an action that does not show for a moment is not a failure', async () => {
    const { follower, ends } = follow({ file: [RUNNING, NEW, NEW, RUNNING, NEW, ARCHIVED] });
    await follower.finish();
    expect(ends.get('file')).toEqual(['done']);
  });

  test('the time limit leaves the rest pending, and what is added later, too', async () => {
    const { follower, ends } = follow({ file: [RUNNING] }, { timeout: 50 });
    await follower.finish();
    follower.add(fileOf('late'));
    expect(Object.fromEntries(ends)).toEqual({ file: ['pending'], late: ['pending'] });
  });

  test('an abort ends it at once, with the rest pending', async () => {
    const abort = new AbortController();
    const { follower, ends } = follow({ file: [RUNNING] }, { pollInterval: 600_000, signal: abort.signal });
    setTimeout(() => abort.abort(), 20);
    await follower.finish();
    expect(ends.get('file')).toEqual(['pending']);
  });

  test('the window bounds what is watched', async () => {
    const names = Array.from({ length: 20 }, (_, index) => `f${index}`);
    const { follower, ends, most } = follow(Object.fromEntries(names.map((name) => [name, [RUNNING, ARCHIVED]])), {
      window: 3,
    });
    for (const name of names) {
      await follower.room();
      follower.add(fileOf(name));
    }
    await follower.finish();
    expect([...ends.values()].map(([outcome]) => outcome)).toEqual(names.map(() => 'done'));
    expect(most()).toBe(3);
  });

  test.each([
    ['as they were asked for', (left: string[]) => left.splice(0, 50)],
    ['the other way round', (left: string[]) => left.splice(-50)],
  ])('of many that wait, few are looked at in a round, and yet all ends are seen: %s', async (_, take) => {
    const names = Array.from({ length: 2000 }, (_, index) => `f${index}`);
    const left = [...names];
    const gone = new Set<string>();
    let [looks, all] = [0, 0];
    const { follower, ends } = follow(Object.fromEntries(names.map((name) => [name, []])), {
      pollInterval: 1,
      look: async (fids) => {
        looks += fids.length;
        all += names.length - ends.size;
        const states = fids.map((fid) => (gone.has(fid) ? ARCHIVED : WAITING));
        for (const name of take(left)) gone.add(name);
        return states;
      },
    });
    await follower.finish();
    expect([...ends.values()].every(([outcome]) => outcome === 'done') && ends.size).toBe(names.length);
    expect(looks).toBeLessThan(all / 2);
  });

  test('when states can’t be read any more, it says so, and leaves no file without an end', async () => {
    const look = () => Promise.reject(new Error('the helper is gone'));
    const { follower, ends } = follow({ file: [RUNNING] }, { look });
    await expect(follower.finish()).rejects.toThrow('the helper is gone');
    await expect(follower.room()).rejects.toThrow('the helper is gone');
    expect(ends.get('file')).toEqual(['pending']);
  });

  test('without files there is nothing to wait for', async () => {
    await follow({}).follower.finish();
  });
});
