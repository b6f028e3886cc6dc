import { appendFileSync, chmodSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { formatModtime } from '../../../src/blob/metadata.ts';
import { type Fid, parseFid } from '../../../src/identity/fid.ts';
import { RECORD_XATTR } from '../../../src/identity/file-record.ts';
import type { ScanJson } from '../../../src/scan/report.ts';
import { read } from '../copytool/fixture.ts';
import { AuditRig } from './fixture.ts';

let it: AuditRig;
beforeEach(async () => {
  it = await AuditRig.start();
});
afterEach(() => it?.stop());

const at = (...names: string[]) => it.rig.path(...names);
const blob = (...names: string[]) => it.rig.sandbox.blobName(at(...names));
const client = (name: string) => it.rig.sandbox.containerClient.getBlockBlobClient(name);
const bytes = (text: string) => Buffer.from(text);

interface Lemur {
  readonly content?: string;
  readonly uuid?: string;
  /** Undefined: the earliest lemur wrote none. */
  readonly modtime?: string | undefined;
  readonly release?: boolean;
}

/** A file as lemur leaves it: archived, with its record, and a blob with its metadata. */
async function lemur(name: string, changes: Lemur = {}): Promise<Fid> {
  const path = it.rig.write(name, `content of ${name}`);
  await it.rig.archive(path);
  const fid = await it.rig.fid(path);
  const { files } = it.rig.fs;
  await files.removeXattr(fid, RECORD_XATTR);
  await files.setXattr(fid, 'trusted.lhsm_uuid', bytes(changes.uuid ?? blob(name)));
  const { mtimeMs } = statSync(path);
  const modtime =
    'modtime' in changes ? changes.modtime : formatModtime(BigInt(Math.floor(mtimeMs / 1000)) * 1_000_000_000n);
  const metadata = { owner: '0', group: '0', permissions: '0644', ...(modtime === undefined ? {} : { modtime }) };
  const content = changes.content ?? `content of ${name}`;
  await client(blob(name)).upload(content, content.length, { metadata });
  if (changes.release === true) await it.rig.release(path);
  return fid;
}

/** A scan that adopts, however it ends. */
async function adopt(exitCode: number): Promise<NonNullable<ScanJson['adoption']>> {
  const result = await it.rig.sandbox.run(['scan', '--adopt', '--json']);
  expect(result, result.stderr).toMatchObject({ exitCode });
  return (JSON.parse(result.stdout) as ScanJson).adoption as NonNullable<ScanJson['adoption']>;
}

test('files of lemur are bound to their blobs, and come back from them; doing it again does nothing', async () => {
  const resident = await lemur('resident');
  await lemur('d/released', { release: true });
  // It was renamed after lemur archived it, and stays where lemur would look for it.
  mkdirSync(at('e'));
  await lemur('old', { release: true });
  renameSync(at('old'), at('e/new'));
  await lemur('hydrated', { uuid: `az://${it.rig.sandbox.container}/${blob('hydrated')}`, release: true });
  await lemur('timeless', { modtime: undefined, release: true });
  const own = await it.rig.archive(it.rig.write('own', 'ours'));
  expect(own).toBeDefined();
  const before = await it.rig.record(at('own'));
  const adopted = await adopt(0);
  expect(adopted).toMatchObject({ found: 5, adopted: 5, refused: {}, examples: [], examplesLeftOut: 0 });
  expect(await it.rig.record(at('own'))).toEqual(before);
  expect(await it.rig.record(at('resident'))).toMatchObject({ fid: resident, bind: { etag: expect.any(String) } });
  await it.withCatalog(async (catalog) => {
    expect(await catalog.binding(resident)).toMatchObject({ name: blob('resident') });
  });
  expect(await adopt(0)).toMatchObject({ found: 0, adopted: 0 });
  await it.follow();
  const sweep = await it.sweepFinds();
  // What has moved, and what says no time, are our own copies by now.
  expect(sweep.imported).toBeGreaterThanOrEqual(3);
  expect(await it.container()).toHaveProperty([blob('e/new')], 'file content of old');
  expect(await it.container()).not.toHaveProperty([blob('old')]);
  // The bindings are on the files, too.
  it.loseCatalog();
  await it.scan();
  await it.sweep();
  await it.follow();
  await it.sweepFinds();
  for (const name of ['d/released', 'hydrated', 'timeless']) expect(await read(at(name))).toBe(`content of ${name}`);
  expect(await read(at('e/new'))).toBe('content of old');
});

test('what does not prove to be the copy is not adopted, and told', async () => {
  const refused = {
    size: await lemur('size', { content: 'longer than the content of size' }),
    mtime: await lemur('mtime', { modtime: '2001-02-03 04:05:06 +0000' }),
    'no-blob': await lemur('nowhere'),
    'other-container': await lemur('elsewhere', { uuid: 'az://elsewhere/elsewhere' }),
    taken: await lemur('second', { uuid: blob('first') }),
    uncertain: await lemur('moved', { modtime: undefined }),
  };
  await client(blob('nowhere')).delete();
  renameSync(at('moved'), at('away'));
  // Lemur archived a new file over the blob of one that had been renamed.
  const first = await lemur('first');
  const { metadata } = await client(blob('second')).getProperties();
  await client(blob('first')).upload('content of second', 17, { metadata: metadata ?? {} });
  const dirty = await lemur('dirty');
  appendFileSync(at('dirty'), ', and more');
  const adopted = await adopt(3);
  expect(adopted.examples.map(({ fid, reason }) => [reason, fid]).sort()).toEqual(
    [...Object.entries(refused).filter(([reason]) => reason !== 'taken'), ['size', first]].sort(),
  );
  // The file whose content it now is has it.
  expect(adopted).toMatchObject({ adopted: 1 });
  expect(await it.rig.record(at('second'))).toMatchObject({ at: blob('first') });
  for (const name of ['size', 'mtime', 'nowhere', 'elsewhere', 'away', 'dirty', 'first']) {
    expect(await it.rig.record(at(name)), name).toBeUndefined();
  }
  expect(parseFid(dirty)).toBe(dirty);
});

test('an adopted file that is released: chmod and mv, and what the follower makes of them, and it still comes back', async () => {
  for (const name of ['chmod', 'mv', 'both', 'swap1', 'swap2']) await lemur(name, { release: true });
  expect(await adopt(0)).toMatchObject({ adopted: 5 });
  await it.follow();
  mkdirSync(at('d'));
  chmodSync(at('chmod'), 0o600);
  renameSync(at('mv'), at('d/moved'));
  chmodSync(at('both'), 0o640);
  renameSync(at('both'), at('d/both'));
  renameSync(at('swap1'), at('t'));
  renameSync(at('swap2'), at('swap1'));
  renameSync(at('t'), at('swap2'));
  await it.scan();
  // Each is broken off once, just when its blob says whose it is.
  let broken = 0;
  await it.follow((step) => {
    if (step !== 'imported.stamped') return Promise.resolve();
    broken += 1;
    return broken <= 5 ? Promise.reject(new Error('broken off')) : Promise.resolve();
  });
  expect(broken).toBe(5);
  await it.sweepFinds();
  expect((await client(blob('chmod')).getProperties()).metadata).toMatchObject({ lfsazsync_mode: '0600' });
  const names = Object.keys(await it.container()).filter((name) =>
    name.startsWith(`${it.rig.sandbox.blobName(at())}/`),
  );
  expect(names.sort()).toEqual(['chmod', 'd', 'd/both', 'd/moved', 'swap1', 'swap2'].map((name) => blob(name)).sort());
  expect(await read(at('chmod'))).toBe('content of chmod');
  expect(await read(at('d/moved'))).toBe('content of mv');
  expect(await read(at('d/both'))).toBe('content of both');
  expect(await read(at('swap1'))).toBe('content of swap2');
  expect(await read(at('swap2'))).toBe('content of swap1');
});
