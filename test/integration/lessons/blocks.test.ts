import { expect, it } from 'vitest';
import { content, useBench } from './lessons.ts';

// Lesson 45: two writers under one name must never commit a mixture.

const MIB = 2 ** 20;
const bench = useBench({
  config: { copytool: { block_size: '1MiB', max_bytes_in_flight: '16MiB', range_size: '1MiB' } },
});

it('lesson 45: blocks left by a crash never become part of a later archive', async ({ skip }) => {
  const it = bench.it;
  if (!it.sandbox.standIn) skip('sets a global parameter');
  const first = content(5 * MIB + 17);
  const path = await it.write('mixed', first);
  const client = it.sandbox.containerClient.getBlockBlobClient(it.sandbox.blobName(path));
  const held = it.steps.hold('archive.uploaded');
  await it.command('archive', path);
  await held.reached();
  const staged = (await client.getBlockList('uncommitted')).uncommittedBlocks ?? [];
  expect(staged).toHaveLength(6);
  const ids = staged.map(({ name }) => Buffer.from(name, 'base64'));
  expect(new Set(ids.map((id) => id.length)).size).toBe(1);
  await it.copytool.crash();
  held.release();
  // The coordinator gives the action of the dead copytool up.
  await it.sandbox.serverLctl(['set_param', 'mdt.*.hsm.active_request_timeout=1', 'mdt.*.hsm.loop_period=1']);
  await it.idle(path);
  await it.sandbox.serverLctl(['set_param', 'mdt.*.hsm.active_request_timeout=3600']);
  const second = content(4 * MIB + 3);
  await it.write('mixed', second);
  it.copytool = await it.sandbox.startCopytool([], it.steps.env);
  await it.command('archive', '--wait', path);
  expect((await it.blob(it.sandbox.blobName(path)))?.equals(second)).toBe(true);
  const committed = (await client.getBlockList('committed')).committedBlocks ?? [];
  const old = new Set(staged.map(({ name }) => name));
  expect(committed.filter(({ name }) => old.has(name))).toEqual([]);
  await it.roundTrip(path, second);
});
