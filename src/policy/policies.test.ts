import { describe, expect, it } from 'vitest';
import { classesOf } from '../classes/classes.ts';
import { configSchema } from '../config/schema.ts';
import { toConfig } from '../config/types.ts';
import { evaluate } from '../expression/evaluate.ts';
import type { PolicySubject } from '../expression/subject.ts';
import { loadPolicies, type Policies, type Policy, ruleFor } from './policies.ts';

const NOW = 1_800_000_000_000;
const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const MIB = 1024 * 1024;

const configured = (tree: object): Promise<Policies> =>
  loadPolicies(toConfig(configSchema.parse({ mount: '/mnt/lustre', ...tree })));

async function policyNamed(name: string, tree: object = {}): Promise<Policy> {
  return (await configured(tree)).policies.get(name) as Policy;
}

const file = (fields: Partial<PolicySubject>): PolicySubject => ({
  type: 'file',
  size: 1,
  mode: 0o644,
  uid: 0,
  gid: 0,
  hsm: 0,
  archive: 0,
  nlink: 1,
  project: 0,
  atime: 0,
  mtime: 0,
  ctime: 0,
  osts: [0],
  pool: '',
  ...fields,
});
const ago = (milliseconds: number) => (NOW - milliseconds) / SECOND;

describe('the defaults', () => {
  it('are those of the deployment that this project was made after', async () => {
    const { classes, policies } = await configured({});
    expect(classes.map(({ name }) => name)).toEqual(['small_files', 'std_files', 'big_files']);
    expect([...policies.keys()]).toEqual(['archive', 'release', 'remove']);
    const [archive, release, remove] = [...policies.values()];
    expect(archive).toMatchObject({
      action: 'archive',
      enabled: true,
      triggers: [{ on: 'periodic', intervalMs: 5 * MINUTE }],
      rate: { files: 1000, bytes: undefined, periodMs: 10 * SECOND },
      sort: { by: 'last_mod', ascending: true },
      suspend: { errors: 100, share: 50 },
      limits: { files: undefined, bytes: undefined, durationMs: undefined },
    });
    expect(archive?.rules.map(({ name, archiveId }) => [name, archiveId])).toEqual([
      ['archive_small', 1],
      ['archive_std', 1],
      ['default', 1],
    ]);
    expect(release).toMatchObject({
      action: 'release',
      triggers: [{ on: 'ost_usage', intervalMs: 5 * MINUTE, high: 85, low: 80 }],
      rate: { files: undefined },
      sort: { by: 'last_access', ascending: true },
      suspend: { errors: 100, share: 50 },
    });
    expect(remove).toMatchObject({ action: 'remove', triggers: [{ on: 'periodic', intervalMs: 5 * MINUTE }] });
  });

  it.each([
    ['empty', 0, 'default'],
    ['small', 1, 'archive_small'],
    ['of 16 MiB', 16 * MIB, 'archive_small'],
    ['a byte larger', 16 * MIB + 1, 'archive_std'],
    ['of 1 GiB', 1024 * MIB, 'archive_std'],
    ['big', 1024 * MIB + 1, 'archive_std'],
  ])('archive a file that is %s after 30 minutes', async (_, size, rule) => {
    const archive = await policyNamed('archive');
    const due = (age: number) => ruleFor(archive, file({ size, mtime: ago(age) }), NOW);
    expect(due(30 * MINUTE)).toMatchObject({ rule: { name: rule }, due: true });
    expect(due(30 * MINUTE - SECOND)).toMatchObject({ rule: { name: rule }, due: false });
  });

  it.each([
    ['empty', 0, 'default', 6 * HOUR],
    ['small', 16 * MIB, 'release_small', 365 * DAY],
    ['larger', 16 * MIB + 1, 'release_std', DAY],
    ['big', 5000 * MIB, 'release_std', DAY],
  ])('release a file that is %s when it was not used for long enough', async (_, size, rule, age) => {
    const release = await policyNamed('release');
    const due = (times: object) => ruleFor(release, file({ size, ...times }), NOW);
    expect(due({ atime: ago(age + SECOND), mtime: ago(age + SECOND) })).toMatchObject({
      rule: { name: rule },
      due: true,
    });
    expect(due({ atime: ago(age), mtime: ago(2 * age) })).toMatchObject({ rule: { name: rule }, due: false });
    expect(due({ atime: ago(2 * age), mtime: ago(age) })).toMatchObject({ rule: { name: rule }, due: false });
  });

  it('remove the copy of a file 5 minutes after the file', async () => {
    const remove = await policyNamed('remove');
    const due = (age: number) => ruleFor(remove, { type: 'file', size: 1, removedAt: ago(age) }, NOW);
    expect(due(5 * MINUTE)).toMatchObject({ rule: { name: 'default' }, due: true });
    expect(due(5 * MINUTE - SECOND)).toMatchObject({ rule: { name: 'default' }, due: false });
  });

  it('stand beside what is configured, key by key', async () => {
    const policies = {
      archive: { rate_limit: { files: 7 }, max_outstanding: 5 },
      night: { action: 'archive', rules: { all: {} } },
    };
    const all = await configured({ policies, classes: { mine: { definition: 'owner == 7' } } });
    expect(all.classes.map(({ name }) => name)).toEqual(['small_files', 'std_files', 'big_files', 'mine']);
    expect(all.policies.get('archive')).toMatchObject({ rate: { files: 7, periodMs: 10_000 }, maxOutstanding: 5 });
    expect(all.policies.get('archive')?.rules).toHaveLength(3);
  });
});

describe('a policy', () => {
  const tree = {
    classes: {
      mine: { definition: 'owner == ann' },
      both: { definition: 'class == mine and class == small_files', access_tier: 'Cool' },
    },
    policies: {
      archive: {
        ignore: 'tree == "/mnt/lustre/tmp"',
        ignore_class: 'big_files',
        rules: {
          first: { target_class: 'both', condition: 'last_mod > 1d', archive_id: 3, max_files: 5, max_bytes: '1G' },
          second: { target_class: ['mine'] },
        },
      },
    },
  };
  const accounts = {
    user: async (name: string) => (name === 'ann' ? 1001 : undefined),
    group: async () => undefined,
  };
  const load = (changed: object = {}) =>
    loadPolicies(toConfig(configSchema.parse({ mount: '/mnt/lustre', ...tree, ...changed })), accounts);
  const at = (path: string, fields: Partial<PolicySubject> = {}) =>
    file({ uid: 1001, paths: [Buffer.from(path)], ...fields });

  it('looks up owners, takes paths from the mount point on, and puts in classes', async () => {
    const { classes, policies } = await load();
    const archive = policies.get('archive') as Policy;
    const verdict = (subject: PolicySubject) => {
      const found = ruleFor(archive, subject, NOW);
      const name = found.rule === undefined ? found.reason : `${found.rule.name} ${found.due}`;
      // What the catalog is asked for is what the rules then say.
      expect(evaluate(archive.candidates, subject, NOW)).toBe(found.rule !== undefined && found.due === true);
      return name;
    };
    expect(verdict(at('a'))).toBe('first true');
    expect(verdict(at('a', { mtime: ago(HOUR) }))).toBe('first false');
    expect(verdict(at('a', { size: 0 }))).toBe('second true');
    expect(verdict(at('a', { uid: 5 }))).toBe('no-rule');
    expect(verdict(at('tmp/a'))).toBe('ignored');
    expect(verdict(at('a', { size: 5000 * MIB }))).toBe('ignored');
    expect(verdict(at('a', { paths: undefined }))).toBe('unknown');
    expect(verdict(at('a', { uid: undefined }))).toBe('unknown');
    expect(archive.rules[0]).toMatchObject({ archiveId: 3, limits: { files: 5, bytes: 1024 * MIB } });
    expect(archive.needs).toEqual({ paths: true, creation: false, xattrs: [] });
    const { sure, unsure } = classesOf(classes, at('a'), NOW);
    expect([sure.map(({ name, accessTier }) => [name, accessTier]), unsure]).toEqual([
      [
        ['small_files', undefined],
        ['mine', undefined],
        ['both', 'Cool'],
      ],
      [],
    ]);
  });

  it('is refused when it names a user whom nobody knows', async () => {
    await expect(load({ classes: { ...tree.classes, his: { definition: 'owner == bob' } } })).rejects.toMatchObject({
      code: 'ACCOUNT_UNKNOWN',
      exit: 'usage',
    });
  });
});

describe('the system', () => {
  it('is asked for users and groups', async () => {
    const { policies } = await configured({ policies: { archive: { ignore: ['owner == root', 'group == root'] } } });
    expect(ruleFor(policies.get('archive') as Policy, file({ uid: 0, gid: 5 }), NOW)).toMatchObject({
      reason: 'ignored',
    });
    expect(ruleFor(policies.get('archive') as Policy, file({ uid: 5, gid: 5 }), NOW)).toMatchObject({ due: true });
  });
});
