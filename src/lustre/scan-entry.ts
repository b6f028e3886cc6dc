import type { Fid } from '../identity/fid.ts';
import type { FileType } from './attributes.ts';
import type { CurrentAction } from './hsm-state.ts';

/** A name of a file. */
export interface Link {
  readonly parent: Fid;
  readonly name: Buffer;
}

/** What the catalog keeps of a file, directory or whatever it is. Numbers are exact up to 2^53. */
export interface EntryState {
  readonly fid: Fid;
  readonly type: FileType;
  /** The low 12 bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly nlink: number;
  /** Bytes. */
  readonly size: number;
  /** Units of 512 bytes. */
  readonly blocks: number;
  /** Whole seconds since 1970: Lustre keeps no more. */
  readonly atime: number;
  readonly mtime: number;
  readonly ctime: number;
  /** Creation; null where Lustre does not know it. */
  readonly btime: number | null;
  /** null: this Lustre does not tell without opening the file. */
  readonly project: number | null;
  /** HSM flags (HSM_FLAG); 0 for what HSM never touched and for other things than files; null: could not be read. */
  readonly hsm: number | null;
  /** HSM archive id. */
  readonly archive: number;
  /** OSTs on which the file has objects, ascending; empty for a released file and what has no layout. */
  readonly osts: readonly number[];
  /** The pool of the layout, '' without one. */
  readonly pool: string;
  /** The value of `trusted.lfsazsync`, of files that have a copy. */
  readonly record: Buffer | null;
  /** The value of `trusted.lhsm_uuid`, of files that lemur archived; null where `record` is there. */
  readonly lemur: Buffer | null;
  /** All names; null: the one under which a walk found it is the only one. */
  readonly links: readonly Link[] | null;
  /** False: there are more names than `links` has (the file changed meanwhile, or has more than a thousand). */
  readonly linksComplete: boolean;
  /** What the coordinator has under way, of a file and where it was asked for. */
  readonly action?: CurrentAction;
}

/** What a scan saw of one directory entry. A file with several links comes once for each of them that the walk meets. */
export interface ScanEntry extends EntryState {
  /** The directory and the name under which the walk found it. */
  readonly parent: Fid;
  readonly name: Buffer;
}
