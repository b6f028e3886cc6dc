import type { Entry, Link } from '../catalog/types.ts';
import { ROOT_FID } from '../identity/fid.ts';
import { type FileRecord, parseFileRecord } from '../identity/file-record.ts';
import type { CurrentAction } from '../lustre/hsm-state.ts';
import type { EntryState, ScanEntry } from '../lustre/scan-entry.ts';

/** A file as it was just seen in Lustre. */
export interface Fresh {
  readonly entry: Entry;
  /** All its names; undefined: not all are known. */
  readonly links?: readonly Link[];
  /** `trusted.lfsazsync`, if it is this file's own. */
  readonly record?: FileRecord;
  /** When it was made, seconds since 1970, where Lustre knows. */
  readonly born?: number;
}

/** What came of looking at a FID. Dead is ENOENT under our UUID; everything else that fails is no death. */
export type Seen =
  | {
      readonly kind: 'alive';
      readonly fresh: Fresh;
      /** What is under way for it, of a file and where it was asked for. */
      readonly action?: CurrentAction | undefined;
    }
  | { readonly kind: 'dead' }
  | { readonly kind: 'failed'; readonly error: string };

/** A file that was asked for by its FID. @returns undefined: its HSM state could not be read */
export function freshOf(state: EntryState): Fresh | undefined {
  const { fid, type, mode, uid, gid, nlink, atime, mtime, ctime, hsm, archive, osts, pool } = state;
  if (hsm === null) return undefined;
  const entry = {
    ...{ fid, type, mode, uid, gid, nlink, atime, mtime, ctime, hsm, archive, osts, pool },
    project: state.project ?? 0,
    size: BigInt(state.size),
    blocks: BigInt(state.blocks),
  };
  const links = fid === ROOT_FID || nlink === 0 ? [] : state.linksComplete ? state.links : null;
  const born = state.btime === null ? {} : { born: state.btime };
  return { entry, ...(links === null ? {} : { links }), ...ownRecordOf(state.record, fid), ...born };
}

/**
 * @returns undefined: the scan did not see enough of it, so it is to be looked at by its FID. So it is where the name that was
 * met is not among its names: in a striped directory they are kept under stripes, which somebody has to find the directory of.
 */
export function freshOfScan(scanned: ScanEntry): Fresh | undefined {
  const { name, parent } = scanned;
  if (scanned.links?.some((link) => link.parent === parent && link.name.equals(name)) === false) return undefined;
  const links = scanned.links ?? [{ parent: scanned.parent, name: scanned.name }];
  const fresh = freshOf({ ...scanned, links });
  return fresh?.links === undefined ? undefined : fresh;
}

/** `cp -a` carries records to other files: those are none. */
function ownRecordOf(value: Buffer | null, fid: string): { record?: FileRecord } {
  const record = value === null ? undefined : parseFileRecord(value);
  return record?.fid === fid ? { record } : {};
}
