import { beforeEach, expect, test } from 'vitest';
import { silentLog as log } from '../../test/support/silent-log.ts';
import { parseFid } from '../identity/fid.ts';
import { ERRNO } from '../lustre/errno.ts';
import type { HsmAction } from '../lustre/hsm-action.ts';
import { HSM } from '../lustre/hsm-state.ts';
import { ErrnoError } from '../service/errors.ts';
import { endFailedArchive } from './failed-archive.ts';

/*
 * The order of looks and changes beside another machine's. That a coordinator marks a released file dirty, and that the
 * file can be read again afterwards, is in test/full/two-machines.test.ts.
 */

const CLEAN = HSM.EXISTS | HSM.ARCHIVED;
const RELEASED = CLEAN | HSM.RELEASED;
const fid = parseFid('0x200000401:0x1:0x0');
if (fid === undefined) throw new Error('no FID');
const action: HsmAction = {
  ...{ action: 'ARCHIVE', fid, dfid: fid, cookie: 1n, archive: 1, flags: 0 },
  ...{ offset: 0n, length: 2n ** 64n - 1n, gid: 0n, data: Buffer.alloc(0) },
};

let states: number;
let ends: number[];
beforeEach(() => {
  states = CLEAN | HSM.DIRTY;
  ends = [];
});

/** @param before what others do just before each of our changes, in their order */
async function fail(before: readonly (() => void)[] = []): Promise<void> {
  const others = before.values();
  await endFailedArchive(
    {
      action,
      fail: async (errno) => {
        ends.push(errno);
        // Another's archive, somebody's release, and then our error.
        if (errno !== ERRNO.EALREADY) states = RELEASED | HSM.DIRTY;
      },
    },
    { errno: ERRNO.EIO, again: false },
    {
      get: async () => ({ fid: action.fid, hsm: { states, archive: 1 }, errors: new Map() }),
      setHsm: async (_, { set = 0, clear = 0 }) => {
        others.next().value?.();
        if ((set & HSM.DIRTY) !== 0 && (states & HSM.RELEASED) !== 0) throw new ErrnoError(ERRNO.EINVAL, 'set_hsm');
        states = (states | set) & ~clear;
      },
    },
    log,
  );
}

const restoredAndWritten = () => {
  states = CLEAN | HSM.DIRTY;
};
const archivedAndReleased = () => {
  states = RELEASED;
};

test('released in the last moment: marked clean', async () => {
  await fail();
  expect(states).toBe(RELEASED);
  expect(ends).toEqual([ERRNO.EIO]);
});

test('released before its end: ended with EALREADY, and nothing is changed', async () => {
  states = RELEASED;
  await fail([restoredAndWritten]);
  expect(states).toBe(RELEASED);
  expect(ends).toEqual([ERRNO.EALREADY]);
});

test('dirty and released since an archive that the coordinator has given up: marked clean', async () => {
  states = RELEASED | HSM.DIRTY;
  await fail();
  expect(states).toBe(RELEASED);
  expect(ends).toEqual([ERRNO.EALREADY]);
});

test('restored and written to between the look and the change: still dirty', async () => {
  await fail([restoredAndWritten]);
  expect(states).toBe(CLEAN | HSM.DIRTY);
});

test('archived anew and released before it is marked dirty again: left as it is', async () => {
  await fail([restoredAndWritten, archivedAndReleased]);
  expect(states).toBe(RELEASED);
});

test('another archive’s failure marks it dirty meanwhile: marked clean once more', async () => {
  await fail([
    restoredAndWritten,
    () => {
      states = CLEAN;
      queueMicrotask(() => {
        states = RELEASED | HSM.DIRTY;
      });
    },
  ]);
  expect(states).toBe(RELEASED);
});
