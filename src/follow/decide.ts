import type {
  CatalogBatch,
  Death,
  EntryPut,
  JournalPut,
  Known,
  KnownBinding,
  KnownBlob,
  KnownEntry,
  Link,
  Mark,
  Stamp,
} from '../catalog/types.ts';
import { type Fid, ROOT_FID } from '../identity/fid.ts';
import { formatBinding, isBinding } from '../identity/file-record.ts';
import { formatGeneration } from '../identity/generation.ts';
import { HSM, hasCopy, isClean } from '../lustre/hsm-state.ts';
import type { Fresh, Seen } from './fresh.ts';
import { HINT, MAYBE_COPIED } from './hints.ts';
import { REASON } from './reasons.ts';

/** When, in milliseconds since 1970, and how long things are left to settle. */
export interface Timing {
  readonly now: number;
  /** A directory's times change with everything that is done in it: its marker follows after this, milliseconds. */
  readonly settle: number;
  /** After which what could not be looked at is looked at again at the latest, milliseconds; at first it is sooner. */
  readonly again: number;
  /** Whether users' extended attributes are kept. The catalog does not have them: what may have changed is looked at. */
  readonly xattrs?: boolean;
}

/** What could not be looked at is looked at again after this at the latest, in every process, milliseconds. */
export const LOOK_AGAIN_MS = 60_000;
/** The first wait until something is looked at again; each further one is as long as all before together. */
const AGAIN_FIRST_MS = 1000;

function untilAgain(since: number, { now, again }: Timing): number {
  return Math.min(again, Math.max(AGAIN_FIRST_MS, now - since * 1000));
}

/** Flags that say something of the copy; released, restored and modified is the file's own matter. */
const COPY_FLAGS = HSM.EXISTS | HSM.ARCHIVED | HSM.LOST;

/** What the catalog had of a file before it was looked at. */
export interface Before extends Known {
  /** Of a directory that has no entry: the catalog has names in it, which may have been put right in the container already. */
  readonly holds?: boolean;
}

/** What is to be done about one file that was looked at. */
export interface Decision {
  readonly put?: EntryPut;
  readonly death?: Death;
  readonly blob?: KnownBlob;
  readonly binding?: KnownBinding;
  readonly journal?: JournalPut;
}

/**
 * Compares what a file is with what the catalog has of it. The journal gets what follows for the container; a file that
 * has no copy and never had one needs nothing there, and neither do fifos, devices and sockets.
 */
export function decide(
  mark: Pick<Mark, 'fid' | 'hints' | 'since' | 'last'>,
  known: Before | undefined,
  seen: Seen,
  timing: Timing,
): Decision {
  const { fid, since } = mark;
  switch (seen.kind) {
    case 'dead':
      return { death: deathOf(mark, timing) };
    case 'failed':
      return { journal: { fid, reasons: REASON.LOOK, since, notBefore: timing.now + untilAgain(since, timing) } };
    case 'alive':
      return decideAlive(mark, known, seen.fresh, timing);
  }
}

function deathOf({ fid, hints, last }: Pick<Mark, 'fid' | 'hints' | 'last'>, { now }: Timing): Death {
  const held = (hints & HINT.HELD_COPY) !== 0;
  return {
    ...{ fid, at: Math.floor(now / 1000), maybeCopied: held || (hints & MAYBE_COPIED) !== 0 },
    ...(held ? { type: 'dir' } : {}),
    ...(last === undefined ? {} : { last }),
  };
}

/** `decide` for what a scan saw: nothing is put over what has been seen since it began. */
export function decideScanned(fresh: Fresh, known: Before | undefined, begun: Stamp, timing: Timing): Decision {
  if (known?.entry !== undefined && known.entry.seen > begun) return {};
  const mark = { fid: fresh.entry.fid, hints: 0, since: Math.floor(timing.now / 1000) };
  const decision = decideAlive(mark, known, fresh, timing);
  return decision.put === undefined ? decision : { ...decision, put: { ...decision.put, unlessSeenAfter: begun } };
}

function decideAlive(
  { fid, hints, since }: Pick<Mark, 'fid' | 'hints' | 'since'>,
  known: Before | undefined,
  fresh: Fresh,
  timing: Timing,
): Decision {
  const { entry, links } = fresh;
  const blob = blobOf(fresh, known, timing);
  const again = entry.nlink === 0 || links === undefined;
  const refused = (hints & HINT.REFUSED) !== 0 && entry.type === 'file';
  const reasons =
    reasonsFor(fresh, known, blob !== undefined) |
    (timing.xattrs === true ? xattrReasons(fresh, known, hints) : 0) |
    (again ? REASON.LOOK : 0) |
    (refused ? REASON.ARCHIVE_AGAIN : 0);
  // The times of directories alone can wait; so can a file that has no name.
  const wait =
    reasons === REASON.LOOK
      ? untilAgain(since, timing)
      : reasons === REASON.ATTRIBUTES && entry.type === 'dir'
        ? timing.settle
        : 0;
  return {
    put: { entry, ...(links === undefined ? {} : { links }) },
    ...(blob === undefined ? {} : { blob }),
    ...bindingOf(fresh),
    ...(reasons === 0 ? {} : { journal: journalPut({ fid, reasons, since, notBefore: timing.now + wait }) }),
  };
}

/** A directory that moves again has all below it moved again, however far the last time had got. */
function journalPut(put: JournalPut): JournalPut {
  return (put.reasons & REASON.TREE) === 0 ? put : { ...put, afresh: true };
}

function reasonsFor(fresh: Fresh, known: Before | undefined, newCopy: boolean): number {
  const { entry, links } = fresh;
  const before = known?.entry;
  if (entry.fid === ROOT_FID) return 0;
  const renamed = links !== undefined && !sameLinks(links, known?.links ?? []);
  switch (entry.type) {
    case 'dir':
      return (
        (renamed ? REASON.NAMES : 0) |
        (renamed && (before !== undefined || known?.holds === true) ? REASON.TREE : 0) |
        (before !== undefined && differs(entry, before) ? REASON.ATTRIBUTES : 0)
      );
    case 'symlink':
      return (renamed ? REASON.NAMES : 0) | (before !== undefined && differs(entry, before) ? REASON.ATTRIBUTES : 0);
    case 'file':
      return fileReasons(fresh, known, renamed, newCopy);
    default:
      return 0;
  }
}

/** Where no record tells of it (a mask without XATTR, `setfacl`), the time of change does, when a scan looks. */
function xattrReasons({ entry, record }: Fresh, known: Known | undefined, hints: number): number {
  const before = known?.entry;
  if (entry.fid === ROOT_FID || before === undefined) return 0;
  if ((hints & HINT.XATTR) === 0 && before.ctime === entry.ctime) return 0;
  const state = { states: entry.hsm, archive: entry.archive };
  const shown =
    entry.type === 'dir' || (entry.type === 'file' && isClean(state) && (hasCopy(state) || record !== undefined));
  return shown ? REASON.ATTRIBUTES : 0;
}

function fileReasons({ entry, record }: Fresh, known: Known | undefined, renamed: boolean, newCopy: boolean): number {
  const before = known?.entry;
  const state = { states: entry.hsm, archive: entry.archive };
  const copied = hasCopy(state) || record !== undefined;
  const hadCopy = (known?.blobs.length ?? 0) > 0 || (before !== undefined && before.hsm !== 0);
  if (!copied && !hadCopy) return 0;
  const copyChanged =
    newCopy ||
    before === undefined ||
    before.archive !== entry.archive ||
    (before.hsm & COPY_FLAGS) !== (entry.hsm & COPY_FLAGS) ||
    (isClean(state) && !isClean({ states: before.hsm, archive: before.archive }));
  // What was modified is written, attributes and all, by its next archive.
  const attributes = isClean(state) && before !== undefined && differs(entry, before);
  return (renamed ? REASON.NAMES : 0) | (copyChanged ? REASON.COPY : 0) | (attributes ? REASON.ATTRIBUTES : 0);
}

/** The copy that the file's record names, if that is news. */
function blobOf({ entry, record }: Fresh, known: Known | undefined, { now }: Timing): KnownBlob | undefined {
  if (record === undefined || isBinding(record)) return undefined;
  const generation = formatGeneration(record.generation);
  const files = (known?.blobs ?? []).filter((blob) => blob.kind === 'file');
  if (files.some((blob) => blob.archive === entry.archive && blob.generation === generation)) return undefined;
  const name = record.at;
  if (name === undefined) return undefined;
  const { size, crc64 } = record;
  return { archive: entry.archive, name, kind: 'file', generation, size, crc64, archivedAt: Math.floor(now / 1000) };
}

function bindingOf({ entry, record }: Fresh): { binding?: KnownBinding } {
  if (record === undefined || !isBinding(record) || record.at === undefined) return {};
  const { fid, archive } = entry;
  return { binding: { fid, archive, name: record.at, bind: formatBinding(record.bind), size: record.size } };
}

/** What a marker or a copy says of a file besides its content and name. */
function differs(entry: Fresh['entry'], before: KnownEntry): boolean {
  return (
    entry.mode !== before.mode || entry.uid !== before.uid || entry.gid !== before.gid || entry.mtime !== before.mtime
  );
}

function sameLinks(one: readonly Link[], other: readonly Link[]): boolean {
  if (one.length !== other.length) return false;
  const names = new Set(other.map(linkText));
  return one.every((link) => names.has(linkText(link)));
}

const linkText = (link: Link) => `${link.parent}/${link.name.toString('latin1')}`;

/** Decisions as one batch for the catalog. @param looked the marks that are done with it */
export function batchOf(
  decisions: ReadonlyMap<Fid, Decision>,
  looked: readonly { readonly fid: Fid; readonly stamp: Stamp }[],
): Required<Pick<CatalogBatch, 'puts' | 'deaths' | 'blobs' | 'bindings' | 'journal' | 'looked'>> {
  const all = [...decisions];
  const given = <T>(read: (decision: Decision) => T | undefined) =>
    all.map(([, decision]) => read(decision)).filter((one): one is T & {} => one !== undefined);
  return {
    puts: given((one) => one.put),
    deaths: given((one) => one.death),
    blobs: all.flatMap(([fid, { blob }]) => (blob === undefined ? [] : [{ fid, blob }])),
    bindings: given((one) => one.binding),
    journal: given((one) => one.journal),
    looked,
  };
}
