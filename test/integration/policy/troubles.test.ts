import { appendFile, mkdir, open, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { HSM } from '../../../src/lustre/hsm-state.ts';
import { startGateway } from '../../support/blob-gateway.ts';
import type { ServiceProcess } from '../../support/service-process.ts';
import { waitUntil } from '../../support/wait.ts';
import { actions, setParameter } from '../lustre-sim/fixture.ts';
import { CLEAN, RELEASED, usePolicyBench } from './policy-bench.ts';

// What a run does when something is down, held up, in the way, or changes under its hands: each ends as documented.

const bench = usePolicyBench({
  copytool: false,
  config: {
    policies: {
      archive: { rules: { default: { condition: 'last_mod >= 10s' } }, max_outstanding: 20 },
      release: { rules: { default: { condition: 'last_access > 1min' } } },
      scratch: {
        action: 'archive',
        rules: { default: { condition: 'tree == "**/keep" and last_mod >= 10s' } },
        triggers: [{ on: 'manual' }],
      },
    },
  },
});

let copytool: ServiceProcess | undefined;
afterEach(async () => {
  await copytool?.stop();
  copytool = undefined;
  await bench.it.sandbox.simctl(['fault', 'clear=all']);
  await bench.it.sandbox.simctl(['sim', 'op=hsm_list', 'max=0']);
});
const startCopytool = async () => {
  copytool = await bench.it.sandbox.startCopytool();
};

const files = async (directory: string, count: number, content?: string | Buffer) => {
  const names = Array.from({ length: count }, (_, index) => `f${index}`);
  return await bench.it.writeAll(directory, names, content);
};
const under = async () =>
  (await actions(bench.it.sandbox)).filter(
    ({ status, action }) => action !== 'CANCEL' && /WAITING|STARTED/.test(status),
  );
const target = (directory: string) => ['--target', `path:${bench.it.path(directory)}`];

/** Archives what is in a directory by the policy. */
async function archived(directory: string, count: number, content?: string | Buffer): Promise<string[]> {
  const paths = await files(directory, count, content);
  await bench.it.scan();
  if (copytool === undefined) await startCopytool();
  const { done } = await bench.it.one('archive', ...target(directory), '--wait');
  expect(done?.files).toBe(count);
  return paths;
}

test('without a copytool no more is asked for than the ceiling; the next runs ask for nothing twice; cancels and restores get through (lesson 22)', async () => {
  const it = bench.it;
  const paths = await files('ceiling', 50);
  await it.scan();
  const first = await it.stalled('archive', ...target('ceiling'));
  expect(first, first.stderr).toMatchObject({
    exitCode: 5,
    outcome: 'stalled',
    asked: { files: 20 },
    outstanding: { files: 20 },
  });
  expect(await under()).toHaveLength(20);
  const again = await it.stalled('archive', ...target('ceiling'));
  expect(again).toMatchObject({ exitCode: 5, outcome: 'stalled', asked: { files: 0 }, outstanding: { files: 20 } });
  expect(await under()).toHaveLength(20);
  // A cancel does not stand behind 50 archives.
  await it.lfs('hsm_cancel', paths[0] as string);
  await startCopytool();
  const last = await it.one('archive', ...target('ceiling'), '--wait');
  // The one that was cancelled may count as failed.
  expect(last, last.stderr).toMatchObject({ outcome: 'complete', outstanding: { files: 0 } });
  expect(last.failed?.files).toBeLessThanOrEqual(1);
  const states = await it.states(paths);
  expect(states.filter((state) => state === CLEAN).length).toBeGreaterThanOrEqual(49);
});

test('hsm_control=disabled: requests wait, and are carried out once it is enabled', async () => {
  const it = bench.it;
  const paths = await files('disabled', 5);
  await it.scan();
  await startCopytool();
  await setParameter(it.sandbox, 'mdt.*.hsm_control', 'disabled');
  try {
    expect(await it.one('archive', ...target('disabled'))).toMatchObject({
      exitCode: 0,
      asked: { files: 5 },
      outstanding: { files: 5 },
    });
    expect(await it.stalled('archive', ...target('disabled'), '--wait')).toMatchObject({
      exitCode: 5,
      outcome: 'stalled',
      asked: { files: 0 },
    });
  } finally {
    await setParameter(it.sandbox, 'mdt.*.hsm_control', 'enabled');
  }
  expect(await it.one('archive', ...target('disabled'), '--wait')).toMatchObject({
    exitCode: 0,
    asked: { files: 0 },
    done: { files: 5 },
  });
  expect(await it.states(paths)).toEqual(paths.map(() => CLEAN));
});

test('with the endpoint down, archives are asked for once and wait with the copytool; nothing fails, and the next run learns that they are done', async () => {
  const it = bench.it;
  const paths = await files('outage', 5, 'kept');
  await it.scan();
  const endpoint = /BlobEndpoint=([^;]+)/.exec(it.sandbox.connectionString)?.[1] ?? '';
  const gateway = await startGateway(endpoint);
  try {
    const env = { AZURE_STORAGE_CONNECTION_STRING: it.sandbox.connectionString.replace(endpoint, gateway.endpoint) };
    const run = async (...argv: string[]) => {
      const { exitCode, stdout } = await it.sandbox.run(
        ['policy-run', 'archive', ...target('outage'), ...argv, '--json'],
        {
          env: { ...env, LFSAZSYNC_POLICY_RUN_STALL_TIMEOUT: '2s' },
        },
      );
      return { exitCode, ...JSON.parse(stdout).policies[0] };
    };
    copytool = await it.sandbox.startCopytool([], env);
    gateway.interfere = () => 'cut';
    const nothing = { done: { files: 0 }, failed: { files: 0 }, outstanding: { files: 5 } };
    expect(await run()).toMatchObject({ exitCode: 0, outcome: 'complete', asked: { files: 5 }, ...nothing });
    await copytool.waitFor('endpoint out of reach, actions are held');
    expect(await run('--wait')).toMatchObject({ exitCode: 5, outcome: 'stalled', asked: { files: 0 }, ...nothing });
    expect(await under()).toHaveLength(5);
    for (const state of await it.states(paths)) expect(state & HSM.ARCHIVED).toBe(0);
    expect(JSON.parse((await it.sandbox.run(['policy', 'failures', '--json'])).stdout).failures).toEqual([]);
    gateway.interfere = () => undefined;
    expect(await it.one('archive', ...target('outage'), '--wait')).toMatchObject({
      ...{ exitCode: 0, outcome: 'complete', asked: { files: 0 } },
      ...{ done: { files: 5 }, failed: { files: 0 }, outstanding: { files: 0 } },
    });
    expect(await it.states(paths)).toEqual(paths.map(() => CLEAN));
    for (const path of paths) {
      const blob = it.sandbox.containerClient.getBlobClient(it.sandbox.blobName(path));
      expect((await blob.downloadToBuffer()).toString()).toBe('kept');
    }
  } finally {
    gateway.interfere = () => undefined;
    await copytool?.stop();
    copytool = undefined;
    await gateway.stop();
  }
});

test('a coordinator that is shut down, or whose list runs full, ends the run with 5, and nothing is counted as failed', async () => {
  const it = bench.it;
  await files('down', 5);
  await it.scan();
  await setParameter(it.sandbox, 'mdt.*.hsm_control', 'shutdown');
  try {
    await waitUntil('the coordinator is down', async () =>
      (await it.sandbox.serverLctl(['get_param', '-n', 'mdt.*.hsm_control'])).stdout.startsWith('stopped'),
    );
    const down = await it.one('archive', ...target('down'));
    expect(down).toMatchObject({
      exitCode: 5,
      outcome: 'stopped',
      asked: { files: 0 },
      failed: { files: 0 },
      outstanding: { files: 0 },
    });
    expect(down.error).toMatchObject({ code: 'COORDINATOR_DOWN' });
  } finally {
    await setParameter(it.sandbox, 'mdt.*.hsm_control', 'enabled');
  }
  // It has room for three: they are taken, and the request as a whole is refused. (What a real one does: FAULTS.md of the stand-in.)
  await it.sandbox.simctl(['sim', 'op=hsm_list', 'max=3']);
  const full = await it.one('archive', ...target('down'));
  expect(full, JSON.stringify(full)).toMatchObject({
    exitCode: 5,
    outcome: 'stopped',
    asked: { files: 3 },
    outstanding: { files: 3 },
    failed: { files: 0 },
    error: { code: 'COORDINATOR_FULL' },
  });
  expect(await under()).toHaveLength(3);
  // Nothing is asked for twice, by hand or by the policy, and what is full stays so.
  const byHand = await it.sandbox.run(['archive', '-r', it.path('down'), '--json']);
  expect([byHand.exitCode, JSON.parse(byHand.stdout).error?.code], byHand.stdout).toEqual([5, 'COORDINATOR_FULL']);
  expect(await it.one('archive', ...target('down'))).toMatchObject({ exitCode: 5, asked: { files: 0 } });
  expect(await under()).toHaveLength(3);
  await it.sandbox.simctl(['sim', 'op=hsm_list', 'max=0']);
  await startCopytool();
  expect(await it.one('archive', ...target('down'), '--wait')).toMatchObject({
    exitCode: 0,
    asked: { files: 2 },
    done: { files: 5 },
    outstanding: { files: 0 },
  });
});

test('a second run of the same policy says who is at work, or waits; another policy goes on', async () => {
  const it = bench.it;
  await files('locked', 30);
  await it.scan();
  // The first one waits at the ceiling until a copytool comes.
  const first = it.sandbox.startService(['policy-run', 'archive', ...target('locked'), '--wait', '--json']);
  await waitUntil('the first run has asked', async () => (await under()).length >= 10);
  const second = await it.sandbox.run(['policy-run', 'archive', '--json', ...target('locked')]);
  expect(second.exitCode).toBe(6);
  expect(JSON.parse(second.stdout).policies[0]).toMatchObject({
    outcome: 'locked',
    error: { code: 'POLICY_RUNNING', message: expect.stringContaining(`process ${first.pid} since`) },
  });
  const other = await it.one('release', ...target('locked'));
  expect(other).toMatchObject({ exitCode: 0, outcome: 'complete' });
  await startCopytool();
  const third = await it.one('archive', ...target('locked'), '--wait-lock', '2m', '--wait');
  expect(third).toMatchObject({ exitCode: 0, outstanding: { files: 0 } });
  await first.exited();
});

describe('a release', () => {
  test('looks at each file once more: what a catalog of yesterday says does not count (lessons 32, 33)', async () => {
    const it = bench.it;
    const paths = await archived('stale', 8);
    const [good, written, read, kept, lost, gone, renamed, busy] = paths as [
      string,
      string,
      string,
      string,
      string,
      string,
      string,
      string,
    ];
    await appendFile(written, 'more');
    await utimes(written, new Date(Date.now() - 3600_000), new Date(Date.now() - 3600_000));
    await utimes(read, new Date(), new Date(Date.now() - 3600_000));
    await it.lfs('hsm_set', '--norelease', kept);
    await it.lfs('hsm_set', '--lost', lost);
    await rm(gone);
    await mkdir(it.path('elsewhere'), { recursive: true });
    await rename(renamed, it.path('elsewhere/renamed'));
    // Somebody has it open for writing, and has not written yet.
    const writers = [await open(busy, 'r+'), await open(busy, 'r+')];
    const result = await it.one('release', ...target('stale'));
    for (const writer of writers) await writer.close();
    expect(result, JSON.stringify(result)).toMatchObject({ exitCode: 0, done: { files: 1 }, failed: { files: 0 } });
    expect(result.skipped).toEqual({
      ...{ DIRTY: 1, NOT_DUE: 1, NORELEASE: 1, LOST: 1, VANISHED: 1, OUT_OF_TARGET: 1, IN_USE: 1 },
    });
    expect(await it.states([good, busy])).toEqual([RELEASED, CLEAN]);
    expect((await it.state(lost)) & HSM.RELEASED).toBe(0);
    expect(await it.state(it.path('elsewhere/renamed'))).toBe(CLEAN);
  });

  test('of clean files whose copy is gone, or whose data is another, marks them dirty; they are archived again and released (lessons 46, 47)', async () => {
    const it = bench.it;
    const paths = await archived('stuck', 12);
    const [missing, changed] = [paths[3] as string, paths[7] as string];
    await it.sandbox.containerClient.getBlobClient(it.sandbox.blobName(missing)).delete();
    // As a write leaves it that comes just between an archive's end and its completion: clean, and of other data.
    await appendFile(changed, ' and more');
    await it.lfs('hsm_clear', '--dirty', changed);
    await it.age(changed, 3600);
    await it.scan();
    const first = await it.one('release', ...target('stuck'));
    expect(first, JSON.stringify(first)).toMatchObject({
      done: { files: 10 },
      markedDirty: { files: 2 },
      failed: { files: 0 },
    });
    expect(await it.states([missing, changed])).toEqual([CLEAN | HSM.DIRTY, CLEAN | HSM.DIRTY]);
    expect(await it.one('archive', ...target('stuck'), '--wait')).toMatchObject({ done: { files: 2 } });
    // They failed once: they are left alone for a while, or until somebody says so.
    expect(await it.one('release', ...target('stuck'))).toMatchObject({ skipped: { BACKOFF: 2 } });
    const failures = await it.sandbox.run(['policy', 'failures', '--json']);
    expect(JSON.parse(failures.stdout).failures).toMatchObject([
      { policy: 'release', failures: 1 },
      { policy: 'release', failures: 1 },
    ]);
    expect(await it.sandbox.run(['policy', 'retry', '--all', '--json'])).toMatchObject({ exitCode: 0 });
    expect(await it.one('release', ...target('stuck'))).toMatchObject({ done: { files: 2 } });
    expect(await it.states(paths)).toEqual(paths.map(() => RELEASED));
  });

  test('does not let go of anything while the container can’t be asked', async () => {
    const it = bench.it;
    const paths = await archived('unreachable', 3);
    const nowhere = it.sandbox.connectionString.replace(/127\.0\.0\.1:\d+/, '127.0.0.1:9');
    const env = { AZURE_STORAGE_CONNECTION_STRING: nowhere };
    const result = await it.sandbox.run(['policy-run', 'release', ...target('unreachable'), '--json'], { env });
    expect(result.exitCode, result.stderr).toBe(5);
    expect(JSON.parse(result.stdout).policies[0]).toMatchObject({ outcome: 'stopped', done: { files: 0 } });
    expect(await it.states(paths)).toEqual(paths.map(() => CLEAN));
  });
});

test('a rule about a directory: what was renamed out of it since the scan is not asked for (lesson 20)', async () => {
  const it = bench.it;
  await files('keep/sub', 4);
  await it.scan();
  // The scan has met it by its FID: FUSE wants to see it at its path again before it is renamed.
  await stat(it.path('keep/sub'));
  await rename(it.path('keep/sub'), it.path('moved'));
  await it.write('keep/new', 'new');
  expect(await it.one('scratch')).toMatchObject({ asked: { files: 0 }, skipped: { NOT_DUE: 4 } });
  await it.scan();
  await startCopytool();
  expect(await it.one('scratch', '--wait')).toMatchObject({ asked: { files: 1 }, done: { files: 1 } });
});

test('names of any kind, hard links and empty files are archived; what is held open without a name is left out', async () => {
  const it = bench.it;
  const odd = [Buffer.from('new\nline'), Buffer.from([0x62, 0xff]), Buffer.from(' -rf "$x"'), Buffer.from("it's")];
  await mkdir(it.path('odd'));
  for (const name of odd) {
    const path = Buffer.concat([Buffer.from(`${it.path('odd')}/`), name]);
    await writeFile(path, 'content');
    await utimes(path, 1, 1);
  }
  await it.write('odd/empty', '');
  await it.scan();
  await startCopytool();
  expect(await it.one('archive', ...target('odd'), '--wait')).toMatchObject({
    exitCode: 0,
    done: { files: 5 },
    failed: { files: 0 },
  });
});

test('killed anywhere, a run leaves nothing that the next one does not put right', async () => {
  const it = bench.it;
  const paths = await files('killed', 60);
  await it.scan();
  const numbers = async () => new Set((await it.runs()).map(({ id }) => id));
  const asked = () =>
    it.withCatalog(async (catalog) => {
      let count = 0;
      for await (const rows of catalog.asked('archive')) count += rows.length;
      return count;
    });
  // Each at another moment of its own: as it begins, with some asked for or all that the ceiling allows, waiting there.
  for (const moment of ['begun', 'intended', 'queued', 'full', 'begun', 'full'] as const) {
    const before = await numbers();
    const run = it.sandbox.startService(['policy-run', 'archive', ...target('killed'), '--wait']);
    await waitUntil(`a run has ${moment}`, async () => {
      const begun = [...(await numbers())].some((id) => !before.has(id));
      if (moment === 'begun') return begun;
      if (moment === 'intended') return begun && (await asked()) > 0;
      return begun && (await under()).length >= (moment === 'queued' ? 1 : 20);
    });
    await run.crash();
  }
  await startCopytool();
  const last = await it.one('archive', ...target('killed'), '--wait');
  expect(last, JSON.stringify(last)).toMatchObject({
    exitCode: 0,
    outcome: 'complete',
    failed: { files: 0 },
    outstanding: { files: 0 },
  });
  await waitUntil('all are archived', async () => (await it.states(paths)).every((state) => state === CLEAN));
  const runs = (await it.runs()).filter(({ name }) => name === 'archive');
  expect(runs.every(({ ended }) => ended !== undefined)).toBe(true);
  await it.withCatalog(async (catalog) => {
    expect(await catalog.check()).toEqual([]);
    for await (const rows of catalog.asked('archive')) expect(rows).toEqual([]);
  });
});

test('while users are at work, everything that was left alone for long enough is archived, and nothing else is wrong', async () => {
  const it = bench.it;
  const paths = await files('busy', 80);
  await it.scan();
  await startCopytool();
  let over = false;
  const work = (async () => {
    for (let n = 0; !over; n++) {
      const path = paths[n % 20] as string;
      await appendFile(path, 'x');
      if (n % 3 === 0) await rename(path, `${path}.tmp`).then(() => rename(`${path}.tmp`, path));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  })();
  const during = await it.one('archive', ...target('busy'), '--wait');
  over = true;
  await work;
  expect(during.exitCode, JSON.stringify(during)).toBe(0);
  for (const path of paths.slice(20)) expect(await it.state(path)).toBe(CLEAN);
  for (const path of paths.slice(0, 20)) await it.age(path, 3600);
  await it.scan();
  expect(await it.one('archive', ...target('busy'), '--wait')).toMatchObject({ exitCode: 0, failed: { files: 0 } });
  expect(await it.states(paths)).toEqual(paths.map(() => CLEAN));
  for (const path of paths.slice(0, 20)) {
    const blob = it.sandbox.containerClient.getBlobClient(it.sandbox.blobName(path));
    expect((await blob.downloadToBuffer()).equals(await readFile(path))).toBe(true);
  }
});

test('a dry run asks for nothing, writes nothing, and says what it would do (lesson 31)', async () => {
  const it = bench.it;
  await files('dry', 7);
  await it.scan();
  const file = join(it.sandbox.dir, 'state/catalog.db');
  const sum = async () => (await it.sandbox.exec('sha256sum', [file])).stdout;
  const before = await sum();
  const result = await it.sandbox.run(['policy-run', 'archive', '--dry-run', ...target('dry')]);
  expect(result.exitCode).toBe(0);
  expect(result.stdout).toMatch(
    /archive: would archive 7 files .*\n {2}about 1 requests to the coordinator, 7 writes, 0 reads, 14 other operations .*\n {2}no more can be said of its cost without prices\.tiers\.Hot\.writes,/,
  );
  expect(await sum()).toBe(before);
  expect(await under()).toEqual([]);
  expect((await it.runs()).some(({ detail }) => JSON.stringify(detail).includes('dryRun'))).toBe(false);
});

test('a bulk restore never has more under way than its ceiling (lesson 23)', async () => {
  const it = bench.it;
  const paths = await archived('storm', 40);
  expect(await it.one('release', ...target('storm'))).toMatchObject({ done: { files: 40 } });
  await it.configure({ request: { poll_interval: '200ms', restore_outstanding: 10, batch: 5 } });
  // The list has room for so many: one more at any time, and the command would end with an error.
  await it.sandbox.simctl(['sim', 'op=hsm_list', 'max=10']);
  await setParameter(it.sandbox, 'mdt.*.hsm_control', 'disabled');
  const restoring = it.sandbox.startService(['restore', '-r', it.path('storm')]);
  await waitUntil('restores are asked for', async () => (await under()).length === 10);
  await setParameter(it.sandbox, 'mdt.*.hsm_control', 'enabled');
  expect(await restoring.exited(), restoring.log.text()).toMatchObject({ exitCode: 0 });
  await it.sandbox.simctl(['sim', 'op=hsm_list', 'max=0']);
  await waitUntil('all are back', async () => (await it.states(paths)).every((state) => state === CLEAN));
});
