import fc from 'fast-check';
import { expect, test } from 'vitest';
import { metadataOf, metadataProblem } from './metadata.ts';
import { decodeXattrs, encodeXattrs } from './xattrs.ts';

const xattr = fc.record({
  name: fc
    .uint8Array({ minLength: 1, maxLength: 40 })
    .map((rest) => Buffer.concat([Buffer.from('user.'), rest.map((byte) => byte || 1)])),
  value: fc.uint8Array({ maxLength: 60 }).map((value) => Buffer.from(value)),
});
const byName = fc.uniqueArray(xattr, { maxLength: 20, selector: ({ name }) => name.toString('latin1') });

test('any names and values of users come back, whatever the order they were given in', () => {
  fc.assert(
    fc.property(byName, (xattrs) => {
      const { text, leftOut } = encodeXattrs(xattrs);
      expect(leftOut).toBe(0);
      expect(encodeXattrs([...xattrs].reverse()).text).toBe(text);
      const sorted = [...xattrs].sort((a, b) => Buffer.compare(a.name, b.name));
      expect(text === undefined ? [] : decodeXattrs(text)).toEqual(sorted);
    }),
  );
});

test('what does not fit is left out and counted, and what is written is metadata that the service takes', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 9_000 }), { minLength: 1, maxLength: 12 }), (lengths) => {
      const xattrs = lengths.map((length, at) => ({
        name: Buffer.from(`user.n${at}`),
        value: length > 8192 ? undefined : Buffer.alloc(length, at),
      }));
      const { text, leftOut } = encodeXattrs(xattrs);
      // Once for each look at a file, however often it is asked for.
      expect(encodeXattrs(xattrs)).toBe(encodeXattrs(xattrs));
      expect((text === undefined ? [] : decodeXattrs(text)).length + leftOut).toBe(xattrs.length);
      const metadata = metadataOf({
        attributes: { uid: 0, gid: 0, mode: 0o644, mtime: 0n, userXattrs: xattrs },
        identity: { fs: '5b0e9f2e-0000-4000-8000-000000000000', fid: '0x200000401:0x1:0x0' as never, kind: 'dir' },
      });
      expect(metadata['lfsazsync_xattr']).toBe(text);
      expect(metadataProblem(metadata)).toBeUndefined();
    }),
  );
});

test('only what users may set is ever read', () => {
  expect(decodeXattrs('trusted.lov=AA,user.=AA,security.ima=AA,user.a%00b=AA,user.x,=AA,')).toEqual([]);
  expect(decodeXattrs('system.posix_acl_access=AgA,user.color=cmVk').map(({ name }) => name.toString())).toEqual([
    'system.posix_acl_access',
    'user.color',
  ]);
});
