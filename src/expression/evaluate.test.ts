import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { expressionText } from '../../test/support/expressions.ts';
import { evaluate, truthOf } from './evaluate.ts';
import { withoutNot } from './normal.ts';
import { parseExpression } from './parser.ts';
import type { PolicySubject } from './subject.ts';

const NOW = 1_800_000_000_700;
const subject = (fields: Partial<PolicySubject> = {}): PolicySubject => ({
  type: 'file',
  mode: 0o640,
  uid: 1000,
  gid: 100,
  project: 7,
  nlink: 1,
  size: 20n * 1024n * 1024n,
  atime: 1_800_000_000 - 3600,
  mtime: 1_800_000_000 - 7200,
  ctime: 1_800_000_000 - 60,
  btime: 1_800_000_000 - 86_400,
  hsm: 0x0b,
  archive: 2,
  osts: [1, 12],
  pool: 'flash',
  paths: [Buffer.from('scratch/tmp/a.c')],
  xattrs: new Map([['user.tag', Buffer.from('xyz')]]),
  ...fields,
});
const truth = (text: string, fields: Partial<PolicySubject> = {}) =>
  truthOf(parseExpression(text), subject(fields), NOW);

describe('a condition', () => {
  it.each([
    ['type == file', true],
    ['type != file', false],
    ['size > 16MB and size <= 20MB', true],
    ['size == 20MB and size != 1', true],
    ['last_mod >= 2h', true],
    ['last_mod > 2h', false],
    ['last_mod < 7201s', true],
    ['last_access >= 1h and last_access < 2h', true],
    ['last_change == 1min', true],
    ['creation > 23h and creation <= 1d', true],
    ['owner == 1000 and group != 0 and project >= 7', true],
    ['mode == 0640', true],
    ['depth == 2', true],
    ['archive_id == 2 and exists and archived and dirty and not released and not lost', true],
    ['noarchive or norelease', false],
    ['ost == 12 and ost != 2', true],
    ['ost != 1', false],
    ['pool == "fl?sh"', true],
    ['name == "*.c" and name != b', true],
    ['name == "*.C" or iname != "*.C"', false],
    ['path == "/scratch/*/a.c" and not path == "/scratch/*"', true],
    ['path == "**/a.c" and path == "/scratch/**"', true],
    ['tree == "/scratch" and tree == "/" and tree == "/scratch/tmp/a.c" and tree == "/*/tmp"', true],
    ['tree == "/scr" or tree == "/tmp"', false],
    ['tree == "**/tmp"', true],
    ['xattr.user.tag == "x*" and xattr.user.other == ""', true],
    ['xattr.user.other != ""', false],
  ])('%s: %s', (text, expected) => {
    expect(truth(text)).toBe(expected);
  });

  it('of names holds for a file when it does for one of its names, and its opposite when for none', () => {
    const paths = [Buffer.from('a/x'), Buffer.from('b/y')];
    expect(truth('name == x and tree == /b', { paths })).toBe(true);
    expect(truth('name != x or tree != /b', { paths })).toBe(false);
    expect(truth('name != z', { paths })).toBe(true);
  });

  it('is about bytes', () => {
    const paths = [Buffer.from([0x64, 0x2f, 0xff, 0x0a])];
    expect(truth(String.raw`name == "\xff\n" and name == "??" and name == "[!a]*"`, { paths })).toBe(true);
    expect(truth('name == "?"', { paths: [Buffer.from('é')] })).toBe(true);
    expect(truth('name == "[à-ü]"', { paths: [Buffer.from('é')] })).toBe(true);
    expect(truth('name == "*[!é]"', { paths: [Buffer.from('é')] })).toBe(false);
  });

  it('counts whole seconds, and those to come as less than none', () => {
    expect(truth('last_mod >= 30min', { mtime: 1_800_000_000 - 1800 })).toBe(true);
    expect(truth('last_mod >= 30min', { mtime: 1_800_000_000 - 1799 })).toBe(false);
    expect(truth('last_mod >= 0', { mtime: 1_800_000_001 })).toBe(false);
  });

  it('is exact beyond 2^53', () => {
    expect(truth('size > 9007199254740991', { size: 2n ** 53n + 1n })).toBe(true);
    expect(truth('size == 9007199254740991', { size: 2n ** 53n })).toBe(false);
  });
});

describe('what is unknown', () => {
  const unknown: readonly (readonly [string, Partial<PolicySubject>])[] = [
    ['creation > 1d', { btime: null }],
    ['project == 7', { project: null }],
    ['dirty', { hsm: null }],
    ['tree == "/"', { paths: undefined }],
    ['name != x', { paths: [] }],
    ['xattr.user.tag == ""', { xattrs: undefined }],
    ['owner == nobody', {}],
    ['class == small', {}],
    ['rm_time > 5min', {}],
    ['last_access > 1d', { atime: undefined }],
  ];
  it.each(unknown)('%s', (text, fields) => {
    expect(truth(text, fields)).toBeUndefined();
    expect(truth(`not ${text}`, fields)).toBeUndefined();
    expect(truth(`${text} and type == dir`, fields)).toBe(false);
    expect(truth(`${text} or type == file`, fields)).toBe(true);
    expect(truth(`${text} or type == dir`, fields)).toBeUndefined();
    expect(evaluate(parseExpression(text), subject(fields), NOW)).toBe(false);
  });

  it('stays so when negations are moved inwards, and the known as well', () => {
    const maybe = <T>(value: T) => fc.constantFrom(value, undefined);
    const subjects = fc
      .record({
        btime: maybe(5),
        project: maybe(7),
        hsm: maybe(9),
        paths: maybe([Buffer.from('d/a')]),
        atime: maybe(0),
      })
      .map((fields) => subject(fields));
    fc.assert(
      fc.property(expressionText, subjects, (text, one) => {
        const expression = parseExpression(text);
        expect(truthOf(withoutNot(expression), one, NOW)).toBe(truthOf(expression, one, NOW));
        const opposite = truthOf(withoutNot(expression, true), one, NOW);
        expect(opposite).toBe(truthOf({ kind: 'not', term: expression, start: 0, end: 0 }, one, NOW));
      }),
    );
  });
});
