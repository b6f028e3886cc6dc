import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  blobNameOf,
  isReservedName,
  MAX_NAME_LENGTH,
  MAX_NAME_SEGMENTS,
  pathOf,
  prefixProblem,
  reservedName,
  stagingName,
} from './naming.ts';

const nameOf = (path: string | Buffer, prefix = '') => {
  const result = blobNameOf(Buffer.from(path as string), prefix);
  return result.ok ? result.name : `refused: ${result.reason}`;
};

/** Written from the rules, not from the code: what a name in the container must look like. */
function isLegal(name: string): boolean {
  if (name.length < 1 || name.length > 1024 || !name.isWellFormed()) return false;
  const segments = name.split('/');
  if (segments.length > 254 || segments.some((segment) => segment === '' || segment.endsWith('.'))) return false;
  return ![...name].some((character) => {
    const point = character.codePointAt(0) as number;
    return (
      point < 0x20 ||
      (point >= 0x7f && point <= 0x9f) ||
      point === 0x5c ||
      /\p{Co}|\p{Cs}|\p{Noncharacter_Code_Point}/u.test(character)
    );
  });
}

/** Paths as a file system can hold them, with everything that is special to us made likely. */
const oddByte = fc.constantFrom(
  0x01,
  0x1f,
  0x25,
  0x2e,
  0x32,
  0x35,
  0x45,
  0x5c,
  0x7f,
  0x80,
  0xc3,
  0xa9,
  0xed,
  0xef,
  0xbf,
  0xbe,
  0xf4,
  0xff,
);
const byte = fc.oneof(oddByte, fc.integer({ min: 1, max: 255 })).filter((value) => value !== 0x2f);
const piece = fc.oneof(
  fc.array(byte, { minLength: 1, maxLength: 12 }).map((bytes) => Buffer.from(bytes)),
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 10 }).map((text) => Buffer.from(text.replace(/[/\0]/g, '_'))),
  fc
    .constantFrom('.lfsazsync', '%2E', '%25', '%5C', '%', '%2', '...', 'a.', '%2Elfsazsync', '%C3%A9', '\u{fffe}')
    .map((text) => Buffer.from(text)),
);
const segment = fc
  .array(piece, { minLength: 1, maxLength: 3 })
  .map((pieces) => Buffer.concat(pieces))
  .filter((bytes) => bytes.length > 0 && !['.', '..'].includes(bytes.toString('latin1')));
const path = fc
  .array(segment, { minLength: 1, maxLength: 5 })
  .map((segments) =>
    Buffer.concat(segments.flatMap((bytes, index) => (index === 0 ? [bytes] : [Buffer.from('/'), bytes]))),
  );
const prefix = fc.constantFrom('', 'p', 'a/b', 'with space/x');

describe('any path', () => {
  test('has a legal name below its prefix, which leads back to it', () => {
    fc.assert(
      fc.property(path, prefix, (bytes, below) => {
        const result = blobNameOf(bytes, below);
        if (!result.ok) return /characters; Azure allows/.test(result.reason);
        expect(isLegal(result.name)).toBe(true);
        expect(below === '' || result.name.startsWith(`${below}/`)).toBe(true);
        expect(isReservedName(result.name, below)).toBe(false);
        expect(pathOf(result.name, below)?.equals(bytes)).toBe(true);
        return true;
      }),
      { numRuns: 3000 },
    );
  });

  test('shares its name with no other', () => {
    const names = new Map<string, string>();
    fc.assert(
      fc.property(path, (bytes) => {
        const result = blobNameOf(bytes, '');
        if (!result.ok) return;
        const key = bytes.toString('hex');
        expect(names.get(result.name) ?? key).toBe(key);
        names.set(result.name, key);
      }),
      { numRuns: 5000 },
    );
  });
});

test('a name either leads to a path that has exactly this name, or to none', () => {
  const odd = fc.string({ unit: fc.constantFrom('%', '2', 'E', '5', 'C', 'e', '/', '.', 'a', '\\', 'é', 'F') });
  fc.assert(
    fc.property(fc.oneof(odd, fc.string({ unit: 'binary' })), prefix, (name, below) => {
      const found = pathOf(name, below);
      if (found !== undefined) expect(blobNameOf(found, below)).toEqual({ ok: true, name });
    }),
    { numRuns: 5000 },
  );
});

test('what is legal stays as it is', () => {
  for (const kept of [
    'a',
    'dir/file.txt',
    '.hidden',
    '.lfsazsync2/x',
    'a/.lfsazsync/b',
    '.LFSAZSYNC/x',
    'a b/ c ',
    'naïve/日本語/😀',
    '100%',
    '100%41',
    '%2f',
    '%2e',
    'a%zz',
    '%%',
    'quo\'te"d',
    'a?b#c&d=e+f',
    '~$[]{}|^`<>:;,@!*()',
    'e\u0301',
  ]) {
    expect(nameOf(kept)).toBe(kept);
  }
});

test('what is not legal, or would be ambiguous, is escaped', () => {
  expect(nameOf('a\nb')).toBe('a%0Ab');
  expect(nameOf('\x01\x1f\x7f')).toBe('%01%1F%7F');
  expect(nameOf('\u0080\u0085\u009f')).toBe('%C2%80%C2%85%C2%9F');
  expect(nameOf('back\\slash')).toBe('back%5Cslash');
  expect(nameOf('end.')).toBe('end%2E');
  expect(nameOf('end.../x../...')).toBe('end..%2E/x.%2E/..%2E');
  expect(nameOf('%2E')).toBe('%252E');
  expect(nameOf('%25')).toBe('%2525');
  expect(nameOf('caf%C3%A9')).toBe('caf%25C3%25A9');
  expect(nameOf(Buffer.from([0x61, 0xff, 0xc3]))).toBe('a%FF%C3');
  expect(nameOf(Buffer.from([0xed, 0xa0, 0x80]))).toBe('%ED%A0%80');
  expect(nameOf(Buffer.from([0xc0, 0xaf]))).toBe('%C0%AF');
  expect(nameOf(Buffer.from([0xf4, 0x90, 0x80, 0x80]))).toBe('%F4%90%80%80');
  expect(nameOf('\uffff\ufffe\ufdd0\u{1fffe}')).toBe('%EF%BF%BF%EF%BF%BE%EF%B7%90%F0%9F%BF%BE');
  expect(nameOf('\ue000')).toBe('%EE%80%80');
  expect(nameOf('.lfsazsync')).toBe('%2Elfsazsync');
  expect(nameOf('.lfsazsync/control')).toBe('%2Elfsazsync/control');
  expect(nameOf('%2Elfsazsync')).toBe('%252Elfsazsync');
  expect(nameOf('.lfsazsync/x', 'p/q')).toBe('p/q/%2Elfsazsync/x');
});

test('names that we never write lead nowhere', () => {
  for (const name of [
    '',
    'dir/',
    '/a',
    'a//b',
    '.',
    '..',
    'a/../b',
    '%2E',
    '%2E/x',
    '%2E%2E/etc',
    'a%00b',
    'end.',
    'a\\b',
    'a\nb',
    '%61%2E%62',
    'a%2Eb',
    '%C3%A9',
    '.lfsazsync',
    '.lfsazsync/control',
    'x\ud800',
    '\ufffe',
  ]) {
    expect(pathOf(name, ''), JSON.stringify(name)).toBeUndefined();
  }
  expect(pathOf('other/a', 'p')).toBeUndefined();
  expect(pathOf('pa', 'p')).toBeUndefined();
  expect(pathOf('p', 'p')).toBeUndefined();
  expect(pathOf('p/', 'p')).toBeUndefined();
});

test('limits: characters in UTF-16 units and segments, each with a reason', () => {
  const long = 'x'.repeat(MAX_NAME_LENGTH);
  expect(nameOf(long)).toBe(long);
  expect(nameOf(`${long}x`)).toBe('refused: the blob name would have 1025 characters; Azure allows 1024');
  expect(nameOf(`${'x'.repeat(1023)}.`)).toMatch(/1026 characters/);
  expect(nameOf('😀'.repeat(512))).toBe('😀'.repeat(512));
  expect(nameOf('😀'.repeat(513))).toMatch(/1026 characters/);
  expect(nameOf('x'.repeat(1022), 'p')).toHaveLength(1024);
  expect(nameOf('x'.repeat(1023), 'p')).toMatch(/1025 characters/);
  const deep = Array(MAX_NAME_SEGMENTS).fill('d').join('/');
  expect(nameOf(deep)).toBe(deep);
  expect(nameOf(`${deep}/d`)).toMatch(/255 path segments; Azure allows 254/);
  expect(nameOf(deep, 'p')).toMatch(/255 path segments/);
});

test('what is no path is refused with a reason', () => {
  for (const wrong of ['', '/a', 'a/', 'a//b', '.', '..', 'a/./b', '../a', 'a\0b']) {
    expect(nameOf(wrong), JSON.stringify(wrong)).toMatch(/^refused: the path /);
  }
});

test('our own names', () => {
  expect(reservedName('', 'control')).toBe('.lfsazsync/control');
  expect(stagingName('p/q', '0x200000401:0x1:0x0')).toBe('p/q/.lfsazsync/staging/0x200000401:0x1:0x0');
  expect(isReservedName('.lfsazsync/control', '')).toBe(true);
  expect(isReservedName('.lfsazsync', '')).toBe(true);
  expect(isReservedName('.lfsazsync2', '')).toBe(false);
  expect(isReservedName('.lfsazsync/control', 'p')).toBe(false);
});

test('prefixes', () => {
  for (const good of ['', 'p', 'a/b c', 'naïve']) expect(prefixProblem(good)).toBeUndefined();
  for (const bad of ['/p', 'p/', 'a//b', 'a/../b', 'end.', 'a\\b', '.lfsazsync', 'a/.lfsazsync', 'x'.repeat(1025)]) {
    expect(prefixProblem(bad), bad).toBeTypeOf('string');
  }
});
