import type { Fid } from '../identity/fid.ts';
import { type FileRecord, formatBinding, isBinding, parseFileRecord } from '../identity/file-record.ts';
import { isClean, isDirty, isReleased } from '../lustre/hsm-state.ts';
import type { EntryState } from '../lustre/scan-entry.ts';
import { attributesOf } from './things.ts';
import type { ConflictCode, ImportRequest } from './types.ts';
import type { Wanted } from './wanted.ts';

/** What stands at a name, beside what the blob says. */
export type Relation =
  /** It is what the blob says. */
  | 'present'
  /** It was imported from this blob, which has changed since, maybe from a symlink to a file or back. */
  | 'changed'
  | 'not-imported'
  | 'type';

/** What is to be done about it. */
export type Action =
  | { readonly do: 'nothing' }
  /** A released file is bound to the blob as it is now; a resident one is released before. */
  | { readonly do: 'rebind'; readonly release: boolean }
  /** It goes, and is made anew. `clean`: only if the archive has its data. */
  | { readonly do: 'replace'; readonly clean: boolean }
  | { readonly do: 'release' }
  | { readonly do: 'conflict'; readonly code: ConflictCode; readonly detail: string };

/** @param target of a symlink: what it should point to, and what it points to */
export function relationOf(
  wanted: Wanted,
  there: EntryState,
  targets?: { readonly wanted: Buffer | undefined; readonly there: Buffer | undefined; readonly imported: boolean },
): Relation {
  const { read, blob } = wanted;
  const record = ownRecordOf(there);
  const binding = record !== undefined && isBinding(record) ? record : undefined;
  if (read.kind === 'symlink') {
    if (there.type === 'file' && binding?.at === blob.name) return 'changed';
    if (there.type !== 'symlink') return 'type';
    if (targets?.wanted !== undefined && targets.there?.equals(targets.wanted) === true) return 'present';
    return targets?.imported === true ? 'changed' : 'not-imported';
  }
  if (read.kind === 'file' && there.type === 'symlink' && targets?.imported === true) return 'changed';
  if (read.kind !== 'file' || there.type !== 'file') return 'type';
  if (binding === undefined) return 'not-imported';
  const same = formatBinding(binding.bind) === formatBinding(read.bind) && binding.size === read.size;
  if (same && BigInt(there.size) === read.size && !isDirty(stateOf(there))) return 'present';
  return binding.at === blob.name ? 'changed' : 'not-imported';
}

/** What the operator's choice makes of it: Azure Managed Lustre's four ways, and `--refresh`. */
export function actionFor(relation: Relation, there: EntryState, wanted: Wanted, request: ImportRequest): Action {
  const { onConflict, refresh } = request;
  const overwrites = onConflict === 'overwrite-dirty' || onConflict === 'overwrite-always';
  const state = stateOf(there);
  switch (relation) {
    case 'present': {
      const resident = there.type === 'file' && there.size > 0 && isClean(state) && !isReleased(state);
      return onConflict === 'overwrite-always' && resident ? { do: 'release' } : { do: 'nothing' };
    }
    case 'changed': {
      if (there.type === 'file' && !isClean(state)) {
        if (overwrites) return { do: 'replace', clean: false };
        return { do: 'conflict', code: 'dirty', detail: 'the file was modified since it was imported' };
      }
      if (!refresh && onConflict !== 'overwrite-always')
        return {
          do: 'conflict',
          code: 'changed',
          detail: 'the blob has changed since the file was imported: --refresh',
        };
      if (!overwrites && isNewer(there, attributesOf(wanted).mtime))
        return {
          do: 'conflict',
          code: 'newer',
          detail: 'the file was given another time since it was imported, and is newer than the blob',
        };
      const rebinds = wanted.read.kind === 'file' && wanted.read.size > 0n && there.type === 'file' && there.size > 0;
      return rebinds ? { do: 'rebind', release: !isReleased(state) } : { do: 'replace', clean: true };
    }
    case 'not-imported':
      if (overwrites) return { do: 'replace', clean: false };
      return {
        do: 'conflict',
        code: 'not-imported',
        detail: `a ${word(there)} that was not imported from it is there`,
      };
    case 'type':
      if (overwrites) return { do: 'replace', clean: false };
      return { do: 'conflict', code: 'type', detail: `a ${word(there)} is there` };
  }
}

/** Whether somebody has given it another time since the import. @param than if that is later; absent: than the import's */
export function isNewer(there: EntryState, than?: number): boolean {
  const record = ownRecordOf(there);
  const given = record !== undefined && isBinding(record) ? record.given : undefined;
  return given !== undefined && there.mtime !== given.mtime && there.mtime > (than ?? given.mtime);
}

/** The mode of an empty file that the helper has made and not finished. */
const HALF_EMPTY = 0o1600;

/**
 * Whether an import that was killed may have left it without its last step. Otherwise what differs from the blob was
 * changed by its users, who are never overruled by an import that has nothing new for them: when the catalog is lost,
 * nothing else knows of a chmod that the container has not heard of yet.
 */
export function isHalfMade(there: EntryState, wanted: Wanted): boolean {
  const { mode, uid, gid, mtime } = attributesOf(wanted);
  const sameOwner = there.uid === uid && there.gid === gid;
  // Made by root, then given away, then its time.
  if (there.type === 'symlink') return (there.uid === 0 && there.gid === 0) || (sameOwner && there.mtime !== mtime);
  if (there.size === 0) return there.mode === HALF_EMPTY && there.mode !== mode;
  // All at once, then what the import ioctl cuts off the mode.
  return sameOwner && there.mtime === mtime && there.mode !== mode && there.mode === (mode & 0o777);
}

/** The file's own record: `cp -a` carries it to others. */
export function ownRecordOf({
  fid,
  record,
}: {
  readonly fid: Fid;
  readonly record: Buffer | null;
}): FileRecord | undefined {
  const parsed = record === null ? undefined : parseFileRecord(record);
  return parsed?.fid === fid ? parsed : undefined;
}

export const stateOf = ({ hsm, archive }: EntryState) => ({ states: hsm ?? 0, archive });

const WORDS: Partial<Record<EntryState['type'], string>> = {
  dir: 'directory',
  chr: 'device',
  blk: 'device',
  sock: 'socket',
};
const word = ({ type }: EntryState): string => WORDS[type] ?? type;
