import { linkSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { FindingJson, VerifyJson } from '../../../src/audit/verify/report.ts';
import { stagingName } from '../../../src/blob/naming.ts';
import { type Fid, parseFid } from '../../../src/identity/fid.ts';
import { HSM } from '../../../src/lustre/hsm-state.ts';
import { read } from '../copytool/fixture.ts';
import { AuditRig } from './fixture.ts';

let it: AuditRig;
beforeAll(async () => {
  it = await AuditRig.start();
});
afterAll(() => it?.stop());

const at = (...names: string[]) => it.rig.path(...names);
const blob = (...names: string[]) => it.rig.sandbox.blobName(at(...names));
const client = (name: string) => it.rig.sandbox.containerClient.getBlockBlobClient(name);

async function verify(...argv: string[]): Promise<VerifyJson> {
  const result = await it.rig.sandbox.run(['verify', '--json', '--settle', '0s', ...argv]);
  expect([0, 3], result.stderr + result.stdout).toContain(result.exitCode);
  const json = JSON.parse(result.stdout) as VerifyJson;
  expect(json.exit.code).toBe(result.exitCode);
  return json;
}

const told = ({ code, blob: name, path }: FindingJson) => `${code} ${name ?? path}`;

async function change(name: string, metadata: Record<string, string>): Promise<void> {
  const one = client(name);
  await one.setMetadata({ ...(await one.getProperties()).metadata, ...metadata });
}

async function copyTo(from: string, name: string): Promise<void> {
  await (await client(name).beginCopyFromURL(client(from).url)).pollUntilDone();
}

/** Other content under the same metadata, or the metadata with changes. */
async function rewrite(name: string, content: string, changes: Record<string, string> = {}): Promise<void> {
  const metadata = { ...(await client(name).getProperties()).metadata, ...changes };
  await client(name).upload(content, content.length, { metadata });
}

/** What is planted, by the name of the file that it is done to; the finding; and whether it is put right by --repair. */
interface Damage {
  readonly plant: (name: string) => Promise<void>;
  readonly finds: (name: string) => string;
  /** Before: how the file is. */
  readonly release?: true;
  /** Only with --checksum. */
  readonly checksum?: true;
  /** Nobody can. */
  readonly remains?: true;
}

/** All that there is a code for but `unfinished`, which Azurite has no copies of: src/audit/judge.test.ts. */
const DAMAGES: Readonly<Record<string, Damage>> = {
  // Blobs of files.
  'copy-gone': { plant: (n) => gone(blob(n)), finds: (n) => `missing ${blob(n)}` },
  'copy-lost': { plant: (n) => gone(blob(n)), finds: (n) => `lost ${blob(n)}`, release: true, remains: true },
  'copy-short': { plant: (n) => rewrite(blob(n), 'short'), finds: (n) => `size ${blob(n)}` },
  'copy-long': {
    plant: (n) => rewrite(blob(n), 'much too long for what it is', { lfsazsync_size: '28' }),
    finds: (n) => `size ${blob(n)}`,
    release: true,
    remains: true,
  },
  'copy-old': {
    plant: (n) => change(blob(n), { lfsazsync_gen: '0-00000000-0000-4000-8000-000000000000' }),
    finds: (n) => `generation ${blob(n)}`,
  },
  'copy-strange': { plant: (n) => strange(blob(n)), finds: (n) => `missing ${blob(n)}` },
  'copy-rotten': {
    plant: (n) => rewrite(blob(n), 'X'.repeat(`content of ${n}`.length)),
    finds: (n) => `checksum-blob ${blob(n)}`,
    checksum: true,
  },
  'copy-rotten-released': {
    plant: (n) => rewrite(blob(n), 'X'.repeat(`content of ${n}`.length)),
    finds: (n) => `checksum-blob ${blob(n)}`,
    release: true,
    checksum: true,
    remains: true,
  },
  owner: { plant: (n) => change(blob(n), { owner: '4711' }), finds: (n) => `attributes ${blob(n)}` },
  'owner-released': {
    plant: (n) => change(blob(n), { group: '4711' }),
    finds: (n) => `attributes ${blob(n)}`,
    release: true,
  },
  mode: { plant: (n) => change(blob(n), { lfsazsync_mode: '4777' }), finds: (n) => `attributes ${blob(n)}` },
  time: {
    plant: (n) => change(blob(n), { modtime: '2001-02-03 04:05:06 +0000', lfsazsync_mtime: '981173106.000000000' }),
    finds: (n) => `attributes ${blob(n)}`,
  },
  'copied-elsewhere': { plant: (n) => copyTo(blob(n), blob(`${n}.left`)), finds: (n) => `place ${blob(`${n}.left`)}` },
  'other-archive': {
    plant: async (n) => it.rig.fs.files.setHsm(await it.rig.fid(at(n)), { archive: 2 }),
    finds: (n) => `archive ${blob(n)}`,
    remains: true,
  },
  'not-in-hsm': {
    plant: async (n) => it.rig.fs.files.setHsm(await it.rig.fid(at(n)), { clear: HSM.ARCHIVED | HSM.EXISTS }),
    finds: (n) => `unclaimed ${blob(n)}`,
    remains: true,
  },
  'moved-away': {
    plant: async (n) => {
      await copyTo(blob(n), stagingName('', await it.rig.fid(at(n))));
      await gone(blob(n));
    },
    finds: (n) => `staged ${staged.get(n)}`,
    release: true,
  },
};

/** Names in staging, by the files that they are of. */
const staged = new Map<string, string>();
const gone = async (name: string) => void (await client(name).delete());
const strange = async (name: string) => void (await client(name).upload('theirs', 6));

test('every damage that was planted is found, nothing else is, and --repair heals what it says', async () => {
  mkdirSync(at('d/sub'), { recursive: true });
  for (const name of ['marker-gone', 'marker-strange', 'marker-mode', 'marker-body', 'dir-as-link'])
    mkdirSync(at(name));
  symlinkSync('points/here', at('symlink-gone'));
  symlinkSync('points/there', at('symlink-short'));
  symlinkSync('points/well', at('symlink'));
  for (const name of Object.keys(DAMAGES)) await it.rig.archive(it.rig.write(name, `content of ${name}`));
  for (const name of [
    'well',
    'd/well',
    'd/sub/well',
    'links',
    'dead',
    'unseen',
    'seen-otherwise',
    'ghost',
    'differs',
    'pair',
  ])
    await it.rig.archive(it.rig.write(name, `content of ${name}`));
  for (const name of ['links.2', 'links.3', 'links.4']) linkSync(at('links'), at(name));
  linkSync(at('pair'), at('pair.2'));
  for (const [name, { release }] of Object.entries(DAMAGES)) if (release) await it.rig.release(at(name));
  for (const name of Object.keys(DAMAGES)) staged.set(name, stagingName('', await it.rig.fid(at(name))));
  await it.scan();
  await it.follow();
  // Not archived, or modified since: nothing is asked of those.
  it.rig.write('fresh', 'never archived');
  writeFileSync(at('d/well'), 'modified');
  await it.scan();
  await it.follow();
  expect(await verify('--checksum')).toMatchObject({ total: 0, pending: 0, failed: 0, exit: { name: 'ok' } });

  const expected: string[] = [];
  for (const [name, { plant, finds }] of Object.entries(DAMAGES)) {
    await plant(name);
    expected.push(finds(name));
  }
  // Markers.
  await gone(blob('marker-gone'));
  await strange(blob('marker-strange'));
  await change(blob('marker-mode'), { permissions: '0700', lfsazsync_mode: '0700' });
  await rewrite(blob('marker-body'), 'a directory has none');
  await change(blob('dir-as-link'), { lfsazsync_kind: 'link' });
  await gone(blob('symlink-gone'));
  await rewrite(blob('symlink-short'), 'points');
  await gone(blob('links.2'));
  await change(blob('links.3'), { lfsazsync_link: 'somewhere/else' });
  await copyTo(blob('links.4'), blob('links.5'));
  await gone(blob('pair'));
  expected.push(
    `missing ${blob('marker-gone')}`,
    `missing ${blob('marker-strange')}`,
    `attributes ${blob('marker-mode')}`,
    `target ${blob('marker-body')}`,
    `kind ${blob('dir-as-link')}`,
    `missing ${blob('symlink-gone')}`,
    `target ${blob('symlink-short')}`,
    `missing ${blob('links.2')}`,
    `link ${blob('links.3')}`,
    `place ${blob('links.5')}`,
    `missing ${blob('pair')}`,
  );
  // A blob of a file that died while nobody looked, and that the catalog does not have.
  const dead = await it.rig.fid(at('dead'));
  await copyTo(blob('dead'), blob('dead.left'));
  rmSync(at('dead'));
  await it.scan();
  await it.follow();
  await it.withCatalog(async (catalog) => {
    expect((await catalog.known([dead])).get(dead)?.blobs ?? []).toEqual([]);
  });
  expected.push(`orphan ${blob('dead.left')}`);
  // What the catalog has wrong.
  const [unseen, ghost] = [await it.rig.fid(at('unseen')), await it.rig.fid(at('ghost'))];
  const parent = await it.rig.fid(at());
  await it.withCatalog(async (catalog) => {
    const found = (await catalog.known([ghost])).get(ghost);
    const { entry } = (await catalog.known([await it.rig.fid(at('seen-otherwise'))])).values().next().value ?? {};
    if (entry === undefined || found?.entry === undefined) throw new Error('the catalog lacks what it should have');
    await catalog.apply({ puts: [{ entry: { ...entry, uid: 4711, mtime: entry.mtime - 60 } }] });
    await catalog.apply({ blobs: [{ fid: ghost, blob: { archive: 1, name: blob('never/there'), kind: 'file' } }] });
    // Of what there never was, or is gone without a word.
    const never = { ...entry, fid: parseFid('0x200000999:0x1:0x0') as Fid, hsm: 0, archive: 0 };
    await catalog.apply({ puts: [{ entry: never, links: [{ parent, name: Buffer.from('never') }] }] });
    // As if it had never been met.
    await catalog.apply({ deaths: [{ fid: unseen, at: 1 }] });
    await catalog.apply({ buried: [unseen] });
  });
  expected.push(`catalog-stale ${blob('seen-otherwise')}`, `catalog-missing ${blob('unseen')}`);
  expected.push(`catalog-blob ${blob('never/there')}`, `catalog-dead ${relative(it.rig.sandbox.mount, at('never'))}`);

  // The content of a file whose data version says that it is the copy's.
  const differs = await it.rig.fid(at('differs'));
  const before = statSync(at('differs'));
  await rewriteBehind('differs');
  expected.push(`checksum-file ${blob('differs')}`);
  expect(statSync(at('differs')).size).toBe(before.size);

  const report = join(it.rig.sandbox.dir, 'findings.ndjson');
  const plain = await verify();
  const onlyRead = Object.entries(DAMAGES).filter(([, { checksum }]) => checksum);
  const unread = new Set([...onlyRead.map(([name, { finds }]) => finds(name)), `checksum-file ${blob('differs')}`]);
  expect(plain.examples.map(told).sort()).toEqual(expected.filter((one) => !unread.has(one)).sort());
  expect(plain.exit.name).toBe('partial');
  const found = await verify('--checksum', '--report', report);
  expect(found.examples.map(told).sort()).toEqual(expected.sort());
  expect(found.total).toBe(expected.length);
  const lines = readFileSync(report, 'utf8').trimEnd().split('\n');
  expect(lines.map((line) => told(JSON.parse(line) as FindingJson)).sort()).toEqual(expected);
  // Nothing was restored, and nothing changed.
  for (const [name, { release }] of Object.entries(DAMAGES)) {
    if (release) expect((await it.rig.states(at(name))) & HSM.RELEASED, name).not.toBe(0);
  }
  expect((await verify('--checksum')).examples.map(told).sort()).toEqual(expected);
  expect(await verify('--path', at('d'))).toMatchObject({ total: 0 });

  const repaired = await verify('--checksum', '--repair');
  const remains = Object.entries(DAMAGES).filter(([, { remains: forEver }]) => forEver);
  expect(
    repaired.examples
      .filter((one) => !one.repaired)
      .map(told)
      .sort(),
  ).toEqual([...remains.map(([name, { finds }]) => finds(name)), `checksum-file ${blob('differs')}`].sort());
  await it.follow();
  await it.rig.lfs('hsm_archive', ...(await dirtyOnes()));
  await settled();
  await it.scan();
  await it.follow();
  // Strangers' blobs stay: nobody's file is overwritten.
  const left = await verify('--checksum');
  const stays = [
    `missing ${blob('marker-strange')}`,
    `checksum-file ${blob('differs')}`,
    ...remains.map(([name, { finds }]) => finds(name)),
  ];
  expect(left.examples.map(told).sort()).toEqual(stays.sort());
  expect(await read(at('moved-away'))).toBe('content of moved-away');
  // What may be its only good copy is not overwritten with it.
  expect(await it.rig.fid(at('differs'))).toBe(differs);
  expect(await it.rig.content(at('differs'))).toBe('content of differs');
}, 600_000);

/** Changes a file's content without anybody noticing: as a write just between an archive's end and its completion does. */
async function rewriteBehind(name: string): Promise<void> {
  const { files } = it.rig.fs;
  const fid = await it.rig.fid(at(name));
  const { atimeMs, mtimeMs } = statSync(at(name));
  writeFileSync(at(name), `CONTENT of ${name}`);
  const { utimesSync } = await import('node:fs');
  utimesSync(at(name), atimeMs / 1000, mtimeMs / 1000);
  await files.setHsm(fid, { clear: HSM.DIRTY });
}

async function dirtyOnes(): Promise<string[]> {
  const dirty: string[] = [];
  for (const name of [...Object.keys(DAMAGES), 'differs', 'pair', 'd/well']) {
    if (((await it.rig.states(at(name))) & HSM.DIRTY) !== 0) dirty.push(at(name));
  }
  return dirty;
}

/** Until nothing that was asked for is under way. */
async function settled(): Promise<void> {
  const { unfinished } = await import('../../support/compare.ts');
  const { waitUntil } = await import('../../support/wait.ts');
  await waitUntil('all archives have ended', async () => (await unfinished(it.rig.sandbox)).length === 0);
}
