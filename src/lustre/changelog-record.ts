import type { Fid } from '../identity/fid.ts';

/**
 * Types of changelog records, by the names that `lfs changelog` prints (enum changelog_rec_type of Lustre's headers).
 * Later Lustre versions may send others: they come through as their number.
 */
export const RecordType = {
  MARK: 0,
  CREAT: 1,
  MKDIR: 2,
  HLINK: 3,
  SLINK: 4,
  MKNOD: 5,
  UNLNK: 6,
  RMDIR: 7,
  RENME: 8,
  RNMTO: 9,
  OPEN: 10,
  CLOSE: 11,
  LYOUT: 12,
  TRUNC: 13,
  SATTR: 14,
  XATTR: 15,
  HSM: 16,
  MTIME: 17,
  CTIME: 18,
  ATIME: 19,
  MIGRT: 20,
  FLRW: 21,
  RESYNC: 22,
  GXATR: 23,
  NOPEN: 24,
} as const;

/** Of UNLNK, RMDIR: the last link went (an open file may still be there). */
export const UNLINK_LAST = 0x1;
/** Of UNLNK: the file had something in HSM. */
export const UNLINK_HSM_EXISTS = 0x2;
/** Of RENME: the victim lost its last link. */
export const RENAME_LAST = 0x1;
/** Of RENME: the victim had something in HSM. */
export const RENAME_LAST_HSM_EXISTS = 0x2;

/** One record, as it came: what it says is a hint what to look at, the file system says what is. */
export interface ChangelogRecord {
  /** Counts up by one from record to record of an MDT. */
  readonly index: number;
  /** One of RecordType, or a number that this version does not know. */
  readonly type: number;
  /** The 12 bits that depend on the type, such as UNLINK_LAST. */
  readonly flags: number;
  /** Milliseconds since 1970, of the MDT's clock. */
  readonly time: number;
  /** The file; of a rename, the victim that was at the new name; null: none. */
  readonly fid: Fid | null;
  /** The directory of `name`; null without a name, since Lustre's parents are wrong there. */
  readonly parent: Fid | null;
  /** Of a rename, the new name. */
  readonly name: Buffer | null;
  /** Who did it; null when the server does not say. */
  readonly uid: number | null;
  readonly gid: number | null;
  /** Of a rename: what was renamed, from where. */
  readonly sourceFid: Fid | null;
  readonly sourceParent: Fid | null;
  readonly sourceName: Buffer | null;
  /** Of XATTR: the attribute's name, if the server says it. */
  readonly xattr: string | null;
}
