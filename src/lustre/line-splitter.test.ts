import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LineSplitter } from './line-splitter.ts';

/** A text cut at the places that the numbers say. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const ends = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
  return [0, ...ends].map((from, index) => bytes.subarray(from, ends[index] ?? bytes.length));
}

test('lines come out whole, wherever the chunks are cut', () => {
  const line = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes.filter((byte) => byte !== 10)));
  fc.assert(
    fc.property(fc.array(line), line, fc.array(fc.nat()), (lines, rest, places) => {
      const splitter = new LineSplitter(64);
      const bytes = Buffer.concat([...lines.flatMap((one) => [one, Buffer.of(10)]), rest]);
      const found = cut(bytes, places).flatMap((chunk) => splitter.push(chunk));
      expect(found.map((one) => one.toString('hex'))).toEqual(lines.map((one) => one.toString('hex')));
      expect(splitter.rest().equals(rest)).toBe(true);
    }),
  );
});

test('a line over the limit is refused, before its end has come', () => {
  const splitter = new LineSplitter(10);
  expect(splitter.push(Buffer.from('0123456789\n'))).toHaveLength(1);
  splitter.push(Buffer.from('012345'));
  expect(() => splitter.push(Buffer.from('678901'))).toThrow(RangeError);
});
