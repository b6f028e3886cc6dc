import type { Fid } from '../identity/fid.ts';
import type { Binding } from '../identity/file-record.ts';
import type { BlobState } from './state.ts';

/** A blob as a listing or a HEAD shows it. */
export type ReadBlob = BlobState;

/** What holds where a blob says nothing. */
export interface ReadDefaults {
  readonly uid: number;
  readonly gid: number;
  readonly fileMode: number;
  readonly dirMode: number;
}

/** By whose keys the attributes were found. `amlfs` is also what lemur and AzCopy's style of that name write. */
export type ReadStyle = 'lfsazsync' | 'amlfs' | 'azcopy' | 'lemur' | 'fsx' | 'hadoop' | 'none';

export interface ReadAttributes {
  readonly uid: number;
  readonly gid: number;
  /** Twelve bits. */
  readonly mode: number;
  /** Nanoseconds since 1970; the blob's Last-Modified where nothing else is said. */
  readonly mtime: bigint;
  readonly style: ReadStyle;
}

/** What an operator should know of a blob that was read all the same. */
export type WarningCode =
  /** Our own names would be others: archives write this file elsewhere. The record must say where the blob is (`at`). */
  | 'other-name'
  /** A value that does not read; the next source or the default was taken. */
  | 'attribute-unreadable'
  /** `permissions` or `modtime` differ from our exact values: somebody edited them, and they count. */
  | 'attribute-edited'
  /** An `ftype` or a folder flag of a value that means nothing. */
  | 'type-unknown'
  /** A directory or link whose blob has content, which nobody will see. */
  | 'content-ignored'
  /** One of ours whose content is not what was archived under its generation: it is bound by its ETag. */
  | 'not-as-archived'
  /** It must be rehydrated before it can be read. */
  | 'archive-tier'
  | 'leased'
  /** Readable, but archives can't write it: they make a block blob, for which it has to go first. */
  | 'not-block-blob';

export interface ReadWarning {
  readonly code: WarningCode;
  readonly detail: string;
}

export type RefusalCode =
  | 'outside-prefix'
  | 'name-not-text'
  | 'name-empty-segment'
  | 'name-dot-segment'
  | 'name-nul'
  | 'name-segment-too-long'
  | 'name-too-long'
  | 'name-reserved-by-lustre'
  | 'special-file'
  | 'client-encrypted'
  | 'customer-key'
  | 'copy-pending'
  | 'copy-failed'
  | 'upload-unfinished'
  | 'target-missing'
  | 'target-invalid'
  | 'target-too-long';

export interface Refused {
  readonly kind: 'refused';
  readonly reason: RefusalCode;
  /** For people; does not repeat the name. */
  readonly detail: string;
}

interface Readable {
  /** Relative to the file system's root, without slashes at its ends. */
  readonly path: Buffer;
  readonly attributes: ReadAttributes;
  readonly warnings: readonly ReadWarning[];
}

export interface ReadFile extends Readable {
  readonly kind: 'file';
  readonly size: bigint;
  /** What a record on the file binds it to: our version (whatever file system it is of), or the ETag. */
  readonly bind: Binding;
}

export interface ReadDirectory extends Readable {
  readonly kind: 'dir';
  /** Whether the marker says anything of its own; of two markers of one directory (`d` and `d/`) such a one counts. */
  readonly explicit: boolean;
}

export interface ReadSymlink extends Readable {
  readonly kind: 'symlink';
  /** Undefined: it is the blob's body. */
  readonly target?: Buffer;
}

/** A further hard link of a file; only we write such blobs. */
export interface ReadLink extends Readable {
  readonly kind: 'link';
  /** The name of the blob with the content. */
  readonly linkTo?: string;
  /** In its place, where that name was too long for the metadata. */
  readonly linkToSha256?: string;
  /** The file that the blob with the content says it is of. */
  readonly of: { readonly fs: string; readonly fid: Fid };
}

export type ReadAs =
  | ReadFile
  | ReadDirectory
  | ReadSymlink
  | ReadLink
  /** Ours, and no user's: passed over. A staged copy is the only one of a file that was being renamed: worth telling. */
  | { readonly kind: 'reserved'; readonly what: 'staging' | 'own' | 'root' }
  | Refused;

export interface ReadOptions {
  /** The archive's. */
  readonly prefix: string;
  readonly defaults: ReadDefaults;
}
