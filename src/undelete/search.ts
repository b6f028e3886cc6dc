import { listFlat } from '../blob/list.ts';
import { parseOwnMetadata } from '../blob/metadata.ts';
import { blobNameOf, isReservedName, pathOf } from '../blob/naming.ts';
import type { BlobState } from '../blob/state.ts';
import type { BlobStore } from '../blob/store.ts';
import type { Tombstone } from '../catalog/types.ts';
import { lookAt } from '../follow/reconcile/look.ts';
import type { Fid } from '../identity/fid.ts';
import { ERRNO } from '../lustre/errno.ts';
import { ErrnoError } from '../service/errors.ts';
import type { UndeleteContext } from './types.ts';

interface Stray {
  readonly stone: Tombstone;
  readonly seq: number;
}

/**
 * The dead that the catalog does not remember but the container has something of, at a path (relative to the root) and
 * below it: after a catalog was lost, or when the storage service has brought deleted blobs back. Dead is ENOENT by FID,
 * twice, under our UUID. Of several blobs of one file the latest version counts. Ordered by name, so a directory comes
 * before what was in it.
 */
export async function strays(context: UndeleteContext, path: Buffer): Promise<Tombstone[]> {
  const found = new Map<Fid, Stray>();
  for (const [archive, store] of context.archives) {
    for await (const page of pagesAt(store, path, context.signal)) {
      const ours = page.filter(
        ({ name, identity }) => identity?.fs === context.fsUuid && !isReservedName(name, store.prefix),
      );
      const dead = await unknownDead(context, new Set(ours.map(({ identity }) => identity?.fid as Fid)));
      for (const blob of ours) {
        const stone = stoneOf(blob, archive, store.prefix);
        const seq = blob.identity?.generation?.seq ?? 0;
        if (stone === undefined || !dead.has(stone.fid) || (found.get(stone.fid)?.seq ?? -1) >= seq) continue;
        found.set(stone.fid, { stone, seq });
      }
    }
  }
  return [...found.values()].map(({ stone }) => stone);
}

async function* pagesAt(store: BlobStore, path: Buffer, signal: AbortSignal): AsyncGenerator<readonly BlobState[]> {
  if (path.length === 0) {
    for await (const { blobs } of listFlat(store, {
      startsWith: store.prefix === '' ? '' : `${store.prefix}/`,
      signal,
    }))
      yield blobs;
    return;
  }
  const named = blobNameOf(path, store.prefix);
  if (!named.ok) return;
  const itself = await store.head(named.name, { signal });
  if (itself !== undefined) yield [itself];
  for await (const { blobs } of listFlat(store, { startsWith: `${named.name}/`, signal })) yield blobs;
}

/** Which of these are dead, and without a tombstone. */
async function unknownDead(context: UndeleteContext, fids: ReadonlySet<Fid>): Promise<Set<Fid>> {
  const list = [...fids];
  const looks = await context.fs.files.getMany(
    list.map((fid) => ({ fid })),
    { parts: [] },
  );
  const dead = new Set<Fid>();
  for (const [index, fid] of list.entries()) {
    const look = looks[index];
    if (!(look instanceof ErrnoError) || look.errno !== ERRNO.ENOENT) continue;
    if ((await context.catalog.tombstone(fid)) !== undefined) continue;
    if ((await lookAt(context, fid)) === 'dead') dead.add(fid);
  }
  return dead;
}

/** What the blob says of the dead one. Markers of further links say nothing that their file's copy does not. */
function stoneOf({ name, identity, metadata, length, lastModified }: BlobState, archive: number, prefix: string) {
  const path = pathOf(name, prefix);
  if (identity === undefined || identity.kind === 'link' || path === undefined) return undefined;
  const { uid = 0, gid = 0, mode = 0o600, mtime = 0n } = parseOwnMetadata(metadata).attributes;
  const stone: Tombstone = {
    ...{ fid: identity.fid, type: identity.kind, path, size: length, mode, uid, gid, archive },
    mtime: Number(mtime / 1_000_000_000n),
    diedAt: Math.floor(lastModified.getTime() / 1000),
    blobs: [{ archive, name, kind: identity.kind }],
  };
  return stone;
}
