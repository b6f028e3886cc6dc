import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseLayoutXattr } from './layout-xattr.ts';
import { parseLinkXattr } from './link-xattr.ts';

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');

describe('trusted.link', () => {
  // As a real Lustre had it (lustre-facts 03): one name, `fresh`.
  const recorded = hex(
    'dff1ea11010000002f00000000000000000000000000000000170000000200000401 0000002c000000006672657368',
  );
  const entry = (parent: string, name: string) =>
    hex(`${(18 + name.length).toString(16).padStart(4, '0')}${parent}${Buffer.from(name).toString('hex')}`);

  test('one name', () => {
    expect(parseLinkXattr(recorded)).toEqual([{ parent: '0x200000401:0x2c:0x0', name: Buffer.from('fresh') }]);
  });

  test('several', () => {
    const two = Buffer.concat([recorded, entry('00000002000004020000000100000000', 'b')]);
    two.writeUInt32LE(2, 4);
    expect(parseLinkXattr(two)?.map((link) => [link.parent, link.name.toString()])).toEqual([
      ['0x200000401:0x2c:0x0', 'fresh'],
      ['0x200000402:0x1:0x0', 'b'],
    ]);
  });

  test('what is torn, or something else, is none', () => {
    for (let length = 0; length < recorded.length; length++) {
      expect(parseLinkXattr(recorded.subarray(0, length)), `${length} bytes`).toBeUndefined();
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const value = Buffer.concat([recorded.subarray(0, 4), bytes]);
        for (const link of parseLinkXattr(value) ?? []) expect(link.name.length).toBeGreaterThan(0);
      }),
    );
  });
});

describe('trusted.lov', () => {
  // As a real Lustre had them (lustre-facts 03 and 05): on OST 1, and released.
  const onOst1 =
    'd00bd10b010000002d000000000000000104000002000000000040000100ffff000400800200000010000000000000000000000001000000';
  const released =
    'd00bd10b010000802d000000000000000104000002000000000040000100ffff000000000000000000000000000000000000000000000000';
  const object = (ost: number) => `${'00'.repeat(20)}${le32(ost)}`;
  const le32 = (number: number) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(number);
    return bytes.toString('hex');
  };
  const plain = (osts: number[]) =>
    `d00bd10b01000000${'00'.repeat(16)}00001000${le32(osts.length).slice(0, 4)}0000${osts.map(object).join('')}`;
  const pooled = (pool: string, osts: number[]) =>
    `d00bd30b01000000${'00'.repeat(16)}00001000${le32(osts.length).slice(0, 4)}0000${Buffer.from(pool).toString('hex').padEnd(32, '0')}${osts.map(object).join('')}`;

  function composite(...components: [flags: number, layout: string][]): Buffer {
    let offset = 32 + 48 * components.length;
    const entries = components.map(([flags, layout], index) => {
      const size = layout.length / 2;
      const entry = `${le32(index)}${le32(flags)}${'00'.repeat(16)}${le32(offset)}${le32(size)}${'00'.repeat(16)}`;
      offset += size;
      return entry;
    });
    const head = `d00bd60b${le32(0)}${le32(1)}0000${le32(components.length).slice(0, 4)}`.padEnd(64, '0');
    return hex(head + entries.join('') + components.map(([, layout]) => layout).join(''));
  }

  test('a plain layout', () => {
    expect(parseLayoutXattr(hex(onOst1))).toEqual({ osts: [1], pool: '' });
    expect(parseLayoutXattr(hex(plain([5, 3, 5])))).toEqual({ osts: [3, 5], pool: '' });
    expect(parseLayoutXattr(hex(pooled('flash', [300])))).toEqual({ osts: [300], pool: 'flash' });
  });

  test('a released file has no objects', () => {
    expect(parseLayoutXattr(hex(released))).toEqual({ osts: [], pool: '' });
  });

  test('of a composite layout, the components that have objects', () => {
    const value = composite([0x10, plain([2])], [0x10, pooled('p', [4, 0])], [0, pooled('p', [])]);
    expect(parseLayoutXattr(value)).toEqual({ osts: [0, 2, 4], pool: 'p' });
  });

  test('what is torn, or of another kind, is unknown', () => {
    const whole = composite([0x10, plain([2])]);
    for (let length = 0; length < whole.length; length++)
      expect(parseLayoutXattr(whole.subarray(0, length))).toBeUndefined();
    expect(parseLayoutXattr(hex('d00bd70b00000000'))).toBeUndefined();
    fc.assert(
      fc.property(
        fc.constantFrom('d00bd10b', 'd00bd30b', 'd00bd60b'),
        fc.uint8Array({ maxLength: 300 }),
        (magic, bytes) => {
          parseLayoutXattr(Buffer.concat([hex(magic), bytes]));
        },
      ),
    );
  });
});
