import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Fid, parseFid } from './fid.ts';
import {
  bindingRecordParts,
  type FileRecord,
  formatBinding,
  formatFileRecord,
  isBinding,
  parseFileRecord,
} from './file-record.ts';

const fid = (text: string) => parseFid(text) as Fid;
const FID = fid('0x200000401:0x1:0x0');
const UUID = '0b0e7a52-6f0c-4e3c-9a8e-2f4b6d1c9e10';

const fids = fc
  .tuple(fc.bigInt(0x200000400n, 0xffffffffffffffffn), fc.nat(0xffffffff))
  .map(([seq, oid]) => fid(`0x${seq.toString(16)}:0x${oid.toString(16)}:0x0`));
const generations = fc.record({ seq: fc.nat(999_999_999), uuid: fc.uuid() });
const sizes = fc.bigInt(0n, 0xffffffffffffffffn);
const names = fc.string({ minLength: 1, unit: 'grapheme' });
const records: fc.Arbitrary<FileRecord> = fc.oneof(
  fc.record(
    {
      fid: fids,
      generation: generations,
      size: sizes,
      crc64: fc.bigInt(0n, 0xffffffffffffffffn).map((crc) => crc.toString(16).padStart(16, '0')),
      dataVersion: sizes,
      at: names,
    },
    { requiredKeys: ['fid', 'generation', 'size', 'crc64'] },
  ),
  fc.record(
    {
      fid: fids,
      size: sizes,
      bind: fc.oneof(fc.record({ fs: fc.uuid(), fid: fids, generation: generations }), fc.record({ etag: names })),
      at: names,
      named: names,
      given: fc.record({ uid: fc.nat(), gid: fc.nat(), mode: fc.nat(0o7777), mtime: fc.maxSafeInteger() }),
      layout: fc.constant('directory' as const),
    },
    { requiredKeys: ['fid', 'size', 'bind'] },
  ),
);

test('a binding can be written around a FID that is not known yet', () => {
  fc.assert(
    fc.property(records, (record) => {
      fc.pre(isBinding(record));
      const [before, after] = bindingRecordParts(record);
      expect(`${before}${record.fid}${after}`).toBe(formatFileRecord(record).toString());
    }),
  );
});

test('what is written is read back', () => {
  fc.assert(
    fc.property(records, (record) => {
      expect(parseFileRecord(formatFileRecord(record))).toEqual(record);
    }),
  );
});

test('the form is the documented one', () => {
  const record = { fid: FID, generation: { seq: 3, uuid: UUID }, size: 2n ** 60n, crc64: 'ae8b14860a799888' };
  expect(formatFileRecord(record).toString()).toBe(
    `{"v":1,"fid":"0x200000401:0x1:0x0","gen":"3-${UUID}","size":"1152921504606846976","crc64":"ae8b14860a799888"}`,
  );
});

test('a binding says exactly what it binds to', () => {
  const record = parseFileRecord(Buffer.from(`{"v":1,"fid":"${FID}","size":"6","bind":{"etag":"\\"0x8DC\\""}}`));
  expect(record).toEqual({ fid: FID, size: 6n, bind: { etag: '"0x8DC"' } });
  expect(record !== undefined && isBinding(record)).toBe(true);
  expect(formatBinding({ etag: '"0x8DC"' })).toBe('etag:"0x8DC"');
  expect(formatBinding({ fs: UUID, fid: FID, generation: { seq: 2, uuid: UUID } })).toBe(`${UUID}/${FID}/2-${UUID}`);
});

describe('anything else is no record', () => {
  const good = { v: 1, fid: FID, gen: `1-${UUID}`, size: '6', crc64: 'ae8b14860a799888' };
  test.each([
    ['empty', ''],
    ['not JSON', '{"v":1'],
    ['null', 'null'],
    ['a list', '[]'],
    ['a later version', JSON.stringify({ ...good, v: 2 })],
    ['no version', JSON.stringify({ ...good, v: undefined })],
    ['a broken FID', JSON.stringify({ ...good, fid: 'x' })],
    ['a FID that is a number', JSON.stringify({ ...good, fid: 1 })],
    ['a broken generation', JSON.stringify({ ...good, gen: '1' })],
    ['a negative size', JSON.stringify({ ...good, size: '-1' })],
    ['a size that is a number', JSON.stringify({ ...good, size: 6 })],
    ['a broken checksum', JSON.stringify({ ...good, crc64: 'AE' })],
    ['no checksum', JSON.stringify({ ...good, crc64: undefined })],
    ['a broken binding', JSON.stringify({ ...good, bind: {} })],
    ['a binding without a generation', JSON.stringify({ ...good, bind: { fs: UUID, fid: FID } })],
    ['too long', JSON.stringify({ ...good, at: 'x'.repeat(20_000) })],
  ])('%s', (_, text) => {
    expect(parseFileRecord(Buffer.from(text))).toBeUndefined();
  });

  test('bytes of any kind', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(parseFileRecord(Buffer.from(bytes))).toBeUndefined();
      }),
    );
  });
});

test('a data version that does not read costs the shortcut, not the record', () => {
  const text = `{"v":1,"fid":"${FID}","gen":"1-${UUID}","size":"6","crc64":"ae8b14860a799888","dv":7,"later":true}`;
  expect(parseFileRecord(Buffer.from(text))).toEqual({
    fid: FID,
    generation: { seq: 1, uuid: UUID },
    size: 6n,
    crc64: 'ae8b14860a799888',
  });
});
