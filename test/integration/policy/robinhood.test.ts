import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { projectRoot } from '../../support/project.ts';
import { CLEAN, RELEASED, usePolicyBench } from './policy-bench.ts';

// The original deployment's Robinhood configuration, converted and run on real files: which of them are chosen, and by
// which rule, was worked out by hand from its rules and from how Robinhood 3.2 applies them.

/** Its whole file, where it is; else its rules, as the project has them. */
const REFERENCE =
  process.env['LFSAZSYNC_TEST_ROBINHOOD'] ?? join(projectRoot, '../shared/reference/robinhood-lustre.conf');
const isWhole = existsSync(REFERENCE);
const SOURCE = isWhole ? REFERENCE : join(projectRoot, 'test/fixtures/robinhood/original-rules.conf');

const bench = usePolicyBench();
const MINUTE = 60;
const HOUR = 3600;
const DAY = 86_400;
const MIB = 1024 * 1024;

/** Name, size, seconds since it was modified, and the rule by which it is archived now; undefined: not yet. */
const NEW: readonly [name: string, size: number, age: number, rule: string | undefined][] = [
  ['empty-old', 0, DAY, 'default'],
  ['empty-young', 0, 10 * MINUTE, undefined],
  ['one-byte', 1, 31 * MINUTE, 'archive_small'],
  ['one-byte-young', 1, 10 * MINUTE, undefined],
  ['16M', 16 * MIB, DAY, 'archive_small'],
  ['16M-and-one', 16 * MIB + 1, DAY, 'archive_std'],
  ['1G', 1024 * MIB, DAY, 'archive_std'],
  ['1G-and-one', 1024 * MIB + 1, DAY, 'archive_std'],
  ['1G-young', 1024 * MIB + 1, 10 * MINUTE, undefined],
  ['tomorrow', 5, -DAY, undefined],
];

/** Name, size, seconds since it was used, and the rule by which it is released now. */
const ARCHIVED: readonly [name: string, size: number, age: number, rule: string | undefined][] = [
  ['small-year', 3, 366 * DAY, 'release_small'],
  ['small-month', 3, 300 * DAY, undefined],
  ['16M-year', 16 * MIB, 366 * DAY, 'release_small'],
  ['16M-week', 16 * MIB, 7 * DAY, undefined],
  ['std-days', 16 * MIB + 1, 2 * DAY, 'release_std'],
  ['std-hours', 16 * MIB + 1, 20 * HOUR, undefined],
  // By Robinhood's rules it would be; there is nothing to let go of.
  ['nothing-hours', 0, 7 * HOUR, undefined],
];

async function make(table: readonly (readonly [string, number, number, unknown])[], directory: string) {
  const paths: string[] = [];
  await mkdir(bench.it.path(directory), { recursive: true });
  for (const [name, size, age] of table) {
    const path = await bench.it.write(`${directory}/${name}`, '', age);
    await truncate(path, size);
    await bench.it.age(path, age);
    paths.push(path);
  }
  return paths;
}

/** Files and bytes by rule. */
function expectedOf(table: readonly (readonly [string, number, number, string | undefined])[]) {
  const rules: Record<string, { files: number; bytes: number }> = {};
  for (const [, size, , rule] of table) {
    if (rule === undefined) continue;
    const sum = rules[rule] ?? { files: 0, bytes: 0 };
    rules[rule] = { files: sum.files + 1, bytes: sum.bytes + size };
  }
  return rules;
}

/** The rule by which a policy says that it is time, of each. */
async function ruledBy(policy: string, paths: readonly string[]) {
  const { stdout } = await bench.it.sandbox.run(['policy', 'explain', '--json', ...paths]);
  const files: { policies: { policy: string; rule: string; due: string; holds: string[] }[] }[] =
    JSON.parse(stdout).files;
  return files.map(({ policies }) => {
    const found = policies.find((one) => one.policy === policy);
    return found?.due === 'now' && found.holds.length === 0 ? found.rule : undefined;
  });
}

test('the original deployment’s Robinhood configuration converts, and chooses the files that Robinhood would', async () => {
  const { sandbox } = bench.it;
  const source = join(sandbox.dir, 'lustre.conf');
  await writeFile(source, (await readFile(SOURCE, 'utf8')).replaceAll('/amlfs', sandbox.mount));
  const output = join(sandbox.dir, 'converted.yaml');
  const converted = await sandbox.run(['config', 'import-robinhood', source, '--output', output]);
  expect(converted.exitCode, converted.stderr).toBe(0);
  const missing = converted.stderr.split('\n').filter((line) => /^(?:\S+, )?line \d+ +missing /.test(line));
  if (isWhole) {
    // Each with its place, and why.
    expect(missing.map((line) => line.split(/ {2,}/).slice(1))).toEqual(
      [
        'Log::alert_file',
        'Log::changelogs_file',
        'Log::batch_alert_max',
        'Log::alert_show_attrs',
        'lhsm_config::rebind_cmd',
      ].map((what) => ['missing', what, expect.stringMatching(/\w+ \w+/)]),
    );
    for (const line of missing) {
      const [, what = '', why = ''] = line.split(/ {2,}/).slice(1);
      expect(await readFile(output, 'utf8')).toContain(`${what}: ${why}`);
    }
  } else expect(missing).toEqual([]);
  const validated = await sandbox.run(['config', 'validate', '--config', output]);
  expect(validated.exitCode, validated.stderr).toBe(0);
  const { classes, policies, removal, mount } = parse(await readFile(output, 'utf8'));
  expect(mount).toBe(sandbox.mount);
  await bench.it.configure({ classes, policies, removal });

  const fresh = await make(NEW, 'new');
  await bench.it.scan();
  const dry = await bench.it.one('archive', '--dry-run');
  expect(dry).toMatchObject({ exitCode: 0, outcome: 'complete' });
  expect(dry.rules).toEqual(expectedOf(NEW));
  expect(await ruledBy('archive', fresh)).toEqual(NEW.map(([, , , rule]) => rule));
  await rm(bench.it.path('new'), { recursive: true });

  const used = await make(ARCHIVED, 'used');
  await bench.it.scan();
  expect(await bench.it.one('archive', '--wait')).toMatchObject({ exitCode: 0, done: { files: ARCHIVED.length } });
  expect(await bench.it.states(used)).toEqual(used.map(() => CLEAN));
  expect(await ruledBy('release', used)).toEqual(ARCHIVED.map(([, , , rule]) => rule));
  const released = await bench.it.one('release', '--target', 'all');
  expect(released, JSON.stringify(released)).toMatchObject({ exitCode: 0, failed: { files: 0 } });
  expect(released.rules).toEqual(expectedOf(ARCHIVED));
  expect(await bench.it.states(used)).toEqual(ARCHIVED.map(([, , , rule]) => (rule === undefined ? CLEAN : RELEASED)));

  // Its copy would go five minutes after the file.
  const [gone = ''] = used;
  const blob = sandbox.containerClient.getBlobClient(sandbox.blobName(gone));
  await rm(gone);
  await bench.it.scan();
  const early = await bench.it.one('remove');
  expect(early).toMatchObject({ exitCode: 0, done: { files: 0 } });
  expect(early.skipped?.['NOT_DUE']).toBeGreaterThanOrEqual(1);
  expect(await blob.exists()).toBe(true);
});
