import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');
const EXECUTABLE = join(ROOT, 'bin/lfsazsync');

let folder: string;
beforeAll(() => {
  if (!existsSync(join(ROOT, 'dist/src/cli/main.js'))) throw new Error("not built: run 'npm run build'");
});
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lfsazsync-bin-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Runs a program with only the environment given, from the scratch folder. */
function start(program: string, args: readonly string[], env: Record<string, string> = {}) {
  const { status, stdout, stderr } = spawnSync(program, args, {
    cwd: folder,
    env: { PATH: '/usr/bin:/bin', ...env },
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 20_000,
  });
  return { status, stdout, stderr };
}

const version = (JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }).version;

describe('bin/lfsazsync', () => {
  it('runs from any directory, by a relative path and through symlinks', () => {
    mkdirSync(join(folder, 'a b'));
    symlinkSync(EXECUTABLE, join(folder, 'a b/absolute'));
    symlinkSync('a b/absolute', join(folder, 'relative'));
    for (const path of [EXECUTABLE, relative(folder, EXECUTABLE), 'a b/absolute', './relative']) {
      expect(start(path, ['--version'])).toMatchObject({
        status: 0,
        stdout: expect.stringContaining(`lfsazsync/${version} `),
        stderr: '',
      });
    }
  });

  /** A project without a runtime of its own, and a PATH whose `node` says it is of some version. */
  function withNode(says: string | undefined) {
    const project = join(folder, 'project');
    mkdirSync(join(project, 'dist/src/cli'), { recursive: true });
    cpSync(join(ROOT, 'bin'), join(project, 'bin'), { recursive: true });
    writeFileSync(join(project, 'dist/src/cli/main.js'), '');
    const programs = join(folder, 'programs');
    mkdirSync(programs);
    for (const name of ['uname', 'readlink', 'dirname', 'sh']) symlinkSync(`/usr/bin/${name}`, join(programs, name));
    if (says !== undefined) {
      writeFileSync(
        join(programs, 'node'),
        `#!/bin/sh\n[ "$1" = --version ] && { echo ${says}; exit; }\necho "ran $*"\n`,
      );
      chmodSync(join(programs, 'node'), 0o755);
    }
    return start(join(project, 'bin/lfsazsync'), ['config', 'a b'], { PATH: programs });
  }

  it.each(['v20.20.2', 'v22.18.0', 'v9.0.0', 'nonsense'])('refuses Node %s, and says which one it needs', (says) => {
    const { status, stdout, stderr } = withNode(says);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toContain(`error: lfsazsync needs Node.js 22.19 or newer, but only ${says} is in PATH`);
    expect(stderr).toMatch(/hint: run 'npm ci' in .*project/);
  });

  it('says so when there is no Node at all', () => {
    expect(withNode(undefined)).toMatchObject({ status: 2, stderr: expect.stringContaining('but none is in PATH') });
  });

  it.each(['v22.19.0', 'v24.0.0', 'v26.10.0'])('takes Node %s from PATH', (says) => {
    expect(withNode(says)).toMatchObject({
      status: 0,
      stdout: `ran --disable-warning=ExperimentalWarning ${join(folder, 'project')}/bin/run.js config a b\n`,
    });
  });

  it('says how to build when it is not built', () => {
    const project = join(folder, 'project');
    cpSync(join(ROOT, 'bin'), join(project, 'bin'), { recursive: true });
    expect(start(join(project, 'bin/lfsazsync'), [])).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("run 'npm run setup'"),
    });
  });

  it('does not mind a reader that has gone away', () => {
    const script = `exec 9> >(true); wait $!; "$0" config show --json >&9`;
    const env = { LFSAZSYNC_MOUNT: '/mnt/lustre' };
    expect(start('bash', ['-c', script, EXECUTABLE], env)).toEqual({ status: 0, stdout: '', stderr: '' });
    expect(start('bash', ['-c', 'set -o pipefail; "$0" --help | head -n 1', EXECUTABLE])).toMatchObject({
      status: 0,
      stderr: '',
    });
  });
});

it.each([
  ['for people', ['config', 'show']],
  ['as JSON', ['config', 'show', '--json']],
  ['help', ['--help']],
  ['an error as JSON', ['config', 'shwo', '--json']],
])('does not end well when its output can’t be written: %s', (_, args) => {
  const { status, stderr } = start('sh', ['-c', 'exec "$0" "$@" >/dev/full', EXECUTABLE, ...args], {
    LFSAZSYNC_MOUNT: '/m',
  });
  expect(status).toBe(1);
  expect(stderr).toMatch(/^error: can't write to standard output: ENOSPC/);
});

it.each(['test', 'development', 'production'])(
  'never looks for TypeScript, which a package has not: NODE_ENV=%s',
  (mode) => {
    const hook = join(folder, 'packaged.cjs');
    writeFileSync(
      hook,
      `const modules = require('node:module');
    const find = modules._resolveFilename;
    modules._resolveFilename = (name, ...rest) => {
      if (/(^|[/])typescript$/.test(name)) throw Object.assign(new Error('not in a package'), { code: 'MODULE_NOT_FOUND' });
      return find(name, ...rest);
    };`,
    );
    const env = { NODE_ENV: mode, NODE_OPTIONS: `--require ${hook}`, LFSAZSYNC_MOUNT: '/m' };
    expect(start(EXECUTABLE, ['config', 'show'], env)).toMatchObject({ status: 0, stderr: '' });
  },
);

it('looks for nothing in the user’s home', () => {
  // A file in the way of a directory fails for root, too, where a missing permission would not.
  const home = join(folder, 'home');
  writeFileSync(home, '');
  expect(start(EXECUTABLE, ['config', 'show'], { HOME: home, LFSAZSYNC_MOUNT: '/m' })).toMatchObject({
    status: 0,
    stderr: '',
  });
});

describe('errors', () => {
  it('go to standard error, with a hint and the exit code of the table', () => {
    expect(start(EXECUTABLE, ['config', 'shwo'])).toEqual({
      status: 2,
      stdout: '',
      stderr: "error: there is no command 'config shwo'\nhint: Did you mean 'lfsazsync config show'?\n",
    });
    const { status, stderr } = start(EXECUTABLE, ['config', 'show', '--config', 'none.yaml']);
    expect({ status, stderr }).toEqual({
      status: 2,
      stderr:
        "error: can't read the configuration none.yaml: no such file\nhint: Write one with 'lfsazsync config init none.yaml'.\n",
    });
  });

  it.each([
    ['an unknown flag', ['config', 'show', '--json', '--nope'], 'USAGE'],
    ['a wrong choice', ['config', 'show', '--json', '--log-level', 'loud'], 'USAGE'],
    ['an unknown command', ['nope', '--json'], 'USAGE'],
    ['a bad configuration', ['config', 'validate', '--json', 'bad.yaml'], 'CONFIG_INVALID'],
  ])('are an object of four fields with --json: %s', (_, args, code) => {
    writeFileSync(join(folder, 'bad.yaml'), 'mount: /m\nsas: "sig=SECRET"\n');
    const { status, stdout, stderr } = start(EXECUTABLE, args);
    expect({ status, stderr }).toEqual({ status: 2, stderr: '' });
    const { error, ...rest } = JSON.parse(stdout) as { error: Record<string, unknown> };
    expect(rest).toEqual({});
    expect(Object.keys(error)).toEqual(['code', 'message', 'hint', 'exit']);
    expect(error).toMatchObject({ code, exit: 2 });
    expect(stdout).not.toContain('SECRET');
  });

  it.each([
    ['import', '--archive', '--archive-id'],
    ['archive', '--archive-id', '--archive'],
  ])('of a value are one line; %s takes %s as well', (command, alias, flag) => {
    const { status, stderr } = start(EXECUTABLE, [command, alias, '70000']);
    expect({ status, stderr }).toEqual({
      status: 2,
      stderr: `error: ${flag}: Expected an integer less than or equal to 65535 but received: 70000\nhint: Add --help to see what the command takes.\n`,
    });
  });

  it('have no colour where nobody asked for it', () => {
    for (const env of [{}, { NO_COLOR: '1' }, { NO_COLOR: '1', TERM: 'xterm-256color' }]) {
      const { stderr } = start(EXECUTABLE, ['nope'], env as Record<string, string>);
      expect(stderr.includes('\u001b')).toBe(false);
    }
  });
});

describe('lfsazsync config', () => {
  it('goes from nothing to a configuration in force', () => {
    const file = join(folder, 'etc/config.yaml');
    expect(start(EXECUTABLE, ['config', 'init', file])).toMatchObject({
      status: 0,
      stdout: expect.stringContaining(`Wrote ${file}`),
    });
    expect(start(EXECUTABLE, ['config', 'init', file])).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('--force'),
    });
    expect(start(EXECUTABLE, ['config', 'init', '--force', file]).status).toBe(0);
    expect(start(EXECUTABLE, ['config', 'validate', file])).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('is valid'),
      stderr: expect.stringMatching(
        /^warning: archives\.1\.endpoint is still the template's .*\nwarning: archives\.1\.container is still .*\n$/,
      ),
    });
    const filled = readFileSync(file, 'utf8').replace('your-account', 'acme').replace('your-container', 'lustre');
    writeFileSync(file, filled);
    expect(start(EXECUTABLE, ['config', 'validate', file])).toMatchObject({ status: 0, stderr: '' });
    const shown = start(EXECUTABLE, ['config', 'show', '--json', '--log-level', 'debug'], {
      LFSAZSYNC_CONFIG: file,
      LFSAZSYNC_RUN_DIR: '/r',
    });
    const { settings } = JSON.parse(shown.stdout) as { settings: { path: string }[] };
    const byPath = Object.fromEntries(settings.map((setting) => [setting.path, setting]));
    expect(byPath['mount']).toEqual({
      path: 'mount',
      value: '/mnt/lustre',
      origin: { kind: 'file', file, line: 5, column: 8 },
    });
    expect(byPath['run_dir']).toEqual({
      path: 'run_dir',
      value: '/r',
      origin: { kind: 'environment', name: 'LFSAZSYNC_RUN_DIR' },
    });
    expect(byPath['log.level']).toEqual({
      path: 'log.level',
      value: 'debug',
      origin: { kind: 'flag', name: '--log-level' },
    });
    expect(start(EXECUTABLE, ['config', 'show', '--config', file]).stdout).toMatch(/^request\.batch +50 +default$/m);
  });
});

it('loads nothing of Azure and no engine for a light command', () => {
  const hook = join(folder, 'watch.mjs');
  writeFileSync(
    hook,
    `import { registerHooks } from 'node:module';
     registerHooks({ load(url, context, next) { process.stderr.write(url + '\\n'); return next(url, context); } });`,
  );
  const { status, stderr } = start(EXECUTABLE, ['config', 'show'], {
    NODE_OPTIONS: `--import ${hook}`,
    LFSAZSYNC_MOUNT: '/m',
  });
  expect(status).toBe(0);
  expect(stderr).toContain('/dist/src/config/load.js');
  expect(stderr).not.toMatch(/node_modules\/(@azure|pino|execa)|\/dist\/src\/(blob|lustre|copytool|request)\//);
});

it('has a manifest of its commands as they are', () => {
  const { status, stderr } = start('sh', [join(ROOT, 'scripts/manifest'), '--check'], { HOME: folder });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
});
