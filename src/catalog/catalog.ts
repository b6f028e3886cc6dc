import type { Fid } from '../identity/fid.ts';
import type { Candidate, EntrySelection, Selection } from './selection.ts';
import type {
  Asked,
  BatchResult,
  CatalogBatch,
  CatalogEvent,
  Cursor,
  Failure,
  ImportDirectory,
  ImportedBlob,
  ImportedName,
  ImportLink,
  ImportRange,
  JournalEntry,
  Known,
  KnownBinding,
  KnownBlob,
  KnownEntry,
  Mark,
  PathResult,
  Run,
  RunKind,
  Stamp,
  Tombstone,
  Usage,
} from './types.ts';

/** What a directory holds. */
export interface Child {
  readonly name: Buffer;
  readonly fid: Fid;
}

/** What a directory holds itself, without what is in directories in it. */
export interface DirectorySize {
  readonly directory: Fid;
  readonly entries: number;
  /** Sum of sizes of the files among these, bytes; a file counts for each name. */
  readonly bytes: bigint;
}

/** Something below a directory. */
export interface Descendant {
  readonly fid: Fid;
  /** Relative to that directory. */
  readonly path: Buffer;
  /** undefined: its attributes were never read. */
  readonly entry?: KnownEntry;
}

/**
 * The catalog: what Lustre showed and what the container is believed to hold, kept for one file system. It is a cache;
 * losing it costs a scan and a sweep. All changes go through `apply`, which makes a batch durable or leaves everything
 * as it was; several processes may apply at once. Reads see whole batches, and never wait for writers. Long reads come
 * in pages, each as the catalog stands when it is read, so that they hold nothing up.
 *
 * Rejections are OperatorErrors with a code (errors.ts): damage, a full disk, a newer schema, another process that has
 * put another file in this one's place.
 */
export interface Catalog {
  readonly file: string;

  /** Makes the changes, and returns when they are on the disk. */
  apply(batch: CatalogBatch): Promise<BatchResult>;

  /** The catalog's clock. */
  now(): Promise<Stamp>;
  /** The file system that this is the catalog of; undefined: of none yet. */
  fileSystem(): Promise<string | undefined>;
  /** Says whose catalog this is. Rejects with CATALOG_OTHER_FILE_SYSTEM if it is another's already. */
  claim(fileSystem: string): Promise<void>;
  /** When the last scan that saw everything began; undefined: there was none, so what is not here proves nothing. */
  lastScan(): Promise<Stamp | undefined>;
  /** A scan begins, and reads nothing before this resolves. Its entries are put with `unlessSeenAfter: begun`. */
  beginScan(): Promise<Stamp>;
  /** When the scan that is under way, or was when it was killed, began. */
  scanning(): Promise<Stamp | undefined>;
  /** Directories that the scan under way has met and not been through: where to take it up after a crash. */
  unwalked(): AsyncGenerator<Fid[]>;
  /** It is over. `complete`: it has seen everything that there was, so demands for a scan from before are met. */
  endScan(begun: Stamp, outcome: 'complete' | 'partial'): Promise<void>;

  known(fids: readonly Fid[]): Promise<Map<Fid, Known>>;
  /** Which of these have an entry. */
  present(fids: readonly Fid[]): Promise<Set<Fid>>;
  /** Of these, those that are known as stripes of a directory, with that. */
  stripes(fids: readonly Fid[]): Promise<Map<Fid, Fid>>;
  /** Every path, relative to the root, in the order of (parent, name); or one result that says why there is none. */
  paths(fids: readonly Fid[]): Promise<Map<Fid, PathResult[]>>;
  /** What is at a path (relative to the root; empty: the root). */
  lookup(path: Buffer): Promise<Fid | undefined>;
  /** What a directory holds, in the order of the names' bytes, from after the given name. */
  children(directory: Fid, after: Buffer | undefined, limit: number): Promise<Child[]>;
  /** Everything below a directory, a directory before what is in it, names in the order of their bytes. @param after go on after this path */
  subtree(directory: Fid, after?: Buffer): AsyncGenerator<Descendant[]>;
  /** Every directory that holds something, with how much, in an order of the catalog's own. */
  directorySizes(): AsyncGenerator<DirectorySize[]>;
  /** All entries, in an order of the catalog's own. */
  entries(): AsyncGenerator<KnownEntry[]>;
  /** Entries for which no blob is known: some need none. */
  withoutBlob(): AsyncGenerator<KnownEntry[]>;
  /** Blobs that the container was not seen to have since then (seconds): after a sweep, those that may be missing. */
  unverified(since: number): AsyncGenerator<{ readonly fid: Fid; readonly blob: KnownBlob }[]>;
  /** Entries that nobody has seen since the stamp: after a scan, those that may be gone. */
  unseen(since: Stamp): AsyncGenerator<Fid[]>;

  /**
   * The entries of a choice, in its order, page by page: those for which the condition is not false by what the catalog
   * knows. What it does not know (extended attributes, times of creation, what has changed) is for the caller to look at.
   */
  select(selection: EntrySelection): AsyncGenerator<KnownEntry[]>;
  /** The same of the files that an action may be asked for, which the caller looks at before it is; ten times cheaper where little is known. */
  choose(selection: Selection): AsyncGenerator<Candidate[]>;
  /** Sums of all entries by type, HSM state, archive and owners. */
  usage(): Promise<Usage[]>;

  /** The dead of up to then (seconds), longest dead first. */
  tombstones(upTo: number): AsyncGenerator<Tombstone[]>;
  tombstone(fid: Fid): Promise<Tombstone | undefined>;
  /** The dead whose last name was this path (relative to the root), or below it, latest dead first; empty: all of them. */
  tombstonesAt(path: Buffer): AsyncGenerator<Tombstone[]>;
  /** How many died since then (seconds), their bytes, and when the first of them did. */
  deaths(since: number): Promise<{ count: number; bytes: number; oldest?: number }>;

  /** How many were buried since then (seconds; up to 31 days ago), and their bytes. */
  burials(since: number): Promise<{ count: number; bytes: number }>;

  /** Some marks; going round by `after` gets to all of them. Empty: there are none after it. */
  marks(after: Fid | undefined, limit: number): Promise<Mark[]>;
  markStats(): Promise<{ count: number; oldest?: number }>;

  /** Work that is due (milliseconds since 1970), longest due first. @param after go on after this one */
  journalDue(nowMs: number, limit: number, after?: Pick<JournalEntry, 'notBefore' | 'fid'>): Promise<JournalEntry[]>;
  journalNext(): Promise<number | undefined>;
  journalEntry(fid: Fid): Promise<JournalEntry | undefined>;
  /** `oldest`: the oldest change (seconds) behind any row; `oldestWaiting`: behind those that are not quarantined. */
  journalStats(): Promise<{ count: number; quarantined: number; oldest?: number; oldestWaiting?: number }>;
  quarantine(after: Fid | undefined, limit: number): Promise<JournalEntry[]>;
  /** Takes these out of the quarantine. @returns how many were in the journal */
  journalRetry(fids: readonly Fid[]): Promise<number>;
  journalDrop(fids: readonly Fid[]): Promise<number>;

  cursors(): Promise<Cursor[]>;
  binding(fid: Fid): Promise<KnownBinding | undefined>;
  /** The files that are bound to that blob. */
  bindingsAt(archive: number, name: string): Promise<KnownBinding[]>;
  /** Of some blobs, by their names: the files that are bound to them. */
  boundAt(archive: number, names: readonly string[]): Promise<Map<string, KnownBinding[]>>;
  /** Ranges of the container that the import under way has not listed to their end, in the order of their names. */
  importRanges(limit: number): Promise<ImportRange[]>;
  importRangeCount(): Promise<number>;
  /** Hard links and directories that the import under way has still to finish. */
  importLinks(): AsyncGenerator<ImportLink[]>;
  importDirectories(): AsyncGenerator<ImportDirectory[]>;
  /** What stands for the blobs of these names, where anything alive does. */
  importedAt(archive: number, names: readonly string[]): Promise<Map<string, ImportedBlob>>;
  /** What was imported from blobs whose names begin so, and that were not seen since then (seconds). */
  importsGone(archive: number, place: string, since: number): AsyncGenerator<ImportedName[]>;
  /** How much is bound to blobs of an archive that it was imported from. */
  bindingCount(archive: number): Promise<number>;
  /** What failed with these, if anything did. */
  failures(fids: readonly Fid[]): Promise<Map<Fid, Failure[]>>;
  /** What fails, of one kind. */
  failing(kind: string, after: Fid | undefined, limit: number): Promise<Failure[]>;
  /** What a policy has asked for and not seen the end of. */
  asked(policy: string): AsyncGenerator<Asked[]>;
  checkpoint(name: string): Promise<{ readonly at: number; readonly state: unknown } | undefined>;
  beginRun(kind: RunKind, name: string, detail?: Readonly<Record<string, unknown>>): Promise<number>;
  endRun(id: number, outcome: string, detail: Readonly<Record<string, unknown>>): Promise<void>;
  /** The latest runs first. */
  runs(kind: RunKind | undefined, limit: number): Promise<Run[]>;
  events(limit: number): Promise<CatalogEvent[]>;

  /** What is wrong with the catalog in itself, every row looked at: takes long. Empty: nothing. */
  check(): Promise<string[]>;
  close(): void;
}
