import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { expressionText } from '../../test/support/expressions.ts';
import { ExpressionError } from './error.ts';
import { formatExpression } from './format.ts';
import { parseExpression } from './parser.ts';

const problemOf = (text: string): string => {
  try {
    parseExpression(text);
  } catch (error) {
    if (error instanceof ExpressionError) return `${error.line}:${error.column}: ${error.message}`;
    throw error;
  }
  return 'none';
};

const meaning = (text: string) =>
  JSON.stringify(parseExpression(text), (key, value) => (key === 'start' || key === 'end' ? undefined : value));

describe('what can be written', () => {
  it.each([
    ['type == file and size > 16MB', 'type == file and size > 16MiB'],
    ['type==file AND size>16777216', 'type == file and size > 16MiB'],
    ['not tree == "/scratch/tmp"', 'not tree == "/scratch/tmp"'],
    ['tree != /scratch/tmp/', 'tree != "/scratch/tmp"'],
    ['path == "a/*.c"', 'path == "/a/*.c"'],
    ['last_mod >= 30min', 'last_mod >= 30m'],
    ['last_access > 1y or last_access > 2day', undefined],
    ["last_access > '1 day'", 'last_access > 1d'],
    ['archived and not dirty', 'archived and not dirty'],
    ['hsm == archived and hsm != dirty', 'archived and hsm != dirty'],
    ['(type == file) and (size == 0 or size > 1.5G)', 'type == file and (size == 0 or size > 1610612736)'],
    ['not (type == file or type == directory)', 'not (type == file or type == directory)'],
    ['not not type == dir', 'not not type == directory'],
    ['owner == root and group <> staff and owner >= 1000', 'owner == root and group != staff and owner >= 1000'],
    ['xattr.user.Tag == "x*"', 'xattr.user.Tag == "x*"'],
    [String.raw`name == "a\"b\\\x41\*"`, String.raw`name == "a\"b\\\x41\*"`],
    [`name == 'it"s'`, String.raw`name == "it\"s"`],
    ['iname == *.TMP', 'iname == "*.TMP"'],
    ['class == small_files or class != "tmp*"', 'class == small_files or class != tmp*'],
    ['mode == 644 and nlink > 1 and depth <= 3 and archive_id == 2 and ost == 7 and pool == flash', undefined],
    ['  type\n==\tfile  ', 'type == file'],
  ])('%s', (text, formatted) => {
    const expression = parseExpression(text);
    if (formatted !== undefined) expect(formatExpression(expression)).toBe(formatted);
  });

  it('says the same when it is read, written and read again', () => {
    fc.assert(
      fc.property(expressionText, (text) => {
        expect(meaning(formatExpression(parseExpression(text)))).toBe(meaning(text));
      }),
    );
  });

  it('knows where each part stands', () => {
    const text = 'type == file and  not (size > 1 or dirty)';
    const expression = parseExpression(text);
    const spans: string[] = [];
    JSON.stringify(expression, (_, value) => {
      if (typeof value === 'object' && 'start' in value) spans.push(text.slice(value.start, value.end));
      return value;
    });
    expect(spans).toEqual([
      text,
      'type == file',
      'not (size > 1 or dirty)',
      '(size > 1 or dirty)',
      'size > 1',
      'dirty',
    ]);
  });
});

describe('what is wrong, and where', () => {
  it.each([
    ['', "1:1: unexpected end; expected a condition such as 'size > 16MB'"],
    ['size', "1:5: unexpected end; expected one of '==', '!=', '<', '<=', '>', '>='"],
    ['size >', '1:7: unexpected end; expected a value for size'],
    ['size = 5', "1:6: unexpected '='; expected '==' to compare"],
    ['size > 5 type == file', "1:10: unexpected 'type'; expected 'and', 'or' or the end"],
    ['size > 5 and', "1:13: unexpected end; expected a condition such as 'size > 16MB'"],
    ['sise > 5', "1:1: unknown field 'sise'; expected 'size'"],
    ['ost_index == 1', "1:1: unknown field 'ost_index'; expected 'ost'"],
    ['last_mod > 30', "1:12: '30' has no unit; expected a duration such as '30min', '6h', '1d' or '1y', or '30s'"],
    ['last_mod > 10ms', '1:12: Lustre keeps whole seconds; expected a duration of whole seconds'],
    ['size > 5x', "1:8: '5x' is not a size; expected a size such as '16MB' or '1GB'"],
    ['type > file', "1:6: '>' is not for type; expected '==' or '!='"],
    ['type == flie', "1:9: 'flie' is no type; expected file, directory, dir, symlink, fifo, chr, blk, sock"],
    ['(size > 5', "1:1: a '(' is never closed; expected a ')'"],
    ['size > 5)', "1:9: a ')' without its '('"],
    ['name == "a', '1:9: a quotation mark is never closed; expected another "'],
    ['name == "a/b"', "1:9: a name has no slash; expected a name; for paths there are 'path' and 'tree'"],
    [String.raw`name == "ab\xZZ"`, "1:12: '\\x' needs two hexadecimal digits"],
    ['name == "[z-a]"', '1:11: a range of characters ends before it begins'],
    ['owner > bob', "1:9: names can't be compared by '>'; expected a number, or '==' or '!='"],
    [
      'hsm == gone',
      "1:8: 'gone' is no HSM flag; expected exists, archived, dirty, released, lost, noarchive, norelease",
    ],
    ['mode == 0999', "1:9: '0999' is not a mode; expected octal digits such as '0644'"],
    [
      'type == file and\n  size > 5 or dirty',
      "2:12: 'and' and 'or' are mixed; expected parentheses around what belongs together",
    ],
    ['and', "1:1: unexpected 'and'; expected a condition such as 'size > 16MB'"],
    ['size ! 5', "1:6: unexpected '!'; expected '!=', or 'not' before what is to be false"],
  ])('%s', (text, problem) => {
    expect(problemOf(text)).toBe(problem);
  });

  it('is told of any text at all, within it', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 60, unit: 'binary' }), (text) => {
        const problem = problemOf(text);
        if (problem === 'none') return;
        const [line, column] = problem.split(':').map(Number);
        expect(line).toBeLessThanOrEqual(text.split('\n').length);
        expect(column).toBeLessThanOrEqual(text.length + 1);
      }),
    );
  });

  it('is told of what is far too deep or too long', () => {
    expect(problemOf(`${'('.repeat(100_00)}size > 1`)).toContain('more than 100 levels');
    expect(problemOf(`${'not '.repeat(10_000)}dirty`)).toContain('more than 100 levels');
    expect(problemOf('a'.repeat(70_000))).toContain('longer than');
  });
});
