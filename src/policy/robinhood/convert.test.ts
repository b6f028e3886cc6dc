import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { projectRoot } from '../../../test/support/project.ts';
import { configSchema } from '../../config/schema.ts';
import { toConfig } from '../../config/types.ts';
import type { PolicySubject } from '../../expression/subject.ts';
import { loadPolicies, type Policies, type Policy, ruleFor } from '../policies.ts';
import { conditionText, NoEquivalent } from './condition.ts';
import { convertRobinhood } from './convert.ts';
import { parseRobinhood } from './parser.ts';
import { readRobinhood } from './read.ts';
import { convertedText } from './write.ts';

const SITE = join(projectRoot, 'test/fixtures/robinhood/site.conf');
/** The original deployment's rules, limits and triggers. */
const OWN = join(projectRoot, 'test/fixtures/robinhood/original-rules.conf');
/** Its whole file, where it is. */
const REFERENCE =
  process.env['LFSAZSYNC_TEST_ROBINHOOD'] ?? join(projectRoot, '../shared/reference/robinhood-lustre.conf');

const convert = async (file: string) => convertRobinhood(await readRobinhood(file, {}));

/** Loads the converted configuration from the text that is written of it. */
async function loaded(file: string) {
  const conversion = await convert(file);
  const tree = parse(convertedText(conversion, file));
  return await loadPolicies(toConfig(configSchema.parse(tree)));
}

const NOW = 1_800_000_000_000;
const ago = (seconds: number) => NOW / 1000 - seconds;
const MIB = 1024 * 1024;
const MINUTE = 60;
const HOUR = 3600;
const DAY = 24 * HOUR;

const subject = (fields: Partial<PolicySubject>): PolicySubject => ({
  type: 'file',
  size: 100,
  mode: 0o644,
  uid: 1,
  gid: 1,
  project: 0,
  nlink: 1,
  hsm: 0,
  archive: 0,
  atime: 0,
  mtime: 0,
  ctime: 0,
  btime: 0,
  osts: [0],
  pool: '',
  paths: [Buffer.from('home/a')],
  ...fields,
});

function verdict(policy: Policy | undefined, fields: Partial<PolicySubject>): string {
  const found = ruleFor(policy as Policy, subject(fields), NOW);
  return found.rule === undefined ? found.reason : `${found.rule.name} ${found.due === true ? 'now' : 'later'}`;
}

describe.each([OWN, REFERENCE].filter((file) => existsSync(file)))(
  'the policies of the original deployment, from %s',
  (file) => {
    // Worked out by hand from its rules, and from how Robinhood 3.2 applies them: the first rule with a class of the file's
    // counts, even when its condition does not hold; `default` is for files of no such class.
    it.each([
      ['lhsm_archive, 100 bytes, modified 30 minutes ago', 'archive', { mtime: ago(30 * MINUTE) }, 'archive_small now'],
      ['a second less', 'archive', { mtime: ago(30 * MINUTE - 1) }, 'archive_small later'],
      ['empty', 'archive', { size: 0, mtime: ago(HOUR) }, 'default now'],
      ['exactly 16 MiB', 'archive', { size: 16 * MIB, mtime: ago(HOUR) }, 'archive_small now'],
      ['16 MiB and a byte', 'archive', { size: 16 * MIB + 1, mtime: ago(HOUR) }, 'archive_std now'],
      ['exactly 1 GiB', 'archive', { size: 1024 * MIB, mtime: ago(HOUR) }, 'archive_std now'],
      ['more than 1 GiB, modified just now', 'archive', { size: 1024 * MIB + 1, mtime: ago(0) }, 'archive_std later'],
      ['mtime in the future', 'archive', { mtime: ago(-DAY) }, 'archive_small later'],
      [
        'lhsm_release, small, a year',
        'release',
        { atime: ago(365 * DAY), mtime: ago(400 * DAY) },
        'release_small later',
      ],
      [
        'small, a year and a second',
        'release',
        { atime: ago(365 * DAY + 1), mtime: ago(400 * DAY) },
        'release_small now',
      ],
      ['small, written since', 'release', { atime: ago(500 * DAY), mtime: ago(DAY) }, 'release_small later'],
      ['17 MiB, a day', 'release', { size: 17 * MIB, atime: ago(DAY), mtime: ago(2 * DAY) }, 'release_std later'],
      [
        '17 MiB, a day and a second',
        'release',
        { size: 17 * MIB, atime: ago(DAY + 1), mtime: ago(2 * DAY) },
        'release_std now',
      ],
      ['2 GiB, a week', 'release', { size: 2048 * MIB, atime: ago(7 * DAY), mtime: ago(9 * DAY) }, 'release_std now'],
      ['empty, 6 hours and a second', 'release', { size: 0, atime: ago(6 * HOUR + 1), mtime: ago(DAY) }, 'default now'],
      ['lhsm_remove, removed 5 minutes ago', 'remove', { removedAt: ago(5 * MINUTE) }, 'default now'],
      ['a second less', 'remove', { removedAt: ago(5 * MINUTE - 1) }, 'default later'],
    ])('%s', async (_, name, fields, expected) => {
      const { policies } = await loaded(file);
      expect(verdict(policies.get(name), fields)).toBe(expected);
    });

    it('become what the defaults are', async () => {
      const converted = await loaded(file);
      const defaults = await loadPolicies(toConfig(configSchema.parse({ mount: '/amlfs' })));
      const plain = (value: unknown) =>
        JSON.parse(JSON.stringify(value, (key, one) => (key === 'start' || key === 'end' ? undefined : one)));
      const withoutTargets = (policies: Policies) =>
        [...policies.policies.values()].map(({ candidates, rules, ...policy }) => [
          plain(policy),
          rules.map(({ target, ...rule }) => plain(rule)),
        ]);
      expect(withoutTargets(converted)).toEqual(withoutTargets(defaults));
      if (file === REFERENCE) expect(plain(converted.classes)).toEqual(plain(defaults.classes));
    });

    it.runIf(file === REFERENCE)('are told about in whole: every setting and block', async () => {
      const { findings } = await convert(REFERENCE);
      expect(findings.filter(({ outcome }) => outcome === 'missing').map(({ what }) => what)).toEqual([
        'Log::alert_file',
        'Log::changelogs_file',
        'Log::batch_alert_max',
        'Log::alert_show_attrs',
        'lhsm_config::rebind_cmd',
      ]);
      expect(findings.length).toBe(84);
    });
  },
);

describe('a configuration of a site', () => {
  it('is converted, with its includes, and with what it can’t say', async () => {
    const { config, findings } = await convert(SITE);
    expect(config.mount).toBe('/lustre/fs1');
    // Otherwise the follower would remove what Robinhood leaves.
    expect(config.removal).toEqual({ by: 'policy' });
    expect(config.classes).toEqual({
      big: { definition: 'size >= 1GB and (pool == "slow*" or ost != 3)' },
      Scratch: { definition: 'tree == "/scratch" and not name == "*.keep"' },
      odd_mix: { definition: 'type == file and (owner == 1000 or owner == 1001)' },
      counted: { definition: 'size < 0' },
      both: { definition: 'class == Scratch and class == odd_mix' },
      neither: { definition: 'not (class == Scratch or class == odd_mix)' },
      of_counted: { definition: 'class == counted or class == Scratch' },
    });
    const condition = '(last_mod >= 10min and (not archived and not released)) or creation > 2d';
    expect(config.policies['archive']).toEqual({
      ignore_class: ['Scratch'],
      ignore: ['size == 0 or path == "/*/core"'],
      rules: {
        two_odd_mix: { target_class: ['odd_mix'], condition, archive_id: 2 },
        two_big: { target_class: ['big'], condition },
        default: { condition: 'last_mod > 1hour' },
      },
      triggers: [{ on: 'periodic', interval: '600s' }],
      max_files: 1000,
      max_bytes: '1TB',
      sort: 'size',
      order: 'descending',
      archive_id: 1,
    });
    // It depends on a class that can't be told.
    expect(config.policies['release']).toMatchObject({ enabled: false, triggers: [{ on: 'ost_usage', high: '85%' }] });
    // Robinhood has no rules for it: it must not run by our defaults.
    expect(config.policies['remove']).toEqual({ enabled: false, rules: {}, triggers: [{ on: 'manual' }] });
    expect(config.policies['nightly']).toEqual({
      action: 'archive',
      ignore: ['not (type == file and not tree == "/home")'],
      rules: { all: { target_class: ['big'], condition: 'last_mod > 0s' } },
      triggers: [{ on: 'manual' }],
    });
    const told = findings
      .filter(({ outcome }) => outcome === 'missing')
      .map(({ file, line, what }) => `${file.split('/').at(-1)}:${line}: ${what}`);
    expect(told).toEqual([
      'site.conf:10: %include "gone.inc"',
      'site.conf:19: FileClass counted',
      'site.conf:40: lhsm_archive_parameters::pre_run_command',
      'site.conf:44: lhsm_archive_trigger::trigger_on',
      'site.conf:44: lhsm_archive_trigger::high_threshold_pct',
      'site.conf:44: lhsm_archive_trigger::low_threshold_pct',
      'site.conf:57: nightly_rules::rule all::condition',
      'site.conf:59: define_policy tidy',
      'site.conf:60: Mystery',
    ]);
    await expect(loaded(SITE)).resolves.toBeDefined();
  });
});

describe('a condition', () => {
  const converted = (text: string, root = '/fs') => {
    const [block] = parseRobinhood(`X { y { ${text} } }`, 'x.conf');
    const inner = block?.kind === 'block' ? block.items[0] : undefined;
    if (inner?.kind !== 'block' || inner.condition === undefined) throw new Error('no condition');
    return conditionText(inner.condition, {
      root,
      classNamed: (name) => (name.toLowerCase() === 'known' ? 'Known' : undefined),
    });
  };

  it.each([
    ['size > 5 and size < 9 or size == 7', 'size > 5 and (size < 9 or size == 7)'],
    ['(size > 5 and size < 9) or size == 7', '(size > 5 and size < 9) or size == 7'],
    ['size > 1 and size > 2 and size > 3', 'size > 1 and size > 2 and size > 3'],
    ['not size > 1 and size > 2', 'not size > 1 and size > 2'],
    ['not (size > 1 and size > 2)', 'not (size > 1 and size > 2)'],
    ['tree == "/fs/a b/"', 'tree == "/a b"'],
    ['tree == "/fs"', 'tree == "/"'],
    ['tree == "/"', 'tree == "/"'],
    ['tree == "/other"', 'size < 0'],
    ['tree != "/other"', 'size >= 0'],
    ['path == "/*/x"', 'path == "/x"'],
    ['path == "/**/x"', 'path == "**/x"'],
    ['path == "**/x"', 'path == "**/x"'],
    ['path == "a/*"', 'path == "/a/*"'],
    [String.raw`name == "a\\*b\\n\"c"`, String.raw`name == "a\*bn\"c"`],
    [`name == 'x"y'`, String.raw`name == "x\"y"`],
    ['last_access > 3600', 'last_access > 3600s'],
    ['last_mdchange <= 2day', 'last_change <= 2day'],
    ['status != synchro', 'not (archived and not dirty and not released)'],
    ['no_archive != 1 and no_release == yes', 'not noarchive and norelease'],
    ['fileclass == KNOWN', 'class == Known'],
    ['xattr.user.a == 1', 'xattr.user.a == "1"'],
    ['projid == 4 and depth < 3 and nlink <> 1', 'project == 4 and depth < 3 and nlink != 1'],
  ])('%s', (text, expected) => {
    expect(converted(text)).toBe(expected);
  });

  it.each([
    'last_archive > 1d',
    'owner == "a*"',
    'size > 1EB',
    'fileclass == other',
    'status == archiving',
    'type == dir2',
    'constructor > 1d',
  ])('%s has no equivalent', (text) => {
    expect(() => converted(text)).toThrow(NoEquivalent);
  });

  it.each([
    ['A { b = c }', "x.conf:1: unexpected '}', ';' should be here"],
    ['A {\n b = "c\n; }', 'x.conf:2: a quotation mark is never closed'],
    ['A { b = $NOWHERE; }', 'x.conf:1: the environment variable NOWHERE is not set'],
    ['A { b = c;', "x.conf:1: unexpected end of the file, '}' should be here"],
    ['%include x', 'x.conf:1: %include needs a file name between quotation marks'],
    ['A { size > }', "x.conf:1: unexpected '}' in place of a value"],
  ])('%j is told with its line', (text, message) => {
    expect(() => parseRobinhood(text, 'x.conf')).toThrow(message);
  });
});
