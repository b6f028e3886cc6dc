import type { UserXattr } from '../blob/xattrs.ts';
import type { Entry, PathResult } from '../catalog/types.ts';
import { nameLinks } from '../copies/names.ts';
import type { FileType } from '../lustre/attributes.ts';

/** A file, directory or whatever it is, as the container is held against it. */
export interface Subject {
  readonly type: FileType;
  /** The low 12 bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Whole seconds since 1970. */
  readonly mtime: number;
  /** Bytes; of a symlink, its target's length. */
  readonly size: bigint;
  readonly nlink: number;
  /** HSM flags. */
  readonly hsm: number;
  /** HSM archive id; 0: none. */
  readonly archive: number;
  /** The blob names of its links. */
  readonly names: ReadonlySet<string>;
  /** Links that no blob can have the name of. */
  readonly unnameable: number;
  /** Extended attributes of users, where they are known: the catalog does not have them. */
  readonly userXattrs?: readonly UserXattr[] | undefined;
}

/** An entry of the catalog with its names; undefined: where it is is not known. @param prefix that of the container */
export function subjectOf(entry: Entry, paths: readonly PathResult[], prefix: string): Subject | undefined {
  // Without a name it is known to have none; anything else is a parent that is not known yet.
  if (paths.some((path) => !path.ok && path.reason !== 'no-name')) return undefined;
  return subjectAt(
    entry,
    paths.flatMap((path) => (path.ok ? [path.path] : [])),
    prefix,
  );
}

/** What is known of something to be held against its blobs. @param paths all of its names */
export function subjectAt(entry: Entry, paths: readonly Buffer[], prefix: string): Subject {
  const { named, refused } = nameLinks(paths, prefix);
  const { type, mode, uid, gid, mtime, size, nlink, hsm, archive } = entry;
  const names = new Set(named.map(({ name }) => name));
  return { type, mode, uid, gid, mtime, size, nlink, hsm, archive, names, unnameable: refused.length };
}
