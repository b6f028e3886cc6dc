import { expect, test } from 'vitest';
import { lemurNames } from './lemur-names.ts';

const names = (value: string | Buffer, prefix = '') => lemurNames(Buffer.from(value), { container: 'c', prefix });

test.each([
  ['d/file', '', ['d/file']],
  ['/d/file', '', ['d/file']],
  ['d/file\0', '', ['d/file']],
  ['d/file', 'p/q', ['p/q/d/file']],
  ['a%41', '', ['a%41']],
  ['az://c/d/file', '', ['d/file']],
  ['az://c/d/a%20b', '', ['d/a%20b', 'd/a b']],
  ['az://c/d/file', 'p', ['d/file', 'p/d/file']],
  ['az:///d', '', ['d']],
  ['', '', []],
  ['d/../other', '', []],
  ['new\nline', '', []],
  ['x'.repeat(1025), '', []],
] as const)('%j below %j', (value, prefix, expected) => {
  expect(names(value, prefix)).toEqual(expected);
});

test('another container, and what is no text', () => {
  expect(names('az://other/d')).toBe('other-container');
  expect(names(Buffer.from([0xff, 0xfe]))).toEqual([]);
});
