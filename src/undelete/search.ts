import { type KeptBlob, keptAt, listKept, type Named } from '../blob/kept.ts';
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

/** Something dead that only the container knows of. */
export interface Stray {
  readonly stone: Tombstone;
  /** Its blob was deleted, too, and this is kept of it. */
  readonly kept?: KeptBlob;
}

/** One deletion of a file's blobs, however slow the service is. */
const TOGETHER_MS = 60_000;

type Context = Pick<UndeleteContext, 'archives' | 'catalog' | 'fs' | 'fsUuid' | 'signal'>;

/**
 * The dead that the catalog does not remember but the container has something of, or the account keeps something of: at a
 * path (relative to the root), if wanted all below it, and the directories above it. After a catalog was lost; after the
 * blobs were deleted, too. Dead is ENOENT by FID, twice, under our UUID. Of several blobs of one file the latest version
 * counts; with it come the further names, whose markers are there as it is, or were deleted together with it. Ordered by
 * name, so a directory comes before what was in it.
 */
export async function strays(context: Context, path: Buffer, recursive: boolean): Promise<Stray[]> {
  const found = new Map<Fid, Stray & { readonly blob: BlobState }>();
  const links = new Map<Fid, Marker[]>();
  const { fsUuid } = context;
  for (const [archive, store] of context.archives) {
    const isOurs = ({ name, identity }: BlobState) => identity?.fs === fsUuid && !isReservedName(name, store.prefix);
    for await (const page of pagesAt(store, { path, recursive }, isOurs, context.signal)) {
      const blobs = page.map((named) => named.live ?? named.kept.state);
      const dead = await unknownDead(
        context,
        new Set(blobs.filter(isOurs).map(({ identity }) => identity?.fid as Fid)),
      );
      for (const [index, blob] of blobs.entries()) {
        const named = page[index] as Named;
        const kept = named.live === undefined ? named.kept : undefined;
        const { fid, kind } = blob.identity ?? {};
        if (fid !== undefined && kind === 'link' && isOurs(blob) && dead.has(fid)) {
          const markers = links.get(fid) ?? [];
          links.set(fid, markers);
          markers.push({ archive, name: blob.name, kept });
        }
        const stone = isOurs(blob) ? stoneOf(blob, kept, archive, store.prefix) : undefined;
        if (stone === undefined || !dead.has(stone.fid) || !isBetter({ blob, kept }, found.get(stone.fid))) continue;
        found.set(stone.fid, { stone, blob, ...(kept === undefined ? {} : { kept }) });
      }
    }
  }
  return [...found.values()].map((stray) => withLinks(stray, links.get(stray.stone.fid) ?? []));
}

/** A further name of a file: where its marker is, or was. */
interface Marker {
  readonly archive: number;
  readonly name: string;
  readonly kept: KeptBlob | undefined;
}

/** Markers of names that were removed before their file died were deleted before it, too: these names stay away. */
function withLinks({ stone, kept }: Stray, markers: readonly Marker[]): Stray {
  const links = markers
    .filter((marker) => diedTogether(marker.kept, kept))
    .map(({ archive, name }) => ({ archive, name, kind: 'link' as const }));
  return { stone: { ...stone, blobs: [...stone.blobs, ...links] }, ...(kept === undefined ? {} : { kept }) };
}

/** Versions do not tell when they were deleted. */
function diedTogether(one: KeptBlob | undefined, other: KeptBlob | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  const [a, b] = [one.deletedAt, other.deletedAt];
  return a !== undefined && b !== undefined && Math.abs(a.getTime() - b.getTime()) <= TOGETHER_MS;
}

interface Candidate {
  readonly blob: BlobState;
  readonly kept?: KeptBlob | undefined;
}

/** Of two blobs of one file: what is there before what is only kept, then the later one. */
function isBetter(one: Candidate, other: Candidate | undefined): boolean {
  if (other === undefined) return true;
  const isThere = ({ kept }: Candidate) => kept === undefined;
  if (isThere(one) !== isThere(other)) return isThere(one);
  const seq = ({ blob }: Candidate) => blob.identity?.generation?.seq ?? 0;
  if (seq(one) !== seq(other)) return seq(one) > seq(other);
  return one.blob.lastModified > other.blob.lastModified;
}

async function* pagesAt(
  store: BlobStore,
  { path, recursive }: { readonly path: Buffer; readonly recursive: boolean },
  wanted: (state: BlobState) => boolean,
  signal: AbortSignal,
): AsyncGenerator<readonly Named[]> {
  const named = path.length === 0 ? undefined : blobNameOf(path, store.prefix);
  if (named?.ok === false) return;
  for (const name of named === undefined ? [] : namesDownTo(named.name, store.prefix)) {
    const there = await keptAt(store, name, wanted, signal);
    if (there !== undefined) yield [there];
  }
  if (!recursive) return;
  const above = named?.name ?? store.prefix;
  yield* listKept(store, { startsWith: above === '' ? '' : `${above}/`, wanted, signal });
}

/** `p/a`, `p/a/b`, … */
function namesDownTo(name: string, prefix: string): string[] {
  const root = prefix === '' ? 0 : prefix.length + 1;
  const segments = name.slice(root).split('/');
  return segments.map((_, index) => name.slice(0, root) + segments.slice(0, index + 1).join('/'));
}

/** Which of these are dead, and without a tombstone. */
async function unknownDead(context: Context, fids: ReadonlySet<Fid>): Promise<Set<Fid>> {
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

/** What the blob says of the dead one. Markers of further links only say a name. */
function stoneOf(
  { name, identity, metadata, length, lastModified }: BlobState,
  kept: KeptBlob | undefined,
  archive: number,
  prefix: string,
): Tombstone | undefined {
  const path = pathOf(name, prefix);
  if (identity === undefined || identity.kind === 'link' || path === undefined) return undefined;
  const { uid = 0, gid = 0, mode = 0o600, mtime = 0n } = parseOwnMetadata(metadata).attributes;
  return {
    ...{ fid: identity.fid, type: identity.kind, path, size: length, mode, uid, gid, archive },
    mtime: Number(mtime / 1_000_000_000n),
    diedAt: Math.floor((kept?.deletedAt ?? lastModified).getTime() / 1000),
    seen: true,
    blobs: [{ archive, name, kind: identity.kind }],
  };
}
