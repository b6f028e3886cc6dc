import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Step } from '../../src/copytool/steps.ts';
import { type BlobGateway, type GatewayRequest, startGateway } from '../support/blob-gateway.ts';
import { compare, unfinished } from '../support/compare.ts';
import { seeContainer } from '../support/container-view.ts';
import { Machine } from '../support/machine.ts';
import type { LogLine } from '../support/program-log.ts';
import { Random } from '../support/random.ts';
import { type Sandbox, startSandbox } from '../support/sandbox.ts';
import { Truth } from '../support/truth.ts';
import { waitUntil, within } from '../support/wait.ts';

/*
 * Two copytools on two clients of one file system, with one container. The coordinator gives an action to the one that
 * has the fewest, and among equals to the one that registered first: the second machine is there first, so that what is
 * asked for goes to it unless it is kept busy.
 */

const CLEAN = 0x9;
const RELEASED = 0xd;
const ARCHIVED = 0x8;
const DIRTY = 0x2;
const NORELEASE = 0x10;
/** After this many seconds without a report, the coordinator gives an action up. */
const PATIENCE_S = 3;
const BLOCK = 64 * 1024;

const random = new Random(41);
const SIZES: [string, number][] = [
  ['small', 5_000],
  ['in blocks', 3 * BLOCK + 5],
];

let sandbox: Sandbox;
let truth: Truth;
let gateway: BlobGateway;
/** The one that is late: its way to the endpoint leads through the gateway. */
let first: Machine;
let second: Machine;
let files = 0;

beforeAll(async () => {
  sandbox = await startSandbox({ mounts: 2, standInOnly: true });
  truth = new Truth(sandbox);
  const endpoint = /BlobEndpoint=([^;]+)/.exec(sandbox.connectionString)?.[1] ?? '';
  gateway = await startGateway(endpoint);
  const copytool = { heartbeat: '200ms', locate_timeout: '2s', block_size: '64KiB', range_size: '64KiB' };
  const config = { copytool: { ...copytool, max_bytes_in_flight: '4MiB' } };
  const connectionString = sandbox.connectionString.replace(endpoint, gateway.endpoint);
  // Its heartbeats are slow: that an action is not its own any more it must find out by asking before the commit.
  const slow = { copytool: { ...config.copytool, heartbeat: '10s' } };
  first = new Machine(sandbox, { client: 0, config: slow, connectionString });
  second = new Machine(sandbox, { client: 1, config });
  await sandbox.serverLctl(['set_param', 'mdt.*.hsm.loop_period=1']);
  await second.start();
  await first.start();
});
afterAll(async () => {
  await gateway?.stop();
  await sandbox?.stop();
});
beforeEach(() => patience(3600));
afterEach(async () => {
  gateway.interfere = () => undefined;
  for (const machine of [first, second]) machine.letAllGo();
  await quiet();
  expect(await compare(sandbox, truth)).toEqual([]);
});

const patience = (seconds: number) =>
  sandbox.serverLctl(['set_param', `mdt.*.hsm.active_request_timeout=${seconds}`]).then(() => undefined);

const quiet = () =>
  waitUntil('nothing is under way', async () => (await unfinished(sandbox)).length === 0, {
    detail: async () =>
      `${(await unfinished(sandbox)).join('\n')}\n${first.copytool.log.text().slice(-4_000)}\n--\n${second.copytool.log.text().slice(-4_000)}`,
  });

async function lfs(verb: string, path: string): Promise<void> {
  const { exitCode, stderr } = await sandbox.lfs([verb, truth.absolute(path)]);
  if (exitCode !== 0) throw new Error(`lfs ${verb} ${path}: ${stderr}`);
}

async function state(path: string): Promise<number> {
  return Number(/: \((0x[0-9a-f]{8})\)/.exec((await sandbox.lfs(['hsm_state', truth.absolute(path)])).stdout)?.[1]);
}

async function create(content: Buffer): Promise<string> {
  files += 1;
  const path = `${sandbox.tree.slice(sandbox.mount.length + 1)}/file ${files}`;
  await truth.create(path, content);
  return path;
}

/** A file with a copy, and content that has come since. */
async function changedFile(size: number): Promise<string> {
  const path = await create(random.bytes(size));
  await archived(path);
  await truth.rewrite(path, random.bytes(size));
  return path;
}

async function archived(path: string): Promise<void> {
  await lfs('hsm_archive', path);
  await waitUntil(`${path} is archived`, async () => (await state(path)) === CLEAN && (await idle(path)));
}

/** Archived by this machine, whatever the other has under way. */
async function archivedBy(machine: Machine, path: string): Promise<void> {
  const after = machine.copytool.lines.length;
  await lfs('hsm_archive', path);
  expect((await ending(machine, 'archive', path, after)).record).toMatchObject({ outcome: 'ok' });
}

/** Whether the coordinator has nothing under way for the file that is there now. */
async function idle(path: string): Promise<boolean> {
  const { fid } = truth.at(path);
  return !(await unfinished(sandbox)).some((line) => line.includes(`fid=[${fid}] dfid`));
}

/** Releases it and reads it: what comes back must be what was written last. */
async function roundTrip(path: string): Promise<void> {
  if ((await state(path)) !== RELEASED) await lfs('hsm_release', path);
  expect(await state(path)).toBe(RELEASED);
  await within('it is read', 60_000, truth.read(path));
}

/** Has an action asked for while the second machine has something else to do: it goes to the first. */
async function onFirst(ask: () => Promise<void>, taken: () => Promise<unknown>): Promise<void> {
  const ballast = await create(random.bytes(10));
  second.hold('archive.taken');
  await lfs('hsm_archive', ballast);
  await second.held('archive.taken');
  await ask();
  await taken();
  second.letGo('archive.taken');
  await waitUntil('the other is free', async () => (await state(ballast)) === CLEAN);
}

/** A machine that an action was taken from registers anew, and gets nothing for that moment. */
async function firstIsServed(): Promise<void> {
  await waitUntil('the first machine is served', async () => {
    const after = first.copytool.lines.length;
    const probe = await create(random.bytes(10));
    await onFirst(
      () => lfs('hsm_archive', probe),
      () => waitUntil('the probe is archived', async () => (await state(probe)) === CLEAN),
    );
    const { fid } = truth.at(probe);
    return first.copytool.lines.slice(after).some(({ record }) => record?.['fid'] === fid);
  });
}

async function heldOnFirst(verb: string, path: string, step: Step): Promise<void> {
  await firstIsServed();
  first.hold(step);
  await onFirst(
    () => lfs(verb, path),
    () => first.held(step),
  );
}

/** Lets the coordinator lose its patience with what a sleeping machine has. */
async function givenUp(): Promise<void> {
  await patience(PATIENCE_S);
  await quiet();
  await patience(3600);
}

function ending(machine: Machine, verb: string, path: string, after: number): Promise<LogLine> {
  const { fid } = truth.at(path);
  return machine.copytool.waitFor(
    ({ record }) => record?.['action'] === verb && record['fid'] === fid && record['outcome'] !== undefined,
    { after },
  );
}

async function blobOf(path: string): Promise<Buffer | undefined> {
  const blob = sandbox.containerClient.getBlobClient(path);
  return (await blob.exists()) ? await blob.downloadToBuffer() : undefined;
}

const isCommit = ({ operation }: GatewayRequest) => operation === 'Put Blob' || operation === 'Put Block List';
const isFor = (request: GatewayRequest, path: string) =>
  decodeURIComponent(new URL(request.url, 'http://x').pathname).endsWith(`/${path}`);
const commitsOf = (path: string, after = 0) =>
  gateway.requests.slice(after).filter((request) => isCommit(request) && isFor(request, path));

describe('an archive that the coordinator has given up', () => {
  test.each(SIZES)('with its commit on the way (%s) replaces nothing newer (lesson 41)', async (_, size) => {
    const path = await changedFile(size);
    const gate = Promise.withResolvers<void>();
    const onTheWay = Promise.withResolvers<void>();
    gateway.interfere = async (request) => {
      if (!isCommit(request) || !isFor(request, path)) return undefined;
      onTheWay.resolve();
      await gate.promise;
      return undefined;
    };
    const after = first.copytool.lines.length;
    await onFirst(
      () => lfs('hsm_archive', path),
      () => within('its commit is on the way', 20_000, onTheWay.promise),
    );
    first.sleep();
    await givenUp();
    await truth.rewrite(path, random.bytes(size));
    await archived(path);
    gate.resolve();
    first.wake();
    expect((await ending(first, 'archive', path, after)).record?.['outcome']).not.toBe('ok');
    expect(await blobOf(path)).toEqual(truth.at(path).content);
    expect(await state(path)).toBe(CLEAN);
    await roundTrip(path);
  });

  test.each(SIZES)('before its commit (%s) commits nothing any more', async (_, size) => {
    const path = await changedFile(size);
    const before = await blobOf(path);
    const [after, requests] = [first.copytool.lines.length, gateway.requests.length];
    await heldOnFirst('hsm_archive', path, 'archive.verified');
    first.sleep();
    await givenUp();
    first.letGo('archive.verified');
    first.wake();
    expect((await ending(first, 'archive', path, after)).record).toMatchObject({ code: 'forgotten' });
    expect(commitsOf(path, requests)).toEqual([]);
    expect(await blobOf(path)).toEqual(before);
    expect(await state(path)).toBe(CLEAN | DIRTY);
    await archived(path);
    await roundTrip(path);
  });

  test.each<Step>(['archive.committed', 'archive.confirmed', 'archive.recorded'])(
    'after %s, and done again by another: what is recorded and released is the newest',
    async (step) => {
      const path = await changedFile(9_000);
      const after = first.copytool.lines.length;
      await heldOnFirst('hsm_archive', path, step);
      first.sleep();
      await givenUp();
      await truth.rewrite(path, random.bytes(9_000));
      await archived(path);
      // Its last content has the container for its only place when the late one goes on.
      await lfs('hsm_release', path);
      first.letGo(step);
      first.wake();
      expect((await ending(first, 'archive', path, after)).record?.['outcome']).not.toBe('ok');
      expect(await blobOf(path)).toEqual(truth.at(path).content);
      expect(await state(path)).toBe(RELEASED);
      await roundTrip(path);
    },
  );
});

describe('one file archived on two machines at the same time', () => {
  test.each<Step>(['archive.begun', 'archive.uploaded', 'archive.verified', 'archive.committed', 'archive.recorded'])(
    'the first held at %s: both end, with one whole copy',
    async (step) => {
      const path = await changedFile(3 * BLOCK);
      const after = first.copytool.lines.length;
      await heldOnFirst('hsm_archive', path, step);
      const began = second.copytool.lines.length;
      await lfs('hsm_archive', path);
      // Whether a coordinator runs it beside the other is its own affair.
      await Promise.race([
        ending(second, 'archive', path, began),
        waitUntil('only the first is at it', async () => (await unfinished(sandbox)).length === 1),
      ]);
      first.letGo(step);
      await ending(first, 'archive', path, after);
      await quiet();
      if ((await state(path)) !== CLEAN) await archived(path);
      await roundTrip(path);
    },
  );

  test('again and again without a change: the copy is not written again', async () => {
    const path = await changedFile(3_000);
    await archived(path);
    const blob = sandbox.containerClient.getBlobClient(path);
    const { etag } = await blob.getProperties();
    for (let round = 0; round < 3; round++) {
      await lfs('hsm_archive', path);
      await quiet();
    }
    expect((await blob.getProperties()).etag).toBe(etag);
    await roundTrip(path);
  });
});

test('archived and released by another before it is read: who reads it then gets it, and so does the late archive', async () => {
  const path = await changedFile(3 * BLOCK);
  const after = first.copytool.lines.length;
  await heldOnFirst('hsm_archive', path, 'archive.named');
  await archivedBy(second, path);
  await lfs('hsm_release', path);
  // The restore comes to the machine whose archive is about to read the released file, and so waits for it.
  await second.copytool.stop();
  const { fid } = truth.at(path);
  const reading = truth.read(path).catch((error: unknown) => error);
  await first.copytool.waitFor(({ record }) => record?.['action'] === 'restore' && record['fid'] === fid, { after });
  first.letGo('archive.named');
  expect(await within('it is read', 60_000, reading)).toBeUndefined();
  await ending(first, 'archive', path, after);
  // The second is to be registered before the first again.
  await quiet();
  await first.copytool.stop();
  await second.start();
  await first.start();
  if ((await state(path)) !== CLEAN) await archived(path);
  await roundTrip(path);
});

test('archived and released by another before it fails: the released file is not marked dirty, which nobody could restore', async () => {
  const path = await changedFile(3 * BLOCK);
  const after = first.copytool.lines.length;
  await heldOnFirst('hsm_archive', path, 'archive.uploaded');
  await archivedBy(second, path);
  await lfs('hsm_release', path);
  gateway.interfere = () => ({ answer: { status: 403, code: 'AuthorizationPermissionMismatch' } });
  first.letGo('archive.uploaded');
  expect((await ending(first, 'archive', path, after)).record?.['outcome']).toBe('failed');
  gateway.interfere = () => undefined;
  expect(await state(path)).toBe(RELEASED);
  await roundTrip(path);
});

describe('names that change while one machine archives and the other goes on', () => {
  test.each<Step>(['archive.verified', 'archive.committed', 'archive.recorded', 'archive.ended'])(
    'removed and made anew at %s: the new file keeps its copy (lesson 39)',
    async (step) => {
      const path = await create(random.bytes(2_000));
      const { fid } = truth.at(path);
      const after = first.copytool.lines.length;
      await heldOnFirst('hsm_archive', path, step);
      await truth.unlink(path);
      await truth.create(path, random.bytes(2_500));
      const asked = second.copytool.lines.length;
      await lfs('hsm_archive', path);
      const { record } = await ending(second, 'archive', path, asked);
      // As long as the first has the removed file open, it is not dead, and its blob is not in the way of nobody.
      if (record?.['outcome'] === 'ok') await lfs('hsm_release', path);
      else expect(record).toMatchObject({ code: 'other-file', errno: 'EAGAIN' });
      first.letGo(step);
      await first.copytool.waitFor(
        ({ record }) => record?.['fid'] === fid && record['action'] === 'archive' && record['outcome'] !== undefined,
        { after },
      );
      await quiet();
      if (((await state(path)) & RELEASED) !== RELEASED) await archived(path);
      await roundTrip(path);
      const blobs = await seeContainer(sandbox.containerClient, path);
      expect(blobs.map(({ metadata }) => metadata['lfsazsync_fid'])).toEqual([truth.at(path).fid]);
    },
  );

  test('an editor’s save by renaming over, in the middle of the upload: the copy at the name is the new file’s', async () => {
    const path = await changedFile(3 * BLOCK);
    await heldOnFirst('hsm_archive', path, 'archive.uploaded');
    await truth.rename(await create(random.bytes(7_000)), path);
    const asked = second.copytool.lines.length;
    await lfs('hsm_archive', path);
    // The replaced file is open on the first machine: it is not dead yet, and its copy stays.
    expect((await ending(second, 'archive', path, asked)).record).toMatchObject({
      code: 'other-file',
      errno: 'EAGAIN',
    });
    first.letGo('archive.uploaded');
    await quiet();
    await archived(path);
    expect(await blobOf(path)).toEqual(truth.at(path).content);
    await roundTrip(path);
  });

  test('renamed away and another renamed here: each is restored from its own copy', async () => {
    const [one, other] = [await changedFile(4_000), await changedFile(4_000)];
    await archived(other);
    await heldOnFirst('hsm_archive', one, 'archive.verified');
    await truth.rename(one, `${one} moved`);
    await truth.rename(other, one);
    first.letGo('archive.verified');
    await quiet();
    expect(await state(`${one} moved`)).toBe(CLEAN);
    await roundTrip(`${one} moved`);
    // Its own copy is at its earlier name: nobody has touched it.
    await roundTrip(one);
  });
});

describe('a removal on one machine while the other archives', () => {
  test.each<Step>(['remove.unarchived', 'remove.located'])(
    'archived while it is at %s: nobody can release it, and the new copy is not deleted',
    async (step) => {
      const path = await create(random.bytes(1_000));
      await archived(path);
      const after = first.copytool.lines.length;
      await heldOnFirst('hsm_remove', path, step);
      await truth.rewrite(path, random.bytes(1_500));
      await lfs('hsm_archive', path);
      const isDone = await waitUntil('the archive is done, or waits', async () => {
        if ((await state(path)) === (CLEAN | NORELEASE)) return 'done';
        return (await unfinished(sandbox)).some((line) => /action=ARCHIVE.*status=WAITING/.test(line))
          ? 'waits'
          : undefined;
      });
      if (isDone === 'done') await expect(lfs('hsm_release', path)).rejects.toThrow(/Operation not permitted/);
      first.letGo(step);
      const { record } = await ending(first, 'remove', path, after);
      if (isDone === 'done') expect(record).toMatchObject({ outcome: 'failed', errno: 'EBUSY' });
      await quiet();
      await truth.read(path);
      if (((await state(path)) & ARCHIVED) === 0 || ((await state(path)) & DIRTY) !== 0) await archived(path);
      await roundTrip(path);
    },
  );

  /** The second's archive has written its record, and has not ended; the first's removal is about to delete what it wrote. */
  async function recordedAndAboutToBeDeleted(path: string): Promise<{ letDelete: () => void }> {
    const gate = Promise.withResolvers<void>();
    const onTheWay = Promise.withResolvers<void>();
    gateway.interfere = async (request) => {
      if (request.operation !== 'Delete Blob' || !isFor(request, path)) return undefined;
      onTheWay.resolve();
      await gate.promise;
      return undefined;
    };
    second.hold('archive.recorded');
    await lfs('hsm_archive', path);
    await second.held('archive.recorded');
    await lfs('hsm_remove', path);
    await within('its deletion is on the way', 20_000, onTheWay.promise);
    return { letDelete: () => gate.resolve() };
  }

  const isFree = (path: string) =>
    waitUntil('it may be released again', async () => ((await state(path)) & NORELEASE) === 0);

  test('its end before the deletion: between that and its look at the copy nobody can release the file', async () => {
    const path = await changedFile(2_000);
    const after = first.copytool.lines.length;
    const { letDelete } = await recordedAndAboutToBeDeleted(path);
    second.hold('archive.ended');
    second.letGo('archive.recorded');
    await second.held('archive.ended');
    expect((await state(path)) & CLEAN).toBe(CLEAN);
    await expect(lfs('hsm_release', path)).rejects.toThrow(/Operation not permitted/);
    letDelete();
    expect((await ending(first, 'remove', path, after)).record).toMatchObject({ code: 'archived-again' });
    expect(await blobOf(path)).toBeUndefined();
    expect((await state(path)) & DIRTY).toBe(DIRTY);
    second.letGo('archive.ended');
    await quiet();
    await isFree(path);
    await archived(path);
    await roundTrip(path);
  });

  test('its end after that of the removal: until it has looked at the copy nobody can release the file', async () => {
    const path = await changedFile(2_000);
    const after = first.copytool.lines.length;
    const { letDelete } = await recordedAndAboutToBeDeleted(path);
    letDelete();
    expect((await ending(first, 'remove', path, after)).record).toMatchObject({ outcome: 'ok' });
    expect(await blobOf(path)).toBeUndefined();
    second.hold('archive.ended');
    second.letGo('archive.recorded');
    await second.held('archive.ended');
    await expect(lfs('hsm_release', path)).rejects.toThrow(/Operation not permitted/);
    second.letGo('archive.ended');
    await isFree(path);
    await expect(lfs('hsm_release', path)).rejects.toThrow(/Operation not permitted/);
    await quiet();
    await archived(path);
    await roundTrip(path);
  });
});

test('a machine that never comes back: its reader is freed at the timeout, the other serves everything else', async () => {
  const [stuck, later] = [await changedFile(5_000), await changedFile(6_000)];
  for (const path of [stuck, later]) {
    await archived(path);
    await lfs('hsm_release', path);
  }
  first.hold('restore.located');
  let blocked: Promise<unknown> = Promise.resolve();
  await onFirst(
    async () => {
      blocked = truth.read(stuck).catch((error: unknown) => error);
    },
    () => first.held('restore.located'),
  );
  await first.kill('both');
  // Nobody waits for the dead one: the other serves at once.
  await within('the other machine serves', 60_000, truth.read(later));
  expect(await unfinished(sandbox)).toHaveLength(1);
  await givenUp();
  // The reader is told, or has its data; nothing else.
  const outcome = await within('the reader is freed', 60_000, blocked);
  if (outcome !== undefined) expect(String((outcome as NodeJS.ErrnoException).code)).toMatch(/^E[A-Z]+$/);
  await within('it is served by the other', 60_000, truth.read(stuck));
  expect(await state(stuck)).toBe(CLEAN);
});
