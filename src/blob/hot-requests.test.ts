import { AnonymousCredential, ContainerClient } from '@azure/storage-blob';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { blockListXml, pathOf } from './hot-requests.ts';

const container = new ContainerClient('https://account.blob.core.windows.net/c', new AnonymousCredential());
const name = fc
  .string({
    unit: fc.oneof(fc.constantFrom(..."/%'+&?#= .~\\*()!é漢😀"), fc.string({ unit: 'grapheme', maxLength: 1 })),
    minLength: 1,
  })
  .filter(
    (text) => text !== '' && text.isWellFormed() && text.split('/').every((part) => part !== '.' && part !== '..'),
  );

test("a blob's path is the one that the SDK's clients use", () => {
  fc.assert(
    fc.property(name, (text) => {
      const url = `https://account.blob.core.windows.net/c/${pathOf(text)}`;
      // Both as the way to the service sees them.
      expect(new URL(url).href).toBe(container.getBlobClient(text).url);
      expect(decodeURIComponent(pathOf(text))).toBe(text);
    }),
    { numRuns: 500 },
  );
});

test.each(['', '.', '..', 'a/./b', '../b', 'a/..'])('there is no way to the name %j', (text) => {
  expect(() => pathOf(text)).toThrow(expect.objectContaining({ code: 'INVALID' }));
});

test('a block list names the blocks in their order', () => {
  expect(blockListXml(['AA==', 'BB+/']).toString()).toBe(
    '<?xml version="1.0" encoding="UTF-8" standalone="yes"?><BlockList><Latest>AA==</Latest><Latest>BB+/</Latest></BlockList>',
  );
});
