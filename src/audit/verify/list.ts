import { blobNameOf, isReservedName, stagingName } from '../../blob/naming.ts';
import type { BlobState } from '../../blob/state.ts';
import type { BlobStore } from '../../blob/store.ts';
import type { Known } from '../../catalog/types.ts';
import { type Fid, ROOT_FID } from '../../identity/fid.ts';
import { isClean } from '../../lustre/hsm-state.ts';
import { forEachBounded } from '../../service/bounded.ts';
import { ErrnoError } from '../../service/errors.ts';
import { importedAmong } from '../imported.ts';
import type { Difference } from '../judge.ts';
import { knownBlobOf, otherArchivesInside } from '../known-blob.ts';
import { type ListRange, ParallelListing } from '../parallel-listing.ts';
import { codesOf, isResident, type OwnBlob, remedyFor, stateOf } from './blob-codes.ts';
import { look, seenAt, type VerifyContext } from './context.ts';
import type { FindingSink } from './doubts.ts';
import type { Alive, Looked } from './look.ts';

const PAGE_SIZE = 1_000;

interface Place {
  readonly archive: number;
  readonly store: BlobStore;
  readonly inside: readonly string[];
}

/** Lists the containers, holds every blob of ours against what Lustre says of its file now, and notes what was seen. */
export async function verifyBlobs(context: VerifyContext): Promise<void> {
  for (const [archive, store] of context.archives) {
    if (context.signal.aborted) return;
    const place = { archive, store, inside: otherArchivesInside(context.archives, archive, store) };
    const listing = new ParallelListing(store, {
      ...{ ranges: rangesOf(context, store), parallel: context.parallel, signal: context.signal },
      pageSize: context.pageSize ?? PAGE_SIZE,
      onPage: async (blobs) => {
        await verifyPage(context, place, blobs);
        context.tell();
        return () => undefined;
      },
    });
    await listing.run();
  }
}

/** What is below the directory, and its marker; staging, since nobody knows of what it is. */
function rangesOf({ target }: VerifyContext, { prefix }: BlobStore): ListRange[] {
  if (target.directory === ROOT_FID) return [{ startsWith: prefix === '' ? '' : `${prefix}/` }];
  const named = blobNameOf(target.path, prefix);
  return named.ok ? [{ startsWith: `${named.name}/` }] : [];
}

async function verifyPage(context: VerifyContext, place: Place, blobs: readonly BlobState[]): Promise<void> {
  const { fsUuid, tally } = context;
  const { prefix } = place.store;
  const own: OwnBlob[] = [];
  const others: BlobState[] = [];
  for (const blob of blobs) {
    const { name, identity } = blob;
    if (place.inside.some((inside) => name.startsWith(inside))) continue;
    if (isReservedName(name, prefix) && name !== stagingName(prefix, identity?.fid ?? '')) continue;
    if (identity?.fs === fsUuid) own.push({ ...blob, identity });
    else others.push(blob);
  }
  tally.blobs += own.length;
  tally.bytes += own.reduce((sum, { length }) => sum + length, 0n);
  tally.others += others.length;
  await noteImported(context, place, others);
  const fids = [...new Set(own.map(({ identity }) => identity.fid))];
  const looked = await look(context, fids);
  const present = await context.catalog.present(fids);
  const living = own.filter(({ identity }) => present.has(identity.fid));
  // Only a hard link's marker is judged by where the catalog has the content.
  const linked = own.flatMap(({ identity: { kind, fid } }) => (kind === 'link' ? [fid] : []));
  const known = await context.catalog.known([...new Set(linked)]);
  const verifiedAt = seenAt(context);
  await context.catalog.apply({
    blobs: living.map((blob) => ({
      fid: blob.identity.fid,
      blob: { ...knownBlobOf(blob, place.archive), verifiedAt },
    })),
  });
  const work = (blob: OwnBlob) => verifyBlob(context, place, blob, looked.get(blob.identity.fid), known);
  await forEachBounded(own, work, { concurrency: context.parallel, signal: context.signal });
}

/** Blobs that something was imported from are its copies and markers. */
async function noteImported(
  context: VerifyContext,
  { archive, store }: Place,
  blobs: readonly BlobState[],
): Promise<void> {
  const { catalog } = context;
  const { rows } = await importedAmong(catalog, { archive, prefix: store.prefix }, blobs, seenAt(context));
  if (rows.length > 0) await catalog.apply({ blobs: rows });
}

async function verifyBlob(
  context: VerifyContext,
  place: Place,
  blob: OwnBlob,
  looked: Looked | undefined,
  known: ReadonlyMap<Fid, Known>,
): Promise<void> {
  if (looked === undefined || looked === 'failed') return;
  const { fid } = blob.identity;
  const codes = looked === 'dead' ? [] : codesIn(context, place, blob, looked, known.get(fid));
  if (looked === 'dead' || codes.length > 0) return await confirm(context, place, blob, codes);
  await verifyContent(context, place, blob, looked);
}

function codesIn(
  { fsUuid }: VerifyContext,
  { archive, store }: Place,
  blob: OwnBlob,
  alive: Alive,
  known: Known | undefined,
): Difference[] {
  return codesOf(blob, alive, known, { archive, prefix: store.prefix, fsUuid });
}

/** Everything is looked at once more: a file that was renamed, or archived, while its page was read is no finding. */
async function confirm(
  context: VerifyContext,
  place: Place,
  first: OwnBlob,
  before: readonly Difference[],
): Promise<void> {
  const { archive, store } = place;
  const { catalog, findings, fsUuid, signal } = context;
  const {
    name,
    identity: { fid },
  } = first;
  const again = (sink: FindingSink) => confirm({ ...context, findings: sink }, place, first, before);
  const looked = (await look(context, [fid])).get(fid);
  const there = await store.head(name, { signal });
  const identity = there?.identity;
  if (looked === undefined || looked === 'failed' || there === undefined || identity === undefined) return;
  if (identity.fs !== fsUuid || identity.fid !== fid) return;
  const blob: OwnBlob = { ...there, identity };
  if (looked === 'dead') {
    // What is known to be dead goes when its time has come.
    if ((await catalog.tombstone(fid)) !== undefined) return;
    const seen = { ...knownBlobOf(blob, archive), verifiedAt: seenAt(context) };
    return await findings.add({ code: 'orphan', fid, archive, blob: name, remedy: 'follower' }, seen, again);
  }
  const known = (await catalog.known([fid])).get(fid);
  const [path] = looked.paths;
  for (const code of codesIn(context, place, blob, looked, known)) {
    if (!before.includes(code)) continue;
    const found = { code, fid, archive, blob: name, remedy: remedyFor(code, looked) };
    await findings.add(path === undefined ? found : { ...found, path }, undefined, again);
  }
}

/** Content against what the metadata say, and a resident file's content against its copy's. */
async function verifyContent(context: VerifyContext, place: Place, blob: OwnBlob, alive: Alive): Promise<void> {
  const { checksums, tally, findings } = context;
  const { identity, name, length } = blob;
  if (checksums === undefined || identity.kind !== 'file' || !isClean(stateOf(alive))) return;
  const says = identity.crc64;
  const found = says === undefined ? undefined : await checksums.ofBlob(place.store, blob);
  if (found === undefined) {
    tally.read.skipped += 1;
    return;
  }
  tally.read.blobs += 1;
  tally.read.bytes += length;
  const [path] = alive.paths;
  const finding = (code: 'checksum-blob' | 'checksum-file', detail: string) => ({
    ...{ code, fid: identity.fid, archive: place.archive, blob: name, detail, remedy: remedyFor(code, alive) },
    ...(path === undefined ? {} : { path }),
  });
  if (found !== says)
    return await findings.add(finding('checksum-blob', `it holds ${found}, its metadata say ${says}`));
  if (!isResident(alive)) return;
  const file = await checksums.ofFile(identity.fid, alive.entry.size, place.store).catch((error: unknown) => {
    if (!isUnreadable(error)) throw error;
    tally.failed += 1;
    return undefined;
  });
  if (file === undefined) return;
  tally.read.files += 1;
  tally.read.bytes += alive.entry.size;
  if (file !== found) await findings.add(finding('checksum-file', `the file holds ${file}, its copy ${found}`));
}

/** A system call that failed: a bad OST, say. Anything else ends the verification. */
function isUnreadable(error: unknown): boolean {
  return error instanceof ErrnoError || (error instanceof Error && 'errno' in error);
}
