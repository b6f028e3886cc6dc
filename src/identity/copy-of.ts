import type { BlobIdentity } from './blob-identity.ts';
import type { Fid } from './fid.ts';
import { type BindingRecord, type CopyRecord, type FileRecord, formatBinding, isBinding } from './file-record.ts';
import { formatGeneration } from './generation.ts';

/** What is to be known of a file to recognise its copy. */
export interface FileIdentity {
  readonly fid: Fid;
  /** `trusted.lfsazsync`, as it stands on the file; another file's is treated as none. */
  readonly record?: FileRecord | undefined;
  /** The file's size in bytes, as Lustre says it. */
  readonly size: bigint;
}

/** What is to be known of a blob to tell whose copy it is. */
export interface BlobFacts {
  readonly etag: string;
  /** Content-Length in bytes. */
  readonly length: bigint;
  readonly identity?: BlobIdentity | undefined;
  readonly copyStatus?: 'success' | 'pending' | 'failed' | 'aborted' | undefined;
}

/** By what a blob was recognised as a file's copy. */
export type Recognition = 'record' | 'binding' | 'stamped' | 'fallback';

export type Verdict =
  | { readonly copy: true; readonly by: Recognition }
  | { readonly copy: false; readonly reason: string };

/** The record, if it is the file's own. */
export function ownRecord(file: FileIdentity): FileRecord | undefined {
  return file.record?.fid === file.fid ? file.record : undefined;
}

/**
 * Whether this blob is the copy of that file (design: 'The copy of F'):
 * our UUID, F's FID, a sequence not below the record's, a copy status that is absent or success, and a Content-Length
 * equal to its `lfsazsync_size`. An imported file's copy is exactly what its binding says, or what we made of that.
 * Without a record of its own, the blob at the file's current path with our UUID, F's FID and F's size is accepted.
 * @param atCurrentPath whether the blob's name is that of one of the file's current paths
 */
export function examineCopy(file: FileIdentity, blob: BlobFacts, fsUuid: string, atCurrentPath: boolean): Verdict {
  if (blob.copyStatus !== undefined && blob.copyStatus !== 'success')
    return no(`its server-side copy is ${blob.copyStatus}`);
  const record = ownRecord(file);
  if (record !== undefined && isBinding(record)) return examineBinding(file.fid, record, blob, fsUuid);
  const { identity } = blob;
  if (identity === undefined) return no('it is not a blob of lfsazsync');
  const foreign = strangeness(identity, file.fid, fsUuid);
  if (foreign !== undefined) return no(foreign);
  if (identity.size !== blob.length) return no(`it has ${blob.length} bytes and says ${identity.size ?? 'no size'}`);
  if (record === undefined) {
    if (!atCurrentPath) return no('the file has no record of its copy, and this is not its current path');
    if (blob.length !== file.size) return no(`it has ${blob.length} bytes, the file has ${file.size}`);
    return { copy: true, by: 'fallback' };
  }
  if (identity.generation === undefined) return no('it has no generation');
  if (identity.generation.seq < record.generation.seq) {
    return no(`it is generation ${identity.generation.seq}, the file's is ${record.generation.seq}`);
  }
  return { copy: true, by: 'record' };
}

/** `examineCopy` as a yes or no. */
export function isCopyOf(file: FileIdentity, blob: BlobFacts, fsUuid: string, atCurrentPath = false): boolean {
  return examineCopy(file, blob, fsUuid, atCurrentPath).copy;
}

/**
 * Whether a blob that is the file's copy holds exactly the content that the record names. Stricter than `isCopyOf`: a
 * sequence above the record's with another checksum is some other version, whoever wrote it, and a restore must not
 * give it back.
 */
export function holdsRecorded(record: CopyRecord, identity: BlobIdentity): boolean {
  return identity.size === record.size && identity.crc64 === record.crc64;
}

function examineBinding(fid: Fid, record: BindingRecord, blob: BlobFacts, fsUuid: string): Verdict {
  const { identity } = blob;
  if (blob.length !== record.size) return no(`it has ${blob.length} bytes, the import recorded ${record.size}`);
  if (identity !== undefined && strangeness(identity, fid, fsUuid) === undefined) {
    if (identity.from !== formatBinding(record.bind)) return no('it is not what the file was imported from');
    return identity.size === undefined || identity.size === blob.length
      ? { copy: true, by: 'stamped' }
      : no(`it has ${blob.length} bytes and says ${identity.size}`);
  }
  if ('etag' in record.bind) {
    return sameEtag(blob.etag, record.bind.etag)
      ? { copy: true, by: 'binding' }
      : no('it has changed since the import');
  }
  if (identity === undefined) return no('it is not a blob of lfsazsync');
  const { fs, fid: boundFid, generation } = record.bind;
  const same =
    identity.fs === fs &&
    identity.fid === boundFid &&
    identity.generation !== undefined &&
    formatGeneration(identity.generation) === formatGeneration(generation) &&
    identity.size === blob.length;
  return same ? { copy: true, by: 'binding' } : no('it is not the version that the file was imported from');
}

/** Why this can't be a copy of that file's content, whatever the version; undefined when it can. */
function strangeness(identity: BlobIdentity, fid: Fid, fsUuid: string): string | undefined {
  if (identity.fs !== fsUuid) return `it belongs to another file system (${identity.fs})`;
  if (identity.fid !== fid) return `it belongs to another file (${identity.fid})`;
  if (identity.kind !== 'file') return `it is a marker (${identity.kind})`;
  return undefined;
}

/** ETags come with and without quotes, depending on the operation that gave them. */
function sameEtag(a: string, b: string): boolean {
  return a.replaceAll('"', '') === b.replaceAll('"', '');
}

function no(reason: string): Verdict {
  return { copy: false, reason };
}
