import { expect, test } from 'vitest';
import { type Fid, parseFid } from '../identity/fid.ts';
import { compareFids, nameLinks } from './names.ts';

const fid = (text: string) => parseFid(text) as Fid;

test('FIDs are in the order of their numbers, not of their text', () => {
  const ordered = ['0x200000401:0x9:0x0', '0x200000401:0x10:0x0', '0x200000402:0x1:0x0', '0x1000000000:0x1:0x0'].map(
    fid,
  );
  expect([...ordered].reverse().sort(compareFids)).toEqual(ordered);
  expect(compareFids(ordered[0], ordered[0])).toBe(0);
  expect([undefined, ordered[0]].sort(compareFids)).toEqual([ordered[0], undefined]);
  expect(compareFids(undefined, ordered[0])).toBe(1);
});

test('links that can’t be named are told with their reason, the others are named', () => {
  const { named, refused } = nameLinks([Buffer.from('a/b'), Buffer.from('x'.repeat(1025))], 'p');
  expect(named.map(({ name }) => name)).toEqual(['p/a/b']);
  expect(refused).toHaveLength(1);
  expect(refused[0]).toMatch(/1027 characters/);
});
