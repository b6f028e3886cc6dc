import { linkSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RequestResult } from '../../../src/cli/request-command.ts';
import { type LustreFileSystem, openFileSystem } from '../../../src/lustre/file-system.ts';
import { HSM } from '../../../src/lustre/hsm-state.ts';
import { ErrnoError } from '../../../src/service/errors.ts';
import { helperPath } from '../../support/project.ts';
import { archiveId, type CommandOptions, type Sandbox, startSandbox } from '../../support/sandbox.ts';
import { waitUntil } from '../../support/wait.ts';
import { Mover } from './mover.ts';

const CLEAN = HSM.EXISTS | HSM.ARCHIVED;
const GONE = CLEAN | HSM.RELEASED;

/** Names that break what handles them carelessly. */
const ODD: readonly Buffer[] = [
  Buffer.from('new\nline'),
  Buffer.from(`quote'"\\`),
  Buffer.from([0xff, 0xfe, 0x20]),
  Buffer.alloc(255, 0x78),
  Buffer.from('größe 日本'),
  Buffer.from('-r'),
];

let sandbox: Sandbox;
let fs: LustreFileSystem;

beforeAll(async () => {
  // More files in a request than the coordinator takes: the command has to find out.
  sandbox = await startSandbox({ endpoint: false, config: { request: { batch: 120, poll_interval: '100ms' } } });
  fs = await openFileSystem({ mount: sandbox.mount, liblustreapi: sandbox.llapi, helper: helperPath });
});
afterAll(async () => {
  await fs?.close();
  await sandbox?.stop();
});

interface Ran {
  readonly exitCode: number | null;
  readonly json: RequestResult;
  readonly stdout: string;
  readonly stderr: string;
}

async function command(argv: readonly string[], options: CommandOptions = {}): Promise<Ran> {
  const result = await sandbox.run([...argv, '--json'], options);
  let json: RequestResult | { error: unknown };
  try {
    json = JSON.parse(result.stdout);
  } catch {
    throw new Error(`not JSON: ${JSON.stringify(result)}`);
  }
  if (!('outcomes' in json)) throw new Error(`the command did not run: ${JSON.stringify(json)}`);
  return { ...result, json };
}

/** Files by outcome, without those of which there are none. */
const ends = (json: RequestResult) =>
  Object.fromEntries(
    Object.entries(json.outcomes)
      .filter(([, { files }]) => files > 0)
      .map(([outcome, { files }]) => [outcome, files]),
  );
function reasonsOf(json: RequestResult): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { code, files } of json.reasons) counts[code] = (counts[code] ?? 0) + files;
  return counts;
}

function directory(name: string): string {
  const dir = join(sandbox.tree, name);
  mkdirSync(dir);
  return dir;
}

function files(dir: string, count: number): string[] {
  const paths = Array.from({ length: count }, (_, index) => join(dir, `f${index}`));
  for (const path of paths) writeFileSync(path, `content of ${path}`);
  return paths;
}

async function attributes(path: Buffer | string) {
  return await fs.files.get({ path: Buffer.from(path as string) }, { parts: ['hsm', 'action'] });
}
const statesOf = async (path: Buffer | string) => (await attributes(path)).hsm?.states;

/** The coordinator's actions that are not at their end; those that are go away by themselves. */
async function actions(): Promise<string[]> {
  const { stdout } = await sandbox.serverLctl(['get_param', '-n', 'mdt.*.hsm.actions']);
  return stdout.split('\n').filter((line) => /status=(WAITING|STARTED)/.test(line));
}

describe('with a copytool at work', () => {
  let mover: Mover;
  beforeAll(async () => {
    mover = await Mover.start(sandbox);
  });
  afterAll(async () => {
    await mover?.stop();
    expect(mover?.failures).toEqual([]);
  });

  test('a file’s whole life, whatever its name is', async () => {
    const dir = directory('odd');
    const paths = ODD.map((name) => Buffer.concat([Buffer.from(`${dir}/`), name]));
    for (const [index, path] of paths.entries()) writeFileSync(path, `content ${index}`);

    const archived = await command(['archive', '--recursive', '--wait', dir]);
    expect(archived).toMatchObject({ exitCode: 0, stderr: '' });
    expect(ends(archived.json)).toEqual({ done: ODD.length });
    for (const path of paths) expect(await statesOf(path)).toBe(CLEAN);

    const released = await command(['release', '--recursive', '--no-verify', dir]);
    expect(released.exitCode).toBe(0);
    expect(ends(released.json)).toEqual({ done: ODD.length });
    for (const path of paths) expect(await statesOf(path)).toBe(GONE);

    const restored = await command(['restore', '--recursive', '--wait', dir]);
    expect(restored.exitCode).toBe(0);
    expect(ends(restored.json)).toEqual({ done: ODD.length });
    for (const [index, path] of paths.entries()) {
      expect(await statesOf(path)).toBe(CLEAN);
      expect(readFileSync(path, 'utf8')).toBe(`content ${index}`);
    }

    const removed = await command(['remove', '--recursive', '--wait', dir]);
    expect(removed.exitCode).toBe(0);
    expect(ends(removed.json)).toEqual({ done: ODD.length });
    for (const path of paths) expect(await statesOf(path)).toBe(0);
  });

  test('names come from lists and from the command line as bytes', async () => {
    const dir = directory('lists');
    const paths = ODD.map((name) => Buffer.concat([Buffer.from(`${dir}/`), name]));
    for (const path of paths) writeFileSync(path, 'x');
    const list = Buffer.concat(paths.slice(1).flatMap((path) => [path, Buffer.of(0)]));
    const listed = await command(['archive', '--wait', '--files-from', '-', '--from0'], { input: list });
    expect([listed.exitCode, ends(listed.json)]).toEqual([0, { done: ODD.length - 1 }]);
    const lines = join(sandbox.dir, 'lines');
    writeFileSync(
      lines,
      Buffer.concat([Buffer.from('\n'), ...paths.slice(1).flatMap((path) => [path, Buffer.from('\n')])]),
    );
    const again = await command(['archive', '--files-from', lines, paths[0]?.toString() ?? '', '--wait']);
    expect([again.exitCode, ends(again.json)]).toEqual([0, { done: 1, unneeded: ODD.length - 1 }]);
    const raw = await sandbox.exec('sh', [
      '-c',
      `lfsazsync=$1; cd "$2" && exec "$lfsazsync" release --no-verify "$(printf '\\377\\376 ')x" "$(printf '\\377\\376\\040.')" ./-r --json`,
      'sh',
      join(process.cwd(), 'bin/lfsazsync'),
      dir,
    ]);
    expect(JSON.parse(raw.stdout)).toMatchObject({ outcomes: { done: { files: 1 } }, badPaths: 2 });
    expect(await statesOf(`${dir}/-r`)).toBe(GONE);
  });

  test('more files than a request takes are asked for all the same', async () => {
    const dir = directory('many');
    const paths = files(dir, 260);
    const before = mover.taken.length;
    const { exitCode, json } = await command(['archive', '-r', '--wait', dir]);
    expect([exitCode, ends(json)]).toEqual([0, { done: 260 }]);
    for (const path of paths) expect(await statesOf(path)).toBe(CLEAN);
    const fids = mover.taken.slice(before).map(({ fid }) => fid);
    expect(fids).toHaveLength(260);
    expect(new Set(fids).size).toBe(260);
  });

  test('what needs nothing, what can’t be, and what is no file: each is told, the others go on', async () => {
    const dir = directory('mixed');
    const [plain = '', never = '', done = '', kept = ''] = files(dir, 4);
    symlinkSync('f0', join(dir, 'link'));
    mkdirSync(join(dir, 'sub'));
    await sandbox.exec('mkfifo', [join(dir, 'pipe')]);
    await command(['archive', '--wait', done, kept]);
    await sandbox.lfs(['hsm_set', '--noarchive', never]);
    await sandbox.lfs(['hsm_set', '--norelease', kept]);

    const named = [
      plain,
      never,
      done,
      join(dir, 'link'),
      join(dir, 'sub'),
      join(dir, 'pipe'),
      join(dir, 'missing'),
      '/etc/passwd',
    ];
    const { exitCode, json, stderr } = await command(['archive', '--wait', ...named]);
    expect(exitCode).toBe(3);
    expect(ends(json)).toEqual({ done: 1, unneeded: 1, refused: 1 });
    expect(json.badPaths).toBe(5);
    expect(reasonsOf(json)).toEqual({
      ALREADY_ARCHIVED: 1,
      NOARCHIVE: 1,
      NOT_REGULAR: 2,
      DIRECTORY: 1,
      ENOENT: 1,
      OUTSIDE_MOUNT: 1,
    });
    expect(stderr.trim().split('\n')).toHaveLength(6);
    for (const path of named.slice(1, 2).concat(named.slice(3))) expect(stderr).toContain(`${path}: `);
    expect(json.problems.map(({ path }) => path).sort()).toEqual([never, ...named.slice(3)].sort());
    expect(json.reasons.filter(({ code }) => code === 'NOT_REGULAR').map(({ text }) => text.slice(0, 12))).toEqual([
      'is a symlink',
      'is a named p',
    ]);
    expect(await statesOf(plain)).toBe(CLEAN);

    // In a directory only files count: the symlink and the pipe are passed over without a word.
    const walked = await command(['archive', '-r', '--wait', dir]);
    expect([walked.exitCode, walked.json.badPaths, ends(walked.json)]).toEqual([3, 0, { unneeded: 3, refused: 1 }]);

    const release = await command(['release', '--wait', '--no-verify', plain, never, kept]);
    expect([release.exitCode, ends(release.json)]).toEqual([3, { done: 1, refused: 2 }]);
    expect(reasonsOf(release.json)).toEqual({ NEVER_ARCHIVED: 1, NORELEASE: 1 });
    const nothing = await command(['restore', '--wait', done]);
    expect([nothing.exitCode, reasonsOf(nothing.json)]).toEqual([0, { ALREADY_RESIDENT: 1 }]);
  });

  test('the copy of a released file is not removed, and its data is still there', async () => {
    const dir = directory('only-copy');
    const [path = ''] = files(dir, 1);
    const content = readFileSync(path);
    await command(['archive', '--wait', path]);
    await command(['release', '--no-verify', path]);
    const { exitCode, json } = await command(['remove', '--wait', path]);
    expect([exitCode, reasonsOf(json)]).toEqual([1, { ONLY_COPY: 1 }]);
    // Not synchronously: the copytool that brings it back lives in this process.
    expect(await readFile(path)).toEqual(content);
  });

  test('a file is asked for once, however many of its names are met', async () => {
    const dir = directory('links');
    const [path = ''] = files(dir, 1);
    linkSync(path, join(dir, 'second'));
    mkdirSync(join(dir, 'deep'));
    linkSync(path, join(dir, 'deep', 'third'));
    const { json } = await command(['archive', '-r', '--wait', join(dir, 'deep'), path, dir, dir, join(dir, 'deep')]);
    expect([json.selected, ends(json)]).toEqual([1, { done: 1 }]);
  });

  test('filters', async () => {
    const dir = directory('filters');
    mkdirSync(join(dir, 'tmp'));
    for (const [name, size] of [
      ['a.dat', 10],
      ['b.dat', 5000],
      ['c.txt', 5000],
      ['tmp/d.dat', 5000],
    ] as const) {
      writeFileSync(join(dir, name), Buffer.alloc(size));
    }
    const relative = dir.slice(sandbox.mount.length + 1);
    const none = await sandbox.run(['archive', '-r', dir, '--include', '*.none']);
    expect([none.exitCode, none.stdout]).toEqual([0, '4 files left out by filters\n']);
    const chosen = async (...flags: string[]) => {
      const { stdout } = await sandbox.run(['archive', '-r', '--dry-run', '--verbose', dir, ...flags]);
      return stdout
        .split('\n')
        .filter((line) => line.startsWith(dir))
        .map((line) => line.slice(dir.length + 1))
        .sort();
    };
    expect(await chosen()).toEqual(['a.dat', 'b.dat', 'c.txt', 'tmp/d.dat']);
    expect(await chosen('--include', '*.dat', '--exclude', 'tmp')).toEqual(['a.dat', 'b.dat']);
    expect(await chosen('--larger', '1KiB', '--include', `${relative}/*`)).toEqual(['b.dat', 'c.txt']);
    expect(await chosen('--smaller', '1KiB')).toEqual(['a.dat']);
    expect(await chosen('--older-than', '1h')).toEqual([]);
    await sandbox.exec('touch', ['-d', '2 hours ago', join(dir, 'c.txt')]);
    expect(await chosen('--older-than', '1h')).toEqual(['c.txt']);
    expect(await statesOf(join(dir, 'a.dat'))).toBe(0);
  });

  test('a copytool’s error is told, with --wait', async () => {
    const dir = directory('errors');
    const paths = files(dir, 3);
    mover.conduct = 5;
    try {
      const { exitCode, json, stderr } = await command(['archive', '--wait', ...paths]);
      expect([exitCode, ends(json), reasonsOf(json)]).toEqual([1, { failed: 3 }, { ENDED_WITH_ERROR: 3 }]);
      expect(stderr.trim().split('\n')).toHaveLength(3);
      const { fid } = await attributes(paths[0] as string);
      expect(stderr).toContain(`${paths[0]} [${fid}]: its action ended without success`);
      const told = await sandbox.run(['archive', '--wait', ...paths], { env: { LFSAZSYNC_LOG_FILE: '/dev/null' } });
      expect(told.stdout).toContain("The copytool's log has the reasons, by FID, where it runs: /dev/null.");
    } finally {
      mover.conduct = 'work';
    }
  });

  test('a file that changed before its archive failed is not said to have changed during it', async () => {
    const [path = ''] = files(directory('dirty'), 1);
    await command(['archive', '--wait', path]);
    writeFileSync(path, 'other content');
    mover.conduct = 5;
    try {
      const { exitCode, json, stderr } = await command(['archive', '--wait', path]);
      expect([exitCode, reasonsOf(json)]).toEqual([1, { STILL_DIRTY: 1 }]);
      expect(stderr).toMatch(
        /not archived: it is still dirty \(changed meanwhile, or the copytool ended it with an error/,
      );
    } finally {
      mover.conduct = 'work';
    }
  });

  test('a running action is cancelled', async () => {
    const dir = directory('cancel');
    // Fewer than max_requests: a cancel waits for a free place as other requests do.
    const paths = files(dir, 2);
    mover.conduct = 'hold';
    try {
      expect((await command(['archive', ...paths])).exitCode).toBe(0);
      await waitUntil('all are running', async () => {
        const states = await Promise.all(paths.map(attributes));
        return states.every(({ action }) => action?.state === 'running');
      });
      const { exitCode, json } = await command(['cancel', '-r', '--wait', dir]);
      expect([exitCode, ends(json)]).toEqual([0, { done: 2 }]);
      for (const path of paths) expect((await attributes(path)).action?.action).toBe('NOOP');
      const again = await command(['cancel', '-r', dir]);
      expect([again.exitCode, reasonsOf(again.json)]).toEqual([0, { NO_ACTION: 2 }]);
    } finally {
      mover.conduct = 'work';
    }
  });

  test('of many restores, few are in the coordinator at a time', async ({ skip }) => {
    if (!sandbox.standIn) skip('sets a global parameter');
    // Cancels need places, too.
    await sandbox.serverLctl(['set_param', 'mdt.*.hsm.max_requests=64']);
    const dir = directory('prefetch');
    const paths = files(dir, 45);
    await command(['archive', '--wait', ...paths]);
    await command(['release', '--no-verify', ...paths]);
    mover.conduct = 'hold';
    let most = 0;
    const restores = async () => {
      const count = (await actions()).filter((line) => line.includes('action=RESTORE')).length;
      most = Math.max(most, count);
      return count;
    };
    let over = false;
    const prefetch = command(['restore', '--recursive', '--outstanding', '10', dir]).finally(() => {
      over = true;
    });
    try {
      await waitUntil('as many are asked for as may be', async () => (await restores()) === 10);
      // Nothing more comes, however long they take.
      for (let look = 0; look < 20; look++) await restores();
      expect(over).toBe(false);
    } finally {
      mover.conduct = 'work';
    }
    await command(['cancel', '--recursive', dir]);
    await waitUntil('all were asked for', async () => {
      await restores();
      return over;
    });
    const { json, exitCode } = await prefetch;
    // The first ten were cancelled; the others came back, the last of them perhaps after the command had ended.
    const { failed, done = 0, asked = 0 } = ends(json);
    expect({ exitCode, failed, others: done + asked, most }).toEqual({ exitCode: 3, failed: 10, others: 35, most: 10 });
    expect((await command(['restore', '-r', '--wait', '--outstanding', '3', dir])).exitCode).toBe(0);
    for (const path of paths) expect(await statesOf(path)).toBe(CLEAN);
  });

  test('for people: a summary, and names that can’t forge lines', async () => {
    const dir = directory('people');
    writeFileSync(join(dir, 'red\u001b[31m\nline'), 'x');
    await sandbox.lfs(['hsm_set', '--noarchive', join(dir, 'red\u001b[31m\nline')]);
    files(dir, 2);
    const { exitCode, stdout, stderr } = await sandbox.run(['archive', '-r', '--wait', dir]);
    expect(exitCode).toBe(3);
    expect(stderr).toMatch(/red\\x1b\[31m\\nline: is flagged never_archive/);
    expect(stderr.split('\n')).toHaveLength(2);
    expect(stdout).toMatch(/^2 files .* archived$/m);
    expect(stdout).toMatch(/^1 file .* skipped$/m);
    expect(stdout).toMatch(/^ {2}1 × is flagged never_archive/m);
  });
});

describe('wrong usage', () => {
  const VERBS = ['archive', 'restore', 'release', 'remove', 'cancel'];

  test.each(VERBS)('%s of an empty path is refused: it is not the current directory', async (verb) => {
    const dir = directory(`empty-${verb}`);
    files(dir, 2);
    const { exitCode, stdout } = await sandbox.run([verb, '-r', '--dry-run', dir, '', '--json'], { cwd: dir });
    expect([exitCode, JSON.parse(stdout)]).toEqual([
      2,
      { error: { code: 'PATH_EMPTY', message: expect.any(String), hint: expect.stringMatching(/variable/), exit: 2 } },
    ]);
  });

  test('an empty entry of a list names nothing, and an empty list is told', async () => {
    const dir = directory('empty-entries');
    const [path = ''] = files(dir, 2);
    const listed = (input: string, ...flags: string[]) =>
      command(['archive', '-r', '--dry-run', '--files-from', '-', ...flags], { cwd: dir, input: Buffer.from(input) });
    const nul = await listed(`${path}\0\0`, '--from0');
    expect([nul.exitCode, ends(nul.json), reasonsOf(nul.json)]).toEqual([3, { would_ask: 1 }, { PATH_EMPTY: 1 }]);
    const lines = await listed(`\n${path}\n\n`);
    expect([lines.exitCode, lines.json.given, ends(lines.json)]).toEqual([0, 1, { would_ask: 1 }]);
    expect((await listed('')).json.given).toBe(0);
    const { stdout } = await sandbox.run(['archive', '--files-from', '/dev/null']);
    expect(stdout).toBe('No files: the list is empty.\n');
  });

  test.each([
    ['/nonexistent', /No such file/i],
    ['/etc', /is a directory/i],
  ])('--files-from %s: an error with a hint', async (list, reason) => {
    const { exitCode, stdout, stderr } = await sandbox.run(['archive', '--files-from', list]);
    expect([exitCode, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^error: The list of files .*\nhint: .*--files-from.*\n$/);
    expect(stderr).toMatch(reason);
    const json = await sandbox.run(['archive', '--files-from', list, '--json']);
    expect([json.exitCode, JSON.parse(json.stdout)]).toMatchObject([
      2,
      { error: { code: 'LIST_UNREADABLE', exit: 2 } },
    ]);
  });

  test('an archive id that is not configured would wait for ever', async () => {
    const [path = ''] = files(directory('unknown-archive'), 1);
    const { exitCode, stdout } = await sandbox.run(['archive', '--archive', '77', path, '--json']);
    expect([exitCode, JSON.parse(stdout)]).toMatchObject([
      2,
      { error: { code: 'ARCHIVE_UNKNOWN', hint: `Configured: ${archiveId}.` } },
    ]);
    expect((await attributes(path)).action?.action).toBe('NOOP');
  });
});

describe('without a copytool', () => {
  test('a dry run asks for nothing', async () => {
    const dir = directory('dry');
    files(dir, 60);
    const before = await actions();
    const { exitCode, json } = await command(['archive', '-r', '--dry-run', dir]);
    expect([exitCode, ends(json), json.dryRun]).toEqual([0, { would_ask: 60 }, true]);
    expect(await actions()).toEqual(before);
  });

  test('the wait ends in time, a second request finds the first, and waiting ones can be interrupted', async () => {
    const dir = directory('waiting');
    const [path = ''] = files(dir, 1);
    const late = await command(['archive', '--wait-timeout', '500ms', path]);
    expect([late.exitCode, ends(late.json)]).toEqual([5, { pending: 1 }]);
    const told = await sandbox.run(['archive', '--wait-timeout', '500ms', path]);
    expect(told.stdout).toMatch(
      /None of them has started\. No copytool seems to serve the archive.*`lfsazsync copytool`/,
    );
    const before = await actions();
    const again = await command(['archive', path]);
    expect([again.exitCode, reasonsOf(again.json)]).toEqual([0, { UNDER_WAY: 1 }]);
    expect(await actions()).toEqual(before);

    const other = join(dir, 'other');
    writeFileSync(other, 'x');
    const service = sandbox.startService(['archive', '--wait', other]);
    await waitUntil('it is asked for', async () => (await attributes(other)).action?.state === 'waiting');
    const exit = await service.kill('SIGINT');
    expect(exit.exitCode).toBe(130);
    expect(service.log.text()).toMatch(/1 file asked for: Lustre goes on with them/);
    expect((await attributes(other)).action?.state).toBe('waiting');
  });

  test('a coordinator that is shut down: try again later', async () => {
    const dir = directory('down');
    const paths = files(dir, 60);
    await sandbox.serverLctl(['set_param', 'mdt.*.hsm_control=shutdown']);
    try {
      const { exitCode, json } = await command(['archive', ...paths]);
      expect(exitCode).toBe(5);
      expect(ends(json)).toEqual({ unasked: 60 });
      expect(json.error).toMatchObject({
        code: 'COORDINATOR_DOWN',
        hint: expect.stringContaining('hsm_control=enabled'),
      });
    } finally {
      await sandbox.serverLctl(['set_param', 'mdt.*.hsm_control=enabled']);
    }
  });

  test('nothing but what is missing is a failure, nothing at all is a wrong usage', async () => {
    expect((await command(['archive', join(sandbox.tree, 'nope')])).exitCode).toBe(1);
    const usage = await sandbox.run(['archive']);
    expect(usage.exitCode).toBe(2);
    expect(usage.stderr).toMatch(/hint: Name paths/);
    expect((await sandbox.run(['archive', '--larger', 'huge', 'x'])).exitCode).toBe(2);
    expect((await sandbox.run(['release', '--wait-timeout', '1s', 'x'])).exitCode).toBe(2);
  });

  test('a mount that is not Lustre', async () => {
    const { exitCode, stderr } = await sandbox.run(['archive', '/tmp'], { env: { LFSAZSYNC_MOUNT: '/tmp' } });
    expect(exitCode).not.toBe(0);
    expect(stderr).toMatch(/not a mounted Lustre/);
  });
});

describe('the file system', () => {
  test('its UUID is written once', async () => {
    expect(await fs.readUuid()).toBeUndefined();
    const uuid = '0b0e7f0a-3f5c-4a57-9a39-0a6a3b7c1d2e';
    await fs.writeUuid(uuid);
    expect(await fs.readUuid()).toBe(uuid);
    const second = await fs.writeUuid('1b0e7f0a-3f5c-4a57-9a39-0a6a3b7c1d2e').catch((error: unknown) => error);
    expect(second).toBeInstanceOf(ErrnoError);
    expect(second).toMatchObject({ errno: 17 });
    expect(await fs.readUuid()).toBe(uuid);
  });
});
