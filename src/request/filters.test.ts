import { describe, expect, test } from 'vitest';
import { compileFilters, type FilterOptions } from './filters.ts';

const NOW = 1_700_000_000_000;
const takes = (options: FilterOptions, path: string | Buffer) =>
  compileFilters(options, NOW).name(Buffer.from(path as string));

describe('globs', () => {
  test.each<[FilterOptions, string, boolean]>([
    [{}, 'a/b', true],
    [{ include: ['*.dat'] }, 'a/b/c.dat', true],
    [{ include: ['*.dat'] }, 'a/b/c.data', false],
    [{ include: ['a/*.dat'] }, 'a/c.dat', true],
    [{ include: ['/a/*.dat'] }, 'a/c.dat', true],
    [{ include: ['a/*.dat'] }, 'a/b/c.dat', false],
    [{ include: ['a/**'] }, 'a/b/c.dat', true],
    [{ include: ['*.dat', '*.txt'] }, 'x.txt', true],
    [{ exclude: ['tmp'] }, 'a/tmp/x', false],
    [{ exclude: ['tmp'] }, 'a/tmpx/x', true],
    [{ exclude: ['a/b'] }, 'a/b/c/d', false],
    [{ include: ['*.dat'], exclude: ['x*'] }, 'x.dat', false],
    [{ include: ['.*'] }, '.hidden', true],
    [{ include: ['!(a)'] }, 'b', true],
    [{ include: ['a b\nc*'] }, 'a b\ncd', true],
  ])('%j takes %j: %j', (options, path, taken) => {
    expect(takes(options, path)).toBe(taken);
  });

  test('names that are not UTF-8 can be matched around their odd bytes', () => {
    expect(takes({ include: ['*.dat'] }, Buffer.from([0xff, 0xfe, ...Buffer.from('.dat')]))).toBe(true);
  });

  test('an excluded directory is not walked into, the root always is', () => {
    const filters = compileFilters({ exclude: ['tmp', '**'] }, NOW);
    expect(filters.directory(Buffer.from('a/tmp'))).toBe(false);
    expect(filters.directory(Buffer.alloc(0))).toBe(true);
  });

  test('an empty pattern is an error of the operator', () => {
    expect(() => compileFilters({ include: [''] }, NOW)).toThrow(/empty pattern/i);
  });
});

describe('size and age', () => {
  const stat = (size: bigint, ageSeconds: number) => ({ size, mtime: BigInt(NOW - ageSeconds * 1000) * 1_000_000n });
  test.each<[FilterOptions, bigint, number, boolean]>([
    [{ olderThan: 60_000 }, 1n, 60, true],
    [{ olderThan: 60_000 }, 1n, 59, false],
    [{ larger: 100 }, 100n, 0, false],
    [{ larger: 100 }, 101n, 0, true],
    [{ smaller: 100 }, 99n, 0, true],
    [{ smaller: 100 }, 100n, 0, false],
    [{ larger: 10, smaller: 20, olderThan: 1000 }, 15n, 5, true],
    [{ smaller: 10 }, 2n ** 62n, 0, false],
  ])('%j takes %d bytes of %d seconds: %j', (options, size, age, taken) => {
    expect(compileFilters(options, NOW).stat(stat(size, age))).toBe(taken);
  });
});
