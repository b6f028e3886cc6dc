import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { policyRunSocket } from '../../../src/policy/run/socket.ts';
import { askService } from '../../../src/service/control/client.ts';
import type { StatusSnapshot } from '../../../src/status/types.ts';
import { waitUntil } from '../../support/wait.ts';
import { CLEAN, usePolicyBench } from './policy-bench.ts';

const bench = usePolicyBench({
  config: {
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

test('targets of each kind take what they say, and --ignore-conditions what is not due yet', async () => {
  const it = bench.it;
  const young = await it.write('targets/young', 'x', 0);
  await it.age(young, -3600);
  await it.scan();
  for (const target of ['user:root', 'user:0', 'group:0', 'class:small_files', `path:${it.path('targets')}`, 'all']) {
    const { exitCode, matched } = await it.one('archive', '--target', target, '--ignore-conditions', '--dry-run');
    expect([target, exitCode, (matched?.files ?? 0) > 0]).toEqual([target, 0, true]);
  }
  for (const target of ['user:4711', 'project:99', 'ost:1717', 'pool:none', 'class:big_files', 'path:/no/where']) {
    const { exitCode, asked } = await it.one('archive', '--target', target, '--ignore-conditions', '--dry-run');
    expect([target, exitCode, asked?.files]).toEqual([target, 0, 0]);
  }
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
