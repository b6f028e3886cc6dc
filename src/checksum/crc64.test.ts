import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { crc64Header, crc64Hex, EMPTY_CRC64, loadCrc64, nativeCrc64, parseCrc64Hex, wasmCrc64 } from './crc64.ts';
import { combineCrc64 } from './crc64-combine.ts';

/** Bit by bit from the definition: slow, and with nothing in common with what it checks. */
function byDefinition(bytes: Uint8Array): bigint {
  let crc = 0xffffffffffffffffn;
  for (const byte of bytes) {
    crc ^= BigInt(byte);
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1n) === 1n ? (crc >> 1n) ^ 0x9a6c9329ac4bc9b5n : crc >> 1n;
  }
  return crc ^ 0xffffffffffffffffn;
}

const native = nativeCrc64();
const implementations = [['wasm', await wasmCrc64()] as const, ...(native ? [['native', native] as const] : [])];

describe.each(implementations)('CRC-64/NVME, %s', (_name, crc64) => {
  test('has the published check value', () => {
    expect(crc64Hex(crc64.of(Buffer.from('123456789')))).toBe('ae8b14860a799888');
    expect(crc64.of(Buffer.alloc(0))).toBe(EMPTY_CRC64);
  });

  test('agrees with the definition', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => crc64.of(bytes) === byDefinition(bytes)));
  });

  test('is the same for a view into a larger buffer', () => {
    const bytes = randomBytes(3 << 20);
    expect(crc64.of(bytes.subarray(17))).toBe(crc64.of(Buffer.from(bytes.subarray(17))));
  });

  test('the CRCs of pieces combine into that of the whole, also over the 1 MiB piece', () => {
    const bytes = randomBytes((2 << 20) + 12_345);
    for (const cut of [0, 1, 7, 1 << 20, bytes.length - 1, bytes.length]) {
      const [head, tail] = [bytes.subarray(0, cut), bytes.subarray(cut)];
      expect(crc64.combine(crc64.of(head), crc64.of(tail), BigInt(tail.length))).toBe(crc64.of(bytes));
    }
  });

  test('combines as the portable implementation does, for lengths beyond 32 bits too', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
        fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
        fc.bigInt({ min: 0n, max: 2n ** 48n }),
        (a, b, length) => crc64.combine(a, b, length) === combineCrc64(a, b, length),
      ),
    );
  });
});

test('what is loaded works', async () => {
  expect(crc64Hex((await loadCrc64()).of(Buffer.from('123456789')))).toBe('ae8b14860a799888');
});

test('the forms', () => {
  expect(crc64Header(0x0102030405060708n)).toBe(Buffer.from([8, 7, 6, 5, 4, 3, 2, 1]).toString('base64'));
  expect(crc64Hex(1n)).toBe('0000000000000001');
  expect(parseCrc64Hex('AE8B14860A799888')).toBe(0xae8b14860a799888n);
  for (const wrong of ['', '1', 'ae8b14860a79988', 'ae8b14860a7998881', 'ge8b14860a799888']) {
    expect(parseCrc64Hex(wrong)).toBeUndefined();
  }
});
