import type { Expression } from '../expression/ast.ts';
import type { Fid } from '../identity/fid.ts';

/** Where candidates are looked for. */
export type SelectionScope =
  /** Files that an archive may be asked for: not archived or dirty; not released, lost or flagged never_archive. */
  | 'archivable'
  /** Files that may be released: archived, clean, not empty, not lost or flagged never_release. */
  | 'releasable'
  /** Everything. */
  | 'all';

/** A choice of files, or of entries of any kind. */
export interface Selection {
  readonly scope: SelectionScope;
  /** With classes, owners and the mount put in (`resolve`). Without: all of the scope. */
  readonly where?: Expression;
  /** Milliseconds since 1970: ages are counted from then. */
  readonly now: number;
  /** Entries with the same value come in the order of an own of the catalog's. 'none': whatever is quickest. */
  readonly order?: 'last_mod' | 'last_access' | 'last_change' | 'size' | 'none';
  /** Largest, or latest, first. */
  readonly descending?: boolean;
  /** Only what has objects on this OST; with 'releasable'. */
  readonly ost?: number;
  /** At most so many. */
  readonly limit?: number;
}

/** A choice among all entries. */
export type EntrySelection = Omit<Selection, 'scope' | 'ost'>;

/** A file that was chosen, with what the choice knows of it without having read its entry. */
export interface Candidate {
  readonly fid: Fid;
  /** Bytes. */
  readonly size: bigint;
  /** What it was put in order by, as the catalog has it; without an order, nothing that means anything. */
  readonly place: number;
}
