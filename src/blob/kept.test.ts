import { expect, test } from 'vitest';
import { keptAt, listKept } from './kept.ts';
import { parseKeptListing } from './list-xml.ts';
import type { BlobStore } from './store.ts';

const page = (blobs: string, next = ''): string =>
  `<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint="https://x/" ContainerName="c"><Blobs>${blobs}</Blobs><NextMarker>${next}</NextMarker></EnumerationResults>`;

const blob = (name: string, head: string, more = '', day = 1) =>
  `<Blob><Name>${name}</Name>${head}<Properties><Last-Modified>0${day} Jan 2026 00:00:00 GMT</Last-Modified><Etag>0x${day}</Etag><Content-Length>${day}</Content-Length><BlobType>BlockBlob</BlobType>${more}</Properties><Metadata><Deleted>no</Deleted></Metadata><OrMetadata /></Blob>`;
const DELETED =
  '<DeletedTime>Tue, 06 Jan 2026 10:00:00 GMT</DeletedTime><RemainingRetentionDays>6</RemainingRetentionDays>';
const version = (n: number, rest = '') => `<VersionId>2026-01-0${n}T00:00:00.0000000Z</VersionId>${rest}`;

/** A container whose listing has these pages. */
const listing = (...pages: string[]) =>
  ({
    keptPage: ({ from }: { from?: string }) => Promise.resolve(parseKeptListing(pages[Number(from ?? 0)] as string)),
  }) as unknown as BlobStore;

async function namedIn(store: BlobStore, wanted: Parameters<typeof keptAt>[2] = () => true) {
  const all = [];
  for await (const named of listKept(store, { startsWith: '', wanted })) all.push(...named);
  return all.map(({ live, ...rest }) => {
    const kept = 'kept' in rest ? rest.kept : rest.taken;
    return [live?.name ?? kept?.state.name, live?.length, kept?.how, kept?.version?.slice(8, 10), kept?.state.length];
  });
}

test('an entry as the service documents it', () => {
  const { entries, next } = parseKeptListing(
    page(
      blob('a', '<Snapshot>2026-01-01T00:00:00.1234567Z</Snapshot><Deleted>true</Deleted>', DELETED) +
        blob('a', version(2, '<IsCurrentVersion>true</IsCurrentVersion>')),
      'on',
    ),
  );
  expect(entries).toMatchObject([
    {
      ...{ snapshot: '2026-01-01T00:00:00.1234567Z', deleted: true, current: false, daysLeft: 6 },
      deletedAt: new Date('2026-01-06T10:00:00Z'),
      state: { name: 'a', metadata: { Deleted: 'no' } },
    },
    { version: '2026-01-02T00:00:00.0000000Z', deleted: false, current: true },
  ]);
  expect(next).toBe('on');
});

test('soft delete: what is there, what is deleted, and the snapshots that come along', async () => {
  const deleted = '<Deleted>true</Deleted>';
  const snapshot = (n: number, rest = deleted) => `<Snapshot>s${n}</Snapshot>${rest}`;
  const store = listing(
    page(blob('a', '') + blob('b', snapshot(1)) + blob('b', snapshot(2, '')), '1'),
    page(blob('b', snapshot(3)) + blob('b', deleted, DELETED, 4) + blob('c', snapshot(1)) + blob('c', '')),
  );
  expect(await namedIn(store)).toEqual([
    ['a', 1n, undefined, undefined, undefined],
    ['b', undefined, 'soft-deleted', undefined, 4n],
    ['c', 1n, undefined, undefined, undefined],
  ]);
  const b = await keptAt(listing(page(blob('b', snapshot(1)) + blob('b', deleted, DELETED))), 'b', () => true);
  expect(b).toMatchObject({ kept: { snapshots: ['s1'], daysLeft: 6, deleted: true } });
});

test('versions: the latest one that is wanted, unless there is a current one', async () => {
  const store = listing(
    page(blob('a', version(1)) + blob('a', version(3), '', 3) + blob('a', version(2), '', 2), '1'),
    page(
      blob('a', version(4), '', 4) +
        blob('b', version(1)) +
        blob('b', version(2, '<IsCurrentVersion>true</IsCurrentVersion>'), '', 2),
    ),
  );
  expect(await namedIn(store)).toEqual([
    ['a', undefined, 'version', '04', 4n],
    ['b', 2n, 'version', '01', 1n],
  ]);
  expect((await namedIn(store, ({ length }) => length === 3n)).slice(0, 1)).toEqual([
    ['a', undefined, 'version', '03', 3n],
  ]);
  expect(await namedIn(store, () => false)).toEqual([['b', 2n, undefined, undefined, undefined]]);
});

test('one name is not taken for those that begin alike', async () => {
  const store = listing(page(blob('ab', version(1)) + blob('abc', version(1))), page(''));
  expect(await keptAt(store, 'a', () => true)).toBeUndefined();
  expect(await keptAt(store, 'ab', () => true)).toMatchObject({ kept: { state: { name: 'ab' } } });
});
