import type { Entry, Link } from '../catalog/types.ts';
import { ROOT_FID } from '../identity/fid.ts';
import { type FileRecord, LOCATION_XATTR, parseFileRecord, RECORD_XATTR } from '../identity/file-record.ts';
import type { FileAttributes, FileStat, Want } from '../lustre/attributes.ts';
import type { ScanEntry } from '../lustre/scan-entry.ts';
import { LAYOUT_XATTR, parseLayoutXattr } from './layout-xattr.ts';
import { LINK_XATTR, parseLinkXattr } from './link-xattr.ts';

/** A file as it was just seen in Lustre. */
export interface Fresh {
  readonly entry: Entry;
  /** All its names; undefined: not all are known. */
  readonly links?: readonly Link[];
  /** `trusted.lfsazsync`, if it is this file's own. */
  readonly record?: FileRecord;
  /** `trusted.lfsazsync_at`. */
  readonly location?: string;
}

/** What came of looking at a FID. Dead is ENOENT under our UUID; everything else that fails is no death. */
export type Seen =
  | { readonly kind: 'alive'; readonly fresh: Fresh }
  | { readonly kind: 'dead' }
  | { readonly kind: 'failed'; readonly error: string };

/** What must be asked of a file for `freshOf`. */
export const WANT: Want = {
  parts: ['stat', 'hsm', 'xattrs'],
  xattrs: [RECORD_XATTR, LOCATION_XATTR, LINK_XATTR, LAYOUT_XATTR],
};

/**
 * @param attributes what was asked for by `WANT`; it has its `stat`
 * @param before the entry as it was known, for what these attributes do not tell
 */
export function freshOf(attributes: FileAttributes & { readonly stat: FileStat }, before: Entry | undefined): Fresh {
  const { fid, stat, hsm, xattrs } = attributes;
  const layout = stat.type === 'file' ? xattrs?.get(LAYOUT_XATTR) : undefined;
  const objects = layout === undefined ? undefined : parseLayoutXattr(layout);
  const location = xattrs?.get(LOCATION_XATTR)?.toString('utf8');
  const links = linksOf(fid === ROOT_FID, stat, xattrs?.get(LINK_XATTR));
  return {
    entry: {
      fid,
      type: stat.type,
      mode: stat.mode,
      uid: stat.uid,
      gid: stat.gid,
      project: before?.project ?? 0,
      size: stat.size,
      blocks: stat.blocks,
      nlink: stat.nlink,
      atime: seconds(stat.atime),
      mtime: seconds(stat.mtime),
      ctime: seconds(stat.ctime),
      hsm: hsm?.states ?? 0,
      archive: hsm?.archive ?? 0,
      osts: objects?.osts ?? [],
      pool: objects?.pool ?? '',
    },
    ...(links === undefined ? {} : { links }),
    ...ownRecordOf(xattrs?.get(RECORD_XATTR), fid),
    ...(location === undefined || location === '' ? {} : { location }),
  };
}

/** @returns undefined: the scan did not see enough of it, so it is to be looked at by its FID */
export function freshOfScan(scanned: ScanEntry): Fresh | undefined {
  if (scanned.hsm === null || (scanned.links !== null && !scanned.linksComplete)) return undefined;
  const { fid, type, mode, uid, gid, nlink, atime, mtime, ctime, hsm, archive, osts, pool } = scanned;
  const entry = {
    ...{ fid, type, mode, uid, gid, nlink, atime, mtime, ctime, hsm, archive, osts, pool },
    project: scanned.project ?? 0,
    size: BigInt(scanned.size),
    blocks: BigInt(scanned.blocks),
  };
  const links = scanned.links ?? [{ parent: scanned.parent, name: scanned.name }];
  return { entry, links, ...ownRecordOf(scanned.record ?? undefined, fid) };
}

/** A directory has one name, whatever its number of links says; the root has none. */
function linksOf(isRoot: boolean, stat: FileStat, xattr: Buffer | undefined): readonly Link[] | undefined {
  if (isRoot || stat.nlink === 0) return [];
  const links = xattr === undefined ? undefined : parseLinkXattr(xattr);
  const expected = stat.type === 'dir' ? 1 : stat.nlink;
  return links?.length === expected ? links : undefined;
}

/** `cp -a` carries records to other files: those are none. */
function ownRecordOf(value: Buffer | undefined, fid: string): { record?: FileRecord } {
  const record = value === undefined ? undefined : parseFileRecord(value);
  return record?.fid === fid ? { record } : {};
}

/** Lustre keeps whole seconds. */
function seconds(ns: bigint): number {
  return Number((ns - (((ns % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n)) / 1_000_000_000n);
}
