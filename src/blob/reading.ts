import type { Fid } from '../identity/fid.ts';
import type { Binding } from '../identity/file-record.ts';
import { readAttributes } from './reading-attributes.ts';
import { contentProblem, readKind } from './reading-kind.ts';
import { readName } from './reading-name.ts';
import { readTarget } from './reading-target.ts';
import type { BlobState } from './state.ts';

/**
 * What a blob means to a file system, whoever wrote it: lfsazsync, Azure Managed Lustre, lemur of any age, AzCopy, FSx,
 * Hadoop, or somebody who has never heard of any of them. Pure functions of what a listing says; docs/blob-format.md
 * has the rules. Nothing here throws, whatever the metadata.
 */

/** A blob as a listing or a HEAD shows it. */
export type ReadBlob = BlobState;

/** What holds where a blob says nothing. */
export interface ReadDefaults {
  readonly uid: number;
  readonly gid: number;
  readonly fileMode: number;
  readonly dirMode: number;
}

/** Azure Managed Lustre's. */
export const READ_DEFAULTS: ReadDefaults = { uid: 0, gid: 0, fileMode: 0o644, dirMode: 0o777 };

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

/**
 * What the blob means. Two names are never read as one path, but for the two markers of a directory (`d` and `d/`) and
 * where one of them has the warning `other-name`.
 */
export function readBlob(blob: ReadBlob, { prefix, defaults }: ReadOptions): ReadAs {
  const named = readName(blob.name, prefix);
  if (named.kind !== 'path') return named;
  const keys = lowerCased(blob.metadata);
  const kind = readKind(blob, keys, named.slash);
  if (kind.kind === 'refused') return kind;
  const problem = contentProblem(blob, keys, kind.kind);
  if (problem !== undefined) return problem;
  const attributes = readAttributes(blob, keys, kind.kind, defaults);
  const { path } = named;
  const common = { path, attributes: attributes.attributes };
  const warnings = [...named.warnings, ...kind.warnings, ...attributes.warnings, ...circumstances(blob, kind.kind)];
  switch (kind.kind) {
    case 'dir':
      return { kind: 'dir', ...common, explicit: attributes.attributes.style !== 'none', warnings };
    case 'link':
      return { kind: 'link', ...common, ...kind.link, warnings };
    case 'symlink': {
      const target = readTarget(blob, keys);
      return target.kind === 'refused' ? target : { ...target, ...common, warnings };
    }
    case 'file': {
      const bound = bindingOf(blob);
      return {
        kind: 'file',
        ...common,
        size: blob.length,
        bind: bound.bind,
        warnings: [...warnings, ...bound.warnings],
      };
    }
  }
}

/** One of our versions is bound by its generation, which survives changes of metadata and copies; anything else by its ETag. */
function bindingOf({ identity, etag, length }: ReadBlob): { bind: Binding; warnings: ReadWarning[] } {
  if (identity?.kind !== 'file') return { bind: { etag }, warnings: [] };
  const { fs, fid, generation, size } = identity;
  if (generation !== undefined && size === length) return { bind: { fs, fid, generation }, warnings: [] };
  const detail =
    generation === undefined
      ? 'its metadata names no generation'
      : `it has ${length} bytes, its metadata say ${size ?? 'nothing'}`;
  return { bind: { etag }, warnings: [{ code: 'not-as-archived', detail }] };
}

/** What will matter when the blob is read or written. */
function circumstances(blob: ReadBlob, kind: 'file' | 'dir' | 'symlink' | 'link'): ReadWarning[] {
  const warnings: ReadWarning[] = [];
  const withContent = kind === 'file' || kind === 'symlink';
  if (!withContent && blob.length > 0n) {
    warnings.push({ code: 'content-ignored', detail: `its blob has ${blob.length} bytes` });
  }
  if (withContent && blob.accessTier === 'Archive') {
    warnings.push({
      code: 'archive-tier',
      detail: blob.archiveStatus ?? 'it must be rehydrated before it can be read',
    });
  }
  if (blob.leaseState === 'leased') warnings.push({ code: 'leased', detail: 'somebody holds a lease on it' });
  if (blob.blobType !== 'BlockBlob') {
    warnings.push({ code: 'not-block-blob', detail: `it is a ${blob.blobType}: it can be read, not archived over` });
  }
  return warnings;
}

function lowerCased(metadata: Readonly<Record<string, string>>): Map<string, string> {
  const keys = new Map<string, string>();
  for (const key in metadata) keys.set(key.toLowerCase(), metadata[key] as string);
  return keys;
}
