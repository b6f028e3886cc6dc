import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Answer, AnswerReader, type BodyTarget, ReadScratch } from './answer-reader.ts';

interface Read {
  readonly answer: Answer | undefined;
  readonly surplus: boolean;
  readonly body: string;
}

/** Feeds the reader as a socket would: as many bytes at a time as the sizes say, and as there is room for. */
function read(
  wire: string,
  sizes: readonly number[],
  { method = 'GET', target }: { method?: string; target?: number } = {},
): Read {
  const bytes = Buffer.from(wire, 'latin1');
  const into: BodyTarget | undefined = target === undefined ? undefined : { buffer: Buffer.alloc(target), filled: 0 };
  const reader = new AnswerReader(new ReadScratch(), { method, target: () => into });
  let at = 0;
  for (let turn = 0; at < bytes.length && reader.answer === undefined; turn++) {
    const room = reader.room();
    expect(room.length).toBeGreaterThan(0);
    const count = Math.min(sizes[turn % sizes.length] as number, room.length, bytes.length - at);
    bytes.copy(room, 0, at, at + count);
    at += count;
    reader.received(count);
  }
  if (reader.answer === undefined) reader.ended();
  const body =
    into === undefined ? reader.answer?.body.toString('latin1') : into.buffer.toString('latin1', 0, into.filled);
  return { answer: reader.answer, surplus: reader.surplus || at < bytes.length, body: body ?? '' };
}

const sizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 40_000 })), {
  minLength: 1,
  maxLength: 6,
});
const content = fc
  .oneof(fc.integer({ min: 0, max: 20 }), fc.integer({ min: 15_000, max: 50_000 }))
  .map((length) => Array.from({ length }, (_, index) => String.fromCharCode(33 + ((index * 7) % 90))).join(''));

describe('an answer in pieces of any size', () => {
  test('with a length, collected or right into its place', () => {
    fc.assert(
      fc.property(content, sizes, fc.boolean(), (body, pieces, direct) => {
        const wire = `HTTP/1.1 206 Partial Content\r\nETag: "0x1"\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
        const got = read(wire, pieces, direct ? { target: body.length } : {});
        expect(got.body === body).toBe(true);
        expect(got.answer).toMatchObject({ status: 206, keepAlive: true, fields: { etag: '"0x1"' } });
        expect(got.surplus).toBe(false);
      }),
      { numRuns: 200 },
    );
  });

  test('in chunks, with extensions and trailers', () => {
    fc.assert(
      fc.property(
        fc.array(
          content.filter((text) => text !== ''),
          { maxLength: 4 },
        ),
        sizes,
        fc.boolean(),
        (parts, pieces, direct) => {
          const body = parts.join('');
          const chunks = parts.map((part) => `${part.length.toString(16)};x=y\r\n${part}\r\n`).join('');
          const wire = `HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n${chunks}0\r\ntrailer: 1\r\n\r\n`;
          expect(read(wire, pieces, direct ? { target: body.length } : {}).body === body).toBe(true);
        },
      ),
      { numRuns: 200 },
    );
  });

  test('up to the end of the connection', () => {
    fc.assert(
      fc.property(content, sizes, (body, pieces) => {
        expect(read(`HTTP/1.0 200 OK\r\n\r\n${body}`, pieces).body === body).toBe(true);
      }),
      { numRuns: 100 },
    );
  });
});

test('answers without a body end with their head, whatever their fields say', () => {
  expect(read('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n', [1], { method: 'HEAD' })).toMatchObject({ body: '' });
  expect(read('HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n', [9]).answer).toMatchObject({ status: 304 });
  expect(read('HTTP/1.1 204 No Content\r\n\r\n', [9]).answer).toMatchObject({ status: 204 });
});

test('interim answers are passed over', () => {
  const wire =
    'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n';
  expect(read(wire, [7]).answer).toMatchObject({ status: 201 });
});

test('interim answers without an end are given up', () => {
  const interim = 'HTTP/1.1 102 Processing\r\n\r\n';
  const final = 'HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n';
  expect(read(interim.repeat(2_000) + final, [7, 4_000]).answer).toMatchObject({ status: 201 });
  expect(() => read(interim.repeat(3_000) + final, [7, 4_000])).toThrow(
    expect.objectContaining({ code: 'MALFORMED_ANSWER' }),
  );
});

test('more than the answer is noticed', () => {
  expect(read('HTTP/1.1 201 Created\r\nContent-Length: 1\r\n\r\nxHTTP/1.1', [1000]).surplus).toBe(true);
});

test('whether the connection goes on', () => {
  const keepAlive = (head: string) => read(`${head}\r\nContent-Length: 0\r\n\r\n`, [50]).answer?.keepAlive;
  expect(keepAlive('HTTP/1.1 201 Created')).toBe(true);
  expect(keepAlive('HTTP/1.1 201 Created\r\nConnection: keep-alive')).toBe(true);
  expect(keepAlive('HTTP/1.1 201 Created\r\nConnection: x, Close')).toBe(false);
  expect(keepAlive('HTTP/1.0 201 Created')).toBe(false);
});

test.each([
  ['another protocol', 'SSH-2.0-OpenSSH_9.2\r\n\r\n'],
  ['another version', 'HTTP/2 200 OK\r\n\r\n'],
  ['a field without a colon', 'HTTP/1.1 200 OK\r\nnonsense\r\n\r\n'],
  ['a folded field', 'HTTP/1.1 200 OK\r\na: 1\r\n b\r\n\r\n'],
  ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx'],
  ['a length and chunks', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
  ['an unknown coding', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n'],
  ['a length of letters', 'HTTP/1.1 200 OK\r\nContent-Length: 0x10\r\n\r\n'],
  ['a negative length', 'HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n'],
  ['a chunk without a size', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n'],
  ['a chunk longer than its size', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n'],
  ['an upgrade', 'HTTP/1.1 101 Switching Protocols\r\n\r\n'],
  ['a head without an end', `HTTP/1.1 200 OK\r\n${'a: 1\r\n'.repeat(20_000)}`],
])('%s is refused', (_, wire) => {
  expect(() => read(wire, [5000])).toThrow(expect.objectContaining({ code: 'MALFORMED_ANSWER' }));
});

test('a body longer than its place is refused before it is written', () => {
  const longer = 'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n12345678901';
  expect(() => read(longer, [1000], { target: 10 })).toThrow(expect.objectContaining({ code: 'MALFORMED_ANSWER' }));
  const chunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n12345678901\r\n0\r\n\r\n';
  expect(() => read(chunked, [1000], { target: 10 })).toThrow(expect.objectContaining({ code: 'MALFORMED_ANSWER' }));
});

test.each([
  ['in its head', 'HTTP/1.1 200 OK\r\nContent-Le'],
  ['in its body', 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n123'],
  ['in a chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12'],
  ['before its last chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n1\r\n'],
])('an answer that ends %s is truncated', (_, wire) => {
  expect(() => read(wire, [4])).toThrow(expect.objectContaining({ code: 'TRUNCATED' }));
});
