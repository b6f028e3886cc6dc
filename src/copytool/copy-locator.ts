import { setTimeout as delay } from 'node:timers/promises';
import { parseOwnMetadata } from '../blob/metadata.ts';
import { stagingName } from '../blob/naming.ts';
import type { BlobState } from '../blob/state.ts';
import type { BlobStore } from '../blob/store.ts';
import { examineCopy, holdsRecorded, ownRecord, type Recognition } from '../identity/copy-of.ts';
import { isBinding } from '../identity/file-record.ts';
import { ERRNO } from '../lustre/errno.ts';
import { ActionError } from './action-error.ts';
import type { FileView } from './file-view.ts';
import { nameLinks } from './names.ts';

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

/** First wait between two searches, milliseconds; it doubles up to the last. */
const FIRST_WAIT_MS = 250;
const LAST_WAIT_MS = 4_000;

/** Where a file's copy may be, in the order in which it is looked for; hints come last and are only hints. */
export function candidateNames(file: FileView, prefix: string): { name: string; current: boolean }[] {
  const names = new Map<string, boolean>();
  for (const { name } of nameLinks(file.paths, prefix).named) names.set(name, true);
  const hints = [file.location, ownRecord(file)?.at, stagingName(prefix, file.fid)];
  for (const hint of hints) if (hint !== undefined && !names.has(hint)) names.set(hint, false);
  return [...names].map(([name, current]) => ({ name, current }));
}

/**
 * Looks once for the copy that a restore may give back. The first candidate that is the copy wins; among copies that
 * are recognised without a record, the highest sequence.
 */
export async function searchCopy(
  file: FileView,
  archive: { store: BlobStore; prefix: string },
  fsUuid: string,
  signal?: AbortSignal,
): Promise<Search> {
  const misses: Miss[] = [];
  let fallback: LocatedCopy | undefined;
  for (const { name, current } of candidateNames(file, archive.prefix)) {
    const blob = await archive.store.head(name, { signal });
    if (blob === undefined) {
      misses.push({ name, found: 'nothing' });
      continue;
    }
    const verdict = examineCopy(file, blob, fsUuid, current);
    const reason = verdict.copy ? otherContent(file, blob, verdict.by) : verdict.reason;
    if (!verdict.copy || reason !== undefined) {
      misses.push({ name, found: reason ?? 'something else' });
    } else if (verdict.by === 'fallback') {
      if (fallback === undefined || seqOf(blob) > seqOf(fallback.blob)) fallback = { blob, by: verdict.by };
    } else {
      return { copy: { blob, by: verdict.by }, misses };
    }
  }
  return fallback === undefined ? { misses } : { copy: fallback, misses };
}

/**
 * Looks for the copy until it is found or the time is up: the follower may be moving it. Each search looks at the file
 * anew.
 * @param timeout milliseconds
 * @throws ActionError (ENODATA) that names everything that was looked at
 */
export async function locateCopy(
  view: () => Promise<FileView>,
  archive: { store: BlobStore; prefix: string },
  fsUuid: string,
  options: {
    timeout: number;
    signal: AbortSignal;
    onMiss: (misses: readonly Miss[]) => void;
    /** What a wait is made within; others work meanwhile. */
    pause: <T>(wait: () => Promise<T>) => Promise<T>;
  },
): Promise<{ file: FileView; copy: LocatedCopy }> {
  let end: number | undefined;
  for (let wait = FIRST_WAIT_MS, round = 0; ; wait = Math.min(2 * wait, LAST_WAIT_MS), round++) {
    options.signal.throwIfAborted();
    const file = await view();
    const { copy, misses } = await searchCopy(file, archive, fsUuid, options.signal);
    if (copy !== undefined) return { file, copy };
    if (round === 0) options.onMiss(misses);
    // From the first answer on: an endpoint that did not answer for a while takes nothing from this time.
    end ??= performance.now() + options.timeout;
    const left = end - performance.now();
    if (left <= 0)
      throw new ActionError('copy-missing', ERRNO.ENODATA, `the copy of the file was not found: ${describe(misses)}`);
    await options.pause(() =>
      delay(Math.min(wait, left), undefined, { signal: options.signal }).catch(() => options.signal.throwIfAborted()),
    );
  }
}

/**
 * Why a blob that counts as the copy must not be restored all the same; undefined when it may. A sequence above the
 * record's says that a later archive's record was overwritten by an earlier one that came late; then its content is
 * the file's only if size and modification time agree, too. Without a record the modification time must agree as well:
 * a file that was renamed, written, archived and renamed back has an older version of the same length at its path.
 */
function otherContent(file: FileView, blob: BlobState, by: Recognition): string | undefined {
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
function sameMtime(file: FileView, blob: BlobState): boolean {
  const { mtime } = parseOwnMetadata(blob.metadata).attributes;
  return mtime !== undefined && mtime / 1_000_000_000n === file.stat.mtime / 1_000_000_000n;
}

function seqOf(blob: BlobState): number {
  return blob.identity?.generation?.seq ?? 0;
}

function describe(misses: readonly Miss[]): string {
  if (misses.length === 0) return 'the file has no name that can be looked at';
  return misses.map(({ name, found }) => `${JSON.stringify(name)}: ${found}`).join('; ');
}
