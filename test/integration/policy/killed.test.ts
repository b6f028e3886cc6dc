import { expect, test } from 'vitest';
import { RUN_STEPS } from '../../../src/policy/run/steps.ts';
import { Steps } from '../../support/steps.ts';
import { waitUntil } from '../../support/wait.ts';
import { RELEASED, usePolicyBench } from './policy-bench.ts';

// kill -9 of a run, after each of its steps: the next run puts everything right.

const bench = usePolicyBench({
  config: {
    policies: {
      archive: { rules: { default: { condition: 'last_mod >= 10s' } } },
      release: { rules: { default: { condition: 'last_access > 1min' } }, backoff: { first: '1s' } },
    },
  },
});

let steps: Steps | undefined;

test.each(RUN_STEPS)('killed after %s', async (step) => {
  const it = bench.it;
  steps ??= new Steps(it.sandbox);
  const directory = step.replace('.', '-');
  const paths = await it.writeAll(directory, ['one', 'two', 'three']);
  await it.scan();
  const target = ['--target', `path:${it.path(directory)}`];
  const inArchive = step === 'policy.intended' || step === 'policy.ended';
  if (!inArchive) expect(await it.one('archive', ...target, '--wait')).toMatchObject({ done: { files: 3 } });
  // One of them can't be released as it is: its copy is gone.
  const client = it.sandbox.containerClient;
  if (step === 'policy.marked-dirty') await client.getBlobClient(it.sandbox.blobName(paths[1] as string)).delete();

  const held = steps.hold(step);
  const run = it.sandbox.startService(
    ['policy-run', inArchive ? 'archive' : 'release', ...target, '--wait'],
    steps.env,
  );
  await held.reached();
  await run.crash();
  held.release();

  const archive = await it.one('archive', ...target, '--wait');
  expect(archive, JSON.stringify(archive)).toMatchObject({
    exitCode: 0,
    failed: { files: 0 },
    outstanding: { files: 0 },
  });
  await waitUntil('everything is released', async () => {
    const release = await it.one('release', ...target);
    expect(release.exitCode, JSON.stringify(release)).toBe(0);
    if ((await it.states(paths)).every((state) => state === RELEASED)) return true;
    await it.one('archive', ...target, '--wait');
    return false;
  });
  for (const path of paths) {
    expect(await client.getBlobClient(it.sandbox.blobName(path)).exists()).toBe(true);
  }
  const runs = await it.runs();
  expect(runs.filter(({ outcome }) => outcome === 'killed')).toHaveLength(RUN_STEPS.indexOf(step) + 1);
  expect(runs.every(({ ended }) => ended !== undefined)).toBe(true);
  await it.withCatalog(async (catalog) => {
    expect(await catalog.check()).toEqual([]);
    for await (const rows of catalog.asked('archive')) expect(rows).toEqual([]);
  });
});
