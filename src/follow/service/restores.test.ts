import { expect, test } from 'vitest';
import { fid } from '../../../test/support/catalog.ts';
import { Restores } from './restores.ts';

const [A, B, C] = [{ fid: fid(1) }, { fid: fid(2) }, { fid: fid(3) }];

test('no more restores are asked for at the same time than there may be; files that wait no longer make room', async () => {
  const asked: string[] = [];
  const waiting = new Set([A.fid, B.fid, C.fid]);
  const restores = new Restores(
    async (one) => void asked.push(one),
    () => 2,
    async (one) => waiting.has(one),
  );
  expect(await Promise.all([A, B, C].map((one) => restores.restore(one)))).toEqual([true, true, false]);
  // Again and again, until it has come.
  expect(await restores.restore(A)).toBe(true);
  expect(asked).toEqual([A.fid, B.fid]);
  restores.restored(A);
  expect(await restores.restore(C)).toBe(true);
  expect(await restores.restore(A)).toBe(false);
  // One that died has no row any more.
  waiting.delete(B.fid);
  expect(await restores.restore(A)).toBe(true);
  expect(asked).toEqual([A.fid, B.fid, C.fid, A.fid]);
});

test('one that could not be asked for does not count', async () => {
  const restores = new Restores(
    async () => Promise.reject(new Error('refused')),
    () => 1,
    async () => true,
  );
  for (const one of [A, B]) await expect(restores.restore(one)).rejects.toThrow('refused');
});
