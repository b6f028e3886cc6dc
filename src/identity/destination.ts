import type { BlobIdentity } from './blob-identity.ts';
import { type BlobFacts, examineCopy, ownRecord } from './copy-of.ts';
import type { Fid } from './fid.ts';
import type { FileRecord } from './file-record.ts';
import { isBinding } from './file-record.ts';
import type { Generation } from './generation.ts';

/** The file whose copy is to be written, and the version that is to be committed. */
export interface Newcomer {
  readonly fsUuid: string;
  readonly fid: Fid;
  readonly record?: FileRecord | undefined;
  readonly generation: Generation;
}

/** A blob in the way, as far as it matters here. */
export interface Occupant extends BlobFacts {
  readonly blobType?: string | undefined;
}

/** What became of the object that a blob of ours belongs to. */
export type Fate = 'dead' | 'elsewhere' | 'here';

/** What an archive does where a blob that is not ours, or that of a dead file of ours, is in the way. */
export interface ConflictSettings {
  /** `overwrite` never goes for the blobs of another file system: they may be a living file's only copy there. */
  readonly stranger: 'fail' | 'overwrite';
  /**
   * Whether it is known that no file of this file system was imported from this very blob; such a file may have been
   * renamed since, and have its only copy here. Absent: nobody knows, and nothing is overwritten.
   */
  readonly isUnbound?: (occupant: Occupant) => Promise<boolean>;
  /**
   * Whether a blob of another file system is one that the container was taken over from, and known to have been imported as it is
   * to a file that is dead by now. Absent: nobody knows.
   */
  readonly isLeftBehind?: (occupant: Occupant) => Promise<boolean>;
  readonly dead: 'fail' | 'overwrite';
}

export type Condition = { readonly ifMatch: string } | { readonly ifNoneMatch: '*' };

/** Why a blob at the destination may be overwritten. */
export type Replaced = 'nothing' | 'own copy' | 'imported copy' | 'marker' | "dead file's copy" | "stranger's blob";

export type RefusalCode =
  | 'newer-version'
  | 'other-file'
  | 'marker'
  | 'dead-file'
  | 'stranger'
  | 'maybe-imported'
  | 'pending-copy'
  | 'blob-type';

export type Decision =
  | { readonly do: 'commit'; readonly condition: Condition; readonly replaces: Replaced }
  /** Our own earlier attempt has succeeded. */
  | { readonly do: 'done'; readonly etag: string }
  | { readonly do: 'refuse'; readonly code: RefusalCode; readonly reason: string; readonly again: boolean };

/**
 * What may be done at a blob's name for a file: the one decision table of design/02, steps 4 and 5 of an archive.
 * A commit is always conditional on exactly the state that was looked at.
 *
 * @param occupant what is at the name now; undefined: nothing
 * @param fateOf asks Lustre what became of the object with that FID, under our own file-system UUID: `dead` only on
 *   ENOENT by FID; `elsewhere`: alive, but none of its paths has this blob's name; `here` in every other case. Its
 *   rejections (errors other than ENOENT are not death) are passed on
 */
export async function decideDestination(
  occupant: Occupant | undefined,
  newcomer: Newcomer,
  settings: ConflictSettings,
  fateOf: (fid: Fid) => Promise<Fate>,
): Promise<Decision> {
  if (occupant === undefined) return { do: 'commit', condition: { ifNoneMatch: '*' }, replaces: 'nothing' };
  if (occupant.copyStatus === 'pending') {
    return refuse('pending-copy', 'a server-side copy onto this name is under way', true);
  }
  if (occupant.blobType !== undefined && occupant.blobType !== 'BlockBlob') {
    return refuse('blob-type', `a ${occupant.blobType} is in the way, which a block blob can't replace`, false);
  }
  const { identity } = occupant;
  const overwrite = (replaces: Replaced): Decision => ({
    do: 'commit',
    condition: { ifMatch: occupant.etag },
    replaces,
  });
  if (isBoundTo(newcomer, occupant)) return overwrite('imported copy');
  if (identity === undefined) {
    if (settings.stranger === 'fail') return refuse('stranger', 'a blob that is not of lfsazsync is in the way', false);
    if ((await settings.isUnbound?.(occupant)) === true) return overwrite("stranger's blob");
    return refuse('maybe-imported', 'a blob is in the way that may be the only copy of an imported file', false);
  }
  if (identity.fs !== newcomer.fsUuid) {
    if ((await settings.isLeftBehind?.(occupant)) === true) return overwrite("dead file's copy");
    return refuse('stranger', `a blob of another file system (${identity.fs}) is in the way`, false);
  }
  if (identity.fid === newcomer.fid) return decideOwn(occupant, identity, newcomer, overwrite);
  const fate = await fateOf(identity.fid);
  if (identity.kind === 'file') {
    if (fate !== 'dead') return refuse('other-file', `another file's copy is in the way (${identity.fid})`, true);
    if (settings.dead === 'overwrite') return overwrite("dead file's copy");
    return refuse('dead-file', `the copy of a removed file is in the way (${identity.fid})`, true);
  }
  if (fate === 'here')
    return refuse('marker', `the marker of another object is in the way (${identity.kind} ${identity.fid})`, true);
  if (fate === 'elsewhere' && identity.kind === 'link') {
    return refuse('marker', `the marker of another file's hard link is in the way (${identity.fid})`, true);
  }
  return overwrite('marker');
}

function decideOwn(
  occupant: Occupant,
  identity: BlobIdentity,
  newcomer: Newcomer,
  overwrite: (replaces: Replaced) => Decision,
): Decision {
  if (identity.kind !== 'file') return overwrite('marker');
  const there = identity.generation;
  // What a copy within the service left behind when it failed says the same of itself, and holds nothing.
  const isWhole = occupant.copyStatus === undefined || occupant.copyStatus === 'success';
  if (isWhole && there !== undefined && there.uuid === newcomer.generation.uuid)
    return { do: 'done', etag: occupant.etag };
  if (there !== undefined && there.seq > newcomer.generation.seq) {
    return refuse(
      'newer-version',
      `a later version of this file is there already (${there.seq} after ${newcomer.generation.seq})`,
      true,
    );
  }
  return overwrite('own copy');
}

/** Whether the blob is the very one that the file was imported from: its own copy, though others wrote it. */
function isBoundTo(newcomer: Newcomer, occupant: Occupant): boolean {
  const file = { fid: newcomer.fid, record: newcomer.record, size: occupant.length };
  const record = ownRecord(file);
  if (record === undefined || !isBinding(record)) return false;
  const verdict = examineCopy(file, occupant, newcomer.fsUuid, false);
  return verdict.copy && verdict.by === 'binding';
}

function refuse(code: RefusalCode, reason: string, again: boolean): Decision {
  return { do: 'refuse', code, reason, again };
}
