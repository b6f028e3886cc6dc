import { mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type BlobGateway, startGateway } from '../../support/blob-gateway.ts';
import { FILE_COUNTS } from '../copytool/gateway-rig.ts';
import { FollowRig } from './rig.ts';

// A file system that goes away, or is another one, under the running follower; a container that can't be reached.

let it: FollowRig;
let gateway: BlobGateway;
const at = (...names: string[]) => it.path(...names);
beforeAll(async () => {
  it = await FollowRig.start({ version: '2.15', standInOnly: true });
  const direct = it.sandbox.connectionString;
  const endpoint = /BlobEndpoint=([^;]+)/.exec(direct)?.[1] ?? '';
  gateway = await startGateway(endpoint);
  // For the follower alone: the copytool has read it already.
  const file = join(it.sandbox.dir, 'connection-string');
  writeFileSync(file, readFileSync(file, 'utf8').replace(endpoint, gateway.endpoint), { mode: 0o600 });
});
afterAll(async () => {
  await it?.stop();
  await gateway?.stop();
});

test('a container that can’t be reached for longer than the lease lasts: records are taken in, and nothing is given up', async () => {
  await it.rig.archive(it.rig.write('file', 'content'));
  await it.follow(FILE_COUNTS);
  await it.mirrored();
  const before = await it.status();
  gateway.interfere = () => 'cut';
  for (let n = 0; n < 20; n += 1) {
    mkdirSync(at(`d${n}`));
    symlinkSync('target', at(`d${n}`, 'link'));
  }
  renameSync(at('file'), at('d7', 'moved'));
  const during = await it.statusWhere(
    'it waits',
    ({ marks, journal, counters, lease }) =>
      !lease.held && marks.count === 0 && journal.waiting > 40 && counters.records >= before.counters.records + 41,
  );
  expect(during.process.pid).toBe(before.process.pid);
  expect(during.recoveryPoint).not.toBeNull();
  expect(during.journal.quarantined).toBe(0);
  gateway.interfere = () => undefined;
  await it.mirrored();
  const after = await it.statusWhere('the lease is held again', ({ lease }) => lease.held);
  expect(after.counters).toMatchObject({ givenUp: 0, failed: 0, leaseLosses: 1 });
  rmSync(at('d7', 'moved'));
  await it.mirrored();
  await it.stopFollowing();
});
