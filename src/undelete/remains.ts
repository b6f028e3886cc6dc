import { type KeptBlob, keptAt, type Named } from '../blob/kept.ts';
import { parseOwnMetadata } from '../blob/metadata.ts';
import { pathOf } from '../blob/naming.ts';
import { READ_DEFAULTS, readBlob } from '../blob/reading.ts';
import { readSmallBlob } from '../blob/small-blob.ts';
import type { BlobState } from '../blob/state.ts';
import type { BlobStore } from '../blob/store.ts';
import type { KnownBinding, Tombstone } from '../catalog/types.ts';
import { type HoldState, holdName } from '../follow/reconcile/holds.ts';
import { namesOf } from '../follow/reconcile/tombstones.ts';
import type { Fid } from '../identity/fid.ts';
import { type Binding, formatBinding } from '../identity/file-record.ts';
import type { MakeAttributes } from '../lustre/importer.ts';
import type { UndeleteContext } from './types.ts';

/** A file whose content is still in the container. */
export interface FileRemains {
  readonly kind: 'file';
  readonly archive: number;
  readonly store: BlobStore;
  readonly blob: BlobState;
  /** The blob itself was deleted: it has to be brought back first, as this. */
  readonly kept?: KeptBlob;
  readonly bind: Binding;
  readonly attributes: MakeAttributes;
  /** Whether the blob is the dead file's own, which will be deleted one day: then it is made the new file's. */
  readonly own: boolean;
  /** Somebody has brought it back already, as this file. */
  readonly successor?: Fid;
  /** Its names, the first one with the content. */
  readonly paths: readonly Buffer[];
  /** What is not as it was when it was removed. */
  readonly note?: string;
}

export type Remains =
  | FileRemains
  | { readonly kind: 'symlink'; readonly target: Buffer; readonly attributes: MakeAttributes; readonly kept?: KeptBlob }
  | { readonly kind: 'dir'; readonly attributes: MakeAttributes }
  | { readonly kind: 'gone'; readonly detail: string };

type Context = Pick<UndeleteContext, 'archives' | 'catalog' | 'fsUuid' | 'signal'>;

const LONGEST_TARGET = 4095;

/** What is left of something dead. Nothing is changed. */
export async function remainsOf(context: Context, stone: Tombstone): Promise<Remains> {
  if (stone.type === 'dir') return await directoryRemains(context, stone);
  if (stone.type === 'symlink') return await symlinkRemains(context, stone);
  if (stone.type !== 'file') return { kind: 'gone', detail: `a ${stone.type} is not kept in the container` };
  return (
    (await ownRemains(context, stone)) ??
    (await boundRemains(context, stone)) ??
    (await deletedRemains(context, stone)) ??
    nothing()
  );
}

const nothing = (): Remains => ({ kind: 'gone', detail: 'its blob is not in the container any more' });

interface Found {
  readonly archive: number;
  readonly store: BlobStore;
  readonly blob: BlobState;
  readonly kept?: KeptBlob;
}

/** Its own copy; or what has become of that. */
async function ownRemains({ archives, fsUuid, signal }: Context, stone: Tombstone): Promise<Remains | undefined> {
  let best: Found | undefined;
  for (const [archive, store] of archives) {
    for (const name of namesOf(stone, { archive, store })) {
      const blob = await store.head(name, { signal });
      if (blob === undefined || !isCopyOf(stone.fid, blob, fsUuid)) continue;
      if (seqOf(blob) > seqOf(best?.blob)) best = { archive, store, blob };
    }
  }
  return best === undefined ? undefined : remainsIn(best, stone, fsUuid);
}

/** What the account keeps of its copy, which was deleted: soft-deleted, or a version. */
async function deletedRemains({ archives, fsUuid, signal }: Context, stone: Tombstone): Promise<Remains | undefined> {
  let best: (Found & { kept: KeptBlob }) | undefined;
  let taken: KeptBlob | undefined;
  const isCopy = ({ identity }: BlobState) =>
    identity?.fs === fsUuid && identity.kind === 'file' && identity.fid === stone.fid;
  for await (const { archive, store, named } of keptOf({ archives, signal }, stone, isCopy)) {
    if (named.live !== undefined) {
      taken ??= named.taken;
      continue;
    }
    const { kept } = named;
    if (best === undefined || isLater(kept.state, best.blob)) best = { archive, store, blob: kept.state, kept };
  }
  if (best !== undefined) return remainsIn(best, stone, fsUuid);
  if (taken === undefined) return undefined;
  const { state, version } = taken;
  const detail = `the blob ${JSON.stringify(state.name)} is another's by now; the account still has its version ${version}`;
  return { kind: 'gone', detail };
}

/** What is kept under the names at which something dead may have had its blob. */
async function* keptOf(
  { archives, signal }: Pick<Context, 'archives' | 'signal'>,
  stone: Tombstone,
  wanted: (state: BlobState) => boolean,
): AsyncGenerator<{ archive: number; store: BlobStore; named: Named }> {
  for (const [archive, store] of archives) {
    for (const name of namesOf(stone, { archive, store })) {
      const named = await keptAt(store, name, wanted, signal);
      if (named !== undefined) yield { archive, store, named };
    }
  }
}

function isLater(a: BlobState, b: BlobState): boolean {
  if (seqOf(a) !== seqOf(b)) return seqOf(a) > seqOf(b);
  return a.lastModified > b.lastModified;
}

function remainsIn({ blob, archive, store, kept }: Found, stone: Tombstone, fsUuid: string): Remains {
  const { generation, size, fid } = blob.identity ?? {};
  if (generation === undefined || size !== blob.length)
    return { kind: 'gone', detail: `the blob ${JSON.stringify(blob.name)} is not what was archived` };
  if (blob.copyStatus !== undefined && blob.copyStatus !== 'success')
    return { kind: 'gone', detail: `the copy to ${JSON.stringify(blob.name)} is ${blob.copyStatus}` };
  if (blob.accessTier === 'Archive') {
    const first = kept === undefined ? 'rehydrate it' : 'undelete it in the service, and rehydrate it';
    return { kind: 'gone', detail: `the blob ${JSON.stringify(blob.name)} is in the Archive tier: ${first} first` };
  }
  const bind = { fs: fsUuid, fid: stone.fid, generation };
  const recall = kept === undefined ? {} : { kept };
  const common = { kind: 'file', archive, store, blob, ...recall, bind, own: true, ...asItWas(stone, blob) } as const;
  const paths = pathsOf(stone, blob, { archive, store });
  return fid === stone.fid ? { ...common, paths } : { ...common, paths, successor: fid as Fid };
}

/** The blob that an import has bound it to: nobody deletes that for the dead file's sake. */
async function boundRemains({ archives, catalog, signal }: Context, stone: Tombstone): Promise<Remains | undefined> {
  const binding = await catalog.binding(stone.fid);
  const store = binding === undefined ? undefined : archives.get(binding.archive);
  if (binding === undefined || store === undefined) return undefined;
  const blob = await store.head(binding.name, { signal });
  if (blob === undefined) return undefined;
  const read = readBlob(blob, { prefix: store.prefix, defaults: READ_DEFAULTS });
  if (read.kind !== 'file' || !isStill(binding, blob, read.bind))
    return { kind: 'gone', detail: `the blob ${JSON.stringify(blob.name)} has changed since it was imported` };
  const { archive } = binding;
  const paths = pathsOf(stone, blob, { archive, store });
  return { kind: 'file', archive, store, blob, bind: read.bind, own: false, paths, ...asItWas(stone, blob) };
}

const isStill = ({ bind, size }: KnownBinding, blob: BlobState, now: Binding) =>
  bind === formatBinding(now) && size === blob.length;

async function symlinkRemains(context: Context, stone: Tombstone): Promise<Remains> {
  const { archives, fsUuid, signal } = context;
  const { uid, gid, mode, mtime } = stone;
  const attributes = { uid, gid, mode, mtime };
  const isMarker = ({ identity }: BlobState) =>
    identity?.fs === fsUuid && identity.fid === stone.fid && identity.kind === 'symlink';
  for (const [archive, store] of archives) {
    for (const name of namesOf(stone, { archive, store })) {
      const blob = await store.head(name, { signal });
      const read = blob !== undefined && isMarker(blob) ? symlinkOf(blob, store) : undefined;
      if (read === undefined) continue;
      const target = read.target ?? (await bodyOf(store, name, signal));
      if (target !== undefined) return { kind: 'symlink', target, attributes };
    }
  }
  // The target is in the metadata, too, but for the longest: the marker can stay deleted.
  for await (const { store, named } of keptOf(context, stone, isMarker)) {
    const kept = named.live === undefined ? named.kept : named.taken;
    const target = kept === undefined ? undefined : symlinkOf(kept.state, store)?.target;
    if (kept !== undefined && target !== undefined) return { kind: 'symlink', target, attributes, kept };
  }
  return { kind: 'gone', detail: 'its marker, which had the target, is not in the container any more' };
}

async function directoryRemains(context: Context, stone: Tombstone): Promise<Remains> {
  const { uid, gid, mode, mtime, seen, fid } = stone;
  if (seen) return { kind: 'dir', attributes: { uid, gid, mode, mtime } };
  const hold = (await context.catalog.checkpoint(holdName(fid)))?.state as HoldState | undefined;
  const marker = hold?.attributes === undefined ? await directoryMarker(context, stone) : undefined;
  const attributes = hold?.attributes ?? (marker === undefined ? undefined : attributesIn(marker, stone));
  if (attributes !== undefined) return { kind: 'dir', attributes };
  return { kind: 'gone', detail: 'its marker, which had owner and mode, is not in the container any more' };
}

/** What a directory's marker says of it. */
export function attributesIn({ metadata }: BlobState, stone: Tombstone): NonNullable<HoldState['attributes']> {
  const { uid = 0, gid = 0, mode = 0o755, mtime } = parseOwnMetadata(metadata).attributes;
  return { uid, gid, mode, mtime: mtime === undefined ? stone.mtime : Number(mtime / 1_000_000_000n) };
}

/** A dead directory's marker; it may be deleted, and kept by the account. */
export async function directoryMarker(context: Context, stone: Tombstone): Promise<BlobState | undefined> {
  const { archives, fsUuid, signal } = context;
  const isMarker = ({ identity }: BlobState) =>
    identity?.fs === fsUuid && identity.fid === stone.fid && identity.kind === 'dir';
  for (const [archive, store] of archives) {
    for (const name of namesOf(stone, { archive, store })) {
      const blob = await store.head(name, { signal });
      if (blob !== undefined && isMarker(blob)) return blob;
    }
  }
  for await (const { named } of keptOf(context, stone, isMarker)) {
    const kept = named.live === undefined ? named.kept : named.taken;
    if (kept !== undefined) return kept.state;
  }
  return undefined;
}

function symlinkOf(blob: BlobState, { prefix }: BlobStore) {
  const read = readBlob(blob, { prefix, defaults: READ_DEFAULTS });
  return read.kind === 'symlink' ? read : undefined;
}

async function bodyOf(store: BlobStore, name: string, signal: AbortSignal): Promise<Buffer | undefined> {
  const body = await readSmallBlob(store, name, LONGEST_TARGET, signal);
  return body === undefined || body === 'too large' || body.bytes.includes(0) ? undefined : body.bytes;
}

/** A dead file's copy, or what was made of it when it was brought back. */
function isCopyOf(fid: Fid, { identity }: BlobState, fsUuid: string): boolean {
  if (identity?.fs !== fsUuid || identity.kind !== 'file') return false;
  return identity.fid === fid || identity.from?.startsWith(`${fsUuid}/${fid}/`) === true;
}

/**
 * Owner and mode as Lustre had them last; the time of the content that there is. A file that was modified after its last
 * archive comes back as it was then.
 */
function asItWas(stone: Tombstone, blob: BlobState): { attributes: MakeAttributes; note?: string } {
  const own = parseOwnMetadata(blob.metadata).attributes;
  const seconds = own.mtime === undefined ? stone.mtime : Number(own.mtime / 1_000_000_000n);
  // Of some only the blob was ever seen.
  const seen = stone.seen && stone.path !== undefined;
  const attributes = {
    uid: seen ? stone.uid : (own.uid ?? 0),
    gid: seen ? stone.gid : (own.gid ?? 0),
    mode: seen ? stone.mode : (own.mode ?? 0o600),
    mtime: seconds,
  };
  if (!seen || (blob.length === stone.size && seconds >= stone.mtime)) return { attributes };
  return { attributes, note: 'it was modified after its last archive: this is what was archived' };
}

/** Its last name; the names of its links' markers; the one at which the content is, if that was a name of it. */
function pathsOf(stone: Tombstone, blob: BlobState, place: { archive: number; store: BlobStore }): Buffer[] {
  const { prefix } = place.store;
  const links = stone.blobs.filter(({ archive, kind }) => archive === place.archive && kind === 'link');
  const content = pathOf(blob.name, prefix);
  const paths = [stone.path, ...(links.length > 0 || stone.path === undefined ? [content] : [])];
  for (const { name } of links) paths.push(pathOf(name, prefix));
  const different = new Map(paths.flatMap((path) => (path === undefined ? [] : [[path.toString('latin1'), path]])));
  return [...different.values()];
}

function seqOf(blob: BlobState | undefined): number {
  return blob?.identity?.generation?.seq ?? -1;
}
