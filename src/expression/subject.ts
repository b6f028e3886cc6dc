import type { FileType } from '../lustre/attributes.ts';

/**
 * What conditions look at: a file (as the catalog keeps it, or as the file system shows it: `KnownEntry` and `EntryState`
 * both are subjects), or a dead one. What is missing or null is unknown.
 */
export interface PolicySubject {
  readonly type: FileType;
  /** The low 12 bits. */
  readonly mode?: number | null | undefined;
  readonly uid?: number | null | undefined;
  readonly gid?: number | null | undefined;
  readonly project?: number | null | undefined;
  readonly nlink?: number | null | undefined;
  /** Bytes. */
  readonly size?: number | bigint | null | undefined;
  /** Seconds since 1970. */
  readonly atime?: number | null | undefined;
  readonly mtime?: number | null | undefined;
  readonly ctime?: number | null | undefined;
  readonly btime?: number | null | undefined;
  /** HSM flags. */
  readonly hsm?: number | null | undefined;
  readonly archive?: number | null | undefined;
  readonly osts?: readonly number[] | null | undefined;
  readonly pool?: string | null | undefined;
  /** Every path, relative to the root. Empty: it has none any more. */
  readonly paths?: readonly Buffer[] | null | undefined;
  /** Their last parts, where those are to be had without them; then there is at least one. */
  readonly names?: readonly Uint8Array[] | null | undefined;
  /** The extended attributes that conditions name (`needsOf`), as far as the file has them. */
  readonly xattrs?: ReadonlyMap<string, Buffer> | null | undefined;
  /** Of the dead, seconds since 1970. */
  readonly removedAt?: number | null | undefined;
}
