import { appendFile, chown, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { policyRunSocket } from '../../../src/policy/run/socket.ts';
import { askService } from '../../../src/service/control/client.ts';
import type { StatusSnapshot } from '../../../src/status/types.ts';
import { waitUntil } from '../../support/wait.ts';
import { CLEAN, RELEASED, usePolicyBench } from './policy-bench.ts';

const bench = usePolicyBench({
  config: {
    classes: { sizeable: { definition: 'size >= 8' } },
    policies: {
      archive: { rules: { default: { condition: 'last_mod >= 10s' } }, triggers: [{ on: 'periodic', interval: '1s' }] },
    },
  },
});

interface Status {
  readonly service: string;
  readonly everySeconds: number;
  readonly process: { readonly pid: number };
  readonly last: readonly {
    readonly policy: string;
    readonly outcome: string;
    readonly done?: { readonly files: number };
  }[];
}

test('as a service: looks again and again, is steered by its socket and by SIGHUP, and ends by SIGTERM', async () => {
  const it = bench.it;
  await it.scan();
  const service = it.sandbox.startService(['policy-run', '--every', '1s', '--wait']);
  await service.waitFor('policy-run ready');
  const ask = async (op: string) =>
    await askService(
      {
        directory: join(it.sandbox.dir, 'run-dir'),
        name: policyRunSocket(it.sandbox.mount),
        service: 'policy-run',
        start: 'lfsazsync policy-run --every 5m',
      },
      op,
    );
  expect(await ask('status')).toMatchObject({
    schema: 1,
    service: 'policy-run',
    everySeconds: 1,
    next: expect.stringMatching(/^\d{4}-/),
    names: [],
    process: { pid: service.pid },
  });

  // `status` knows when it looks next.
  const { stdout } = await it.sandbox.run(['status', '--json', '--timeout', '60']);
  expect((JSON.parse(stdout) as StatusSnapshot).policies[0]).toMatchObject({
    ...{ policy: 'archive', triggers: ['every 1s'], by: 'policy-run' },
    next: expect.stringMatching(/^\d{4}-/),
  });

  // Files that come later are found once the catalog knows them.
  const first = await it.write('first');
  await it.scan();
  await it.waitForState(first, CLEAN);
  await waitUntil('the run is told of', async () =>
    ((await ask('status')) as Status).last.some(({ policy, done }) => policy === 'archive' && (done?.files ?? 0) > 0),
  );

  // There is one for a mount; a single run goes between its turns.
  const second = await it.sandbox.run(['policy-run', '--every', '1s'], { timeout: 60_000 });
  expect(second).toMatchObject({ exitCode: 6 });
  expect(await it.sandbox.run(['policy-run', 'archive', '--wait-lock', '1m'])).toMatchObject({ exitCode: 0 });

  // A configuration that is wrong changes nothing; one that is right does.
  const good = await readFile(it.sandbox.configFile, 'utf8');
  await appendFile(it.sandbox.configFile, '\nnonsense: 1\n');
  process.kill(service.pid, 'SIGHUP');
  await service.waitFor('configuration could not be read again, the old one stays in force');
  await writeFile(it.sandbox.configFile, good);
  await it.configure({
    policies: {
      archive: {
        ignore: ['name == "*.tmp"'],
        rules: { default: { condition: 'last_mod >= 10s' } },
        triggers: [{ on: 'periodic', interval: '1s' }],
      },
    },
  });
  process.kill(service.pid, 'SIGHUP');
  await service.waitFor('configuration read again');
  const [left, taken] = [await it.write('left.tmp'), await it.write('taken')];
  await it.scan();
  await it.waitForState(taken, CLEAN);
  expect(await ask('run')).toEqual({ begun: true });
  expect(await it.state(left)).toBe(0);

  expect(await service.stop()).toMatchObject({ exitCode: 143 });
  await service.waitFor('policy-run stopped');
});

test('wrong usage: each with a hint, and nothing done', async () => {
  const it = bench.it;
  const refused = async (...argv: string[]) => {
    const result = await it.sandbox.run(['policy-run', ...argv]);
    expect(result.exitCode, result.stderr).toBe(2);
    expect(result.stderr).toMatch(/hint: /);
    return result.stderr;
  };
  expect(await refused('archiv')).toMatch(/there is no policy 'archiv'[\s\S]*Did you mean 'archive'/);
  expect(await refused('--target', 'user:root')).toMatch(/--target needs the policy/);
  expect(await refused('archive', '--target', 'colour:red')).toMatch(/'colour:red' is not a target/);
  expect(await refused('archive', '--target', 'user:nobody-of-that-name')).toMatch(/whom this machine does not know/);
  expect(await refused('archive', '--target', 'class:none')).toMatch(/there is no class 'none'/);
  expect(await refused('archive', '--ignore-conditions')).toMatch(/--target/);
});

/** Files of 1, 2, 4, … bytes, so that the bytes of a choice say which of them it takes. */
async function targets() {
  const it = bench.it;
  await it.sandbox.simctl(['sim', 'op=pool', 'name=flash', 'osts=1']);
  const make = async (name: string, size: number, ...layout: string[]) => {
    const path = it.path(`targets/${name}`);
    await it.lfs('setstripe', ...layout, path);
    await writeFile(path, Buffer.alloc(size), { flag: 'r+' });
    await it.age(path, 3600);
    return path;
  };
  await mkdir(it.path('targets/sub'), { recursive: true });
  const files = {
    plain: await make('plain', 1, '-c', '1', '-i', '0'),
    owned: await make('sub/owned', 2, '-c', '1', '-i', '0'),
    pooled: await make('pooled', 4, '-c', '1', '-p', 'flash'),
    wide: await make('wide', 8, '-c', '2', '-i', '0'),
    project: await make('sub/project', 16, '-c', '1', '-i', '0'),
  };
  await chown(files.owned, 4001, 4002);
  // As on Lustre from 2.15 on: virtual there, and known by the root's that it is. The stand-in keeps what is put.
  const set = 'import os, sys; os.setxattr(sys.argv[1], "trusted.projid", sys.argv[2].encode())';
  for (const [path, project] of [
    [it.sandbox.mount, '0'],
    [files.project, '42'],
  ] as const) {
    const result = await it.sandbox.exec('python3', ['-c', set, path, project]);
    expect(result.exitCode, result.stderr).toBe(0);
  }
  return files;
}

test('targets of each kind take the files that they say, and no others, to archive and to release', async () => {
  const it = bench.it;
  const { plain, owned, pooled, wide, project } = await targets();
  await it.scan();
  const all = `path:${it.path('targets')}`;
  for (const [target, bytes] of [
    [all, 31],
    [`path:${it.path('targets/sub')}`, 2 + 16],
    [`path:${it.path('targets/su')}`, 0],
    ['user:4001', 2],
    ['group:4002', 2],
    ['project:42', 16],
    ['project:4', 0],
    ['ost:1', 4 + 8],
    ['ost:17', 0],
    ['pool:flash', 4],
    ['pool:fla', 0],
    ['class:sizeable', 8 + 16],
    ['class:big_files', 0],
  ] as const) {
    const { exitCode, matched, asked } = await it.one('archive', '--target', target, '--dry-run');
    expect([target, exitCode, matched?.bytes, asked?.bytes]).toEqual([target, 0, bytes, bytes]);
  }
  const files = [plain, owned, pooled, wide, project];
  await it.one('archive', '--target', 'pool:flash', '--wait');
  expect(await it.states(files)).toEqual([0, 0, CLEAN, 0, 0]);
  await it.one('archive', '--target', all, '--wait');
  expect(await it.states(files)).toEqual(files.map(() => CLEAN));
  for (const [target, states] of [
    ['project:42', [CLEAN, CLEAN, CLEAN, CLEAN, RELEASED]],
    ['pool:flash', [CLEAN, CLEAN, RELEASED, CLEAN, RELEASED]],
    ['ost:1', [CLEAN, CLEAN, RELEASED, RELEASED, RELEASED]],
    ['group:4002', [CLEAN, RELEASED, RELEASED, RELEASED, RELEASED]],
  ] as const) {
    await it.one('release', '--target', target, '--ignore-conditions');
    expect([target, await it.states(files)]).toEqual([target, states]);
  }
});

test('--ignore-conditions takes what is not due yet, limits end a run', async () => {
  const it = bench.it;
  const young = await it.write('targets/young', 'x', 0);
  await it.age(young, -3600);
  await it.scan();
  expect(await it.one('archive', '--target', `path:${young}`)).toMatchObject({ asked: { files: 0 } });
  expect(await it.one('archive', '--target', `path:${young}`, '--ignore-conditions', '--wait')).toMatchObject({
    done: { files: 1 },
  });
  await it.writeAll('limits', ['one', 'two', 'three'], '12345');
  await it.scan();
  const limited = async (...limits: string[]) =>
    await it.one('archive', '--target', `path:${it.path('limits')}`, '--dry-run', ...limits);
  expect(await limited()).toMatchObject({ outcome: 'complete', asked: { files: 3, bytes: 15 } });
  expect(await limited('--max-files', '2')).toMatchObject({ outcome: 'limit', asked: { files: 2 } });
  expect(await limited('--max-bytes', '11B')).toMatchObject({ outcome: 'limit', asked: { files: 2, bytes: 10 } });
  // One in an hour: the time is over before the second, on a slow machine before the first.
  await it.configure({
    policies: { archive: { rules: { default: {} }, rate_limit: { files: 1, period: '1h' } } },
  });
  const brief = await it.one('archive', '--target', `path:${it.path('limits')}`, '--max-duration', '3s');
  expect(brief).toMatchObject({ exitCode: 0, outcome: 'limit' });
  expect(brief.asked?.files).toBeLessThan(2);
});

test('without a catalog, or as somebody else: told what to do', async () => {
  const it = bench.it;
  const env = { LFSAZSYNC_STATE_DIR: join(it.sandbox.dir, 'nowhere') };
  const missing = await it.sandbox.run(['policy-run'], { env });
  expect(missing).toMatchObject({ exitCode: 1 });
  expect(missing.stderr).toMatch(/hint: Run `lfsazsync scan` once/);
});
