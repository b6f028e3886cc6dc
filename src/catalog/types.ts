import type { BlobKind } from '../identity/blob-identity.ts';
import type { Fid } from '../identity/fid.ts';
import type { FileType } from '../lustre/attributes.ts';

/**
 * What the catalog is told and what it says, in the field's own terms. No row, key or SQL of the database shows here.
 *
 * A *stamp* is the catalog's own clock: it grows with every batch and is about the milliseconds since 1970 at which the
 * batch was written, but never stands still or goes back. 'Was this touched since?' is asked by stamps, never by times.
 */
export type Stamp = number;

/** A name of a file: names are bytes. */
export interface Link {
  readonly parent: Fid;
  readonly name: Buffer;
}

/** What Lustre showed of a file, directory or other thing. Times are whole seconds since 1970 (Lustre keeps no more). */
export interface Entry {
  readonly fid: Fid;
  readonly type: FileType;
  /** The low 12 bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Project id; 0 where Lustre does not tell. */
  readonly project: number;
  /** Bytes. */
  readonly size: bigint;
  /** Units of 512 bytes. */
  readonly blocks: bigint;
  readonly nlink: number;
  readonly atime: number;
  readonly mtime: number;
  readonly ctime: number;
  /** HSM flags; 0 for other things than files. */
  readonly hsm: number;
  /** HSM archive id, 0: none. */
  readonly archive: number;
  /** OSTs on which it has objects, ascending. */
  readonly osts: readonly number[];
  /** OST pool, '' without one. */
  readonly pool: string;
}

/** An entry as the catalog has it. */
export interface KnownEntry extends Entry {
  /** When it was last written here. */
  readonly seen: Stamp;
}

/** A blob that stands, as far as we know, in an archive's container for an entry. What counts is what the container says. */
export interface KnownBlob {
  readonly archive: number;
  readonly name: string;
  readonly kind: BlobKind;
  /** Of files, `<seq>-<uuid>`. */
  readonly generation?: string | undefined;
  /** Of files, bytes. */
  readonly size?: bigint | undefined;
  readonly crc64?: string | undefined;
  readonly etag?: string | undefined;
  /** Seconds since 1970: when the copy was noticed to be there. */
  readonly archivedAt?: number | undefined;
  /** Seconds since 1970: when the container was last seen to have it so. */
  readonly verifiedAt?: number | undefined;
}

/** Everything the catalog has on one FID. */
export interface Known {
  readonly entry?: KnownEntry;
  readonly links: readonly Link[];
  readonly blobs: readonly KnownBlob[];
}

/** An entry as it was just seen in Lustre, to be put into the catalog. */
export interface EntryPut {
  readonly entry: Entry;
  /** All its names: they replace those that the catalog has. Without: they stay as they are. */
  readonly links?: readonly Link[];
  /**
   * Not if the catalog has seen it, or heard of its death, after this stamp: what a scan read long ago must not
   * overwrite what the follower has found since. The batch's blobs, bindings and journal rows of it are left out, too.
   */
  readonly unlessSeenAfter?: Stamp;
  /**
   * Not if the catalog has no entry of it: it had one before the file was looked at, so the file was found dead since. All
   * else that the batch says of it is left out, too.
   */
  readonly unlessGone?: boolean;
}

/** A file that is dead: ENOENT by its FID under our file system's UUID. Nothing else is proof. */
export interface Death {
  readonly fid: Fid;
  /** Seconds since 1970. */
  readonly at: number;
  /** It may have had a blob that the catalog does not know (a record said so). */
  readonly maybeCopied?: boolean;
  /** The last name that it had, as records told it: where its blob is, if nobody had seen the file itself. */
  readonly last?: Link | undefined;
  /** What it was, if nobody had seen it; by default a file. */
  readonly type?: FileType;
}

/** A dead file whose blobs are to go. */
export interface Tombstone {
  readonly fid: Fid;
  readonly type: FileType;
  /** The lowest of its last names, relative to the root; undefined when it was not known. */
  readonly path?: Buffer | undefined;
  readonly size: bigint;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: number;
  readonly archive: number;
  readonly diedAt: number;
  /** Whether somebody had looked at it. If not, size, mode, owner, time and archive are made up: its blob says them. */
  readonly seen: boolean;
  readonly blobs: readonly KnownBlob[];
}

/** A file to be looked at in Lustre. */
export interface MarkPut {
  readonly fid: Fid;
  /** Why, as a set of the follower's hints; they add up. */
  readonly hints: number;
  /** Seconds since 1970 of the oldest change behind it. */
  readonly since: number;
  /** The last name that it is said to have had, of something that was in HSM or held what was. */
  readonly last?: Link | undefined;
}

export interface Mark extends MarkPut {
  /** When it was last put: a mark is done only if it was not put again meanwhile. */
  readonly stamp: Stamp;
}

/** Work on one FID that the reconciler has to do in the container. */
export interface JournalPut {
  readonly fid: Fid;
  /** Why, as a set of reasons (follow/reasons.ts); they add up. */
  readonly reasons: number;
  /** Seconds since 1970 of the oldest change behind it. */
  readonly since: number;
  /** Milliseconds since 1970 before which it is not to be done; with a row that is there already, the earlier counts. */
  readonly notBefore?: number;
  /** How far work on it has got counts no more: it begins anew. */
  readonly afresh?: boolean;
}

export interface JournalEntry {
  readonly fid: Fid;
  readonly reasons: number;
  readonly since: number;
  readonly notBefore: number;
  /** Failed so far. */
  readonly tries: number;
  readonly stamp: Stamp;
  readonly error?: string | undefined;
  /** Milliseconds since 1970, when it was given up for now. */
  readonly quarantinedAt?: number | undefined;
  /** Where a long piece of work is, in the reconciler's own terms. */
  readonly progress?: Buffer | undefined;
}

/** What came of a piece of work. It counts only if the journal's row has not been put again since `stamp`. */
export type JournalOutcome =
  | { readonly fid: Fid; readonly stamp: Stamp; readonly outcome: 'done' }
  | {
      readonly fid: Fid;
      readonly stamp: Stamp;
      readonly outcome: 'failed';
      readonly error: string;
      readonly notBefore: number;
      readonly quarantine?: boolean;
    }
  | { readonly fid: Fid; readonly stamp: Stamp; readonly outcome: 'later'; readonly notBefore: number }
  | { readonly fid: Fid; readonly stamp: Stamp; readonly outcome: 'progress'; readonly progress: Buffer };

/** How far an MDT's changelog is taken in. Written in the transaction that holds the records' effects. */
export interface CursorMove {
  readonly mdt: string;
  readonly user?: string;
  /** The last record that is taken in. */
  readonly applied?: number;
  /** The last record that the MDT was told to forget. */
  readonly cleared?: number;
  /** Milliseconds since 1970 of the last record, by the MDT's clock. */
  readonly recordTime?: number;
  /** Records by type, to be added up. */
  readonly types?: ReadonlyMap<number, number>;
  /** Records are missing, or may be: everything must be scanned again. The first reason stands until a scan clears it. */
  readonly rescan?: string;
}

export interface Cursor {
  readonly mdt: string;
  readonly user?: string | undefined;
  readonly applied?: number | undefined;
  readonly cleared?: number | undefined;
  readonly recordTime?: number | undefined;
  readonly types: ReadonlyMap<number, number>;
  readonly rescan?: { readonly reason: string; readonly stamp: Stamp } | undefined;
}

/** The blob that an import bound a file to. */
export interface KnownBinding {
  readonly fid: Fid;
  readonly archive: number;
  readonly name: string;
  /** `formatBinding`. */
  readonly bind: string;
  readonly size: bigint;
}

/** What failed with a file, for backoff and quarantine of policies. */
export interface FailurePut {
  readonly fid: Fid;
  readonly kind: string;
  readonly error: string;
  /** Milliseconds since 1970 until which it is left alone. */
  readonly notBefore: number;
}

export interface Failure extends FailurePut {
  readonly count: number;
  readonly at: number;
}

/** A file that a policy has asked the coordinator for, and whose end nobody has seen yet. */
export interface Asked {
  readonly policy: string;
  readonly fid: Fid;
  /** The run that asked. */
  readonly run: number;
  /** Milliseconds since 1970. */
  readonly at: number;
  /** As the file was then: bytes, seconds since 1970. */
  readonly size: bigint;
  readonly mtime: number;
}

export type RunKind = 'policy' | 'import' | 'scan' | 'verify' | 'sweep' | 'follow';

export interface Run {
  readonly id: number;
  readonly kind: RunKind;
  readonly name: string;
  /** Milliseconds since 1970. */
  readonly started: number;
  readonly ended?: number | undefined;
  readonly outcome?: string | undefined;
  /** Counts, bytes and whatever the kind of run reports. */
  readonly detail: Readonly<Record<string, unknown>>;
}

export interface CatalogEvent {
  readonly at: number;
  readonly level: 'info' | 'warn' | 'error';
  readonly kind: string;
  readonly message: string;
  readonly run?: number | undefined;
  readonly fid?: Fid | undefined;
}

/** Where a long job (a scan, an import) is, so that it can be taken up again. */
export interface Checkpoint {
  readonly name: string;
  readonly state: unknown;
}

/** How many, how large: of all entries of one kind. */
export interface Usage {
  readonly type: FileType;
  readonly hsm: number;
  readonly archive: number;
  readonly uid: number;
  readonly gid: number;
  readonly project: number;
  readonly count: bigint;
  /** Sum of sizes, bytes. */
  readonly bytes: bigint;
  /** Sum of blocks, units of 512 bytes. */
  readonly blocks: bigint;
}

/** The checkpoint that is there as long as an import is under way, or waits to go on. */
export const IMPORT_CHECKPOINT = 'import';

/** Names that an import has to list, from the token on: one level, or everything below. */
export interface ImportRange {
  /** What they begin with. */
  readonly place: string;
  readonly flat: boolean;
  /** They are not before this, in the order of names. */
  readonly start?: string | undefined;
  /** They are before this. */
  readonly end?: string | undefined;
  readonly token?: string | undefined;
}

/** What tells ranges apart. */
export type ImportRangeKey = Pick<ImportRange, 'place' | 'start'>;

/** A hard link that an import is to make when all files are there. */
export interface ImportLink {
  /** Its marker's name. */
  readonly name: string;
  /** Relative to the root. */
  readonly path: Buffer;
  /** The blob with the content; undefined: the marker does not say. */
  readonly target: string | undefined;
  readonly etag: string;
}

/** A directory whose attributes an import sets when everything is in it. Time in seconds. */
export interface ImportDirectory {
  readonly fid: Fid;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: number;
}

/** Something alive that stands for a blob. */
export interface ImportedBlob {
  readonly fid: Fid;
  readonly kind: BlobKind;
  /** As the import saw it; undefined: we have written it ourselves, or nobody here has seen it. */
  readonly etag?: string;
  /** `formatBinding`, of what was imported. */
  readonly bind?: string;
}

/** A name that was imported. `bound`: the file is bound to that blob; otherwise it is one of its further names. */
export interface ImportedName {
  readonly name: string;
  readonly fid: Fid;
  readonly bound: boolean;
}

/** How far an import is. Written with what it has made. */
export interface ImportChanges {
  /** Begin anew: what was left of ranges and links goes. Directories that wait for their attributes get them all the same. */
  readonly restart?: boolean;
  readonly ranges?: readonly ImportRange[];
  readonly rangesDone?: readonly ImportRangeKey[];
  readonly links?: readonly ImportLink[];
  readonly linksDone?: readonly string[];
  readonly directories?: readonly ImportDirectory[];
  readonly directoriesDone?: readonly Fid[];
  /** The container has them as they are known. */
  readonly seen?: readonly { readonly fid: Fid; readonly archive: number; readonly name: string }[];
}

/** Changes that are made together or not at all, in the order of these fields. */
export interface CatalogBatch {
  readonly puts?: readonly EntryPut[];
  /** Directories that a scan has met and is to go through, and those that it has been through. */
  readonly met?: readonly Fid[];
  readonly walked?: readonly Fid[];
  /** Of files that the catalog does not know, too: a scan may be about to put them. */
  readonly deaths?: readonly Death[];
  /** Stripes of directories: what they are named by counts as named by the directory. */
  readonly shards?: readonly { readonly shard: Fid; readonly directory: Fid }[];
  readonly blobs?: readonly { readonly fid: Fid; readonly blob: KnownBlob }[];
  readonly blobsGone?: readonly { readonly fid: Fid; readonly archive: number; readonly name: string }[];
  readonly bindings?: readonly KnownBinding[];
  readonly bindingsGone?: readonly Fid[];
  readonly imports?: ImportChanges;
  readonly marks?: readonly MarkPut[];
  /** These were looked at, as they stood at the stamp. */
  readonly looked?: readonly { readonly fid: Fid; readonly stamp: Stamp }[];
  readonly journal?: readonly JournalPut[];
  readonly outcomes?: readonly JournalOutcome[];
  /** Nothing of these is left in the container. */
  readonly buried?: readonly Fid[];
  /** What these left is another file's by now: they have no tombstones and blobs any more, and were not buried. */
  readonly exhumed?: readonly Fid[];
  readonly failures?: readonly FailurePut[];
  readonly failuresGone?: readonly Fid[];
  /** The same of one kind. */
  readonly failuresOver?: readonly { readonly fid: Fid; readonly kind: string }[];
  readonly asked?: readonly Asked[];
  readonly askedGone?: readonly { readonly policy: string; readonly fid: Fid }[];
  readonly cursors?: readonly CursorMove[];
  readonly checkpoints?: readonly Checkpoint[];
  readonly checkpointsGone?: readonly string[];
  readonly events?: readonly CatalogEvent[];
}

export interface BatchResult {
  readonly stamp: Stamp;
  /** Entries that were new, differed, or were left because the catalog has seen them since. */
  readonly added: number;
  readonly changed: number;
  readonly skipped: number;
  readonly died: number;
}

/** Where something is: its path relative to the root, or why none is known. */
export type PathResult =
  | { readonly ok: true; readonly path: Buffer; readonly link?: Link }
  | { readonly ok: false; readonly reason: 'no-name' | 'unknown-parent' | 'loop' };
