import { parseOwnMetadata } from '../blob/metadata.ts';
import { stagingName } from '../blob/naming.ts';
import type { BlobState } from '../blob/state.ts';
import type { BlobStore } from '../blob/store.ts';
import {
  examineCopy,
  type FileIdentity,
  holdsRecorded,
  ownRecord,
  type Recognition,
  type Verdict,
} from '../identity/copy-of.ts';
import { isBinding } from '../identity/file-record.ts';
import type { FileStat } from '../lustre/attributes.ts';
import { nameLinks } from './names.ts';

/** A file as its copy is looked for. */
export interface CopyOwner extends FileIdentity {
  readonly stat: Pick<FileStat, 'mtime'>;
  /** Every link. */
  readonly paths: readonly Buffer[];
  /** `trusted.lfsazsync_at`: a blob name, unverified. */
  readonly location?: string | undefined;
}

/** A file's copy, found and recognised. */
export interface LocatedCopy {
  readonly blob: BlobState;
  readonly by: Recognition;
}

/** A name that was looked at in vain, and what was wrong with what is there. */
export interface Miss {
  readonly name: string;
  readonly found: string;
}

export type Search =
  | { readonly copy: LocatedCopy; readonly misses: readonly Miss[] }
  | { readonly copy?: undefined; readonly misses: readonly Miss[] };

/** Where a file's copy may be, in the order in which it is looked for; hints come last and are only hints. @param more further hints */
export function candidateNames(
  file: CopyOwner,
  prefix: string,
  more: readonly string[] = [],
): { name: string; current: boolean }[] {
  const names = new Map<string, boolean>();
  for (const { name } of nameLinks(file.paths, prefix).named) names.set(name, true);
  const hints = [file.location, ownRecord(file)?.at, stagingName(prefix, file.fid), ...more];
  for (const hint of hints) if (hint !== undefined && !names.has(hint)) names.set(hint, false);
  return [...names].map(([name, current]) => ({ name, current }));
}

/**
 * Looks once for the copy that a restore may give back. The first candidate that is the copy wins; among copies that
 * are recognised without a record, the highest sequence.
 */
export async function searchCopy(
  file: CopyOwner,
  archive: { store: BlobStore; prefix: string },
  fsUuid: string,
  signal?: AbortSignal,
  more: readonly string[] = [],
): Promise<Search> {
  const misses: Miss[] = [];
  let fallback: LocatedCopy | undefined;
  for (const { name, current } of candidateNames(file, archive.prefix, more)) {
    const blob = await archive.store.head(name, { signal });
    if (blob === undefined) {
      misses.push({ name, found: 'nothing' });
      continue;
    }
    const verdict = recogniseCopy(file, blob, fsUuid, current);
    if (!verdict.copy) misses.push({ name, found: verdict.reason });
    else if (verdict.by !== 'fallback') return { copy: { blob, by: verdict.by }, misses };
    else if (fallback === undefined || seqOf(blob) > seqOf(fallback.blob)) fallback = { blob, by: verdict.by };
  }
  return fallback === undefined ? { misses } : { copy: fallback, misses };
}

/** Whether a blob is the copy that a restore may give back. @param current whether its name is one of the file's paths */
export function recogniseCopy(file: CopyOwner, blob: BlobState, fsUuid: string, current: boolean): Verdict {
  const verdict = examineCopy(file, blob, fsUuid, current);
  const reason = verdict.copy ? otherContent(file, blob, verdict.by) : undefined;
  return reason === undefined ? verdict : { copy: false, reason };
}

/**
 * Why a blob that counts as the copy must not be restored all the same; undefined when it may. A sequence above the
 * record's says that a later archive's record was overwritten by an earlier one that came late; then its content is
 * the file's only if size and modification time agree, too. Without a record the modification time must agree as well:
 * a file that was renamed, written, archived and renamed back has an older version of the same length at its path.
 */
function otherContent(file: CopyOwner, blob: BlobState, by: Recognition): string | undefined {
  if (by === 'fallback') {
    return sameMtime(file, blob)
      ? undefined
      : "the file has no record of its copy, and this is of another modification time than the file's";
  }
  const record = ownRecord(file);
  if (record === undefined || isBinding(record) || blob.identity === undefined) return undefined;
  if (holdsRecorded(record, blob.identity)) return undefined;
  const agrees =
    blob.identity.generation !== undefined &&
    blob.identity.generation.seq > record.generation.seq &&
    blob.length === file.size &&
    sameMtime(file, blob);
  return agrees
    ? undefined
    : `it holds another version (generation ${blob.identity.generation?.seq}) than the file's record says`;
}

/** In whole seconds: not every server keeps more. */
function sameMtime(file: CopyOwner, blob: BlobState): boolean {
  const { mtime } = parseOwnMetadata(blob.metadata).attributes;
  return mtime !== undefined && mtime / 1_000_000_000n === file.stat.mtime / 1_000_000_000n;
}

function seqOf(blob: BlobState): number {
  return blob.identity?.generation?.seq ?? 0;
}
