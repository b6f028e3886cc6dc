/**
 * Lustre file identifiers.
 *
 * A FID is 128 bits: a 64-bit sequence, a 32-bit object id and a 32-bit version. It is unique and never reused within
 * one file system, and repeats between file systems: compare FIDs only under equal file-system UUIDs.
 */

/** A FID in the canonical text form `0x200000401:0x1:0x0`: lower case, without brackets or leading zeros. */
export type Fid = string & { readonly __fid: unique symbol };

const FID_PATTERN = /^\[?(0x[0-9a-f]{1,16}):(0x[0-9a-f]{1,8}):(0x[0-9a-f]{1,8})\]?$/i;

/** The FID of the file system's root directory, the same on every Lustre (FID_SEQ_ROOT). */
export const ROOT_FID = '0x200000007:0x1:0x0' as Fid;

/** Reads a FID, with or without brackets; undefined when the text is not one. */
export function parseFid(text: string): Fid | undefined {
  const match = FID_PATTERN.exec(text);
  if (match === null) return undefined;
  const [, seq, oid, version] = match as unknown as [string, string, string, string];
  return canonical(BigInt(seq), BigInt(oid), BigInt(version));
}

function canonical(seq: bigint, oid: bigint, version: bigint): Fid {
  return `0x${seq.toString(16)}:0x${oid.toString(16)}:0x${version.toString(16)}` as Fid;
}
