import { readFile, stat, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { HelperClient } from '../support/helper-client.ts';
import { CLEAN, RELEASED_FILE, useContract } from './fixture.ts';

// Stripes before, while and after a release. Facts: 03 B (getstripe), 10 (layouts), README 23.

const contract = useContract();
let attrs: HelperClient;

beforeAll(async () => {
  const { sandbox } = contract.it;
  attrs = new HelperClient('attrs', ['--mount', sandbox.mount, '--liblustreapi', sandbox.llapi], {
    ...process.env,
    ...sandbox.env,
  });
  expect((await attrs.hello()).t).toBe('hello');
});
afterAll(async () => {
  await attrs?.close();
});

async function layout(fid: string): Promise<unknown> {
  return (await attrs.ask('get', { fid, want: ['layout'] }))['layout'];
}

/** What a composite layout's components are, whichever of them have objects. */
async function shape(fid: string): Promise<unknown> {
  const { components } = (await layout(fid)) as { components?: Record<string, unknown>[] };
  return components?.map(({ start, end, stripe_count, stripe_size, pattern, pool }) => {
    return { start, end, stripe_count, stripe_size, pattern, pool };
  });
}

it('a plain file has one stripe; released, its pattern says so (03 B)', async () => {
  const it = contract.it;
  await using agent = await it.agent();
  const { path, fid } = await it.archived(agent, 'plain', 'content');
  expect(await it.ok('getstripe', path)).toMatch(
    new RegExp(
      `^${path}\nlmm_stripe_count:  1\nlmm_stripe_size:   \\d+\nlmm_pattern:       raid0\nlmm_layout_gen:    \\d+\nlmm_stripe_offset: \\d+\n\tobdidx\t\t objid\t\t objid\t\t group\n`,
    ),
  );
  expect(await layout(fid)).toMatchObject({ stripe_count: 1, pattern: ['raid0'], composite: false });
  await it.request('release', path);
  expect(await it.ok('getstripe', path)).toMatch(/^lmm_pattern: {7}raid0,released$/m);
  expect(await layout(fid)).toMatchObject({ stripe_count: 1, pattern: ['raid0', 'released'], composite: false });
});

it('a released file still shows how many stripes it had (10, README 23)', async ({ skip }) => {
  const it = contract.it;
  const osts = (await it.ok('osts', it.sandbox.mount)).match(/ ACTIVE/g)?.length ?? 0;
  if (osts < 2) skip('needs two OSTs');
  await using agent = await it.agent();
  const path = it.path('striped');
  await it.ok('setstripe', '-c', '2', path);
  const content = Buffer.alloc(9 * 2 ** 20, 's');
  await writeFile(path, content, { flag: 'r+' });
  const fid = await it.fid(path);
  expect(await layout(fid)).toMatchObject({ stripe_count: 2 });
  await it.request('archive', path);
  await agent.archive(fid);
  await it.request('release', path);
  await it.expectState(path, RELEASED_FILE);
  expect(await it.ok('getstripe', path)).toMatch(/^lmm_stripe_count: {2}2$/m);
  expect(await layout(fid)).toMatchObject({ stripe_count: 2, pattern: ['raid0', 'released'] });
  const reading = readFile(path);
  await agent.restore(content, fid);
  expect((await reading).equals(content)).toBe(true);
  await it.waitForState(path, CLEAN);
  // The helper gives the volatile file the stripes of the released one before anything is written (delayed creation).
  expect(await layout(fid)).toMatchObject({ stripe_count: 2, pattern: ['raid0'] });
});

it('composite and data-on-MDT files are archived, released and restored (10)', async () => {
  const it = contract.it;
  await using agent = await it.agent();
  for (const [name, options] of [
    ['pfl', ['-E', '1M', '-c', '1', '-E', '-1', '-c', '2']],
    ['dom', ['-E', '64K', '-L', 'mdt', '-E', '-1', '-c', '1']],
  ] as const) {
    const path = it.path(name);
    await it.ok('setstripe', ...options, path);
    const content = Buffer.alloc(3 * 2 ** 20, name);
    await writeFile(path, content, { flag: 'r+' });
    const fid = await it.fid(path);
    const before = await shape(fid);
    expect(await layout(fid), name).toMatchObject({ composite: true });
    await it.request('archive', path);
    await agent.archive(fid);
    await it.waitForState(path, CLEAN);
    await it.request('release', path);
    await it.expectState(path, RELEASED_FILE);
    expect((await stat(path)).size).toBe(content.length);
    const reading = readFile(path);
    await agent.restore(content, fid);
    expect((await reading).equals(content)).toBe(true);
    await it.waitForState(path, CLEAN);
    expect(await shape(fid), name).toEqual(before);
  }
});

it('setstripe on a file that has its stripes already is refused (05)', async () => {
  const it = contract.it;
  await it.write('has');
  const result = await it.lfs(['setstripe', '-c', '1', 'has']);
  expect(result.exitCode).not.toBe(0);
  expect(result.stderr).toContain('stripe already set');
});
