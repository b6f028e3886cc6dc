import type { Link } from '../catalog/types.ts';
import type { Fid } from '../identity/fid.ts';
import { FILE_SYSTEM_XATTR, LOCATION_XATTR, RECORD_XATTR } from '../identity/file-record.ts';
import {
  type ChangelogRecord,
  RENAME_LAST,
  RENAME_LAST_HSM_EXISTS,
  RecordType,
  UNLINK_HSM_EXISTS,
  UNLINK_LAST,
} from '../lustre/changelog-record.ts';
import { ERRNO } from '../lustre/errno.ts';
import { HINT } from './hints.ts';

/** Takes a file to be looked at, with the reason; and the name that it lost, of something that was in HSM. */
export type Marker = (fid: Fid, hints: number, last?: Link) => void;

/** Attributes that only we write: their records are echoes of our own doing. */
const OWN_XATTRS: ReadonlySet<string> = new Set([RECORD_XATTR, LOCATION_XATTR, FILE_SYSTEM_XATTR]);

/** Objects that are not files: nothing, and what lies below `.lustre` (FID_SEQ_DOT_LUSTRE). */
const NO_FILE = /^0x(?:0|200000002):/;

/**
 * Marks what a record makes worth looking at (`lustre-facts` 01, 03, 04, in both dialects). Records are hints: their
 * flags and types decide what is looked at, never what is believed of it. Who has a name in the record has its directory
 * marked too, since its times changed; a record without a name carries no directory that could be believed.
 */
export function markRecord(record: ChangelogRecord, put: Marker): void {
  const mark = (fid: Fid | null, hints: number) => {
    if (fid !== null && !NO_FILE.test(fid)) put(fid, hints, (hints & HINT.HAD_COPY) === 0 ? undefined : nameOf(record));
  };
  switch (record.type) {
    case RecordType.MARK:
    // Reads: times of access are refreshed when they are needed, most reads leave no record anyway.
    case RecordType.OPEN:
    case RecordType.ATIME:
    case RecordType.GXATR:
    case RecordType.NOPEN:
      return;
    case RecordType.CREAT:
    case RecordType.MKDIR:
    case RecordType.MKNOD:
    case RecordType.SLINK:
      mark(record.fid, HINT.BORN | HINT.NAMES);
      mark(record.parent, HINT.CONTENTS);
      return;
    case RecordType.HLINK:
      mark(record.fid, HINT.NAMES);
      mark(record.parent, HINT.CONTENTS);
      return;
    case RecordType.UNLNK:
    case RecordType.RMDIR:
      mark(record.fid, HINT.NAMES | unlinked(record.flags, UNLINK_LAST, UNLINK_HSM_EXISTS));
      mark(record.parent, HINT.CONTENTS);
      return;
    case RecordType.RENME:
      mark(record.sourceFid, HINT.NAMES);
      mark(record.fid, HINT.NAMES | unlinked(record.flags, RENAME_LAST, RENAME_LAST_HSM_EXISTS));
      mark(record.parent, HINT.CONTENTS);
      mark(record.sourceParent, HINT.CONTENTS);
      return;
    case RecordType.XATTR:
      if (record.xattr === null || !OWN_XATTRS.has(record.xattr)) mark(record.fid, HINT.ATTRIBUTES | HINT.XATTR);
      return;
    case RecordType.SATTR:
    case RecordType.MTIME:
    case RecordType.CTIME:
      mark(record.fid, HINT.ATTRIBUTES);
      return;
    // A time that is set on its own shows in a CLOSE only.
    case RecordType.CLOSE:
    case RecordType.TRUNC:
    case RecordType.LYOUT:
    case RecordType.FLRW:
    case RecordType.RESYNC:
      mark(record.fid, HINT.DATA | HINT.ATTRIBUTES);
      return;
    case RecordType.HSM:
      mark(record.fid, HINT.HSM | (isRefusedArchive(record.flags) ? HINT.REFUSED : 0));
      return;
    // MIGRT among them: what moves to another MDT gets another FID, and the record names both.
    default:
      for (const fid of [record.fid, record.sourceFid]) mark(fid, HINT.UNKNOWN | HINT.NAMES);
      for (const fid of [record.parent, record.sourceParent]) mark(fid, HINT.CONTENTS);
  }
}

function unlinked(flags: number, last: number, inHsm: number): number {
  return ((flags & last) === 0 ? 0 : HINT.UNLINKED) | ((flags & inHsm) === 0 ? 0 : HINT.HAD_COPY);
}

function nameOf({ parent, name }: ChangelogRecord): Link | undefined {
  return parent === null || name === null ? undefined : { parent, name };
}

/** An archive (event 0 of bits 7 to 9) that its copytool ended with EAGAIN (the low seven bits). */
function isRefusedArchive(flags: number): boolean {
  return ((flags >> 7) & 7) === 0 && (flags & 0x7f) === ERRNO.EAGAIN;
}
