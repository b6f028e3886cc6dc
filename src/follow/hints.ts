/** Why a file is to be looked at: what records said, as a set of bits on a mark. Hints only; the file says what is. */
export const HINT = {
  /** It was made. */
  BORN: 0x01,
  /** A name came, went or moved. */
  NAMES: 0x02,
  /** Owner, mode, times, extended attributes. */
  ATTRIBUTES: 0x04,
  /** Content or layout. */
  DATA: 0x08,
  /** Something happened between it and HSM: there may be a blob that the catalog does not know. */
  HSM: 0x10,
  /** Its last name is said to have gone. */
  UNLINKED: 0x20,
  /** It was said to have something in HSM when its last name went. */
  HAD_COPY: 0x40,
  /** What it holds changed, so its times did. */
  CONTENTS: 0x80,
  /** A record of a type that this version does not know. */
  UNKNOWN: 0x100,
  /** An archive of it ended with EAGAIN: its name was taken, or something else that passes was in the way. */
  REFUSED: 0x200,
  /** An extended attribute that is not ours. */
  XATTR: 0x400,
  /** Of a directory: something in it may have been archived, and a marker written with that, whatever the catalog knows. */
  HELD_COPY: 0x800,
} as const;

/** Hints after which a dead file may have left a blob, whatever the catalog knows. */
export const MAYBE_COPIED = HINT.HSM | HINT.HAD_COPY;
