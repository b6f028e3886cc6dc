import type { Binding } from '../identity/file-record.ts';
import { readAttributes } from './reading-attributes.ts';
import { contentProblem, readKind } from './reading-kind.ts';
import { readName } from './reading-name.ts';
import { readTarget } from './reading-target.ts';
import type { ReadAs, ReadBlob, ReadDefaults, ReadOptions, ReadWarning } from './reading-types.ts';

/**
 * What a blob means to a file system, whoever wrote it: lfsazsync, Azure Managed Lustre, lemur of any age, AzCopy, FSx,
 * Hadoop, or somebody who has never heard of any of them. Pure functions of what a listing says; docs/blob-format.md
 * has the rules. Nothing here throws, whatever the metadata.
 */

/** Azure Managed Lustre's. */
export const READ_DEFAULTS: ReadDefaults = { uid: 0, gid: 0, fileMode: 0o644, dirMode: 0o777 };

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
