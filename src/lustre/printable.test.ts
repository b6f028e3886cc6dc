import fc from 'fast-check';
import { expect, test } from 'vitest';
import { printable } from './printable.ts';

test.each([
  ['plain', 'plain'],
  ['größe 日本', 'größe 日本'],
  ['a\nb\tc\\d', 'a\\nb\\tc\\\\d'],
  ['\u001b[31mred\u0007', '\\x1b[31mred\\x07'],
  ['a\u202Egpj.exe', 'a\\u{202e}gpj.exe'],
  ['x\u0085y', 'x\\u{85}y'],
])('%j', (name, shown) => {
  expect(printable(Buffer.from(name))).toBe(shown);
});

test('bytes that are not UTF-8 are shown as bytes, the rest as it is', () => {
  expect(printable(Buffer.from([0x61, 0xff, 0xc3, 0xa4, 0xfe]))).toBe('a\\xffä\\xfe');
});

test('no name can move the cursor or take the place of another', () => {
  const name = fc.uint8Array({ maxLength: 30 }).map((bytes) => Buffer.from(bytes));
  fc.assert(
    fc.property(name, name, (a, b) => {
      expect(printable(a)).not.toMatch(/[\p{Cc}\p{Cf}]/u);
      if (!a.equals(b)) expect(printable(a)).not.toBe(printable(b));
    }),
  );
});
