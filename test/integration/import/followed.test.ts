import { chmodSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RECONCILE_STEPS } from '../../../src/follow/reconcile/steps.ts';
import type { Fid } from '../../../src/identity/fid.ts';
import { crc64 } from '../../support/container-view.ts';
import { read } from '../copytool/fixture.ts';
import { Follower, ImportRig } from './fixture.ts';

// Lessons 42 and 43: what happens to imported files in Lustre afterwards, on each kind of binding.

let it: ImportRig;
let follower: Follower;
let round = 0;

beforeAll(async () => {
  it = await ImportRig.start({ config: { copytool: { locate_timeout: '5s' } } });
  await it.put('first', 'x');
  await it.import('--prefix', 'first');
  follower = await Follower.open(it.rig);
});
afterAll(async () => {
  follower?.close();
  await it?.stop();
});

const OTHER = '0b0e7a52-6f0c-4e3c-9a8e-2f4b6d1c9e10';
const OTHER_FID = '0x200000999:0x7:0x0';

/** By whom a blob was written, and so how a file is bound to it. */
const WRITERS = {
  'somebody else': () => ({ owner: '1000', group: '1001', permissions: '0640', modtime: '2017-07-14 02:40:00 +0000' }),
  nobody: () => ({}),
  'another file system': (content: string) => ({
    ...{ owner: '1000', group: '1001', permissions: '0640', modtime: '2017-07-14 02:40:00 +0000' },
    ...{ lfsazsync_fs: OTHER, lfsazsync_fid: OTHER_FID, lfsazsync_kind: 'file' },
    ...{ lfsazsync_gen: '3-7a4bd0ca-3a7e-4a55-8f0e-3a1d6a6a2b11', lfsazsync_size: String(content.length) },
    ...{
      lfsazsync_crc64: crc64(Buffer.from(content)),
      lfsazsync_mode: '0640',
      lfsazsync_mtime: '1500000000.000000000',
    },
  }),
} as const;
type Writer = keyof typeof WRITERS;
const KINDS = Object.keys(WRITERS) as Writer[];

async function imported(
  writer: Writer,
  more: (top: string) => Promise<unknown> = () => Promise.resolve(),
): Promise<{ top: string; path: string; fid: Fid }> {
  const content = 'content';
  round += 1;
  const top = `t${round}`;
  await more(top);
  await it.put(`${top}/file`, content, WRITERS[writer](content));
  const done = await it.import('--prefix', top);
  expect(done, `${done.stderr} ${JSON.stringify(done)}`).toMatchObject({ exitCode: 0, made: { files: 1 } });
  return { top, path: it.at(top, 'file'), fid: await it.fid(it.at(top, 'file')) };
}

async function blobs(
  top: string,
): Promise<Record<string, { fs: string | undefined; mode: string | undefined; etag: string }>> {
  const found: Awaited<ReturnType<typeof blobs>> = {};
  for await (const { name, metadata, properties } of it.sandbox.containerClient.listBlobsFlat({
    includeMetadata: true,
    prefix: `${top}/`,
  })) {
    found[name.slice(top.length + 1)] = {
      ...{ fs: metadata?.['lfsazsync_fs'], mode: metadata?.['lfsazsync_mode'], etag: properties.etag },
    };
  }
  return found;
}

describe.each(KINDS)('a file that %s wrote', (writer) => {
  test('the follower writes nothing back after the import', async () => {
    const { top, fid } = await imported(writer, async (below) => {
      await it.put(`${below}/dir`, '', { hdi_isfolder: 'true', owner: '5' });
      await it.put(`${below}/dir/link`, 'x', { ftype: 'LNK' });
      await it.put(`${below}/dir/empty`, '', { owner: '7' });
    });
    const before = await blobs(top);
    const things = ['dir', 'dir/link', 'dir/empty', ''].map((name) => it.fid(it.at(top, name)));
    await follower.look(fid, ...(await Promise.all(things)));
    expect((await follower.catalog.journalStats()).count).toBe(0);
    // Not even if it is asked to look at each of them.
    for (const one of [fid, ...(await Promise.all(things.slice(0, 3)))]) await follower.reconcile(one);
    expect(await blobs(top)).toEqual(before);
  });

  test('chmod, then read', async () => {
    const { top, path, fid } = await imported(writer);
    chmodSync(path, 0o4700);
    await follower.follow(fid);
    expect(await blobs(top)).toMatchObject({ file: { fs: await it.rig.fs.readUuid(), mode: '4700' } });
    expect(await read(path)).toBe('content');
    chmodSync(path, 0o600);
    await follower.follow(fid);
    expect((await blobs(top))['file']?.mode).toBe('0600');
  });

  test('mv, then read', async () => {
    const { top, path, fid } = await imported(writer);
    mkdirSync(it.at(top, 'd'));
    renameSync(path, it.at(top, 'd', 'moved'));
    await follower.follow(fid);
    expect(Object.keys(await blobs(top)).filter((name) => name !== 'd')).toEqual(['d/moved']);
    expect(await read(it.at(top, 'd', 'moved'))).toBe('content');
    // And by its next name.
    renameSync(it.at(top, 'd', 'moved'), it.at(top, 'last'));
    await follower.follow(fid);
    expect(Object.keys(await blobs(top)).filter((name) => name !== 'd')).toEqual(['last']);
  });

  test('written and archived: the blob is replaced under its ETag', async () => {
    const { top, path, fid } = await imported(writer);
    expect(await read(path)).toBe('content');
    writeFileSync(path, 'new');
    await it.rig.archive(path);
    await follower.follow(fid);
    expect(await it.sandbox.containerClient.getBlobClient(`${top}/file`).downloadToBuffer()).toEqual(
      Buffer.from('new'),
    );
  });

  test.each(RECONCILE_STEPS.filter((step) => !step.startsWith('marker')))(
    'killed at %s of a move: it can be read, and ends as it should',
    async (deadly) => {
      const { top, path, fid } = await imported(writer);
      chmodSync(path, 0o600);
      renameSync(path, it.at(top, 'moved'));
      await follower.look(fid);
      class Killed extends Error {}
      follower.step = (step) => (step === deadly ? Promise.reject(new Killed()) : Promise.resolve());
      await follower.reconcile(fid).catch((error: unknown) => {
        if (!(error instanceof Killed)) throw error;
      });
      follower.step = () => Promise.resolve();
      expect(await read(it.at(top, 'moved'))).toBe('content');
      await follower.follow(fid);
      expect(Object.keys(await blobs(top))).toEqual(['moved']);
    },
  );
});

test('directories, symlinks: their markers become ours when they change, and go along when they move', async () => {
  round += 1;
  const top = `t${round}`;
  await it.put(`${top}/dir`, '', { hdi_isfolder: 'true', owner: '5', permissions: '0755' });
  await it.put(`${top}/link`, 'there', { ftype: 'LNK', owner: '5' });
  expect(await it.import('--prefix', top)).toMatchObject({ exitCode: 0, made: { symlinks: 1 } });
  const [dir, link] = [await it.fid(it.at(top, 'dir')), await it.fid(it.at(top, 'link'))];
  // A sweep that passes by does not make anything else of them.
  const swept = await it.sandbox.run(['sweep']);
  expect(swept, swept.stderr).toMatchObject({ exitCode: 0 });
  chmodSync(it.at(top, 'dir'), 0o700);
  renameSync(it.at(top, 'link'), it.at(top, 'dir', 'moved'));
  await follower.follow(dir, link);
  const uuid = await it.rig.fs.readUuid();
  expect(await blobs(top)).toMatchObject({ dir: { fs: uuid, mode: '0700' }, 'dir/moved': { fs: uuid } });
  expect(Object.keys(await blobs(top))).toEqual(['dir', 'dir/moved']);
});
