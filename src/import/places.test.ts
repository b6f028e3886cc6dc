import { expect, test } from 'vitest';
import { placesOf } from './places.ts';

test('everything, without prefixes', () => {
  expect(placesOf([], '')).toEqual([{ start: '', markers: [] }]);
  expect(placesOf(['/', 'a'], 'p/q')).toEqual([{ start: 'p/q/', markers: [] }]);
});

test('a directory never finds its neighbours, and none is listed twice', () => {
  expect(placesOf(['foo/', 'foo/bar', '/foo', 'foobar', 'foo-1'], '')).toEqual([
    { start: 'foo/', markers: ['foo'] },
    { start: 'foo-1/', markers: ['foo-1'] },
    { start: 'foobar/', markers: ['foobar'] },
  ]);
  expect(placesOf(['a/b'], 'p')).toEqual([{ start: 'p/a/b/', markers: ['p/a', 'p/a/b'] }]);
});

test('what is no directory of users is refused', () => {
  for (const bad of ['a//b', '../x', 'a/./b', '.lfsazsync', '.lfsazsync/staging'])
    expect(() => placesOf([bad], '')).toThrow(/no directory of the container/);
});
