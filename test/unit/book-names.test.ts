import fc from 'fast-check';
import { expect, test } from 'vitest';
import { blobNameOf } from '../../src/blob/naming.ts';
import { nameByTheBook } from '../support/book-names.ts';

const piece = fc.oneof(
  { weight: 3, arbitrary: fc.string({ unit: 'binary', minLength: 1, maxLength: 3 }).map((text) => Buffer.from(text)) },
  { weight: 2, arbitrary: fc.uint8Array({ minLength: 1, maxLength: 3 }).map((bytes) => Buffer.from(bytes)) },
  {
    weight: 3,
    arbitrary: fc
      .constantFrom('.', '%', '%2E', '%25', '%41', '%0A', '%2e', '\\', '.lfsazsync', 'a', '%7F', '%EF')
      .map((it) => Buffer.from(it)),
  },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom('\u0085', '\uE000', '\uFFFE', '\u{1FFFF}', '\u{F0000}', '\u{10FFFD}', '\uFDD0', '\uFEFF', 'é', '🌊')
      .map((it) => Buffer.from(it)),
  },
);
const segment = fc
  .array(piece, { minLength: 1, maxLength: 5 })
  .map((pieces) => Buffer.from(Buffer.concat(pieces).filter((byte) => byte !== 0 && byte !== 0x2f)))
  .filter((bytes) => bytes.length > 0 && !['.', '..'].includes(bytes.toString()));

test('the documented rule, written anew from the page alone, gives the names that the product gives', () => {
  fc.assert(
    fc.property(fc.array(segment, { minLength: 1, maxLength: 3 }), (segments) => {
      const path = segments.reduce((head, tail) => Buffer.concat([head, Buffer.from('/'), tail]));
      expect(blobNameOf(path, '')).toEqual({ ok: true, name: nameByTheBook(path) });
    }),
    { numRuns: 5_000 },
  );
});
