import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { scratch } from '../../../test/support/catalog.ts';
import { silentLog as log } from '../../../test/support/silent-log.ts';
import { waitUntil } from '../../../test/support/wait.ts';
import type { Catalog } from '../../catalog/catalog.ts';
import { catalogError } from '../../catalog/errors.ts';
import { openCatalog } from '../../catalog/open.ts';
import type { ChangelogReader } from '../../lustre/changelog-reader.ts';
import { ERRNO } from '../../lustre/errno.ts';
import { ErrnoError } from '../../service/errors.ts';
import { Clearing } from './clearing.ts';

let place: ReturnType<typeof scratch>;
let catalog: Catalog;
beforeEach(() => {
  place = scratch();
  catalog = openCatalog({ file: place.file, create: true });
});
afterEach(() => {
  catalog.close();
  place.remove();
});

test('a disk that is full right after the MDT was told to forget records is no end: it is noted with the next ones', async () => {
  const cleared: number[] = [];
  const reader = { clear: async (index: number) => void cleared.push(index) } as unknown as ChangelogReader;
  let full = true;
  const apply: Catalog['apply'] = async (batch) => {
    if (full) throw catalogError(Object.assign(new Error('database or disk is full'), { errcode: 13 }), place.file);
    return catalog.apply(batch);
  };
  const clearing = new Clearing({ mdt: 'fs-MDT0000', catalog: { apply } as Catalog, log, step: async () => undefined });
  const stop = new AbortController();
  const running = clearing.run(() => reader, stop.signal);
  clearing.upTo(7);
  await waitUntil('the first ones are cleared', () => clearing.cleared === 7);
  full = false;
  clearing.upTo(9);
  await waitUntil('the next ones are cleared', () => clearing.cleared === 9);
  stop.abort();
  await running;
  expect(cleared).toEqual([7, 9]);
  expect(await catalog.cursors()).toMatchObject([{ cleared: 9 }]);
});

describe('asking whether the user is still there is not taken for going back', () => {
  /** An MDT's own rule: what lies before the index that a user has is answered as if there were no such user. */
  function mdt(answer: (index: number) => Promise<void>) {
    const state = { index: 0 };
    const clear = async (index: number) => {
      if (index < state.index) throw new Error(`no changelog user: ${index} after ${state.index}`);
      state.index = index;
      await answer(index);
    };
    return { state, reader: { clear } as unknown as ChangelogReader };
  }

  test('while a clearing is under way', async () => {
    const held = Promise.withResolvers<void>();
    const { state, reader } = mdt((index) => (index === 9 ? held.promise : Promise.resolve()));
    const clearing = new Clearing({ mdt: 'fs-MDT0000', catalog, log, step: async () => undefined });
    clearing.beginAt(7);
    const stop = new AbortController();
    const running = clearing.run(() => reader, stop.signal);
    await clearing.again(reader);
    clearing.upTo(9);
    await waitUntil('the MDT has it', () => state.index === 9);
    const asked = clearing.again(reader);
    held.resolve();
    await asked;
    expect(clearing.cleared).toBe(9);
    stop.abort();
    await running;
  });

  test('when the answer to a clearing was lost', async () => {
    let lost = true;
    const { state, reader } = mdt(async () => {
      if (lost) throw new ErrnoError(ERRNO.ETIMEDOUT, 'clear');
    });
    const clearing = new Clearing({ mdt: 'fs-MDT0000', catalog, log, step: async () => undefined });
    clearing.beginAt(7);
    const stop = new AbortController();
    const running = clearing.run(() => reader, stop.signal);
    clearing.upTo(9);
    await waitUntil('the MDT has it', () => state.index === 9);
    lost = false;
    await clearing.again(reader);
    expect(clearing.cleared).toBe(9);
    stop.abort();
    await running;
  });
});
