import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Document, parseDocument, type Scalar } from 'yaml';
import { ConfigError } from './config-error.ts';
import { loadConfig } from './load.ts';
import { settingsOf } from './show.ts';
import { offsetInSource } from './yaml-scalar.ts';

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lfsazsync-config-'));
  file = join(folder, 'config.yaml');
});
afterEach(() => rmSync(folder, { recursive: true }));

function load(text: string) {
  writeFileSync(file, `mount: /mnt/lustre\n${text}`);
  return loadConfig({ env: {}, file });
}

/** `line:column: path: message`; lines are those of `text`. */
async function problemsOf(text: string): Promise<string[]> {
  const error = await load(text).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ConfigError);
  return (error as ConfigError).problems.map(({ where, path, message }) => {
    const [line = '', column = ''] = where.replace(`${file}:`, '').split(':');
    return `${Number(line) - 1}:${column}: ${path}: ${message}`;
  });
}

const rule = (condition: string) => `policies:\n  archive:\n    rules:\n      all:\n        condition: ${condition}\n`;
const SISE = "policies.archive.rules.all.condition: unknown field 'sise'; expected 'size'";

describe('a mistake in a condition', () => {
  it.each([
    ['plain', rule('type == file and sise > 5'), '5:37'],
    ['plain, over two lines', rule('type == file\n          and sise > 5'), '6:15'],
    ['in single quotes', rule(`'name == "it''s" and sise > 5'`), '5:41'],
    ['in double quotes', rule(String.raw`"name == \"\u0041\x41\" and sise > 5"`), '5:48'],
    ['as a block', rule('|\n          type == file\n          and sise > 5'), '7:15'],
    ['as a folded block', rule('>-\n          type == file\n\n          and sise > 5'), '8:15'],
    ['with a comment behind', rule('sise > 5 # mine'), '5:20'],
  ])('%s: is told with its line and column', async (_, text, place) => {
    expect(await problemsOf(text)).toEqual([`${place}: ${SISE}`]);
  });

  it('is told of each one, wherever it stands', async () => {
    const text = `classes:
  tmp:
    definition: tree == "/tmp" or clas == x
policies:
  archive:
    ignore: [dirty, 'size >']
    rules:
      a: {condition: last_mod > 5}
  release:
    ignore: oops
  mine: {}
`;
    expect(await problemsOf(text)).toEqual([
      "3:35: classes.tmp.definition: unknown field 'clas'; expected 'class'",
      '6:28: policies.archive.ignore.1: unexpected end; expected a value for size',
      "8:33: policies.archive.rules.a.condition: '5' has no unit; expected a duration such as '30min', '6h', '1d' or '1y', or '5s'",
      expect.stringContaining("10:13: policies.release.ignore.0: unknown field 'oops'"),
      '11:3: policies.mine.action: is required',
      '11:3: policies.mine.rules: is required',
      '11:3: policies.mine.triggers: is required',
      '11:3: policies.mine.sort: is required',
    ]);
  });
});

describe('what does not fit together', () => {
  it.each([
    [
      'classes:\n  a: {definition: class == b}\n',
      "2:19: classes.a.definition: there is no class 'b'; did you mean 'a'?",
    ],
    [
      'classes:\n  a: {definition: class == b}\n  b: {definition: not class == a}\n',
      '2:19: classes.a.definition: is defined by itself: a → b → a',
    ],
    ['classes:\n  a: {definition: class == "*"}\n', '2:19: classes.a.definition: is defined by itself: a → a'],
    [
      rule('class == smal_files'),
      "5:20: policies.archive.rules.all.condition: there is no class 'smal_files'; did you mean 'small_files'?",
    ],
    [
      'policies:\n  archive:\n    rules:\n      a: {target_class: oops}\n',
      "4:25: policies.archive.rules.a.target_class: there is no class 'oops'; there are small_files, std_files, big_files",
    ],
    [rule('rm_time > 1h'), '5:20: policies.archive.rules.all.condition: rm_time is for policies that remove'],
    [
      'policies:\n  remove:\n    rules:\n      a: {condition: last_access > 1h}\n',
      '4:22: policies.remove.rules.a.condition: last_access is not known of a file that is gone',
    ],
    [
      'policies:\n  archive:\n    rules:\n      a: {}\n      b: {}\n',
      '5:10: policies.archive.rules.b: is never reached: the rule a before it is for all files',
    ],
    [
      'policies:\n  archive:\n    triggers: [{on: ost_usage, high: 80%, low: 70%}]\n',
      '3:21: policies.archive.triggers.0.on: ost_usage is for policies that release',
    ],
    [
      'policies:\n  release:\n    triggers: [{on: ost_usage, high: 80%, low: 81}]\n',
      '3:48: policies.release.triggers.0.low: must not be above high, not 81',
    ],
    [
      'policies:\n  release:\n    triggers: [{on: ost_usage, high: 80%}]\n',
      '3:16: policies.release.triggers.0: needs high and low',
    ],
    ['policies:\n  archive:\n    sort: rm_time\n', '3:11: policies.archive.sort: rm_time is for policies that remove'],
    [
      'policies:\n  9lives: {action: archive, rules: {}}\n',
      expect.stringContaining('2:3: policies.9lives: must be a name'),
    ],
    [
      'policies:\n  archive:\n    rules:\n      7: {}\n',
      expect.stringContaining('4:7: policies.archive.rules.7: must be a name'),
    ],
    ['policies:\n  archive: 5\n', expect.stringContaining('2:12: policies.archive: must be a map')],
    [
      'policies:\n  archive:\n    rate_limit: {file: 5}\n',
      "3:18: policies.archive.rate_limit.file: unknown key; did you mean 'files'?",
    ],
    [
      'policies:\n  archive:\n    suspend: {share: 101%}\n',
      '3:22: policies.archive.suspend.share: must be from 0% to 100%, not "101%"',
    ],
  ])('%j', async (text, problem) => {
    expect(await problemsOf(text)).toEqual([problem]);
  });
});

it('classes that multiply each other are refused, not put together', async () => {
  const levels = Array.from(
    { length: 40 },
    (_, i) => `  c${i}: {definition: class == c${i + 1} and not class == c${i + 1}}\n`,
  );
  const problems = await problemsOf(`classes:\n${levels.join('')}  c40: {definition: dirty}\n`);
  expect(problems).toEqual([expect.stringMatching(/is made of more than 10000 comparisons/)]);
});

it('names that every object has are names like others', async () => {
  const { config } = await load(
    'classes:\n  constructor: {definition: dirty}\npolicies:\n  toString: {action: archive, rules: {valueOf: {target_class: constructor}}}\n',
  );
  expect(config.policies.get('toString')?.rules.get('valueOf')).toMatchObject({ targetClass: ['constructor'] });
});

it('config show has every setting of the policies, the conditions as they were written', async () => {
  const settings = new Map(
    settingsOf(await load(rule('last_mod > 1d'))).map(({ path, value, origin }) => [path, [value, origin.kind]]),
  );
  expect(settings.get('policies.archive.rules.all.condition')).toEqual(['last_mod > 1d', 'file']);
  expect(settings.get('policies.release.triggers.0.high')).toEqual(['85%', 'default']);
  expect(settings.get('policies.archive.rate_limit.period')).toEqual(['10s', 'default']);
  expect(settings.get('classes.small_files.definition')).toEqual([
    'type == file and size > 0 and size <= 16MB',
    'default',
  ]);
});

describe('offsetInSource', () => {
  const word = fc.stringMatching(/^[a-z'"\\=>(){}[\],]{1,8}$/);
  const text = fc.array(word, { minLength: 1, maxLength: 12 }).map((words) => words.join(' '));
  it.each(['PLAIN', 'QUOTE_SINGLE', 'QUOTE_DOUBLE', 'BLOCK_LITERAL', 'BLOCK_FOLDED'] as const)(
    'finds every word again in a scalar written as %s',
    (type) => {
      fc.assert(
        fc.property(text, fc.integer({ min: 10, max: 40 }), (value, lineWidth) => {
          const document = new Document({ a: { b: value } });
          const scalar = document.getIn(['a', 'b'], true) as { type: string };
          scalar.type = type;
          const source = document.toString({ lineWidth });
          const [at] = (parseDocument(source).getIn(['a', 'b'], true) as Scalar).range as [number, number, number];
          const written = source.slice(at);
          for (const match of value.matchAll(/[a-z]+/g)) {
            const found = written.slice(offsetInSource(written, value, match.index));
            expect(found.replace(/\\\n\s*/, '').slice(0, match[0].length)).toBe(match[0]);
          }
        }),
      );
    },
  );
});
