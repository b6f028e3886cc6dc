import { isReservedName, stagingName } from '../blob/naming.ts';
import type { BlobState } from '../blob/state.ts';
import type { BlobStore } from '../blob/store.ts';
import type { KnownBlob } from '../catalog/types.ts';
import type { BlobIdentity } from '../identity/blob-identity.ts';
import type { Fid } from '../identity/fid.ts';
import { importedAmong } from './imported.ts';
import { judge } from './judge.ts';
import { knownBlobOf, otherArchivesInside } from './known-blob.ts';
import { type ListRange, ParallelListing } from './parallel-listing.ts';
import { type Subject, subjectOf } from './subject.ts';
import type { SweepContext } from './sweep.ts';
import { journal } from './sweep-journal.ts';
import { SweepTally } from './sweep-tally.ts';
import { ONLY_TOLD, type SweepFinding } from './sweep-types.ts';

const PAGE_SIZE = 2_000;

type OwnBlob = BlobState & { readonly identity: BlobIdentity };

/** One archive's container that is being listed. */
interface Place {
  readonly archive: number;
  readonly store: BlobStore;
  /** Where other archives have their own part of the same container. */
  readonly inside: readonly string[];
}

/** Lists one archive's container, and judges what is in it. @returns what is left of it when it was stopped */
export async function listArchive(
  context: SweepContext,
  o: {
    readonly archive: number;
    readonly store: BlobStore;
    readonly listed: readonly number[];
    readonly ranges: readonly ListRange[] | undefined;
  },
): Promise<ListRange[]> {
  const { archive, store, listed } = o;
  const place: Place = { archive, store, inside: otherArchivesInside(context.archives, archive, store) };
  const listing: ParallelListing = new ParallelListing(store, {
    ranges: o.ranges ?? [{ startsWith: store.prefix === '' ? '' : `${store.prefix}/` }],
    parallel: context.parallel,
    pageSize: context.pageSize ?? PAGE_SIZE,
    onPage: (blobs) => judgePage(context, place, blobs),
    onMoved: async () => {
      await context.keep(() => ({ phase: 'list', listed, ranges: listing.left }));
      context.tell();
    },
    signal: context.signal,
  });
  await listing.run();
  return listing.left;
}

/** What follows of one page: for the catalog, and for the counts. */
class PageFindings {
  readonly tally = new SweepTally();
  readonly blobs: { fid: Fid; blob: KnownBlob }[] = [];
  readonly journal = new Set<Fid>();
  readonly marks = new Set<Fid>();
  readonly found: SweepFinding[] = [];

  find(finding: SweepFinding): void {
    this.found.push(finding);
    if (!ONLY_TOLD.has(finding.code)) this.journal.add(finding.fid);
  }
}

/** @returns what counts the page */
async function judgePage(context: SweepContext, place: Place, blobs: readonly BlobState[]): Promise<() => void> {
  const page = new PageFindings();
  page.tally.count('pages');
  const own: OwnBlob[] = [];
  const theirs: BlobState[] = [];
  for (const blob of blobs) {
    if (place.inside.some((prefix) => blob.name.startsWith(prefix))) continue;
    page.tally.sum('listed', blob.length);
    if (isReservedName(blob.name, place.store.prefix) && !isStaged(blob, place, context.fsUuid))
      page.tally.count('reserved');
    else if (isOwn(blob, context.fsUuid)) own.push(blob);
    else theirs.push(blob);
  }
  await Promise.all([judgeOwn(context, place, own, page), judgeTheirs(context, place, theirs, page)]);
  await journal(context, page.journal, page.marks, page.blobs, page.tally);
  return () => {
    context.session.tally.add(page.tally);
    for (const finding of page.found) context.finding(finding);
  };
}

const isOwn = (blob: BlobState, fsUuid: string): blob is OwnBlob => blob.identity?.fs === fsUuid;

/** What waits in staging is the copy of a file; whatever else is in our own namespace is not a file's. */
function isStaged(blob: BlobState, { store }: Place, fsUuid: string): boolean {
  return isOwn(blob, fsUuid) && blob.name === stagingName(store.prefix, blob.identity.fid);
}

async function judgeOwn(
  context: SweepContext,
  place: Place,
  blobs: readonly OwnBlob[],
  page: PageFindings,
): Promise<void> {
  const { catalog, session } = context;
  const { archive, store } = place;
  const fids = [...new Set(blobs.map(({ identity }) => identity.fid))];
  const [known, paths] = [await catalog.known(fids), await catalog.paths(fids)];
  const subjects = new Map<Fid, Subject | undefined>();
  const verifiedAt = Math.max(Math.floor(Date.now() / 1000), session.since);
  for (const blob of blobs) {
    const { identity, name } = blob;
    const { fid } = identity;
    page.tally.sum(identity.kind, blob.length);
    if (isReservedName(name, store.prefix)) page.tally.count('staged');
    page.blobs.push({ fid, blob: { ...knownBlobOf(blob, archive), verifiedAt } });
    const entry = known.get(fid)?.entry;
    if (entry === undefined) {
      const isDead = (await catalog.tombstone(fid)) !== undefined;
      page.find({ code: isDead ? 'dead' : 'unknown', fid, archive, name });
      if (!isDead) page.marks.add(fid);
      page.journal.delete(fid);
      continue;
    }
    if (!subjects.has(fid)) subjects.set(fid, subjectOf(entry, paths.get(fid) ?? [], store.prefix));
    const subject = subjects.get(fid);
    if (subject === undefined) {
      // The catalog does not know where its directory is.
      page.tally.count('unplaced');
      page.marks.add(fid);
      continue;
    }
    const here = (known.get(fid)?.blobs ?? []).filter((one) => one.archive === archive && one.kind === 'file');
    const differences = judge(blob, subject, {
      ...{ archive, prefix: store.prefix },
      generation: here.find((one) => one.name === name)?.generation,
      contentAt: new Set(here.map((one) => one.name)),
    });
    for (const code of differences) page.find({ code, fid, archive, name });
  }
}

async function judgeTheirs(
  context: SweepContext,
  place: Place,
  blobs: readonly BlobState[],
  page: PageFindings,
): Promise<void> {
  const { catalog, session } = context;
  const { archive, store } = place;
  for (const { identity, length } of blobs) {
    if (identity === undefined) page.tally.sum('strangers', length);
    else page.tally.other(identity.fs, length);
  }
  const verifiedAt = Math.max(Math.floor(Date.now() / 1000), session.since);
  const { rows, changed } = await importedAmong(catalog, { archive, prefix: store.prefix }, blobs, verifiedAt);
  page.tally.count('bound', rows.length + changed.length);
  page.blobs.push(...rows);
  for (const { fid, name } of changed) page.find({ code: 'bound', fid, archive, name });
}
