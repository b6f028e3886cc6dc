import fc from 'fast-check';

const OPERATORS = ['==', '!=', '<', '<=', '>', '>='];
const EQUALITY = ['==', '!='];

const compared = (field: string, operators: readonly string[], values: readonly string[]): fc.Arbitrary<string> =>
  fc
    .tuple(fc.constantFrom(...operators), fc.constantFrom(...values))
    .map(([sign, value]) => `${field} ${sign} ${value}`);

const AGES = ['0', '1s', '59s', '30min', '6h', '1d', '1y'];

/** Comparisons of every field, with values that files of `randomSubject` have, or nearly. */
const comparison: fc.Arbitrary<string> = fc.oneof(
  compared('type', EQUALITY, ['file', 'directory', 'symlink']),
  compared('size', OPERATORS, ['0', '1', '16MB', '16777217', '1GB']),
  compared('mode', OPERATORS, ['0644', '755', '0']),
  compared('nlink', OPERATORS, ['1', '2']),
  compared('project', OPERATORS, ['0', '7']),
  compared('archive_id', OPERATORS, ['0', '1', '2']),
  compared('depth', OPERATORS, ['0', '1', '2']),
  compared('owner', OPERATORS, ['0', '1000']),
  compared('group', OPERATORS, ['0', '100']),
  compared('ost', EQUALITY, ['0', '1', '11']),
  compared('pool', EQUALITY, ['flash', '"fl*"', '""']),
  compared('hsm', EQUALITY, ['archived', 'dirty', 'released', 'lost', 'exists', 'noarchive', 'norelease']),
  compared('last_mod', OPERATORS, AGES),
  compared('last_access', OPERATORS, AGES),
  compared('last_change', OPERATORS, AGES),
  compared('creation', OPERATORS, AGES),
  compared('name', EQUALITY, ['a', '"b*"', '"?"', '"\\xff"', '"[ab]"', "'d.txt'"]),
  compared('iname', EQUALITY, ['A', '"B*"']),
  compared('path', EQUALITY, ['"/a"', '"/d/*"', '"**/b"', '"d/e/a"']),
  compared('tree', EQUALITY, ['"/d"', '"/"', '"/d/*"', '"**/e"']),
  compared('xattr.user.tag', EQUALITY, ['""', '"x*"']),
  fc.constantFrom('archived', 'dirty', 'released', 'lost', 'exists'),
);

/** Conditions as operators may write them. */
export const expressionText: fc.Arbitrary<string> = fc.letrec<{ term: string; all: string }>((tie) => ({
  all: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    tie('term'),
    fc
      .tuple(fc.constantFrom('and', 'or'), fc.array(tie('term'), { minLength: 2, maxLength: 4 }))
      .map(([word, terms]) => terms.join(` ${word} `)),
  ),
  term: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    comparison,
    tie('all').map((inner) => `(${inner})`),
    tie('term').map((inner) => `not ${inner}`),
  ),
})).all;
