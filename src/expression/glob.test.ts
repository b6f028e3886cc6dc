import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { globMatches, globMatchesPath, globMatchesTree, parseGlob } from './glob.ts';

/** What patterns and names are made of: é is two bytes, and each of them may stand alone. */
const LITERALS = ['a', 'b', '.', 'é', '\\xc3', '\\xa9', '/'] as const;
const BYTES = [[0x61], [0x62], [0x2e], [0xc3, 0xa9], [0xc3], [0xa9], [0x2f]] as const;
const tokens = fc.array(fc.constantFrom(...LITERALS, ...LITERALS, '*', '**', '?'), { maxLength: 7 });
const names = fc
  .array(fc.constantFrom(...BYTES), { maxLength: 8 })
  .map((parts) => Buffer.from(parts.flatMap((part) => [...part])));

/** By trying everything. */
function matchesByHand(pattern: readonly string[], bytes: Buffer, slashes: boolean): boolean {
  const [token, ...rest] = pattern;
  if (token === undefined) return bytes.length === 0;
  const length = bytes.length > 1 && bytes[0] === 0xc3 && bytes[1] === 0xa9 ? 2 : Math.min(1, bytes.length);
  const passable = length > 0 && !(slashes && bytes[0] === 0x2f);
  if (token === '*' || token === '**') {
    if (matchesByHand(rest, bytes, slashes)) return true;
    return length > 0 && (token === '**' || passable) && matchesByHand(pattern, bytes.subarray(length), slashes);
  }
  if (token === '?') return passable && matchesByHand(rest, bytes.subarray(length), slashes);
  const literal = Buffer.from(BYTES[LITERALS.indexOf(token as (typeof LITERALS)[number])] as readonly number[]);
  return (
    bytes.subarray(0, literal.length).equals(literal) && matchesByHand(rest, bytes.subarray(literal.length), slashes)
  );
}

/** Stars that stand together are one: two are read as `**`. */
const joined = (pattern: readonly string[]) =>
  pattern.flatMap((token, at) => {
    const star = (one: string | undefined) => one?.startsWith('*') === true;
    if (!star(token)) return [token];
    if (star(pattern[at + 1])) return [];
    return star(pattern[at - 1]) ? ['**'] : [token];
  });

describe('glob', () => {
  it('matches what trying everything matches, whatever it is told by', () => {
    fc.assert(
      fc.property(tokens, names, fc.boolean(), (pattern, name, slashes) => {
        expect(globMatches(parseGlob(pattern.join('')), name, slashes)).toBe(
          matchesByHand(joined(pattern), name, slashes),
        );
      }),
      { numRuns: 3000 },
    );
  });

  it('finds paths, and those that are in a directory, from the slash on that the root has', () => {
    fc.assert(
      fc.property(tokens, names, (pattern, name) => {
        const path = Buffer.from(name.toString('latin1').replace(/^\/+/, ''), 'latin1');
        const whole = path.length === 0 ? path : Buffer.concat([Buffer.from('/'), path]);
        const glob = parseGlob(pattern.join(''));
        const by = (some: Buffer) => matchesByHand(joined(pattern), some, true);
        expect(globMatchesPath(glob, path)).toBe(by(whole));
        const above = [...whole].flatMap((byte, at) => (byte === 0x2f ? [whole.subarray(0, at)] : []));
        expect(globMatchesTree(glob, path)).toBe([whole, ...above].some(by));
      }),
      { numRuns: 3000 },
    );
  });
});
