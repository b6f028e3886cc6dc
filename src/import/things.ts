import { blobNameOf } from '../blob/naming.ts';
import type { Entry, KnownBinding, KnownBlob } from '../catalog/types.ts';
import type { BlobKind } from '../identity/blob-identity.ts';
import type { Fid } from '../identity/fid.ts';
import { bindingRecordParts, formatBinding } from '../identity/file-record.ts';
import { formatGeneration } from '../identity/generation.ts';
import type { FileType } from '../lustre/attributes.ts';
import { HSM } from '../lustre/hsm-state.ts';
import type { MakeAttributes, MakeItem, RecordParts } from '../lustre/importer.ts';
import { keyOf, nameOf } from './paths.ts';
import type { ImportRequest } from './types.ts';
import type { Wanted } from './wanted.ts';

const SECOND = 1_000_000_000n;
const RELEASED = HSM.EXISTS | HSM.ARCHIVED | HSM.RELEASED;
const ARCHIVED = HSM.EXISTS | HSM.ARCHIVED;

/** What Lustre keeps of a blob's attributes: whole seconds, rounded down. */
export function attributesOf({ read }: Wanted): MakeAttributes {
  const { uid, gid, mode, mtime } = read.attributes;
  const seconds = mtime / SECOND;
  const floor = mtime < 0n && seconds * SECOND !== mtime ? seconds - 1n : seconds;
  return { uid, gid, mode, mtime: Number(floor) };
}

/** Nobody asked for stripes of its own: what Lustre then gives a file without data is not what its directory would. */
export const hasNoLayout = ({ stripeCount, pool }: Pick<ImportRequest, 'stripeCount' | 'pool'>) =>
  stripeCount === 0 && pool === undefined;

/** The record of a file: what it is bound to, where that is, and what it was given. @param noLayout as `hasNoLayout` */
export function recordOf(wanted: Wanted, prefix: string, noLayout: boolean): RecordParts {
  const { read, blob, path } = wanted;
  if (read.kind !== 'file') throw new TypeError('only files have records');
  const own = blobNameOf(path, prefix);
  const named = own.ok && own.name !== blob.name ? { named: own.name } : {};
  const given = attributesOf(wanted);
  const layout = noLayout ? ({ layout: 'directory' } as const) : {};
  return bindingRecordParts({ size: read.size, bind: read.bind, at: blob.name, ...named, given, ...layout });
}

/** How the helper is told to make it. Directories and links have ways of their own. @param target of a symlink */
export function itemOf(
  wanted: Wanted,
  target: Buffer | undefined,
  { prefix, request }: { readonly prefix: string; readonly request: ImportRequest },
): MakeItem {
  const { read, path } = wanted;
  const common = { name: nameOf(keyOf(path)), ...attributesOf(wanted) };
  if (read.kind === 'symlink') return { kind: 'symlink', ...common, target: target ?? Buffer.alloc(0) };
  if (read.kind !== 'file') throw new TypeError(`a ${read.kind} is not made like this`);
  const record = recordOf(wanted, prefix, read.size > 0n && hasNoLayout(request));
  return read.size === 0n ? { kind: 'empty', ...common, record } : { kind: 'file', ...common, size: read.size, record };
}

/** What the catalog is told of something that was made. */
export function entryOf(
  wanted: Wanted,
  fid: Fid,
  request: ImportRequest,
  target: Buffer | undefined,
  now: number,
): Entry {
  const { read } = wanted;
  const { uid, gid, mode, mtime } = attributesOf(wanted);
  const isFile = read.kind === 'file';
  const size = isFile ? read.size : BigInt(target?.length ?? 0);
  const type: FileType = isFile ? 'file' : 'symlink';
  return {
    ...{
      fid,
      type,
      mode: isFile ? mode : 0o777,
      uid,
      gid,
      project: 0,
      size,
      blocks: isFile && size > 0n ? 1n : 0n,
      nlink: 1,
    },
    ...{ atime: mtime, mtime, ctime: now, osts: [], pool: isFile ? (request.pool ?? '') : '' },
    hsm: !isFile ? 0 : size > 0n ? RELEASED : ARCHIVED,
    archive: isFile ? request.archive : 0,
  };
}

/** The blob that stands for it, as it was listed. @param now seconds since 1970 */
export function blobOf({ blob, read }: Wanted, archive: number, now: number): KnownBlob {
  const { name, etag, length, identity } = blob;
  const kind: BlobKind = read.kind;
  const common = { archive, name, kind, etag, verifiedAt: now };
  if (read.kind !== 'file') return common;
  const generation = identity?.generation === undefined ? undefined : formatGeneration(identity.generation);
  return { ...common, size: length, generation, crc64: identity?.crc64, archivedAt: now };
}

/** What it was imported from. Whatever has no record of its own is bound to the very version of its marker. */
export function bindingOf({ blob, read }: Wanted, fid: Fid, archive: number): KnownBinding {
  const bind = formatBinding(read.kind === 'file' ? read.bind : { etag: blob.etag });
  return { fid, archive, name: blob.name, bind, size: blob.length };
}
