import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { CLAIMS_NAME } from '../../../src/blob/claims.ts';
import { claimContainer, controlName, readControl, requireControl } from '../../../src/blob/control.ts';
import { isRetriable } from '../../../src/blob/errors.ts';
import { listFlat, listLevel } from '../../../src/blob/list.ts';
import type { ListPage } from '../../../src/blob/list-types.ts';
import {
  deleteMarker,
  ensureMarker,
  putDirectoryMarker,
  putLinkMarker,
  putSymlink,
} from '../../../src/blob/markers.ts';
import { parseOwnMetadata } from '../../../src/blob/metadata.ts';
import { blobNameOf, pathOf } from '../../../src/blob/naming.ts';
import { checkContainer } from '../../../src/blob/preflight.ts';
import { requestRehydration } from '../../../src/blob/rehydrate.ts';
import type { Fid } from '../../../src/identity/fid.ts';
import { DryLedger } from '../../../src/import/ledger.ts';
import { listAll } from '../../../src/import/lister.ts';
import { FID, FS, metadata, useAzurite } from './setup.ts';

const world = useAzurite();
const ABSENT = { ifNoneMatch: '*' } as const;
const OTHER_FS = '99999999-2222-4333-8444-555555555555';
const attributes = { uid: 1, gid: 2, mode: 0o2755, mtime: 0n };

async function collect(pages: AsyncGenerator<ListPage>) {
  const blobs = [];
  const directories = [];
  let count = 0;
  for await (const page of pages) {
    blobs.push(...page.blobs);
    directories.push(...page.directories);
    count += 1;
  }
  return { blobs, directories, count };
}

describe('names make the journey through the service and back', () => {
  const paths = [
    'plain',
    'a b',
    ' lead and trail ',
    'ünïcødé/日本語/😀',
    'a%20b',
    '100%',
    '%2E',
    '%41',
    'q?x=1&y#z',
    'quo\'te"<&>',
    '+plus+',
    'end.',
    'a./b../c',
    'back\\slash',
    'new\nline\ttab\x01\x7f',
    'e\u0301',
    '~$^`{}|[]',
    ';:,@=!*()',
    '.lfsazsync/control',
    'x'.repeat(1000),
  ].map((text) => Buffer.from(text));
  paths.push(Buffer.from([0x66, 0xff, 0xfe, 0x80]), Buffer.from('\ufffe\uffff\ue000'), Buffer.from('\u0085\u2028'));

  test.each(['', 'pre fix/ü'])('with the prefix %j', async (prefix) => {
    const store = await world.open({ prefix });
    for (const [index, path] of paths.entries()) {
      const result = blobNameOf(path, prefix);
      if (!result.ok) throw new Error(result.reason);
      await store.put(result.name, Buffer.from(String(index)), { condition: ABSENT, metadata: metadata() });
      expect((await store.head(result.name))?.identity?.fid).toBe(FID);
    }
    const { blobs } = await collect(listFlat(store));
    const back = blobs.map(({ name }) => pathOf(name, prefix)?.toString('hex')).sort();
    expect(back).toEqual(paths.map((path) => path.toString('hex')).sort());
  });
});

test.each(['', '.', '..', 'a/../b', './a', 'a/.'])(
  'the name %j, which a URL would change, is never sent',
  async (name) => {
    const store = await world.open();
    await expect(store.head(name)).rejects.toMatchObject({ code: 'INVALID' });
    await expect(store.put(name, Buffer.alloc(0), { condition: ABSENT, metadata: {} })).rejects.toMatchObject({
      code: 'INVALID',
    });
    expect(world.gateway.requests).toEqual([]);
  },
);

describe('conditions', () => {
  test('metadata is read, changed and written under the ETag; keys of others stay', async () => {
    const store = await world.open();
    await world.client.getBlockBlobClient('f').upload('x', 1, { metadata: { team: 'blue', owner: '1' } });
    const before = await store.head('f');
    const { etag } = await store.setMetadata('f', { owner: '7', lfsazsync_x: 'y' }, { ifMatch: before?.etag ?? '' });
    const after = await store.head('f');
    expect(after?.metadata).toEqual({ team: 'blue', owner: '7', lfsazsync_x: 'y' });
    expect(after?.etag).toBe(etag);
    const stale = store.setMetadata('f', { owner: '8' }, { ifMatch: before?.etag ?? '' });
    await expect(stale).rejects.toMatchObject({ code: 'CONDITION' });
    await expect(store.setMetadata('none', { a: 'b' }, { ifMatch: etag })).rejects.toMatchObject({
      code: expect.stringMatching(/NOT_FOUND|CONDITION/),
    });
  });

  test('metadata whose answer was lost is found to be written', async () => {
    const store = await world.open();
    const { etag } = await store.put('f', Buffer.from('x'), { condition: ABSENT, metadata: metadata() });
    let lost = 0;
    world.gateway.interfere = ({ operation }) =>
      operation === 'Set Blob Metadata' && lost++ === 0 ? 'lose-answer' : undefined;
    const written = await store.setMetadata('f', { owner: '7' }, { ifMatch: etag });
    expect((await store.head('f'))?.etag).toBe(written.etag);
    expect(lost).toBe(2);
  });

  test('a deletion hits the version that was looked at, or nothing', async () => {
    const audit: object[] = [];
    const store = await world.open({}, { audit: { info: (fields) => void audit.push(fields) }, env: connection() });
    const { etag } = await store.put('f', Buffer.from('x'), { condition: ABSENT, metadata: {} });
    const second = await store.put('f', Buffer.from('y'), { condition: { ifMatch: etag }, metadata: {} });
    await expect(store.delete('f', { ifMatch: etag })).rejects.toMatchObject({ code: 'CONDITION' });
    expect(await store.head('f')).toBeDefined();
    expect(await store.delete('f', { ifMatch: second.etag })).toBe(true);
    expect(await store.delete('f', { ifMatch: second.etag })).toBe(false);
    expect(audit).toEqual([
      expect.objectContaining({ action: 'overwrite', blob: 'f', etag, outcome: 'done' }),
      expect.objectContaining({ action: 'delete', blob: 'f', etag: second.etag, outcome: 'done' }),
    ]);
  });

  test('a deletion whose answer was lost is done', async () => {
    const store = await world.open();
    const { etag } = await store.put('f', Buffer.from('x'), { condition: ABSENT, metadata: {} });
    let lost = 0;
    world.gateway.interfere = ({ operation }) =>
      operation === 'Delete Blob' && lost++ === 0 ? 'lose-answer' : undefined;
    expect(await store.delete('f', { ifMatch: etag })).toBe(true);
  });

  test.each(['', '*', '"a", "b"; x'])('what is no ETag is never sent as one: %j', async (ifMatch) => {
    const store = await world.open();
    await store.put('f', Buffer.from('x'), { condition: ABSENT, metadata: {} });
    await expect(store.delete('f', { ifMatch })).rejects.toThrow(TypeError);
    await expect(store.put('f', Buffer.from('y'), { condition: { ifMatch }, metadata: {} })).rejects.toThrow(TypeError);
  });

  test('metadata that the service would refuse is not sent', async () => {
    const store = await world.open();
    const refused: Record<string, string>[] = [{ a: 'é' }, { 'a-b': 'x' }, { a: 'x'.repeat(8192) }];
    for (const bad of refused) {
      await expect(store.put('f', Buffer.alloc(0), { condition: ABSENT, metadata: bad })).rejects.toMatchObject({
        code: 'INVALID',
      });
    }
    expect(world.gateway.requests).toEqual([]);
  });

  test('a leased blob, one with snapshots, one of another type: errors of their own', async () => {
    const store = await world.open();
    const client = world.client.getBlockBlobClient('f');
    await client.upload('x', 1);
    const lease = client.getBlobLeaseClient();
    await lease.acquireLease(60);
    const { etag = '' } = (await store.head('f')) ?? {};
    await expect(store.delete('f', { ifMatch: etag })).rejects.toMatchObject({ code: 'LEASED', retriable: true });
    await lease.releaseLease();
    await client.createSnapshot();
    await expect(store.delete('f', { ifMatch: (await store.head('f'))?.etag ?? '' })).rejects.toMatchObject({
      code: 'SNAPSHOTS',
    });
    expect(await store.head('f')).toBeDefined();
  });
});

describe('errors of the network and the service', () => {
  test('busy and failing answers are tried again, as long as the service asks to wait', async () => {
    const store = await world.open();
    const answers = [
      { status: 503, code: 'ServerBusy', headers: { 'retry-after': '0' } },
      { status: 500, code: 'InternalError' },
      { status: 429 },
    ];
    world.gateway.interfere = (_request, number) =>
      number <= 3 ? { answer: answers[number - 1] as { status: number } } : undefined;
    expect(await store.head('f')).toBeUndefined();
    expect(world.gateway.requests).toHaveLength(4);
  });

  test('until the tries are used up', async () => {
    const store = await world.open();
    world.gateway.interfere = () => ({ answer: { status: 503, code: 'ServerBusy' } });
    const error = await store.head('some/blob').catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'THROTTLED', status: 503, exit: 'tryAgain' });
    expect(isRetriable(new Error('outer', { cause: error }))).toBe(true);
    expect((error as Error).message).toContain(
      `blob "some/blob" in container ${world.container} of account devstoreaccount1`,
    );
    expect(world.gateway.requests).toHaveLength(4);
  });

  test('an answer that only a proxy can have given is tried again, then told', async () => {
    const store = await world.open({}, { retry: { tries: 2, firstDelay: 1 }, env: connection() });
    const headers = { 'content-type': 'text/html' };
    world.gateway.interfere = () => ({ answer: { status: 200, body: '<html>Sign in', headers } });
    for (const work of [
      () => store.head('f'),
      () => listFlat(store).next(),
      () => store.setTier('f', 'Cool'),
      () => store.put('f', Buffer.from('x'), { condition: ABSENT, metadata: {} }),
      () => store.readRange('f', { offset: 0, into: Buffer.alloc(8), ifMatch: '"0x1"', blobLength: 8n }),
    ]) {
      world.gateway.requests.length = 0;
      await expect(work()).rejects.toMatchObject({ name: 'BlobError', retriable: true });
      expect(world.gateway.requests).toHaveLength(2);
    }
  });

  test('nor is its "not found" a blob that is gone', async () => {
    const store = await world.open({}, { retry: { tries: 2, firstDelay: 1 }, env: connection() });
    world.gateway.interfere = () => ({ answer: { status: 404, body: '<html>No such page' } });
    await expect(store.head('f')).rejects.toMatchObject({ code: 'NETWORK', retriable: true });
    await expect(store.delete('f', { ifMatch: '"0x1"' })).rejects.toMatchObject({ code: 'NETWORK' });
  });

  test('nobody is followed to another place', async () => {
    const store = await world.open();
    const headers = { location: `${world.gateway.endpoint}/${world.container}/other` };
    world.gateway.interfere = () => ({ answer: { status: 307, headers } });
    await expect(store.head('f')).rejects.toMatchObject({ code: 'INVALID', status: 307 });
    expect(world.gateway.requests).toHaveLength(1);
  });

  test('a stalled connection ends', async () => {
    const store = await world.open({}, { idleTimeout: 200, retry: { tries: 2, firstDelay: 1 }, env: connection() });
    world.gateway.interfere = () => 'stall';
    await expect(store.head('f')).rejects.toMatchObject({
      code: 'NETWORK',
      retriable: true,
      message: expect.stringContaining('no byte came or went'),
    });
    expect(world.gateway.requests).toHaveLength(2);
  });

  test('an abort ends a stalled request at once, with its own reason', async () => {
    const store = await world.open();
    const controller = new AbortController();
    world.gateway.interfere = () => {
      controller.abort(new Error('shutting down'));
      return 'stall';
    };
    await expect(store.head('f', { signal: controller.signal })).rejects.toThrow('shutting down');
  });

  test('nobody there', async () => {
    const store = await world.open(
      { endpoint: 'http://127.0.0.1:1/devstoreaccount1', credential: { type: 'sas', env: 'SAS' } },
      { env: { SAS: world.azurite.containerSas(world.container, 'r') }, retry: { tries: 1 } },
    );
    await expect(store.head('f')).rejects.toMatchObject({
      code: 'NETWORK',
      retriable: true,
      ambiguous: false,
      message: expect.stringContaining('nobody listens there'),
    });
  });

  test('a missing container is not a missing blob', async () => {
    const store = await world.open({ container: 'nothere' });
    await expect(store.head('f')).rejects.toMatchObject({ code: 'CONTAINER_NOT_FOUND' });
    await expect(checkContainer(store, { need: 'read' })).rejects.toMatchObject({ code: 'CONTAINER_MISSING' });
  });
});

describe('credentials', () => {
  test('a new SAS in the file is taken up when the old one is refused', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'lfsazsync-sas-'));
    try {
      const file = join(dir, 'sas');
      await writeFile(
        file,
        `?${world.azurite.containerSas(world.container, 'r', { expires: new Date(Date.now() - 60_000) })}\n`,
      );
      const store = await world.open({ endpoint: world.gateway.endpoint, credential: { type: 'sas', file } });
      await expect(store.head('f')).rejects.toMatchObject({ code: 'AUTH', exit: 'notAuthorised' });
      await writeFile(file, `https://example/?${world.azurite.containerSas(world.container, 'rwdl')}\n`);
      expect(await store.head('f')).toBeUndefined();
      expect(store.sas).toMatchObject({ permissions: 'rwdl' });
    } finally {
      rmSync(dir, { recursive: true });
    }
  });

  test('neither errors nor what hangs on them show a signature', async () => {
    const store = await world.openWithSas('r');
    const signature = new URLSearchParams(world.azurite.containerSas(world.container, 'r')).get('sig') ?? '';
    const errors = [
      await store.put('f', Buffer.alloc(1), { condition: ABSENT, metadata: {} }).catch((error: unknown) => error),
    ];
    world.gateway.interfere = () => 'cut';
    errors.push(await store.head('f').catch((error: unknown) => error));
    for (const error of [...errors, store]) {
      const shown = inspect(error, { depth: 20, showHidden: true, getters: true }) + JSON.stringify(error);
      expect(shown).not.toContain('sig=');
      expect(shown).not.toContain(encodeURIComponent(signature));
    }
    expect(errors[0]).toMatchObject({ code: 'AUTH', authReason: 'permission' });
  });
});

describe('preflight', () => {
  test('passes with enough, and leaves nothing behind', async () => {
    for (const store of [await world.openWithSas('racwdl'), await world.open()]) {
      expect(await checkContainer(store, { need: 'write' })).toMatchObject({
        hierarchicalNamespace: expect.not.stringMatching('true'),
      });
    }
    expect((await collect(listFlat(await world.open()))).blobs).toEqual([]);
  });

  test.each([
    ['r', 'write (w), delete (d), list (l)', 'nothing can be archived'],
    ['rwl', 'delete (d)', 'copies of removed files'],
    ['wdl', 'read (r)', 'nothing can be restored'],
  ])('names what a SAS with %s lacks', async (letters, names, effect) => {
    const store = await world.openWithSas(letters);
    const error = await checkContainer(store, { need: 'write' }).catch((caught: unknown) => caught as Error);
    expect(error).toMatchObject({ code: 'PERMISSION_MISSING', exit: 'notAuthorised' });
    expect((error as Error).message).toContain(names);
    expect((error as Error).message).toContain(effect);
  });

  test('reading asks for no more than reading', async () => {
    await checkContainer(await world.openWithSas('r'), { need: 'read' });
  });

  test('permissions that only the service knows of are found out by asking', async () => {
    const store = await world.open();
    world.gateway.interfere = ({ operation }) =>
      operation === 'Delete Blob' ? { answer: { status: 403, code: 'AuthorizationPermissionMismatch' } } : undefined;
    await expect(checkContainer(store, { need: 'write' })).rejects.toThrow('delete (d)');
  });

  test('an account with a hierarchical namespace is refused', async () => {
    const store = await world.open();
    world.gateway.interfere = ({ operation }) =>
      operation.includes('account')
        ? { answer: { status: 200, headers: { 'x-ms-is-hns-enabled': 'true', 'x-ms-request-id': '1' } } }
        : undefined;
    await expect(checkContainer(store, { need: 'read' })).rejects.toMatchObject({ code: 'ACCOUNT_HIERARCHICAL' });
  });

  // The service tells an identity nothing of the account, but says of each blob whether it is a file or a directory.
  test('so is one that only the control blob tells of, as soon as there is one', async () => {
    const store = await world.open();
    world.gateway.interfere = ({ operation }) => {
      if (operation.includes('account')) return { answer: { status: 403, code: 'AuthorizationPermissionMismatch' } };
      return operation === 'Get Blob Properties' ? { headers: { 'x-ms-resource-type': 'file' } } : undefined;
    };
    expect(await checkContainer(store, { need: 'write' })).toMatchObject({ hierarchicalNamespace: undefined });
    await expect(claimContainer(store, FS)).rejects.toMatchObject({ code: 'ACCOUNT_HIERARCHICAL' });
    await expect(checkContainer(store, { need: 'read' })).rejects.toMatchObject({ code: 'ACCOUNT_HIERARCHICAL' });
  });

  test('a control blob that is just a blob tells that it is not one', async () => {
    const store = await world.open();
    await claimContainer(store, FS);
    world.gateway.interfere = ({ operation }) =>
      operation.includes('account') ? { answer: { status: 403, code: 'AuthorizationFailure' } } : undefined;
    expect(await checkContainer(store, { need: 'read' })).toMatchObject({ hierarchicalNamespace: false });
  });
});

// Clouds learn a new version one after the other, some of them months later.
test('all requests are of one version of the service, whoever makes them', async () => {
  const store = await world.open();
  const { etag } = await store.put('a', Buffer.from('abc'), { condition: ABSENT, metadata: {} });
  const changed = await store.setMetadata('a', { k: 'v' }, { ifMatch: etag });
  await store.setTier('a', 'Cool');
  const lease = randomUUID();
  await store.lease('a', lease, { seconds: 15 });
  await store.lease('a', lease, 'release');
  await store.hasHierarchicalNamespace();
  await store.softDeleteDays();
  await collect(listFlat(store));
  await store.delete('a', { ifMatch: changed.etag });
  const { requests } = world.gateway;
  expect(requests.length).toBeGreaterThanOrEqual(9);
  expect(new Set(requests.map(({ headers }) => headers['x-ms-version']))).toEqual(new Set(['2023-11-03']));
});

describe('the control blob', () => {
  test('claims once, for one file system', async () => {
    const store = await world.open();
    expect(await readControl(store)).toBeUndefined();
    await expect(requireControl(store, FS)).rejects.toMatchObject({ code: 'CONTAINER_UNCLAIMED' });
    const claims = await Promise.all([claimContainer(store, FS), claimContainer(store, FS)]);
    expect(claims[0]).toEqual(claims[1]);
    expect(await readControl(store)).toMatchObject({ version: 1, fs: FS, prefix: '' });
    await expect(claimContainer(store, OTHER_FS)).rejects.toMatchObject({
      code: 'CONTAINER_TAKEN',
      message: expect.stringContaining(FS),
    });
    await expect(requireControl(store, OTHER_FS)).rejects.toMatchObject({ code: 'CONTAINER_TAKEN' });
  });

  test('other prefixes are other places, but not below a claimed one', async () => {
    await claimContainer(await world.open({ prefix: 'one' }), FS);
    await claimContainer(await world.open({ prefix: 'two' }), OTHER_FS);
    await claimContainer(await world.open({ prefix: 'one two' }), OTHER_FS);
    await expect(claimContainer(await world.open({ prefix: 'one/deeper' }), OTHER_FS)).rejects.toMatchObject({
      code: 'CONTAINER_TAKEN',
    });
  });

  test.each(['', 'a', 'a/b'])('nor above one: the prefix %j of a container with a/b/c', async (prefix) => {
    await claimContainer(await world.open({ prefix: 'a/b/c' }), FS);
    const outer = await world.open({ prefix });
    await expect(claimContainer(outer, OTHER_FS)).rejects.toMatchObject({
      code: 'CONTAINER_TAKEN',
      message: expect.stringContaining('(claimed with the prefix "a/b/c")'),
    });
    expect(await readControl(outer)).toBeUndefined();
    expect(await claimContainer(outer, FS)).toMatchObject({ fs: FS, prefix });
  });

  test('of two who claim places in one another at the same time, one is refused', async () => {
    const [outer, inner] = [await world.open({ prefix: 'a' }), await world.open({ prefix: 'a/b' })];
    const results = await Promise.allSettled([claimContainer(outer, FS), claimContainer(inner, OTHER_FS)]);
    expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    const refused = results.find((result) => result.status === 'rejected');
    expect(refused?.reason).toMatchObject({ code: 'CONTAINER_TAKEN' });
  });

  test('a claim whose answer was lost is entered once', async () => {
    const store = await world.open({ prefix: 'p' });
    let lost = 0;
    world.gateway.interfere = ({ operation }) => (operation === 'Put Blob' && lost++ === 0 ? 'lose-answer' : undefined);
    await claimContainer(store, FS);
    await claimContainer(store, FS);
    const claims = JSON.parse(String(await world.client.getBlobClient(CLAIMS_NAME).downloadToBuffer()));
    expect(claims).toEqual({ version: 1, claims: [{ prefix: 'p', fs: FS }] });
  });

  test('a list of claims that does not read is not replaced', async () => {
    await world.client.getBlockBlobClient(CLAIMS_NAME).upload('{"version":2}', 13);
    await expect(claimContainer(await world.open(), FS)).rejects.toMatchObject({ code: 'CLAIMS_UNREADABLE' });
  });

  test.each([
    ['not json', 'CONTROL_UNREADABLE'],
    ['', 'CONTROL_UNREADABLE'],
    ['{"version":1,"fs":"x"}', 'CONTROL_UNREADABLE'],
    ['{"version":2,"later":true}', 'FORMAT_TOO_NEW'],
  ])('%j is %s', async (body, code) => {
    const store = await world.open();
    await world.client.getBlockBlobClient(controlName('')).upload(body, body.length);
    await expect(claimContainer(store, FS)).rejects.toMatchObject({ code });
  });
});

describe('markers', () => {
  const marker = { fs: FS, fid: FID, attributes };

  test('directory, symlink and link are written as the format has them', async () => {
    const store = await world.open();
    await putDirectoryMarker(store, 'd', marker, { condition: ABSENT });
    await putSymlink(store, 's', { ...marker, target: Buffer.from('../ziel/ä b%') }, { condition: ABSENT });
    await putLinkMarker(store, 'l', { ...marker, linkTo: 'dir/ä' }, { condition: ABSENT });
    expect(await store.head('d')).toMatchObject({
      length: 0n,
      metadata: { hdi_isfolder: 'true', permissions: '0755', lfsazsync_mode: '2755' },
    });
    const symlink = await store.head('s');
    expect(symlink?.metadata).toMatchObject({ ftype: 'LNK', is_symlink: 'true', symlink: '../ziel/%C3%A4%20b%25' });
    expect(String(await world.client.getBlobClient('s').downloadToBuffer())).toBe('../ziel/ä b%');
    expect(parseOwnMetadata((await store.head('l'))?.metadata ?? {}).linkTo).toBe('dir/ä');
  });

  test('ensure writes where nothing is, and otherwise tells what is there', async () => {
    const store = await world.open();
    const write = (options: Parameters<typeof putDirectoryMarker>[3]) =>
      putDirectoryMarker(store, 'd', marker, options);
    expect(await ensureMarker(store, 'd', write)).toBeUndefined();
    expect((await ensureMarker(store, 'd', write))?.identity).toEqual({ fs: FS, fid: FID, kind: 'dir' });
  });

  test('only the marker of this very object is deleted', async () => {
    const store = await world.open();
    await putDirectoryMarker(store, 'd', marker, { condition: ABSENT });
    for (const wrong of [{ fs: OTHER_FS }, { fid: '0x200000401:0x2:0x0' as Fid }, { kind: 'link' as const }]) {
      expect(await deleteMarker(store, 'd', { fs: FS, fid: FID, kind: 'dir', ...wrong })).toBe('other');
    }
    await world.client.getBlockBlobClient('stranger').upload('', 0);
    expect(await deleteMarker(store, 'stranger', { fs: FS, fid: FID, kind: 'dir' })).toBe('other');
    expect(await deleteMarker(store, 'd', { fs: FS, fid: FID, kind: 'dir' })).toBe('deleted');
    expect(await deleteMarker(store, 'd', { fs: FS, fid: FID, kind: 'dir' })).toBe('gone');
  });
});

test('listings: in pages, with metadata; one level with its directories', async () => {
  const store = await world.open();
  for (const name of ['a', 'd/1', 'd/2', 'd/e/3', 'dd/4'])
    await store.put(name, Buffer.from('x'), { condition: ABSENT, metadata: metadata() });
  const flat = await collect(listFlat(store, { pageSize: 2 }));
  expect(flat.blobs.map(({ name }) => name)).toEqual(['a', 'd/1', 'd/2', 'd/e/3', 'dd/4']);
  expect(flat.count).toBe(3);
  expect(flat.blobs[0]).toEqual(
    expect.objectContaining({ ...(await store.head('a')), lastModified: expect.any(Date) }),
  );
  const level = await collect(listLevel(store, { startsWith: 'd/' }));
  expect(level.blobs.map(({ name }) => name)).toEqual(['d/1', 'd/2']);
  expect(level.directories).toEqual(['d/e/']);
});

test('listings from a name on: in pages; an import lists one directory in parts with it, each blob once', async () => {
  const store = await world.open();
  const names = Array.from(
    { length: 60 },
    (_, index) => `d/${index % 3 === 0 ? 'ü' : 'f'}${String(index).padStart(3, '0')}`,
  );
  for (const name of [...names, 'd/g/deep', 'e'])
    await store.put(name, Buffer.alloc(0), { condition: ABSENT, metadata: {} });
  const from = await collect(listFlat(store, { startsWith: 'd/', startFrom: 'd/f058', pageSize: 1 }));
  expect([from.blobs.length, from.blobs[0]?.name, from.count]).toEqual([23, 'd/f058', 23]);
  const level = await collect(listLevel(store, { startsWith: 'd/', startFrom: 'd/f9' }));
  expect([level.blobs.length, level.directories]).toEqual([20, ['d/g/']]);
  for (const flat of [true, false]) {
    const ledger = new DryLedger(undefined, 1);
    await ledger.commit({ imports: { ranges: [{ place: 'd/', flat }] } });
    const [seen, starts]: [string[], Set<string | undefined>] = [[], new Set()];
    await listAll({
      ...{ ledger, prefix: '', wanted: () => true, concurrency: 3, signal: new AbortController().signal },
      list: ({ place, start, flat: whole, token }, pageSize = 5) =>
        store.listPage(whole ? 'flat' : 'level', { startsWith: place, startFrom: start, pageSize, from: token }),
      take: async (blobs, progress) => {
        seen.push(...blobs.map(({ name }) => name));
        for (const { start } of progress.ranges ?? []) starts.add(start);
        await ledger.commit({ imports: progress });
      },
    });
    expect(seen.sort()).toEqual([...names, 'd/g/deep'].sort());
    expect(starts.size).toBeGreaterThan(2);
  }
});

test('the Archive tier: told as such, or asked back when configured', async () => {
  const plain = await world.open();
  const store = await world.open({ rehydrate: 'High' });
  await plain.put('f', Buffer.from('x'), { condition: ABSENT, metadata: {} });
  await plain.setTier('f', 'Archive');
  const state = await plain.head('f');
  if (state === undefined) throw new Error('it is gone');
  await expect(
    plain.readRange('f', { offset: 0, into: Buffer.alloc(1), ifMatch: state.etag, blobLength: 1n }),
  ).rejects.toMatchObject({ code: 'ARCHIVED' });
  await expect(requestRehydration(plain, state)).rejects.toMatchObject({
    code: 'ARCHIVED',
    hint: expect.stringContaining('rehydrate'),
  });
  expect(await requestRehydration(store, state)).toBe('pending');
});

function connection() {
  return { CONNECTION: world.azurite.connectionString.replace(world.azurite.endpoint, world.gateway.endpoint) };
}
