import fc from 'fast-check';
import { expect, test } from 'vitest';
import { pathsFrom, rawArguments } from './paths.ts';

async function* stream(...chunks: (Buffer | string)[]) {
  for (const chunk of chunks) yield Buffer.from(chunk as string);
}

async function all(list: AsyncIterable<Buffer>, nul: boolean): Promise<Buffer[]> {
  const paths: Buffer[] = [];
  for await (const path of pathsFrom(list, { nul })) paths.push(path);
  return paths;
}

test('lines, with and without a last newline; quotes, spaces and carriage returns are names', async () => {
  const paths = await all(stream(' a \n"b"\n\n#c\r\nd'), false);
  expect(paths.map(String)).toEqual([' a ', '"b"', '#c\r', 'd']);
});

test('NUL-ended lists hold any name, however they arrive', async () => {
  const name = fc.uint8Array({ maxLength: 50 }).map((bytes) => Buffer.from(bytes.map((byte) => byte || 1)));
  await fc.assert(
    fc.asyncProperty(fc.array(name), fc.integer({ min: 1, max: 20 }), async (names, step) => {
      const bytes = Buffer.concat(names.flatMap((one) => [one, Buffer.of(0)]));
      const chunks = Array.from({ length: Math.ceil(bytes.length / step) }, (_, at) =>
        bytes.subarray(at * step, (at + 1) * step),
      );
      const found = await all(stream(...chunks), true);
      expect(found.map((one) => one.toString('hex'))).toEqual(names.map((one) => one.toString('hex')));
    }),
  );
});

test('a list that is not one is told', async () => {
  await expect(all(stream(Buffer.alloc(70_000, 0x61)), false)).rejects.toMatchObject({
    code: 'LIST_UNFIT',
    exit: 'usage',
  });
});

test('an empty argument is refused, not the current directory', () => {
  expect(() => rawArguments(['a', ''])).toThrow(expect.objectContaining({ code: 'PATH_EMPTY', exit: 'usage' }));
});

test('arguments that are not UTF-8 are found again in the kernel’s copy', () => {
  const line = Buffer.concat([
    Buffer.from('node\0x\0a'),
    Buffer.from([0xff]),
    Buffer.from('b\0--flag\0a'),
    Buffer.from([0xfe]),
    Buffer.from('b\0'),
  ]);
  expect(rawArguments(['a\uFFFDb', 'plain', 'a\uFFFDb'], () => line)).toEqual([
    Buffer.from([0x61, 0xff, 0x62]),
    Buffer.from('plain'),
    Buffer.from([0x61, 0xfe, 0x62]),
  ]);
  expect(() => rawArguments(['z\uFFFD'], () => line)).toThrow(/not UTF-8/);
});
