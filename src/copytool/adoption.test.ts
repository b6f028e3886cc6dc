import { setTimeout as delay } from 'node:timers/promises';
import { beforeEach, describe, expect, test } from 'vitest';
import { silentLog as log } from '../../test/support/silent-log.ts';
import { parseFid } from '../identity/fid.ts';
import type { ActionName, Ending } from '../lustre/copytool-channel.ts';
import { ERRNO, errnoName } from '../lustre/errno.ts';
import { actionKey, type HsmAction } from '../lustre/hsm-action.ts';
import { ErrnoError } from '../service/errors.ts';
import { type Adopter, adoptAll } from './adoption.ts';
import type { CopytoolContext } from './context.ts';
import { newStats } from './stats.ts';

const ESHUTDOWN = 108;
const PASSING = [ERRNO.EIO, ERRNO.EINTR, ERRNO.ENODEV, ERRNO.ENOTCONN, ERRNO.ETIMEDOUT, ESHUTDOWN];

/** Answers as the helper does: what could not be asked for is kept for its end, but for ENOENT and EAGAIN. */
class Channel {
  readonly #open = new Set<string>();
  readonly ended: Ending[] = [];
  asked = 0;
  /** What the coordinator answers about an action; 0: known. */
  answer: (action: HsmAction) => number = () => 0;

  async adopt(action: HsmAction): Promise<void> {
    this.asked += 1;
    if (this.#open.has(actionKey(action))) throw new ErrnoError(ERRNO.EEXIST, 'adopt');
    const errno = this.answer(action);
    if (errno !== ERRNO.ENOENT && errno !== ERRNO.EAGAIN) this.#open.add(actionKey(action));
    if (errno !== 0) throw new ErrnoError(errno, 'adopt');
  }

  async drop(action: ActionName): Promise<void> {
    this.#remove(action);
  }

  async end(action: ActionName, ending: Ending): Promise<void> {
    this.#remove(action);
    this.ended.push(ending);
  }

  isLoss(): boolean {
    return false;
  }

  #remove(action: ActionName): void {
    if (typeof action === 'bigint' || !this.#open.delete(actionKey(action))) throw new ErrnoError(ERRNO.ENOENT, 'drop');
  }
}

function action(n: number): HsmAction {
  const fid = parseFid(`0x200000401:0x${n.toString(16)}:0x0`);
  if (fid === undefined) throw new Error('no FID');
  const extent = { offset: 0n, length: 2n ** 64n - 1n };
  const rest = { archive: 1, flags: 0, gid: 0n, data: Buffer.alloc(0) };
  return { action: 'RESTORE', fid, dfid: fid, cookie: BigInt(n), ...extent, ...rest };
}

let channel: Channel;
let taken: bigint[];
let forgotten: bigint[];
let stats: Adopter['context']['stats'];
beforeEach(() => {
  channel = new Channel();
  [taken, forgotten, stats] = [[], [], newStats()];
});

function adopt(actions: readonly HsmAction[], passing: number, signal = new AbortController().signal): Promise<void> {
  const left = actions.map((each) => ({ action: each, adoptions: 0 }));
  const context: Partial<CopytoolContext> = { stats, step: () => Promise.resolve(), log };
  return adoptAll(left, {
    channel,
    context: context as CopytoolContext,
    signal,
    patience: { firstWait: 5, lastWait: 20, passing },
    take: async ({ cookie }) => {
      taken.push(cookie);
    },
    forget: ({ cookie }) => {
      forgotten.push(cookie);
    },
  });
}

describe.each(PASSING.map((errno): [string, number] => [errnoName(errno), errno]))(
  'while the answer is %s',
  (_, errno) => {
    test('an action is asked for again, and taken when the connection is back', async () => {
      let failures = 3;
      channel.answer = () => (failures-- > 0 ? errno : 0);
      await adopt([action(1)], 60_000);
      expect({ taken, forgotten, ended: channel.ended }).toEqual({ taken: [1n], forgotten: [], ended: [] });
      expect(channel.asked).toBe(4);
    });

    test('it is ended with that error when it has been so for too long', async () => {
      channel.answer = () => errno;
      await adopt([action(1)], 30);
      expect({ taken, forgotten }).toEqual({ taken: [], forgotten: [1n] });
      expect(channel.ended).toMatchObject([{ errval: errno, retry: true }]);
      expect(channel.asked).toBeGreaterThan(1);
    });
  },
);

test.each([ERRNO.EIO, ERRNO.EAGAIN])('actions that wait (errno %s) keep no others waiting', async (errno) => {
  const waiting = [1, 2, 3, 4, 5, 6];
  channel.answer = ({ cookie }) => (waiting.includes(Number(cookie)) && taken.length < 3 ? errno : 0);
  await adopt([...waiting, 7, 8, 9].map(action), 60_000);
  expect(taken.slice(0, 3)).toEqual([7n, 8n, 9n]);
  expect(new Set(taken).size).toBe(9);
  expect(channel.ended).toEqual([]);
});

test('what waits when the adoption ends stays in the journal', async () => {
  channel.answer = () => ERRNO.ENOTCONN;
  const stop = new AbortController();
  const adoption = adopt([action(1), action(2)], 60_000, stop.signal);
  await delay(20);
  stop.abort();
  await adoption;
  expect({ taken, forgotten, ended: channel.ended }).toEqual({ taken: [], forgotten: [], ended: [] });
});

test('other errors end an action at once', async () => {
  channel.answer = () => ERRNO.EPERM;
  await adopt([action(1)], 60_000);
  expect(channel.asked).toBe(1);
  expect(channel.ended).toMatchObject([{ errval: ERRNO.EPERM }]);
  expect(forgotten).toEqual([1n]);
});
